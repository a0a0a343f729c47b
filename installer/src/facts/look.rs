//! Looks at this machine. The only file of the facts that touches anything, and it only
//! reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Certificate, Entry, Facts, Kind};
use crate::agent::below;
use crate::layout;
use crate::resource::{self, Resource};

/// A file longer than this is no configuration: only its checksum is taken, octets.
const TEXT: usize = 256 * 1024;

/// The lines around a certificate (RFC 7468).
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What is asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Paths.
    pub paths: Vec<String>,
    /// Certificates, by their names below the folder of certificates.
    pub certificates: Vec<String>,
    /// Files with a certificate and its key, by their paths: the certificate alone is looked at.
    #[serde(default)]
    pub rotated: Vec<String>,
    /// Units.
    pub units: Vec<String>,
}

/// Why a host could not be looked at.
#[derive(Debug, Error)]
pub enum LookError {
    /// Something stands there but cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Wanted {
    /// All that a plan towards `resources` needs to know.
    #[must_use]
    pub fn of(resources: &[Resource]) -> Self {
        let mut wanted = Self::default();
        for resource in resources {
            match resource {
                Resource::Folder(folder) => wanted.paths.push(folder.path.clone()),
                Resource::File(file) => wanted.paths.push(file.path.clone()),
                Resource::Block(block) => wanted.paths.push(block.path.clone()),
                Resource::Certificate(certificate) => {
                    wanted.certificates.push(certificate.name.clone());
                }
                Resource::Shared(shared) => {
                    wanted
                        .paths
                        .extend(shared.paths().into_iter().map(|(path, _)| path));
                }
                Resource::Program(program) => {
                    wanted.paths.push(program.path());
                }
                Resource::Unit(unit) => wanted.units.push(unit.name.clone()),
            }
        }
        if resource::runs(resources, "kubelet") {
            wanted.paths.push(layout::kubeconfig("kubelet"));
            let rotated = [layout::KUBELET_CLIENT, layout::KUBELET_SERVER];
            let rotated = rotated.map(str::to_owned);
            wanted.paths.extend(rotated.clone());
            wanted.rotated.extend(rotated);
        }
        wanted
    }

    /// The paths, and those of the certificates and their keys.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let names = self.certificates.iter();
        let pairs = names.flat_map(|name| [layout::certificate(name), layout::key(name)]);
        self.paths.iter().cloned().chain(pairs).collect()
    }
}

/// Looks at files below `root`, which is `/` for the machine itself. Of units systemd knows.
///
/// # Errors
/// When something is there that cannot be read.
pub fn look(root: &Path, wanted: &Wanted) -> Result<Facts, LookError> {
    let users = users(root);
    let mut facts = Facts::default();
    for path in &wanted.paths {
        if let Some(entry) = entry(&below(root, path), &users)? {
            facts.entries.insert(path.clone(), entry);
        }
    }
    for name in &wanted.certificates {
        if let Some(certificate) = certificate(root, name, &users)? {
            facts.certificates.insert(name.clone(), certificate);
        }
    }
    for path in &wanted.rotated {
        if let Some(certificate) = rotated(&below(root, path))? {
            facts.certificates.insert(path.clone(), certificate);
        }
    }
    Ok(facts)
}

/// What stands at a path, a link itself and not what it leads to; nothing where nothing does.
pub(crate) fn about(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Err(error) if absent(&error) => Ok(None),
        about => about.map(Some),
    }
}

/// The first certificate of a text.
pub(super) fn first(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (inner, _) = rest.split_once(END)?;
    Some(format!("{BEGIN}{inner}{END}\n"))
}

/// The first certificate of a file; the key stays where it is.
fn rotated(path: &Path) -> Result<Option<Certificate>, LookError> {
    let text = match fs::read_to_string(path) {
        Err(error) if absent(&error) => return Ok(None),
        text => text.map_err(|source| LookError::Read {
            path: path.to_owned(),
            source,
        })?,
    };
    Ok(first(&text).map(|pem| Certificate {
        key_fits: pki::key_fits(&pem, &text),
        pem,
        key_owner: None,
    }))
}

fn entry(path: &Path, users: &BTreeMap<u32, String>) -> Result<Option<Entry>, LookError> {
    let failed = |source| LookError::Read {
        path: path.to_owned(),
        source,
    };
    let Some(about) = about(path).map_err(failed)? else {
        return Ok(None);
    };
    // A link of the superuser's to a folder, data on a disk of its own, counts as what it leads to.
    let led = fs::metadata(path).ok();
    let led = led.filter(|led| about.is_symlink() && about.uid() == 0 && led.is_dir());
    let about = led.unwrap_or(about);
    let kind = if about.is_dir() {
        Kind::Folder
    } else if about.is_file() {
        read(path, &about).map_err(failed)?
    } else if let Ok(target) = fs::metadata(path)
        && target.is_file()
    {
        // A link to a program: what it leads to is what counts.
        read(path, &target).map_err(failed)?
    } else {
        Kind::Other
    };
    Ok(Some(Entry {
        kind,
        mode: about.permissions().mode() & 0o7777,
        owner: owner(&about, users),
    }))
}

fn read(path: &Path, about: &Metadata) -> io::Result<Kind> {
    let bytes = fs::read(path)?;
    let public = about.permissions().mode() & 0o004 != 0;
    let text =
        (public && bytes.len() <= TEXT).then(|| String::from_utf8(bytes.clone()).ok());
    Ok(Kind::File {
        sha256: sha256(&bytes),
        text: text.flatten(),
    })
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(octets: &[u8]) -> String {
    hexadecimal(digest(&SHA256, octets).as_ref())
}

/// Octets as two digits each.
pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn certificate(
    root: &Path,
    name: &str,
    users: &BTreeMap<u32, String>,
) -> Result<Option<Certificate>, LookError> {
    let path = below(root, &layout::certificate(name));
    let pem = match fs::read_to_string(&path) {
        Err(error) if absent(&error) => return Ok(None),
        pem => pem.map_err(|source| LookError::Read { path, source })?,
    };
    let key = below(root, &layout::key(name));
    let key_owner = fs::metadata(&key).ok().map(|about| owner(&about, users));
    let key_fits = match fs::read_to_string(&key) {
        Err(error) if absent(&error) => false,
        text => {
            let text = text.map_err(|source| LookError::Read { path: key, source })?;
            pki::key_fits(&pem, &text)
        }
    };
    Ok(Some(Certificate {
        pem,
        key_fits,
        key_owner,
    }))
}

fn owner(about: &Metadata, users: &BTreeMap<u32, String>) -> String {
    users
        .get(&about.uid())
        .cloned()
        .unwrap_or_else(|| about.uid().to_string())
}

/// The names in the machine's own list of users; those of a directory service own nothing
/// that is laid down here.
fn users(root: &Path) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        Some((id.parse().ok()?, name.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_files_folders_and_links_and_never_at_what_is_private() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str, mode| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("etc/passwd", "root:x:0:0::/:/bin/sh\n", 0o644);
        put("etc/a", "hello", 0o644);
        put("etc/secret", "hello", 0o600);
        put("opt/program", "hello", 0o755);
        std::os::unix::fs::symlink(
            root.path().join("opt/program"),
            root.path().join("etc/link"),
        )
        .unwrap();
        std::os::unix::fs::symlink(root.path().join("opt"), root.path().join("etc/led"))
            .unwrap();
        let wanted = Wanted {
            paths: [
                "/etc/a",
                "/etc/secret",
                "/etc/led",
                "/etc/link",
                "/etc",
                "/nothing",
                "/etc/a/below",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Wanted::default()
        };
        let facts = look(root.path(), &wanted).unwrap();
        assert_eq!(facts.entries.len(), 5, "{facts:?}");
        let by_root = fs::metadata(root.path()).unwrap().uid() == 0;
        let led = if by_root { Kind::Folder } else { Kind::Other };
        assert_eq!(facts.entries["/etc/led"].kind, led);
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let file = |text: Option<&str>| Kind::File {
            sha256: hash.into(),
            text: text.map(str::to_owned),
        };
        assert_eq!(facts.entries["/etc/a"].kind, file(Some("hello")));
        assert_eq!(facts.entries["/etc/secret"].kind, file(None));
        assert_eq!(facts.entries["/etc/secret"].mode, 0o600);
        assert_eq!(facts.entries["/etc/link"].kind, file(Some("hello")));
        assert_eq!(facts.entries["/etc"].kind, Kind::Folder);
    }
}
