//! The one place where all workers take turns. Compiled a second time with the types of a
//! model checker, by `cursor_model`.

use super::atomics::{AtomicU64, Ordering};

/// Whose turn it is, and how many wait for one; one per backend, shared by all workers.
#[derive(Debug, Default)]
pub struct Cursor {
    next: AtomicU64,
    waiting: AtomicU64,
}

impl Cursor {
    /// Takes the next turn.
    pub fn take(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// How many clients wait for a place at a server.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// One more waits. Whether there was room: at most `most` do.
    pub fn wait(&self, most: u64) -> bool {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before >= most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        before < most
    }

    /// One that waited does so no longer.
    pub fn waited(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
