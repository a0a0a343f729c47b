//! The file that a collection becomes: each text is masked on its way in, and there is no
//! other way in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};
use thiserror::Error;

use super::Mask;

/// A tar.gz that grows.
pub struct Archive {
    path: PathBuf,
    folder: String,
    mask: Mask,
    seconds: u64,
    builder: Builder<GzEncoder<File>>,
}

/// Why there is no archive.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// It cannot be written.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Secrets could not be told.
    #[error("a pattern of secrets is none")]
    Mask(#[from] regex::Error),
}

impl Archive {
    /// A new file, for its owner alone, whose texts lie in `folder`; one that is there is
    /// left alone.
    ///
    /// # Errors
    /// When it is there, or cannot be made.
    pub fn create(
        path: &Path,
        folder: &str,
        now: SystemTime,
    ) -> Result<Self, ArchiveError> {
        let mask = Mask::new()?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| ArchiveError::Write {
            path: path.to_owned(),
            source,
        })?;
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self {
            path: path.to_owned(),
            folder: folder.to_owned(),
            mask,
            seconds,
            builder: Builder::new(GzEncoder::new(file, Compression::default())),
        })
    }

    /// Adds a text, without what is secret in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), ArchiveError> {
        let masked = self.mask.text(text);
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_mtime(self.seconds);
        header.set_size(u64::try_from(masked.len()).unwrap_or(u64::MAX));
        let name = format!("{}/{name}", self.folder);
        let added = self
            .builder
            .append_data(&mut header, name, masked.as_bytes());
        added.map_err(|source| self.failed(source))
    }

    /// Writes the end of it.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn finish(self) -> Result<(), ArchiveError> {
        let path = self.path;
        let ended = self.builder.into_inner().and_then(GzEncoder::finish);
        let synced = ended.and_then(|file| file.sync_all());
        synced.map_err(|source| ArchiveError::Write { path, source })
    }

    fn failed(&self, source: io::Error) -> ArchiveError {
        let path = self.path.clone();
        ArchiveError::Write { path, source }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_goes_in_is_masked_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        let now = UNIX_EPOCH + Duration::from_secs(7);
        let mut archive = Archive::create(&path, "lab", now).unwrap();
        archive.add("m1/a.txt", "password: Hunter2\n").unwrap();
        archive.add("m1/b.txt", "all is well\n").unwrap();
        archive.finish().unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let file = File::open(&path).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let mut all = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            all.push((entry.path().unwrap().display().to_string(), text));
        }
        let wanted = [
            ("lab/m1/a.txt", "password: (masked)\n"),
            ("lab/m1/b.txt", "all is well\n"),
        ];
        assert_eq!(
            all,
            wanted.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
        assert!(Archive::create(&path, "lab", now).is_err());
    }
}
