//! The file of a ledger: read once, at the start, and replaced as a whole. It lies in /run,
//! which is memory: what a power cut takes from it, it takes from the interfaces, too.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::guard::Held;

/// Of the form below. A file of another one is as if there were none.
const VERSION: u32 = 1;

/// Far more than the addresses of a host; what is longer was not written here.
const LONGEST: u64 = 256 * 1024;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is there and cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// It is none of ours.
    #[error("is not a list of addresses; delete it")]
    Form(#[source] serde_json::Error),
    /// A version before or after this one wrote it.
    #[error("has version {0}, not {supported}; delete it", supported = VERSION)]
    Version(u32),
    /// It cannot be replaced.
    #[error("cannot be written")]
    Write(#[source] io::Error),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    version: u32,
    addresses: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    interface: u32,
    address: String,
}

/// What stands in the file; nothing where there is none.
///
/// # Errors
/// [`FileError`], but for writing.
pub(super) fn read(path: &Path) -> Result<BTreeSet<Held>, FileError> {
    let mut open = OpenOptions::new();
    // A link would be somebody else's idea of what is ours.
    open.read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = match open.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(BTreeSet::new());
        }
        Err(error) => return Err(FileError::Read(error)),
    };
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(FileError::Read)?;
    parse(&text)
}

fn parse(text: &str) -> Result<BTreeSet<Held>, FileError> {
    let written: Written = serde_json::from_str(text).map_err(FileError::Form)?;
    if written.version != VERSION {
        return Err(FileError::Version(written.version));
    }
    let all = written.addresses.iter().map(held);
    all.collect::<Result<_, _>>().map_err(FileError::Form)
}

fn held(line: &Line) -> Result<Held, serde_json::Error> {
    let address = line.address.parse().map_err(serde_json::Error::custom)?;
    Ok(Held {
        interface: line.interface,
        address,
    })
}

fn emit(held: &BTreeSet<Held>) -> String {
    let addresses = held.iter().map(|held| Line {
        interface: held.interface,
        address: held.address.to_string(),
    });
    let written = Written {
        version: VERSION,
        addresses: addresses.collect(),
    };
    // Numbers and plain text: nothing in it can be refused.
    serde_json::to_string(&written).unwrap_or_default()
}

/// Replaces the file; without an address there is none.
///
/// # Errors
/// [`FileError::Write`]; what stood there stays.
pub(super) fn write(path: &Path, held: &BTreeSet<Held>) -> Result<(), FileError> {
    match held.is_empty() {
        true => remove(path),
        false => replace(path, &emit(held)),
    }
    .map_err(FileError::Write)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    // Left by a crash in the middle of the same.
    remove(&beside)?;
    let mut open = OpenOptions::new();
    let mut file = open
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn two() -> BTreeSet<Held> {
        let held = |interface, address: &str| Held {
            interface,
            address: address.parse().unwrap(),
        };
        BTreeSet::from([held(2, "10.55.0.100/24"), held(3, "fd55::100/64")])
    }

    #[test]
    fn what_is_written_is_read_and_private_and_gone_when_nothing_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vip-daemon.held");
        assert_eq!(read(&path).unwrap(), BTreeSet::new());
        // What a crash has left beside it is in nobody's way.
        fs::write(path.with_extension("new"), "half").unwrap();
        write(&path, &two()).unwrap();
        assert_eq!(read(&path).unwrap(), two());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        write(&path, &BTreeSet::new()).unwrap();
        write(&path, &BTreeSet::new()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_another_form_or_version_is_refused() {
        assert_eq!(parse(&emit(&two())).unwrap(), two());
        for text in [
            "",
            "{}",
            r#"{"version":1}"#,
            r#"{"version":1,"addresses":[{"interface":2,"address":"10.55.0.100/33"}]}"#,
            r#"{"version":1,"addresses":[{"interface":-1,"address":"10.55.0.1/24"}]}"#,
            r#"{"version":1,"addresses":[],"more":1}"#,
        ] {
            assert!(matches!(parse(text), Err(FileError::Form(_))), "{text}");
        }
        let other = r#"{"version":2,"addresses":[]}"#;
        assert!(matches!(parse(other), Err(FileError::Version(2))));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("held"), folder.path().join("target"));
        fs::write(&target, emit(&two())).unwrap();
        symlink(&target, &path).unwrap();
        assert!(matches!(read(&path), Err(FileError::Read(_))));
        write(&path, &two()).unwrap();
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    }
}
