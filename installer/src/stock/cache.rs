//! The cache on the operator's machine: files under their checksums. Each appears whole or not
//! at all, so that two runs at once do not disturb each other.
//!
//! ```text
//! files/SHA256               what was fetched
//! unpacked/SHA256/NAME       a program of the archive with that checksum
//! unpacked/SHA256/index.json their checksums, and which members they are
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{Context, SHA256};
use thiserror::Error;

use crate::facts::hexadecimal;

/// Octets that are read at once.
const CHUNK: usize = 256 * 1024;

/// A folder that files are kept in.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// Why something cannot be kept.
#[derive(Debug, Error)]
pub enum CacheError {
    /// The system refused.
    #[error("{} cannot be {doing}; write another folder with --cache", .path.display())]
    System {
        /// What was to be done with it.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its thread died.
    #[error("the thread that fetched it died")]
    Died,
}

/// A file on its way into the cache; it goes when it is dropped.
#[derive(Debug)]
pub(super) struct Fresh {
    path: PathBuf,
}

impl Cache {
    /// The cache in a folder, which is made when something is kept.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Where a file with that checksum is kept.
    pub(super) fn file(&self, sha256: &str) -> PathBuf {
        self.folder.join("files").join(sha256)
    }

    /// Where the programs of an archive with that checksum are kept.
    pub(super) fn unpacked(&self, sha256: &str) -> PathBuf {
        self.folder.join("unpacked").join(sha256)
    }

    /// A name for a file that is not whole yet, in the folder where it will be.
    pub(super) fn fresh(&self, place: &Path) -> Result<Fresh, CacheError> {
        // Threads of one run and several runs are told apart.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = place.parent().unwrap_or(&self.folder);
        let made = fs::create_dir_all(folder);
        made.map_err(refused("made", folder))?;
        let name = format!(".fresh-{}-{number}", std::process::id());
        Ok(Fresh {
            path: folder.join(name),
        })
    }
}

impl Fresh {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for writing; it is executable, as programs are.
    pub(super) fn create(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o755);
        options.open(&self.path)
    }

    /// Puts it into its place, where it lasts.
    pub(super) fn keep(self, place: &Path) -> Result<(), CacheError> {
        let kept = File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.path, place));
        kept.map_err(refused("kept", place))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // It has been moved, or is of no use.
        let _ = fs::remove_file(&self.path);
    }
}

pub(super) fn refused(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::System {
        doing,
        path,
        source,
    }
}

/// Whether a file is there and is what its checksum says.
pub(super) fn is_whole(file: &Path, sha256: &str) -> bool {
    sum(file).is_ok_and(|found| found == sha256)
}

/// The SHA-256 of a file.
pub(super) fn sum(path: &Path) -> io::Result<String> {
    copied(&mut File::open(path)?, &mut io::sink()).map(|(sum, _)| sum)
}

/// Copies to the end: the SHA-256 of what was copied, and how much it was, octets.
pub(super) fn copied(
    from: &mut impl Read,
    to: &mut impl Write,
) -> io::Result<(String, u64)> {
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK];
    let mut octets = 0;
    loop {
        let count = match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
            return Ok((hexadecimal(context.finish().as_ref()), octets));
        };
        context.update(read);
        to.write_all(read)?;
        octets += u64::try_from(count).unwrap_or(u64::MAX);
    }
}
