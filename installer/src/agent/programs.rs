//! Programs of a host: each version in a folder of its own, and a link that names the one in
//! use. A checksum is looked at before anything is in its place.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ask::last_line;
use super::files::{self, FilesError, below, beside, leads, settled};
use super::journal::{Entry, Journal, JournalError};
use crate::facts::hexadecimal;

/// Where programs lie, each below a part of its checksum.
const PROGRAMS: &str = "/opt/sternpost/programs";
/// Digits of the checksum in that name: enough to tell versions apart, short enough to read.
const DIGITS: usize = 12;
/// Octets that are copied at once.
const CHUNK: usize = 1024 * 1024;

/// There where the kernel has SELinux switched on.
const SELINUX: &str = "/sys/fs/selinux/enforce";
/// What gives a file the label that the policy has for its place.
const RESTORECON: [&str; 2] = ["/usr/sbin/restorecon", "/sbin/restorecon"];

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
    /// SELinux would not let anybody start it.
    #[error("{} cannot be given its label: restorecon: {said}", .path.display())]
    Label {
        /// Which file.
        path: PathBuf,
        /// What was said last.
        said: String,
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
    label(root, &path)?;
    link(root, &install.link, &place, journal)?;
    if brought {
        // It is in its place; a copy left behind is only room lost.
        let _ = fs::remove_file(&install.from);
    }
    Ok(())
}

/// Whether a link leads to a program that was brought.
pub(super) fn is_ours(root: &Path, link: &str) -> bool {
    let to = fs::read_link(below(root, link));
    to.is_ok_and(|to| to.starts_with(below(root, PROGRAMS)))
}

/// Gives a program the label of its place, where labels count: one that was moved there has that
/// of where it came from, and systemd may not start it (203/EXEC). Without the tool it is left;
/// `preflight` says that it is missed.
fn label(root: &Path, path: &Path) -> Result<(), ProgramsError> {
    let mut tools = RESTORECON.iter().map(|tool| below(root, tool));
    let Some(tool) = tools.find(|tool| tool.exists()) else {
        return Ok(());
    };
    if !below(root, SELINUX).exists() {
        return Ok(());
    }
    let failed = |said: String| ProgramsError::Label {
        path: path.to_owned(),
        said,
    };
    let output = Command::new(tool).arg("-F").arg(path).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(last_line(&output))),
    }
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
    journal.note(&Entry::Linked {
        path: path.to_owned(),
        before: leads(root, &place),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::JOURNAL;

    /// Writes a file by a process of its own: one that this one has open cannot be run while
    /// another thread's child still holds it (ETXTBSY).
    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let script = "printf '%s\n' \"$1\" >\"$0\" && chmod 755 \"$0\"";
        let mut shell = Command::new("sh");
        let written = shell.args(["-c", script]).arg(path).arg(text).status();
        assert!(written.unwrap().success());
    }

    #[test]
    fn a_program_gets_the_label_of_its_place_where_labels_count() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let from = folder.path().join("etcd");
        write(&from, "a program");
        let sha256 = crate::facts::sha256(&fs::read(&from).unwrap());
        let install = Install {
            name: "etcd".to_owned(),
            link: "/usr/local/bin/etcd".to_owned(),
            from,
            sha256,
        };
        let mut journal = Journal::at(below(&root, JOURNAL));
        let told = root.join("told");
        let tool = "#!/bin/sh\necho \"$*\" >\"$(dirname \"$0\")/../../told\"";
        write(&below(&root, RESTORECON[0]), tool);
        super::install(&root, &install, &mut journal).unwrap();
        assert!(!told.exists(), "no SELinux, no labels");
        write(&below(&root, SELINUX), "1");
        super::install(&root, &install, &mut journal).unwrap();
        let place = fs::read_link(below(&root, &install.link)).unwrap();
        let wanted = format!("-F {}\n", place.display());
        assert_eq!(fs::read_to_string(&told).unwrap(), wanted);
        write(
            &below(&root, RESTORECON[0]),
            "#!/bin/sh\necho no >&2; exit 1",
        );
        let error = super::install(&root, &install, &mut journal).unwrap_err();
        let error = error.to_string();
        assert!(
            error.ends_with("cannot be given its label: restorecon: no"),
            "{error}"
        );
    }
}
