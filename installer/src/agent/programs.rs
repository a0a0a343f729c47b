//! Programs of a host: each version in a folder of its own, and a link that names the one in
//! use. A checksum is looked at before anything is in its place.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files::{self, FilesError, below, beside, settled};
use super::journal::{Entry, Journal, JournalError};
use crate::facts::hexadecimal;

/// Where programs lie, each below a part of its checksum.
const PROGRAMS: &str = "/opt/sternpost/programs";
/// Digits of the checksum in that name: enough to tell versions apart, short enough to read.
const DIGITS: usize = 12;
/// Octets that are copied at once.
const CHUNK: usize = 1024 * 1024;

/// A program to install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Install {
    /// Its name.
    pub name: String,
    /// The link that leads to it.
    pub link: String,
    /// Where it is, on this host.
    pub from: PathBuf,
    /// What its SHA-256 must be, in hexadecimal.
    pub sha256: String,
}

/// Why a program is as it was.
#[derive(Debug, Error)]
pub enum ProgramsError {
    /// It is not the one that was meant.
    #[error(
        "{name} has the checksum {found}, not {wanted}: it is damaged, or another version"
    )]
    Checksum {
        /// Its name.
        name: String,
        /// What it has.
        found: String,
        /// What it was to have.
        wanted: String,
    },
    /// The system refused.
    #[error("{} cannot be {doing}", .path.display())]
    System {
        /// What was to be done with it.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its folder could not be made.
    #[error(transparent)]
    Folder(#[from] Box<FilesError>),
    /// What was done could not be noted.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Copies a program below `root` and lets its link lead there.
pub(super) fn install(
    root: &Path,
    install: &Install,
    journal: &mut Journal,
) -> Result<(), ProgramsError> {
    let version: String = install.sha256.chars().take(DIGITS).collect();
    let place = format!("{PROGRAMS}/{version}/{}", install.name);
    let path = below(root, &place);
    for path in [&place, &install.link] {
        if let Some((folder, _)) = path.rsplit_once('/') {
            files::made(root, folder, journal).map_err(Box::new)?;
        }
    }
    let fresh = beside(&path);
    // First, as with files: what a crash leaves is known.
    journal.note(&Entry::Wrote {
        path: place.clone(),
        // It lies below its own checksum: what was there was the same.
        before: None,
        after: install.sha256.clone(),
    })?;
    let brought = install.from.starts_with(super::INCOMING);
    let there = match brought {
        true => take(&install.from, &fresh),
        false => copy(&install.from, &fresh),
    };
    let found = there.map_err(|source| {
        let _ = fs::remove_file(&fresh);
        let (doing, path) = ("copied", install.from.clone());
        ProgramsError::System {
            doing,
            path,
            source,
        }
    })?;
    if found != install.sha256 {
        let _ = fs::remove_file(&fresh);
        let (name, wanted) = (install.name.clone(), install.sha256.clone());
        return Err(ProgramsError::Checksum {
            name,
            found,
            wanted,
        });
    }
    let moved = fs::rename(&fresh, &path).and_then(|()| settled(&path));
    moved.map_err(|source| {
        let (doing, path) = ("put in its place", path.clone());
        ProgramsError::System {
            doing,
            path,
            source,
        }
    })?;
    link(root, &install.link, &place, journal)?;
    if brought {
        // It is in its place; a copy left behind is only room lost.
        let _ = fs::remove_file(&install.from);
    }
    Ok(())
}

/// Moves a file that was brought for this, where that is no copy, and returns its checksum.
fn take(from: &Path, to: &Path) -> io::Result<String> {
    match fs::rename(from, to) {
        Ok(()) => {
            let file = File::open(to)?;
            let sum = through(&file, io::sink())?;
            file.set_permissions(Permissions::from_mode(0o755))?;
            file.sync_all()?;
            Ok(sum)
        }
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, to),
        Err(error) => Err(error),
    }
}

/// Copies a file and returns its checksum.
fn copy(from: &Path, to: &Path) -> io::Result<String> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Nothing there, or what an interrupted copy has left.
        Ok(()) | Err(_) => {}
    }
    let source = File::open(from)?;
    let mut options = OpenOptions::new();
    let target = options.write(true).create_new(true).mode(0o600).open(to)?;
    let sum = through(source, &target)?;
    target.set_permissions(Permissions::from_mode(0o755))?;
    target.sync_all()?;
    Ok(sum)
}

/// Reads all of one into the other; the checksum of it.
fn through(mut source: impl Read, mut target: impl Write) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = source.read(&mut chunk)?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        context.update(read);
        target.write_all(read)?;
    }
    Ok(hexadecimal(context.finish().as_ref()))
}

/// Makes a link, in one move where there was one.
fn link(
    root: &Path,
    path: &str,
    target: &str,
    journal: &mut Journal,
) -> Result<(), ProgramsError> {
    let place = files::below(root, path);
    let before = fs::read_link(&place)
        .ok()
        .map(|path| path.display().to_string());
    journal.note(&Entry::Linked {
        path: path.to_owned(),
        before,
        after: target.to_owned(),
    })?;
    let fresh = beside(&place);
    let target_below = below(root, target);
    let make = || {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        symlink(&target_below, &fresh)?;
        fs::rename(&fresh, &place)?;
        settled(&place)
    };
    make().map_err(|source| {
        let (doing, path) = ("linked", place.clone());
        ProgramsError::System {
            doing,
            path,
            source,
        }
    })
}
