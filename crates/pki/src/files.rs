//! The last step: values become files.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use thiserror::Error;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its owner alone: 0600.
    Private,
    /// Everybody: 0644.
    Public,
}

/// A file to be written, as a value. `Debug` does not show what a private one holds.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Where, below the folder that is given to [`write()`].
    pub path: PathBuf,
    /// Who may read it.
    pub mode: Mode,
    /// What it holds.
    pub content: String,
}

/// Why a file was not written.
#[derive(Debug, Error)]
#[error("{} cannot be written", .path.display())]
pub struct WriteError {
    /// Which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {:o})", self.path.display(), self.mode.bits())
    }
}

/// Writes files below `root`, one after the other. Each appears whole or not at all: it
/// is written beside its place, synced and renamed over what was there. Folders that
/// are missing are made with mode 0755, whatever the umask: what is private is so by
/// its own mode.
///
/// # Errors
/// At the first folder or file that cannot be written; those before it stay.
pub fn write(root: &Path, files: &[File]) -> Result<(), WriteError> {
    for file in files {
        let path = root.join(&file.path);
        place(&path, file).map_err(|source| WriteError { path, source })?;
    }
    Ok(())
}

fn place(path: &Path, file: &File) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    make_folder(folder)?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(".new");
    let beside = folder.join(beside);
    let placed = fill(&beside, file).and_then(|()| fs::rename(&beside, path));
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    placed?;
    // The rename lasts through a power cut only when the folder is synced too.
    fs::File::open(folder)?.sync_all()
}

fn fill(path: &Path, file: &File) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Nothing there, or what an interrupted write has left.
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    // O_EXCL: never through a link that somebody else has put there.
    let mut open = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    open.set_permissions(fs::Permissions::from_mode(file.mode.bits()))?;
    open.write_all(file.content.as_bytes())?;
    open.sync_all()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, mode: Mode, content: &str) -> File {
        File {
            path: path.into(),
            mode,
            content: content.to_owned(),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn makes_folders_and_modes() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            file("pki/a.key", Mode::Private, "k"),
            file("pki/a.crt", Mode::Public, "c"),
        ];
        write(root.path(), &files).unwrap();
        assert_eq!(mode(&root.path().join("pki")), 0o755);
        assert_eq!(mode(&root.path().join("pki/a.key")), 0o600);
        assert_eq!(mode(&root.path().join("pki/a.crt")), 0o644);
        assert_eq!(
            fs::read_to_string(root.path().join("pki/a.key")).unwrap(),
            "k"
        );
    }

    #[test]
    fn replaces_content_and_mode_and_leaves_nothing_beside() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[file("a", Mode::Public, "old, and longer")]).unwrap();
        fs::write(root.path().join(".a.new"), "interrupted").unwrap();
        write(root.path(), &[file("a", Mode::Private, "new")]).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "new");
        assert_eq!(mode(&root.path().join("a")), 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn says_which_file_and_keeps_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        let error = write(root.path(), &[file("a", Mode::Public, "x")]).unwrap_err();
        assert_eq!(error.path, root.path().join("a"));
        assert!(root.path().join("a").is_dir());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn debug_does_not_show_content() {
        let shown = format!("{:?}", file("a.key", Mode::Private, "secret"));
        assert_eq!(shown, "File(a.key, 600)");
    }
}
