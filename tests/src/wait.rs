//! Waiting for something that sends no event: a condition is looked at again and again, up to
//! a deadline. Where an event exists (netlink, sd_notify, a socket) that is awaited instead.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

use crate::error::LabError;

/// Between two looks: far below every bound that is awaited with it.
const LOOK: Duration = Duration::from_millis(2);

/// Looks until `found` returns something.
///
/// # Errors
/// [`LabError::Late`] when `within` has passed.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut found: impl FnMut() -> Option<T>,
) -> Result<T, LabError> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = found() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            let what = what.to_owned();
            return Err(LabError::Late { what, within });
        }
        park_timeout(LOOK);
    }
}

/// Lets the lab run on for a stated time (a load phase, a settled phase between two faults).
/// `stop` ends it early.
pub fn pass(time: Duration, mut stop: impl FnMut() -> bool) {
    let deadline = Instant::now() + time;
    while !stop() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        park_timeout(left.min(Duration::from_millis(20)));
    }
}
