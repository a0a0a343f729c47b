//! One operator at a time: who gives orders that change a host holds its lock, which the
//! kernel takes back when the agent ends, in whatever way.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::files::below;

/// Where it lies. It is there before anything is noted.
pub(crate) const LOCK: &str = "/var/lib/sternpost/lock";
/// An agent whose operator has gone ends within this; a run right after it waits that long.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two tries: there is no event to wait for with a bound.
const LOOK: Duration = Duration::from_millis(20);
/// Octets of the holder's name that are read.
const NAME: u64 = 256;

/// Where an agent lies until it begins, and how it is called there.
const LANDS: [&str; 2] = ["/run", "/var/lib/sternpost"];
const AGENT: &str = "sternpost-agent-";
/// An agent begins at once when it has arrived; one that lies there for longer was forgotten.
const BEGUN: Duration = Duration::from_secs(10);

/// The lock of a host, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why it is not held.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error(
        "{holder} is at work here; wait for the end of that run, or end its agent on this host"
    )]
    Held {
        /// Who, by their own word, and their agent's process.
        holder: String,
    },
    /// The system refused.
    #[error("the lock {} cannot be taken", .path.display())]
    System {
        /// Where it lies.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock for `who`.
    ///
    /// # Errors
    /// When another has it, and keeps it.
    pub(super) fn take(root: &Path, who: &str) -> Result<Self, LockError> {
        let path = below(root, LOCK);
        let failed = |source| LockError::System {
            path: path.clone(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(0o600).open(&path).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    park_timeout(LOOK);
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let read = (&file).take(NAME).read_to_string(&mut holder);
                    read.map_err(failed)?;
                    return Err(LockError::Held { holder });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let named = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| {
            let process = std::process::id();
            write!(file, "{who} (process {process})")
        });
        named.map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Removes agents whose operator was gone before they began. One that runs has removed its own.
pub(super) fn forgotten(root: &Path) {
    let folders = LANDS
        .iter()
        .filter_map(|at| below(root, at).read_dir().ok());
    for file in folders.flatten().flatten() {
        let name = file.file_name();
        let is_agent = name.to_string_lossy().starts_with(AGENT);
        let modified = file.metadata().and_then(|about| about.modified());
        let age = modified.ok().and_then(|at| at.elapsed().ok());
        if is_agent && age.is_some_and(|age| age > BEGUN) {
            // Another one may have been as quick.
            let _ = fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_never_began_is_removed_and_one_that_arrives_is_not() {
        let root = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - BEGUN * 2;
        let mut kept = Vec::new();
        for (folder, name, at, stays) in [
            ("run", "sternpost-agent-1-2", Some(old), false),
            (
                "var/lib/sternpost",
                "sternpost-agent-1-3.new",
                Some(old),
                false,
            ),
            ("var/lib/sternpost", "sternpost-agent-1-4", None, true),
            ("var/lib/sternpost", "journal", Some(old), true),
        ] {
            let path = root.path().join(folder);
            fs::create_dir_all(&path).unwrap();
            let file = File::create(path.join(name)).unwrap();
            if let Some(at) = at {
                file.set_modified(at).unwrap();
            }
            kept.push((path.join(name), stays));
        }
        forgotten(root.path());
        for (path, stays) in kept {
            assert_eq!(path.exists(), stays, "{}", path.display());
        }
    }

    #[test]
    fn the_second_hears_who_was_first_and_gets_it_when_that_one_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let first = Lock::take(root.path(), "ada on laptop").unwrap();
        let error = Lock::take(root.path(), "bob on desk").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("ada on laptop (process "), "{text}");
        drop(first);
        Lock::take(root.path(), "bob").unwrap();
        let held = fs::read_to_string(below(root.path(), LOCK)).unwrap();
        assert!(held.starts_with("bob (process "), "{held}");
    }
}
