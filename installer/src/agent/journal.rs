//! What was done to a host, in the order in which it was done: a line each, kept on the host
//! itself, never with what is in a file. Each is noted before it is done, so that nothing is
//! there that is not known; what is known need not be there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::before::Was;
use super::files::settled;

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
    /// What stood somewhere and was none of ours is kept, for something of ours takes its place.
    Kept {
        /// Where.
        path: String,
        /// What.
        was: Was,
    },
    /// A unit was about to be started, started anew, or started at every boot from then on.
    Unit {
        /// Which.
        name: String,
        /// Whether it was started at boot until then.
        enabled: bool,
        /// Whether it ran until then.
        active: bool,
    },
    /// A unit has begun anew, or read its files again: it knows what stands there.
    Read {
        /// Which.
        unit: String,
    },
    /// Something was let in, or was about to be, by these words to a firewall.
    Opened {
        /// The command.
        words: Vec<String>,
    },
    /// What these words have let in is kept out again.
    Closed {
        /// The command that had let it in.
        words: Vec<String>,
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

    /// Adds a line, and sees it to the disk; one that was cut off before it goes, or the two
    /// would be a line that nobody can read.
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
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        if whole(&mut file)? == 0 {
            // A line in a file that the folder does not name is lost with the power.
            settled(&self.path)?;
            settled(folder)?;
        }
        // One write: a line is there whole, or it is the cut-off last one.
        file.write_all(&line)?;
        file.sync_data()
    }

    /// Everything that was noted, oldest first. A last line that a power cut or a full disk has
    /// cut off is left out: what it was to say was not done.
    ///
    /// # Errors
    /// When the system refuses, or a line is none of ours.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let octets = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            octets => octets.map_err(|source| JournalError::System {
                path: self.path.clone(),
                source,
            })?,
        };
        let mut entries = Vec::new();
        let lines = octets.split_inclusive(|octet| *octet == b'\n');
        let whole = lines.filter(|line| line.ends_with(b"\n"));
        for (place, line) in whole.enumerate() {
            match serde_json::from_slice(line) {
                Ok(entry) => entries.push(entry),
                Err(_) => {
                    let (path, line) = (self.path.clone(), place + 1);
                    return Err(JournalError::Line { path, line });
                }
            }
        }
        Ok(entries)
    }
}

/// Cuts what stands behind the last whole line; the octets that are left.
fn whole(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last == [b'\n'] {
        return Ok(length);
    }
    let mut octets = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut octets)?;
    let lines = octets.split_inclusive(|octet| *octet == b'\n');
    let kept = lines.filter(|line| line.ends_with(b"\n"));
    let kept = kept.map(<[u8]>::len).sum::<usize>();
    let kept = u64::try_from(kept).map_err(io::Error::other)?;
    file.set_len(kept)?;
    Ok(kept)
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

    /// Wherever a power cut or a full disk has cut the last line off, also within a sign.
    #[test]
    fn a_line_that_was_cut_off_spoils_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::at(path.clone());
        journal.note(&wrote("/a")).unwrap();
        let before = fs::read(&path).unwrap();
        journal.note(&wrote("/bü")).unwrap();
        let both = fs::read(&path).unwrap();
        for cut in 0..both.len() {
            fs::write(&path, &both[..cut]).unwrap();
            let kept = if cut < before.len() {
                vec![]
            } else {
                vec![wrote("/a")]
            };
            assert_eq!(journal.entries().unwrap(), kept, "{cut}");
            journal.note(&wrote("/c")).unwrap();
            let wanted = [kept, vec![wrote("/c")]].concat();
            assert_eq!(journal.entries().unwrap(), wanted, "{cut}");
        }
    }
}
