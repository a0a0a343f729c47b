//! The ledger: which addresses are ours where the kernel does not say so.
//!
//! ```text
//!   Linux ──intend, forget──▶ Ledger ──▶ <socket>.held (0600, replaced as a whole)
//!         ◀─────owns───────── (Book)  ◀── echo: what the kernel shows of ours
//! ```
//!
//! An address of ours carries a mark (`IFA_PROTO`), which kernels before 5.18 forget. Whether
//! this one keeps it is not read off a version, since distributions bring features to older
//! kernels: either it shows marks at the start, its own on loopback for one, or the first
//! renewal looks at what became of ours. Until then, and for good where the mark is lost, every
//! address is written down before it is put there, and crossed out when it is gone, so that the
//! run after a crash knows its own, and touches nobody else's.

mod book;
mod file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use daemon::chain;

use crate::guard::Held;
use crate::linux::Present;

pub use book::Marks;
use book::{Book, Change};
pub use file::FileError;

/// The ledger of one daemon, shared by its routers.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    book: Book,
    /// Why the file was not written the last time.
    failing: Option<String>,
}

/// What is known of it, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What is put on addresses.
    pub mark: Option<u8>,
    /// Whether the kernel keeps it.
    pub marks: Marks,
    /// The file.
    pub path: PathBuf,
    /// How many addresses stand in it.
    pub held: usize,
    /// Why it could not be written.
    pub failing: Option<String>,
}

impl Ledger {
    /// Beside the daemon's socket, with what the run before has left. `mark` is put on every
    /// address; without one, the file alone says what is ours.
    ///
    /// A file that cannot be read is said in the log, and is as if there were none: what it
    /// named then belongs to nobody and runs out within a lifetime.
    pub fn open(socket: &Path, mark: Option<u8>) -> Self {
        let path = socket.with_extension("held");
        let left = file::read(&path).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), "{}", chain(&error));
            std::collections::BTreeSet::new()
        });
        let state = State {
            book: Book::new(mark, left),
            failing: None,
        };
        Self(Arc::new(Inner {
            path,
            state: Mutex::new(state),
        }))
    }

    /// What is put on every address.
    pub fn mark(&self) -> Option<u8> {
        self.with(|state| state.book.mark())
    }

    /// Whether the kernel keeps it.
    pub fn marks(&self) -> Marks {
        self.with(|state| state.book.marks())
    }

    /// What is known of it.
    pub fn facts(&self) -> Facts {
        self.with(|state| Facts {
            mark: state.book.mark(),
            marks: state.book.marks(),
            path: self.0.path.clone(),
            held: state.book.held().len(),
            failing: state.failing.clone(),
        })
    }

    /// Is it ours?
    pub fn owns(&self, there: &Present) -> bool {
        self.with(|state| state.book.owns(there))
    }

    /// It is about to be put there: written down where no mark will say so.
    pub fn intend(&self, held: Held) -> Known {
        self.change(|book| match book.intend(held) {
            Change::None => (Known::Before, Change::None),
            Change::Write => (Known::New, Change::Write),
        })
    }

    /// The kernel shows these.
    pub fn echo(&self, shown: &[Present]) {
        let before = self.marks();
        self.change(|book| ((), book.echo(shown)));
        let marks = self.marks();
        if marks != before && marks == Marks::Lost {
            tracing::warn!(
                file = %self.0.path.display(),
                "this kernel does not keep the mark on addresses: what is ours is written \
                 down"
            );
        }
    }

    /// It is gone, or somebody else's.
    pub fn forget(&self, held: Held) {
        self.change(|book| ((), book.forget(held)));
    }

    /// What is there at the start: of what the run before has left, only that still counts.
    pub fn begin(&self, present: &[Present]) {
        self.change(|book| ((), book.begin(present)));
    }

    /// A failure is said once, until a write succeeds. It costs what the file is for: after
    /// a crash, ours would look like somebody else's until it runs out.
    fn change<T>(&self, work: impl FnOnce(&mut Book) -> (T, Change)) -> T {
        self.with(|state| {
            let (result, change) = work(&mut state.book);
            match change {
                Change::None => {}
                Change::Write => {
                    let failing = file::write(&self.0.path, state.book.held()).err();
                    let failing = failing.map(|error| chain(&error));
                    if let Some(text) =
                        failing.as_ref().filter(|_| state.failing.is_none())
                    {
                        tracing::error!(file = %self.0.path.display(), "{text}");
                    }
                    state.failing = failing;
                }
            }
            result
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether an address that is put there was known to be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It stands in the ledger, or its mark will say so.
    Before,
    /// It was written down just now.
    New,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knows_what_the_one_before_has_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("vip-daemon.sock");
        let held = Held {
            interface: 2,
            address: "10.55.0.100/24".parse().unwrap(),
        };
        let before = Ledger::open(&socket, None);
        assert_eq!(before.intend(held), Known::New);
        let after = Ledger::open(&socket, None);
        assert_eq!(after.facts().held, 1);
        assert_eq!(after.intend(held), Known::Before);
        after.forget(held);
        assert_eq!(Ledger::open(&socket, None).facts().held, 0);
        assert_eq!(after.facts().failing, None);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("gone").join("vip-daemon.sock");
        let ledger = Ledger::open(&socket, None);
        let held = Held {
            interface: 2,
            address: "10.55.0.100/24".parse().unwrap(),
        };
        assert_eq!(ledger.intend(held), Known::New);
        let failing = ledger.facts().failing.unwrap();
        assert!(failing.starts_with("cannot be written: "), "{failing}");
    }
}
