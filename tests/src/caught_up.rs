//! How far a thread of the lab has read what comes to it: whatever is not in its record by then
//! did not come, rather than was not read yet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Shared by the thread that reads and those that ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct CaughtUp(Arc<Mutex<Option<Instant>>>);

impl CaughtUp {
    /// All has been read since `began`, up to where nothing was left.
    pub(crate) fn note(&self, began: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
    }

    /// Whether all has been read that had come by then.
    pub(crate) fn is_past(&self, until: Instant) -> bool {
        let read = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.is_some_and(|read| read >= until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_came_before_the_last_look_began_is_read() {
        let read = CaughtUp::default();
        let began = Instant::now();
        assert!(!read.is_past(began), "it has not looked yet");
        read.clone().note(began);
        assert!(read.is_past(began));
        assert!(!read.is_past(began + Duration::from_nanos(1)));
    }
}
