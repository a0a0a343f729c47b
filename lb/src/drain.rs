//! How the process leaves: at first it only says so and goes on accepting, until whoever
//! watches `/readyz` has moved the address; then the listeners close and it waits for the
//! connections that are left. Decides; control does.

use std::time::Instant;

/// Where a stop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `/readyz` says no, and clients are still accepted.
    Leaving {
        /// When the listeners close.
        until: Instant,
    },
    /// The listeners are closed.
    Draining {
        /// When the connections that are left are cut.
        until: Instant,
    },
}

impl Stop {
    /// Whether the next stage is due, with so many connections `open`. The first one lasts
    /// its time also without a connection: the next client is still on its way here.
    #[must_use]
    pub fn is_over(self, open: u64, now: Instant) -> bool {
        match self {
            Self::Leaving { until } => now >= until,
            Self::Draining { until } => open == 0 || now >= until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn table() {
        let now = Instant::now();
        let (early, until) = (now, now + Duration::from_millis(1));
        let (leaving, draining) = (Stop::Leaving { until }, Stop::Draining { until });
        for (stop, open, now, expected) in [
            (leaving, 0, early, false),
            (leaving, 1, early, false),
            (leaving, 0, until, true),
            (leaving, 1, until, true),
            (draining, 0, early, true),
            (draining, 1, early, false),
            (draining, 1, until, true),
        ] {
            assert_eq!(stop.is_over(open, now), expected, "{stop:?} {open}");
        }
    }
}
