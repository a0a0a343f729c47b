//! Removing what was laid down. What a step says is looked at again right before it is done:
//! what has become another's in between stays.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

use super::before;
use super::files::{self, FilesError, below, refused};
use super::image::{self, ImageError};
use super::journal::{Entry, Journal, JournalError};
use super::kernel::{self, KernelError};
use super::lock::LOCK;
use super::mend::{self, MendError};
use super::mounts::mounts;
use super::previous;
use super::systemd::{Services, ServicesError};
use super::{INCOMING, JOURNAL};
use crate::facts::{about, sha256};
use crate::reset::{self, Inventory, Step, Theirs, There};
use crate::resource::Block;
use crate::swap;

/// The control groups of Pods, by systemd.
const SLICE: &str = "kubepods.slice";

/// Why something still stands.
#[derive(Debug, Error)]
pub enum RemoveError {
    /// It is not what it was when the removal was planned.
    #[error("{0} has changed since it was looked at; reset again")]
    Changed(String),
    /// Something is mounted in it.
    #[error("{path}: something is mounted at {at}; unmount it, and reset again")]
    Mounted {
        /// What was to go.
        path: String,
        /// Where it is mounted.
        at: String,
    },
    /// The system refused.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Something of a node's kernel stays.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// containerd keeps what is of Kubernetes.
    #[error(transparent)]
    Images(#[from] ImageError),
    /// A unit does not end.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// A firewall does not do as it was told.
    #[error(transparent)]
    Firewall(#[from] MendError),
    /// What was done could not be noted, or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What the journal knows of, and what stands there.
pub(super) fn inventory(
    root: &Path,
    journal: &Journal,
) -> Result<Inventory, RemoveError> {
    let entries = journal.entries()?;
    let noted = entries.iter().filter_map(|entry| match entry {
        Entry::Wrote { path, .. }
        | Entry::Linked { path, .. }
        | Entry::Made { path }
        | Entry::Kept { path, .. }
        | Entry::Gone { path } => Some(path.as_str()),
        Entry::Unit { .. }
        | Entry::Read { .. }
        | Entry::Opened { .. }
        | Entry::Closed { .. } => None,
    });
    let mut there = BTreeMap::new();
    let known: Vec<&str> = reset::paths().collect();
    for path in noted.chain(known) {
        if let Some(what) = what(root, path)? {
            there.insert(path.to_owned(), what);
        }
    }
    let mounts = mounts(root).map_err(KernelError::Mounts)?;
    let mounts = mounts.iter().map(|at| at.to_string_lossy().into_owned());
    // Before that it is none of ours that would be asked.
    let laid = reset::was_laid(&entries, "containerd.service");
    Ok(Inventory {
        namespaces: match laid {
            true => image::namespaces(root),
            false => Vec::new(),
        },
        entries,
        there,
        mounts: mounts.collect(),
        kernel: kernel::look(root),
    })
}

fn what(root: &Path, path: &str) -> Result<Option<There>, FilesError> {
    let place = below(root, path);
    let failed = || refused("looked at", place.clone());
    let Some(about) = about(&place).map_err(failed())? else {
        return Ok(None);
    };
    let there = if about.is_file() {
        let octets = fs::read(&place).map_err(failed())?;
        let text = std::str::from_utf8(&octets).ok();
        There::File {
            sha256: sha256(&octets),
            block: text.is_some_and(|text| without(text) != text),
        }
    } else if about.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(&place).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        names.sort();
        There::Folder { names }
    } else if about.is_symlink() {
        let to = fs::read_link(&place).map_err(failed())?;
        // Links lead below the root that they lie below.
        let inside = to.strip_prefix(root).unwrap_or(&to);
        There::Link {
            to: Path::new("/").join(inside).display().to_string(),
        }
    } else {
        There::Other
    };
    Ok(Some(there))
}

/// Does a step.
pub(super) fn remove(
    root: &Path,
    step: &Step,
    services: &mut impl Services,
    journal: &mut Journal,
) -> Result<(), RemoveError> {
    let path = match step {
        Step::Stop { unit } => {
            // One whose file a broken-off run has removed may not be known any more.
            if let Some(there) = services.look(unit)? {
                services.stop(unit)?;
                if there.enabled {
                    services.disable(unit)?;
                }
            }
            return Ok(());
        }
        Step::Reread => return Ok(services.reread()?),
        Step::Bring(theirs) => return bring(theirs, services, journal),
        Step::Close { words } => return Ok(mend::close(root, words, journal)?),
        Step::Forget => return forget(root),
        Step::Strip { path } => {
            strip(root, path, journal)?;
            path
        }
        Step::File { path, sha256 } => {
            let there = what(root, path)?;
            if !matches!(there, Some(There::File { sha256: found, .. }) if found == *sha256)
            {
                return Err(RemoveError::Changed(path.clone()));
            }
            unlinked(root, path)?
        }
        Step::Link { path, to } => {
            if what(root, path)? != Some(There::Link { to: to.clone() }) {
                return Err(RemoveError::Changed(path.clone()));
            }
            unlinked(root, path)?
        }
        Step::Aside { path } => return aside(root, path, journal),
        Step::Back { path, over, was } => {
            if what(root, path)? != *over {
                return Err(RemoveError::Changed(path.clone()));
            }
            before::put_back(root, path, was)?;
            path
        }
        Step::Folder { path } => {
            let place = below(root, path);
            fs::remove_dir(&place).map_err(refused("removed", place))?;
            path
        }
        Step::Tree { path } => tree(root, path)?,
        Step::Containers { .. } => {
            kernel::end_containers()?;
            // What systemd has made for the containers' groups; another driver has none.
            if services.look(SLICE)?.is_some() {
                services.stop(SLICE)?;
            }
            return Ok(());
        }
        Step::Images => return Ok(image::forget_all(root)?),
        Step::Unmount { .. }
        | Step::Space { .. }
        | Step::Interface { .. }
        | Step::Route(_)
        | Step::Table(_)
        | Step::Chains { .. } => return Ok(kernel::remove(root, step)?),
    };
    let path = path.clone();
    Ok(journal.note(&Entry::Gone { path })?)
}

/// Takes away what is kept, and nothing else. That it is kept is all that is noted of it: it comes
/// back where nothing of ours has taken its place.
fn aside(root: &Path, path: &str, journal: &Journal) -> Result<(), RemoveError> {
    let kept = reset::kept(&journal.entries()?);
    let place = below(root, path);
    match before::stands(&place)? {
        None => Ok(()),
        there if there.as_ref() == kept.get(path) => {
            Ok(before::gone(&place).map_err(refused("removed", place))?)
        }
        Some(_) => Err(RemoveError::Changed(path.to_owned())),
    }
}

/// Turns a unit of others as it was. Once it is, that is noted: what they do to it from then on
/// is theirs.
fn bring(
    theirs: &Theirs,
    services: &mut impl Services,
    journal: &mut Journal,
) -> Result<(), RemoveError> {
    let unit = &theirs.unit;
    // It may have been removed meanwhile.
    let before = services.look(unit)?;
    if before.is_some() && theirs.enabled {
        services.enable(unit)?;
    }
    if before.is_some() && theirs.active {
        services.start(unit)?;
    }
    Ok(journal.note(&Entry::Unit {
        name: unit.clone(),
        enabled: before.as_ref().is_some_and(|unit| unit.enabled),
        active: before.is_some_and(|unit| unit.active),
    })?)
}

/// A folder with all that is in it, but where something is mounted.
fn tree<'a>(root: &Path, path: &'a String) -> Result<&'a String, RemoveError> {
    let mounts = mounts(root).map_err(KernelError::Mounts)?;
    let inside = mounts.iter().find(|at| at.starts_with(path));
    if let Some(at) = inside {
        let (path, at) = (path.clone(), at.display().to_string());
        return Err(RemoveError::Mounted { path, at });
    }
    let place = below(root, path);
    match fs::remove_dir_all(&place) {
        // What a unit removes when it stops.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.map_err(refused("removed", place))?,
    }
    Ok(path)
}

fn unlinked<'a>(root: &Path, path: &'a String) -> Result<&'a String, FilesError> {
    let place = below(root, path);
    fs::remove_file(&place).map_err(refused("removed", place))?;
    Ok(path)
}

fn strip(root: &Path, path: &str, journal: &mut Journal) -> Result<(), FilesError> {
    let place = below(root, path);
    let text = fs::read_to_string(&place).map_err(refused("read", place))?;
    files::edit(root, path, without(&text), journal)
}

/// What others wrote, as they wrote it: without our names, and with the swap that we commented.
fn without(text: &str) -> String {
    swap::restored(&Block::without(text))
}

/// The journal and its folder, if nothing of others is in it.
fn forget(root: &Path) -> Result<(), RemoveError> {
    let incoming = below(root, INCOMING);
    match fs::remove_dir_all(&incoming) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(refused("removed", incoming)(error).into());
        }
        Ok(()) | Err(_) => {}
    }
    before::forget(root).map_err(refused("removed", below(root, before::BEFORE)))?;
    previous::forget(root, &[])
        .map_err(refused("removed", below(root, previous::PREVIOUS)))?;
    for path in [LOCK, JOURNAL] {
        let place = below(root, path);
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(refused("removed", place)(error).into());
            }
            Ok(()) | Err(_) => {}
        }
    }
    if let Some(folder) = below(root, JOURNAL).parent() {
        // Not empty: what is in it is of others.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}
