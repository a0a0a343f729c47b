//! Files of a host: each appears whole or not at all, with its rights from the first moment,
//! and the journal knows what was there before. It knows before anything is there: what a
//! crash leaves behind is known, whenever it comes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::journal::{Entry, Journal, JournalError};
use crate::facts::sha256;

/// A file to write.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Put {
    /// Where.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The name of the user it is to belong to.
    pub owner: String,
    /// What is to be in it.
    pub content: String,
}

/// Why a file is as it was.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The system refused.
    #[error("{} cannot be {doing}", .path.display())]
    System {
        /// What was to be done with it.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else is where a folder is to be.
    #[error(
        "{} is a link or a file, and is to be a folder: what it leads to keeps its owner and its \
         rights, and is taken as it is only where these are right and the link is root's; mount \
         there what is to be there (mount --bind), or move it away",
        .0.display()
    )]
    NoFolder(PathBuf),
    /// There is no such user.
    #[error("there is no user {0}; its file in /etc/sysusers.d comes first")]
    NoUser(String),
    /// What was done could not be noted.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// `path` on a host whose files lie below `root`.
pub(crate) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Where a link leads on a host whose files lie below `root`; nothing where none is.
pub(super) fn leads(root: &Path, place: &Path) -> Option<String> {
    let to = fs::read_link(place).ok()?;
    Some(inside(root, &to))
}

/// A path as that host itself has it: links lead below the root that they lie below.
pub(super) fn inside(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    Path::new("/").join(path).display().to_string()
}

/// What is in the files of `paths` that are there.
pub(super) fn fetch(
    root: &Path,
    paths: &[String],
) -> Result<BTreeMap<String, String>, FilesError> {
    let mut found = BTreeMap::new();
    for name in paths {
        let path = below(root, name);
        match fs::read_to_string(&path) {
            Ok(text) => {
                found.insert(name.clone(), text);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(refused("read", path)(source)),
        }
    }
    Ok(found)
}

/// Makes a folder and those above it.
pub(super) fn folder(
    root: &Path,
    path: &str,
    mode: u32,
    owner: &str,
    journal: &mut Journal,
) -> Result<(), FilesError> {
    let owner = user(root, owner)?;
    made(root, path, journal)?;
    let path = below(root, path);
    if leads_right(&path, mode, owner) {
        return Ok(());
    }
    let folder = itself(&path)?;
    own(root, &folder, owner).map_err(refused("given to its owner", path.clone()))?;
    folder
        .set_permissions(Permissions::from_mode(mode))
        .map_err(refused("given its rights", path))
}

/// Whether a link of the superuser's leads to a folder that is as it is to be: data on a disk of
/// its own.
fn leads_right(path: &Path, mode: u32, owner: Option<u32>) -> bool {
    let link = fs::symlink_metadata(path);
    let link = link.is_ok_and(|about| about.is_symlink() && about.uid() == 0);
    let right = |about: fs::Metadata| {
        let same = owner.is_none_or(|owner| about.uid() == owner);
        about.is_dir() && about.mode() & 0o7777 == mode && same
    };
    link && fs::metadata(path).is_ok_and(right)
}

/// A folder at a path, and never what a link there leads to: that is somebody else's.
fn itself(path: &Path) -> Result<File, FilesError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let mut options = OpenOptions::new();
    let folder = options
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    folder.map_err(|source| match fs::symlink_metadata(path) {
        Ok(about) if !about.is_dir() => FilesError::NoFolder(path.to_owned()),
        Ok(_) | Err(_) => refused("opened", path.to_owned())(source),
    })
}

/// Makes a folder and those above it. Each is noted before it is made: one that stays
/// unknown would never be removed.
pub(super) fn made(
    root: &Path,
    path: &str,
    journal: &mut Journal,
) -> Result<(), FilesError> {
    let starts = path.match_indices('/').map(|(start, _)| start);
    let ends = starts.filter(|start| *start > 0).chain([path.len()]);
    for folder in ends.filter_map(|end| path.get(..end)) {
        let place = below(root, folder);
        if fs::symlink_metadata(&place).is_ok() {
            continue;
        }
        journal.note(&Entry::Made {
            path: folder.to_owned(),
        })?;
        fs::create_dir(&place).map_err(refused("made", place))?;
    }
    Ok(())
}

/// Writes a file beside its place, and moves it there when it is whole.
pub(super) fn put(
    root: &Path,
    put: &Put,
    journal: &mut Journal,
) -> Result<(), FilesError> {
    let owner = user(root, &put.owner)?;
    if let Some((folder, _)) = put.path.rsplit_once('/') {
        made(root, folder, journal)?;
    }
    let path = below(root, &put.path);
    let before = fs::read(&path).ok().map(|bytes| sha256(&bytes));
    let beside = beside(&path);
    journal.note(&Entry::Wrote {
        path: put.path.clone(),
        before,
        after: sha256(put.content.as_bytes()),
    })?;
    let result = fill(root, &beside, put, owner)
        .and_then(|()| fs::rename(&beside, &path))
        .and_then(|()| settled(&path));
    if let Err(source) = result {
        // What was there is untouched; only the try goes.
        let _ = fs::remove_file(&beside);
        return Err(refused("written", path)(source));
    }
    Ok(())
}

/// Writes a file of others anew, with the rights that it has.
pub(super) fn edit(
    root: &Path,
    path: &str,
    content: String,
    journal: &mut Journal,
) -> Result<(), FilesError> {
    let about = fs::metadata(below(root, path));
    let mode = about.map_or(0o644, |about| about.permissions().mode() & 0o7777);
    let new = Put {
        path: path.to_owned(),
        mode,
        owner: "root".to_owned(),
        content,
    };
    put(root, &new, journal)
}

fn fill(root: &Path, path: &Path, put: &Put, owner: Option<u32>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Nothing there, or what an interrupted write has left.
        Ok(()) | Err(_) => {}
    }
    // O_EXCL: never through a link that somebody else has put there.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(put.content.as_bytes())?;
    own(root, &file, owner)?;
    file.set_permissions(Permissions::from_mode(put.mode))?;
    file.sync_all()
}

/// A rename lasts through a power cut only when its folder is synced too.
pub(super) fn settled(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes what a run that was broken off has left half-written, by the journal.
pub(super) fn tidy(root: &Path, journal: &Journal) {
    // A journal that cannot be read is found out by who needs it.
    for entry in journal.entries().unwrap_or_default() {
        match entry {
            Entry::Wrote { path, .. } | Entry::Linked { path, .. } => {
                // Hardly ever is there one.
                let _ = fs::remove_file(beside(&below(root, &path)));
            }
            Entry::Made { .. }
            | Entry::Kept { .. }
            | Entry::Unit { .. }
            | Entry::Read { .. }
            | Entry::Opened { .. }
            | Entry::Closed { .. }
            | Entry::Gone { .. } => {}
        }
    }
}

/// Where a file is written before it is moved to its place.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".sternpost");
    path.with_file_name(name)
}

/// Gives a file to a user. Below another root, where nobody runs anything, it stays with
/// whoever writes it when that is not the superuser.
fn own(root: &Path, file: &File, owner: Option<u32>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    match fchown(file, Some(owner), None) {
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && root != Path::new("/") =>
        {
            Ok(())
        }
        result => result,
    }
}

/// The number of a user, by the host's own list.
pub(super) fn user(root: &Path, name: &str) -> Result<Option<u32>, FilesError> {
    if name == "root" {
        return Ok(Some(0));
    }
    let path = below(root, "/etc/passwd");
    let text = fs::read_to_string(&path).map_err(refused("read", path))?;
    let mut ids = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        found.then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    let id = ids
        .next()
        .ok_or_else(|| FilesError::NoUser(name.to_owned()))?;
    Ok(Some(id))
}

pub(super) fn refused(
    doing: &'static str,
    path: PathBuf,
) -> impl FnOnce(io::Error) -> FilesError {
    move |source| FilesError::System {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_folder_itself_keeps_its_rights() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| below(root.path(), path);
        let mut journal = Journal::at(at("/journal"));
        let mode = |path: &str| {
            let about = fs::metadata(at(path)).unwrap();
            about.permissions().mode() & 0o777
        };
        fs::create_dir(at("/theirs")).unwrap();
        fs::write(at("/file"), "").unwrap();
        symlink(at("/theirs"), at("/link")).unwrap();
        symlink(at("/file"), at("/other")).unwrap();
        symlink(at("/nothing"), at("/dangling")).unwrap();
        let before = ["/theirs", "/file"].map(mode);
        let mut made =
            |path: &str| folder(root.path(), path, 0o711, "root", &mut journal);
        for path in ["/link", "/other", "/dangling", "/file"] {
            let said = made(path).unwrap_err();
            assert!(matches!(said, FilesError::NoFolder(_)), "{path}: {said:?}");
        }
        made("/link/own").unwrap();
        symlink(at("/theirs/own"), at("/disk")).unwrap();
        made("/disk").unwrap();
        made("/own").unwrap();
        assert_eq!(["/theirs", "/file"].map(mode), before);
        assert_eq!(["/theirs/own", "/own"].map(mode), [0o711; 2]);
    }
}
