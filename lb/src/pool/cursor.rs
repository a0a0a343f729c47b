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

    /// Whose turn is next.
    pub fn turn(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Goes on from this turn.
    pub fn go_on(&self, turn: u64) {
        self.next.store(turn, Ordering::Relaxed);
    }

    /// How many clients wait for a place at a server.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// One more waits. Whether there was room: at most `most` do. Who finds none is not counted
    /// even for a moment, in which another might be turned away for it.
    pub fn wait(&self, most: u64) -> bool {
        let more = |waiting: u64| (waiting < most).then_some(waiting + 1);
        let waits = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        waits.is_ok()
    }

    /// One that waited does so no longer.
    pub fn waited(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
