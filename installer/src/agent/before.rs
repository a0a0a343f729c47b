//! What stood at a path before it was ours: a copy of it for the superuser alone, so that `reset`
//! puts it back. The journal knows of the copy before anything takes its place.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink,
};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{FilesError, below, beside, refused, settled};
use super::journal::{Entry, Journal};
use crate::facts::{about, sha256};
use crate::reset;

/// Where the copies lie, each under its SHA-256. It goes with the journal.
pub(super) const BEFORE: &str = "/var/lib/sternpost/before";

/// What stood somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Was {
    /// A file.
    #[serde(rename_all = "camelCase")]
    File {
        /// SHA-256 of what was in it, in hexadecimal.
        sha256: String,
        /// Permission bits.
        mode: u32,
        /// The number of its user.
        user: u32,
        /// The number of its group.
        group: u32,
    },
    /// A link.
    #[serde(rename_all = "camelCase")]
    Link {
        /// Where it led.
        to: String,
    },
}

/// Those of these paths at which something stands that is none of ours and is not kept yet.
pub(super) fn others(
    root: &Path,
    paths: &BTreeSet<String>,
    entries: &[Entry],
) -> Result<BTreeSet<String>, FilesError> {
    let (ours, kept) = (reset::laid_at(entries), reset::kept(entries));
    let mut others = BTreeSet::new();
    for path in paths.iter().filter(|path| !ours.contains(*path)) {
        let stands = stands(&below(root, path))?;
        if stands.is_some() && stands.as_ref() != kept.get(path) {
            others.insert(path.clone());
        }
    }
    Ok(others)
}

/// Keeps what stands at a path.
pub(super) fn keep(
    root: &Path,
    path: &str,
    journal: &mut Journal,
) -> Result<(), FilesError> {
    let place = below(root, path);
    let Some(was) = stands(&place)? else {
        return Ok(());
    };
    if let Was::File { sha256, .. } = &was {
        let copy = copy_of(root, sha256);
        copied(&place, &copy).map_err(refused("kept", place))?;
    }
    let path = path.to_owned();
    Ok(journal.note(&Entry::Kept { path, was })?)
}

/// Puts it back.
pub(super) fn put_back(root: &Path, path: &str, was: &Was) -> Result<(), FilesError> {
    let copy = |sha256: &str| fs::read(copy_of(root, sha256));
    laid(&below(root, path), was, copy)
}

/// Has a place hold what it held, in one move; what was in a file is asked for by its SHA-256.
pub(super) fn laid(
    place: &Path,
    was: &Was,
    copy: impl FnOnce(&str) -> io::Result<Vec<u8>>,
) -> Result<(), FilesError> {
    let fresh = beside(place);
    let back = || {
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        gone(&fresh)?;
        match was {
            Was::Link { to } => symlink(to, &fresh)?,
            Was::File {
                sha256,
                mode,
                user,
                group,
            } => {
                written(&fresh, &copy(sha256)?)?;
                lchown(&fresh, Some(*user), Some(*group))?;
                fs::set_permissions(&fresh, Permissions::from_mode(*mode))?;
            }
        }
        fs::rename(&fresh, place)?;
        settled(place)
    };
    back().map_err(refused("put back", place.to_owned()))
}

/// Forgets all copies.
pub(super) fn forget(root: &Path) -> io::Result<()> {
    match fs::remove_dir_all(below(root, BEFORE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A file or a link; nothing else is ever replaced.
pub(super) fn stands(place: &Path) -> Result<Option<Was>, FilesError> {
    let look = || -> io::Result<Option<Was>> {
        let Some(about) = about(place)? else {
            return Ok(None);
        };
        if about.is_symlink() {
            let to = fs::read_link(place)?.display().to_string();
            return Ok(Some(Was::Link { to }));
        }
        if !about.is_file() {
            return Ok(None);
        }
        Ok(Some(Was::File {
            sha256: sha256(&fs::read(place)?),
            mode: about.permissions().mode() & 0o7777,
            user: about.uid(),
            group: about.gid(),
        }))
    };
    look().map_err(refused("looked at", place.to_owned()))
}

fn copy_of(root: &Path, sha256: &str) -> PathBuf {
    below(root, BEFORE).join(sha256)
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let fresh = beside(to);
    gone(&fresh)?;
    written(&fresh, &fs::read(from)?)?;
    fs::rename(&fresh, to)?;
    settled(to)
}

/// For its owner alone until somebody says otherwise, and never through a link.
pub(super) fn written(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

pub(super) fn gone(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
