//! `binaries`: where the programs come from. A folder, and files that are fetched: each for
//! the architectures that it has a checksum of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::KeyPath;

use super::file;
use super::meant::{Binaries, Folder, Form, Holds, Place, Source};
use super::reader::Reader;
use crate::architecture::Architecture;
use crate::versions::Version;

const FOLDER: &str = "binaries";
const CHECKSUMS: &str = "SHA256SUMS";
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// What stands for what in a place.
struct Words {
    architecture: Architecture,
    version: Version,
}

impl Words {
    fn filled(&self, text: &str) -> String {
        text.replace("{arch}", self.architecture.name())
            .replace("{version}", &self.version.to_string())
    }
}

impl Reader<'_> {
    pub(super) fn binaries(
        &mut self,
        file: &file::Binaries,
        version: Version,
        folder: &Path,
        at: &KeyPath,
    ) -> Binaries {
        let images = self.each(&file.images, &at.key("images"), |reader, text, at| {
            if text.ends_with(".tar") && is_plain(text) {
                return Some(text.to_owned());
            }
            let problem = "is no image's file; write the name of a .tar in binaries.folder, of letters, digits, dashes and dots";
            reader.refuse(at, problem)
        });
        let mut sources = Vec::new();
        for (place, source) in file.sources.iter().enumerate() {
            let at = at.key("sources").index(place);
            self.source_shape(source, &at);
            for architecture in Architecture::ALL {
                let words = Words {
                    architecture,
                    version,
                };
                let (mirror, known) = (file.mirror.as_deref(), self.errors.len());
                sources.extend(self.one(source, &words, mirror, folder, &at));
                if self.errors.len() > known {
                    // It would be said again of the next one.
                    break;
                }
            }
        }
        self.once(&sources, at);
        Binaries {
            folder: local(file, folder),
            images,
            sources,
        }
    }

    /// What is wrong with it whatever the architecture.
    fn source_shape(&mut self, source: &file::Source, at: &KeyPath) {
        let file::Sums { amd64, arm64 } = &source.sha256;
        if amd64.is_none() && arm64.is_none() {
            let problem = "is empty; write the checksum of the file, as \"sha256sum\" prints it, for amd64, arm64 or both";
            self.refuse::<()>(&at.key("sha256"), problem);
        }
        let both = amd64.is_some() && arm64.is_some() && amd64 != arm64;
        if both && !source.from.contains("{arch}") {
            let problem = "is one file with two checksums; write {arch} where the architecture stands in its name";
            self.refuse::<()>(&at.key("from"), problem);
        }
        let names = source.program.iter().chain(source.members.keys());
        for name in names.filter(|name| !is_plain(name)) {
            let problem = format!(
                "names {name:?}; a program's name is of letters, digits, dashes and dots"
            );
            self.refuse::<()>(at, problem);
        }
    }

    /// The source as it is for one architecture; nothing where it has no checksum.
    fn one(
        &mut self,
        source: &file::Source,
        words: &Words,
        mirror: Option<&str>,
        folder: &Path,
        at: &KeyPath,
    ) -> Option<Source> {
        let sum = match words.architecture {
            Architecture::Amd64 => source.sha256.amd64.as_ref()?,
            Architecture::Arm64 => source.sha256.arm64.as_ref()?,
        };
        let sum_at = at.key("sha256").key(words.architecture.name());
        let sha256 = self.sum(sum, &sum_at);
        let place = self.place(&words.filled(&source.from), mirror, folder, at);
        let holds = self.holds(source, words, at);
        Some(Source {
            architecture: words.architecture,
            place: place?,
            sha256: sha256?,
            holds: holds?,
        })
    }

    fn sum(&mut self, text: &str, at: &KeyPath) -> Option<String> {
        if text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(text.to_ascii_lowercase());
        }
        self.refuse(
            at,
            "is no SHA-256; write the 64 digits that \"sha256sum\" prints",
        )
    }

    /// Where it is: what has no scheme lies below the mirror, which is the folder of the
    /// description unless another is written.
    fn place(
        &mut self,
        from: &str,
        mirror: Option<&str>,
        folder: &Path,
        at: &KeyPath,
    ) -> Option<Place> {
        if from.contains("://") {
            return self.address(from, folder, &at.key("from"));
        }
        if Path::new(from).is_absolute() {
            return Some(Place::File(from.into()));
        }
        match mirror {
            None => Some(Place::File(folder.join(from))),
            Some(mirror) => {
                let whole = format!("{}/{from}", mirror.trim_end_matches('/'));
                let at = at.parent().and_then(|at| at.parent());
                let at = at.unwrap_or_else(KeyPath::root).key("mirror");
                self.address(&whole, folder, &at)
            }
        }
    }

    fn address(&mut self, text: &str, folder: &Path, at: &KeyPath) -> Option<Place> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return self.refuse(at, "holds a blank or a control character");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Some(Place::File(folder.join(text)));
        };
        let authority = rest.split('/').next().unwrap_or_default();
        match scheme {
            "file" if rest.starts_with('/') => Some(Place::File(rest.into())),
            // At the key above: an error shows its key's value.
            "http" | "https" if authority.contains('@') => self.refuse(
                &at.parent().unwrap_or_else(KeyPath::root),
                "holds a user or a password in an address, which process lists would show; write them into ~/.netrc",
            ),
            "http" | "https" if !authority.is_empty() => {
                Some(Place::Url(text.to_owned()))
            }
            _ => self.refuse(
                at,
                "is no place that is fetched from; write https://, http://, file:///, or a path",
            ),
        }
    }

    fn holds(
        &mut self,
        source: &file::Source,
        words: &Words,
        at: &KeyPath,
    ) -> Option<Holds> {
        let form = Form::of(&source.from);
        match (&source.program, form) {
            (Some(_), _) if !source.members.is_empty() => self.refuse(
                at,
                "has program and members; write program for a file that is the program, members for an archive",
            ),
            (Some(program), _) => Some(Holds::Program(program.clone())),
            (None, Some(form)) if !source.members.is_empty() => {
                let paths = source.members.iter();
                let paths = paths.map(|(name, path)| {
                    let at = at.key("members").key(name);
                    Some((name.clone(), self.member(&words.filled(path), &at)?))
                });
                let paths = paths.collect::<Option<BTreeMap<_, _>>>()?;
                Some(Holds::Members { form, paths })
            }
            (None, None) if !source.members.is_empty() => self.refuse(
                &at.key("from"),
                "is no archive that members are taken from; its name ends in .tar, .tar.gz, .tgz or .tar.zst",
            ),
            (None, _) => self.refuse(
                at,
                "says of no program; write program, or members for an archive: {NAME: PATH/IN/THE/ARCHIVE}",
            ),
        }
    }

    fn member(&mut self, path: &str, at: &KeyPath) -> Option<String> {
        let parts = || path.split('/');
        if path.is_empty() || parts().any(|part| matches!(part, "" | "." | "..")) {
            let problem = "is no path in an archive; write it as \"tar -t\" prints it, without ./, .. and a slash at an end";
            return self.refuse(at, problem);
        }
        Some(path.to_owned())
    }

    /// Two sources of one program would leave open which is laid down.
    fn once(&mut self, sources: &[Source], at: &KeyPath) {
        let mut seen = BTreeMap::new();
        for source in sources {
            for name in source.programs() {
                let known = seen.insert((source.architecture, name), source);
                if known.is_some_and(|known| known.place != source.place) {
                    let problem = format!(
                        "has two sources of {name} for {}; keep one",
                        source.architecture
                    );
                    self.refuse::<()>(&at.key("sources"), problem);
                }
            }
        }
    }
}

/// The folder: the default one only where nothing is fetched.
fn local(file: &file::Binaries, folder: &Path) -> Option<Folder> {
    let written = file.folder.is_some() || file.checksums.is_some();
    if !written && !file.sources.is_empty() {
        return None;
    }
    let path: PathBuf = folder.join(file.folder.as_deref().unwrap_or(Path::new(FOLDER)));
    let checksums = match &file.checksums {
        Some(checksums) => folder.join(checksums),
        None => path.join(CHECKSUMS),
    };
    Some(Folder { path, checksums })
}

/// What can be the name of a file anywhere, and is no way out of its folder.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}
