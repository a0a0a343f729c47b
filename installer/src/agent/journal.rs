//! What was done to a host, in the order in which it was done: a line each, kept on the host
//! itself, never with what is in a file. Each is noted before it is done, so that nothing is
//! there that is not known; what is known need not be there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// A file was written, or was about to be.
    Wrote {
        /// Which.
        path: String,
        /// The SHA-256 of what was there; nothing when nothing was.
        before: Option<String>,
        /// That of what is to be there.
        after: String,
    },
    /// A link was made, or was about to be.
    Linked {
        /// Which.
        path: String,
        /// Where it led.
        before: Option<String>,
        /// Where it is to lead.
        after: String,
    },
    /// A folder that was not there was made, or was about to be.
    Made {
        /// Which.
        path: String,
    },
    /// What stood there is gone: it was removed, or is again as others had it.
    Gone {
        /// Where.
        path: String,
    },
}

/// The journal of a host.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
}

/// Why something could not be noted, or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The system refused.
    #[error("the journal {} cannot be kept", .path.display())]
    System {
        /// Where it lies.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is none of ours.
    #[error("{}:{line}: is no line of a journal", .path.display())]
    Line {
        /// Where it lies.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
    },
}

impl Journal {
    /// The journal at `path`, which need not be there yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds a line, and sees it to the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn note(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.append(entry).map_err(|source| JournalError::System {
            path: self.path.clone(),
            source,
        })
    }

    fn append(&self, entry: &Entry) -> io::Result<()> {
        fs::create_dir_all(self.path.parent().unwrap_or(Path::new("/")))?;
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        // One write: a line is there whole, or it is the cut-off last one.
        file.write_all(&line)?;
        file.sync_data()
    }

    /// Everything that was noted, oldest first. A last line that a power cut has cut off is
    /// left out.
    ///
    /// # Errors
    /// When the system refuses, or a line is none of ours.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            text => text.map_err(|source| JournalError::System {
                path: self.path.clone(),
                source,
            })?,
        };
        let mut entries = Vec::new();
        for (place, line) in text.split_inclusive('\n').enumerate() {
            match serde_json::from_str(line) {
                Ok(entry) => entries.push(entry),
                Err(_) if !line.ends_with('\n') => {}
                Err(_) => {
                    let (path, line) = (self.path.clone(), place + 1);
                    return Err(JournalError::Line { path, line });
                }
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(path: &str) -> Entry {
        Entry::Wrote {
            path: path.to_owned(),
            before: None,
            after: "sum".to_owned(),
        }
    }

    #[test]
    fn what_is_noted_is_read_again_and_a_cut_off_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/journal.jsonl");
        let mut journal = Journal::at(path.clone());
        assert_eq!(journal.entries().unwrap(), []);
        journal.note(&wrote("/a")).unwrap();
        journal.note(&wrote("/b")).unwrap();
        assert_eq!(journal.entries().unwrap(), [wrote("/a"), wrote("/b")]);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"wrote\":{\"pa");
        fs::write(&path, &text).unwrap();
        assert_eq!(journal.entries().unwrap(), [wrote("/a"), wrote("/b")]);
        fs::write(&path, "nonsense\n").unwrap();
        assert!(matches!(
            journal.entries(),
            Err(JournalError::Line { line: 1, .. })
        ));
    }
}
