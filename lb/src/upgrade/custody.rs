//! What was handed over, until the new program is ready to go on with it: a start that hangs
//! must not take it along.
//!
//! There is one process, so nobody is beside it who could help. A thread of its own waits with
//! the same parcel; when the time is over and nobody has taken that, it puts the old program
//! back into this one's place, whatever the other threads wait for.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daemon::upgrade::Limit;

use super::{Parcel, swap};

/// How long a new program may take from its first look at what it was handed until nothing can
/// fail any more. A start takes tens of milliseconds; with what stands before, it is less than
/// `WatchdogSec`.
pub const STARTED_WITHIN: Duration = Duration::from_secs(5);

/// A parcel that is taken once, or goes back.
#[derive(Debug)]
pub struct Custody {
    parcel: Arc<Mutex<Option<Parcel>>>,
    _limit: Option<Limit>,
}

impl Custody {
    /// Of a parcel that has come back: there is no other program to give it to.
    #[must_use]
    pub fn of(parcel: Parcel) -> Self {
        Self {
            parcel: Arc::new(Mutex::new(Some(parcel))),
            _limit: None,
        }
    }

    /// Of one that goes back to the program of these arguments unless it is taken in time.
    #[must_use]
    pub fn for_now(parcel: Parcel, arguments: Vec<OsString>) -> Self {
        let parcel = Arc::new(Mutex::new(Some(parcel)));
        let give_back = {
            let parcel = Arc::clone(&parcel);
            move || give_back(&parcel, &arguments)
        };
        Self {
            parcel,
            // Where there is no thread for it the start fails, which gives all of it back.
            _limit: Limit::of(STARTED_WITHIN, give_back).ok(),
        }
    }

    /// The parcel, to look at, unless it was taken.
    pub fn look(&self) -> MutexGuard<'_, Option<Parcel>> {
        lock(&self.parcel)
    }

    /// Takes the parcel. Does not return when it is just going back.
    #[must_use]
    pub fn take(&self) -> Option<Parcel> {
        lock(&self.parcel).take()
    }
}

fn give_back(parcel: &Mutex<Option<Parcel>>, arguments: &[OsString]) {
    // Held until the other program runs: what is given back cannot be taken any more.
    let parcel = lock(parcel);
    if let Some(parcel) = &*parcel {
        let why = format!(
            "api-lb {} was not ready within {} s",
            daemon::VERSION,
            STARTED_WITHIN.as_secs()
        );
        let error = swap::go_back(arguments, parcel, &why);
        tracing::error!(%error, why, "upgrade: the old program does not run either");
    }
}

fn lock(parcel: &Mutex<Option<Parcel>>) -> MutexGuard<'_, Option<Parcel>> {
    parcel.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_once() {
        let parcel = Parcel {
            blob: super::super::parcel::memory(b"state").unwrap(),
            program: std::fs::File::open("/proc/self/exe").unwrap().into(),
            sockets: Vec::new(),
        };
        let custody = Custody::for_now(parcel, Vec::new());
        assert!(custody.look().is_some());
        assert!(custody.take().is_some());
        assert!(custody.take().is_none());
        assert!(custody.look().is_none());
    }
}
