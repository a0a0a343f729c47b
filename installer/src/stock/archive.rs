//! Programs out of an archive. Nothing is unpacked where the archive says: each member that
//! was asked for is written where this program says, and the others are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use tar::EntryType;
use thiserror::Error;

use super::cache::{CacheError, copied};
use crate::spec::Form;

/// The largest program, octets: some times what kubelet has.
const MEMBER: u64 = 1 << 30;
/// The largest archive once it is unpacked, octets. A small file can be one of nothing but
/// zeros that fills a disk.
const UNPACKED: u64 = 16 << 30;
/// Members of an archive: more than any release has.
const MEMBERS: usize = 100_000;

/// An archive on this machine.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) file: PathBuf,
    pub(super) form: Form,
}

/// A program that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) program: String,
    pub(super) sha256: String,
}

/// Why programs were not taken out of an archive.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// It cannot be read to its end.
    #[error(
        "the archive cannot be unpacked; is it packed as its name says (.tar, .tar.gz, .tgz, .tar.zst)?"
    )]
    Unreadable(#[source] io::Error),
    /// A member is missing.
    #[error("the archive has no member {path:?} for {program}; {hint}")]
    Missing {
        /// Whose.
        program: String,
        /// Which.
        path: String,
        /// What may have been meant.
        hint: String,
    },
    /// A member is no file.
    #[error("the member {path:?} is {kind}, no file; name the file that it is about")]
    NotAFile {
        /// Which.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A member is there more than once.
    #[error("the member {0:?} is there more than once, so nobody can say which is meant")]
    Twice(String),
    /// A member would lie outside.
    #[error("the member {0:?} leads out of the archive; no release has such a one")]
    Outside(String),
    /// A member is too large.
    #[error("the member {path:?} has {octets} octets; no program is larger than {} GiB", MEMBER >> 30)]
    TooLarge {
        /// Which.
        path: String,
        /// How large it says it is.
        octets: u64,
    },
    /// There are too many.
    #[error("the archive has more than {MEMBERS} members; no release has so many")]
    TooMany,
    /// A program cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Archive {
    /// Takes programs out: `paths` says which is which member, `place` where each is written
    /// to.
    ///
    /// # Errors
    /// When a member is missing or is not what a program is, or the archive cannot be read.
    pub(super) fn take(
        &self,
        paths: &BTreeMap<String, String>,
        mut place: impl FnMut(&str) -> Result<File, CacheError>,
    ) -> Result<Vec<Taken>, ArchiveError> {
        let mut archive = tar::Archive::new(self.reader()?.take(UNPACKED));
        let mut taken = Vec::new();
        let mut seen = BTreeSet::new();
        let entries = archive.entries().map_err(ArchiveError::Unreadable)?;
        for (number, entry) in entries.enumerate() {
            if number >= MEMBERS {
                return Err(ArchiveError::TooMany);
            }
            let mut entry = entry.map_err(ArchiveError::Unreadable)?;
            let path = inside(&entry.path().map_err(ArchiveError::Unreadable)?)?;
            let mut wanted = paths.iter().filter(|(_, wanted)| **wanted == path);
            let Some((program, _)) = wanted.next() else {
                seen.insert(path);
                continue;
            };
            if !seen.insert(path.clone()) {
                return Err(ArchiveError::Twice(path));
            }
            check(&path, entry.header().entry_type(), entry.size())?;
            let mut file = place(program)?;
            let written = copied(&mut entry, &mut file);
            let (sha256, _) = written.map_err(ArchiveError::Unreadable)?;
            let program = program.clone();
            taken.push(Taken { program, sha256 });
        }
        for (program, path) in paths {
            if !taken.iter().any(|taken| taken.program == *program) {
                let names = seen.iter().map(String::as_str);
                return Err(ArchiveError::Missing {
                    program: program.clone(),
                    path: path.clone(),
                    hint: hint(path, names),
                });
            }
        }
        Ok(taken)
    }

    fn reader(&self) -> Result<Box<dyn Read>, ArchiveError> {
        let file = File::open(&self.file).map_err(ArchiveError::Unreadable)?;
        let file = BufReader::new(file);
        Ok(match self.form {
            Form::Tar => Box::new(file),
            Form::Gzip => Box::new(MultiGzDecoder::new(file)),
            Form::Zstd => Box::new(
                StreamingDecoder::new(file)
                    .map_err(|error| ArchiveError::Unreadable(io::Error::other(error)))?,
            ),
        })
    }
}

/// The path of a member without what means nothing; none may lead out.
fn inside(path: &Path) -> Result<String, ArchiveError> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(ArchiveError::Outside(path.display().to_string()));
            }
        }
    }
    Ok(parts.join("/"))
}

fn check(path: &str, kind: EntryType, octets: u64) -> Result<(), ArchiveError> {
    let path = path.to_owned();
    if kind.is_file() || kind.is_contiguous() {
        return match octets > MEMBER {
            true => Err(ArchiveError::TooLarge { path, octets }),
            false => Ok(()),
        };
    }
    let kinds = [
        (kind.is_symlink(), "a symbolic link"),
        (kind.is_hard_link(), "a hard link"),
        (kind.is_dir(), "a folder"),
    ];
    let mut kinds = kinds.into_iter();
    let kind = kinds
        .find(|(is, _)| *is)
        .map_or("something else", |(_, kind)| kind);
    Err(ArchiveError::NotAFile { path, kind })
}

/// What may have been meant: a member of the same name elsewhere, else one that is spelt
/// alike.
fn hint<'a>(path: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut alike = names.clone().filter(|other| last(other) == last(path));
    match alike.next() {
        Some(other) => format!("did you mean {other:?}?"),
        None => config::suggest(path, names),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        for (path, wanted) in [
            ("a/b", Some("a/b")),
            ("./a/./b", Some("a/b")),
            ("a/../b", None),
            ("../b", None),
            ("/a", None),
        ] {
            assert_eq!(inside(Path::new(path)).ok().as_deref(), wanted, "{path}");
        }
    }

    #[test]
    fn only_files_of_a_programs_size_are_taken() {
        for (kind, octets, good) in [
            (EntryType::Regular, MEMBER, true),
            (EntryType::Regular, MEMBER + 1, false),
            (EntryType::Continuous, 1, true),
            (EntryType::Symlink, 0, false),
            (EntryType::Link, 0, false),
            (EntryType::Directory, 0, false),
            (EntryType::Char, 0, false),
        ] {
            assert_eq!(check("a", kind, octets).is_ok(), good, "{kind:?} {octets}");
        }
    }
}
