//! How the process leaves: at first it only says so and goes on accepting, until whoever
//! watches `/readyz` has moved the address; then the listeners close and it waits for the
//! connections that are left. Decides; control does.

use std::time::{Duration, Instant};

/// The part of `drainTimeout` that may pass while clients go on coming: an address that nobody
/// takes over, as on the only master, must not keep the process for ever, and who came last
/// needs time as well.
const PART: u32 = 3;

/// Where a stop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `/readyz` says no, and clients are still accepted.
    Leaving {
        /// Until when nobody decides by who comes.
        until: Instant,
        /// When nobody has come for so long, the address has moved.
        silence: Duration,
        /// When the listeners close all the same.
        latest: Instant,
        /// When the connections that are left by then are cut.
        end: Instant,
    },
    /// The listeners are closed.
    Draining {
        /// When the connections that are left are cut.
        until: Instant,
    },
}

impl Stop {
    /// The first stage, of a stop that begins at `now`; all of it takes `delay` and `timeout` at
    /// most. Without a delay nobody is waited for: nobody watches `/readyz`.
    #[must_use]
    pub fn begin(delay: Duration, timeout: Duration, now: Instant) -> Self {
        let patience = match delay.is_zero() {
            true => Duration::ZERO,
            false => timeout / PART,
        };
        Self::Leaving {
            until: now + delay,
            silence: delay,
            latest: now + delay + patience,
            end: now + delay + timeout,
        }
    }

    /// Whether the next stage is due, with so many connections `open`, when the last client has
    /// come so long ago. The first one lasts its time also without a connection: the next client
    /// is still on its way here.
    #[must_use]
    pub fn is_over(self, open: u64, silent: Duration, now: Instant) -> bool {
        match self {
            Self::Leaving {
                until,
                silence,
                latest,
                ..
            } => (now >= until && silent >= silence) || now >= latest,
            Self::Draining { until } => open == 0 || now >= until,
        }
    }

    /// Whether the listeners close on clients who still come.
    #[must_use]
    pub fn is_in_vain(self, silent: Duration) -> bool {
        match self {
            Self::Leaving { silence, .. } => silent < silence,
            Self::Draining { .. } => false,
        }
    }
}

/// When the last client came, by looks at a count of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    came: u64,
    last: Instant,
}

impl Arrivals {
    /// From `now` on, when so many had come.
    #[must_use]
    pub const fn since(came: u64, now: Instant) -> Self {
        Self { came, last: now }
    }

    /// How long nobody has come, when there were so many by `now`.
    pub fn look(&mut self, came: u64, now: Instant) -> Duration {
        if came != self.came {
            *self = Self::since(came, now);
        }
        now.saturating_duration_since(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(1);
    const TIMEOUT: Duration = Duration::from_secs(30);
    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn table() {
        let now = Instant::now();
        let leaving = Stop::begin(DELAY, TIMEOUT, now);
        let draining = Stop::Draining { until: now + DELAY };
        let latest = now + DELAY + TIMEOUT / PART;
        let nobody = Duration::ZERO;
        for (stop, open, silent, now, expected) in [
            // Nobody had come for long when it began.
            (leaving, 0, TIMEOUT, now + DELAY - MOMENT, false),
            (leaving, 0, DELAY - MOMENT, now + DELAY, false),
            (leaving, 1, DELAY - MOMENT, now + DELAY, false),
            (leaving, 0, DELAY, now + DELAY, true),
            (leaving, 1, DELAY, now + DELAY, true),
            // Clients go on coming: the address has not moved.
            (leaving, 1, nobody, latest - MOMENT, false),
            (leaving, 1, nobody, latest, true),
            (draining, 0, nobody, now, true),
            (draining, 1, DELAY, now + DELAY - MOMENT, false),
            (draining, 1, DELAY, now + DELAY, true),
        ] {
            let over = stop.is_over(open, silent, now);
            assert_eq!(over, expected, "{stop:?} {open} {silent:?}");
        }
        for (stop, silent, expected) in [
            (leaving, DELAY - MOMENT, true),
            (leaving, DELAY, false),
            (draining, nobody, false),
        ] {
            assert_eq!(stop.is_in_vain(silent), expected, "{stop:?} {silent:?}");
        }
    }

    #[test]
    fn all_of_it_takes_the_delay_and_the_timeout() {
        let now = Instant::now();
        for (delay, timeout, last) in [
            (DELAY, TIMEOUT, DELAY + TIMEOUT / PART),
            (DELAY, Duration::ZERO, DELAY),
            (Duration::ZERO, TIMEOUT, Duration::ZERO),
        ] {
            let wanted = Stop::Leaving {
                until: now + delay,
                silence: delay,
                latest: now + last,
                end: now + delay + timeout,
            };
            assert_eq!(Stop::begin(delay, timeout, now), wanted);
        }
    }

    #[test]
    fn silence_begins_with_the_last_client() {
        let now = Instant::now();
        let mut arrivals = Arrivals::since(7, now);
        for (came, after, silent) in [(7, 300, 300), (8, 500, 0), (8, 900, 400)] {
            let at = now + Duration::from_millis(after);
            assert_eq!(
                arrivals.look(came, at),
                Duration::from_millis(silent),
                "{after}"
            );
        }
    }
}
