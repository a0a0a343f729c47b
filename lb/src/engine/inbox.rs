//! What threads race on when one hands something to another: a bounded inbox, and the flag
//! that makes many rings before one wake-up cost one system call. Compiled a second time with
//! the types of a model checker, by `inbox_model`.

use super::sync::{AtomicBool, Mutex, Ordering, PoisonError};

/// Whether a ring has to wake somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring {
    /// The first since the last was heard.
    First,
    /// One before it was not heard yet.
    Again,
}

/// The flag of a bell: up while a ring was not heard.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    /// Somebody rings: what was put in before is seen by who hears it.
    pub(super) fn ring(&self) -> Ring {
        if self.0.swap(true, Ordering::AcqRel) {
            Ring::Again
        } else {
            Ring::First
        }
    }

    /// The ring was heard. To be called *before* the look at what it was for, so that what
    /// is put in after the look rings anew.
    pub(super) fn heard(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

/// What waits to be taken over.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    waiting: Mutex<Vec<T>>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Vec::new()),
        }
    }
}

impl<T> Inbox<T> {
    /// Puts one in, where at most `most` wait; `counted` is called before it can be taken.
    ///
    /// # Errors
    /// What was to be put in, when there is no room.
    pub(super) fn put(
        &self,
        one: T,
        most: usize,
        counted: impl FnOnce(),
    ) -> Result<(), T> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= most {
            return Err(one);
        }
        counted();
        waiting.push(one);
        Ok(())
    }

    /// Takes all that wait, in exchange for an empty list.
    pub(super) fn take(&self, into: &mut Vec<T>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *waiting, into);
    }
}
