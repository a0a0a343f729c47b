//! What the last minute brought, second by second: for rates and for sparklines.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds that are kept: what a sparkline shows.
const SECONDS: usize = 60;

/// A second shorter than this is not worth dividing by.
const SHORTEST: Duration = Duration::from_millis(100);

/// Counts per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Connections begun.
    pub connections: u64,
    /// Bytes from clients to servers.
    pub sent: u64,
    /// Bytes from servers to clients.
    pub received: u64,
}

/// The last minute of a frontend or server. One task adds, anybody reads.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// When the totals were these.
    last: Option<(Instant, Rate)>,
    seconds: VecDeque<Rate>,
    most_open: u64,
    most_connections: u64,
}

impl Recent {
    /// Takes in the totals as of `now` and the connections open.
    pub fn add(&self, now: Instant, totals: Rate, open: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.most_open = inner.most_open.max(open);
        let Some((before, known)) = inner.last else {
            inner.last = Some((now, totals));
            return;
        };
        let took = now.saturating_duration_since(before);
        if took < SHORTEST {
            return;
        }
        let per_second = |new: u64, old: u64| {
            let many = u128::from(new.saturating_sub(old)) * 1000;
            let rate = many.div_ceil(took.as_millis().max(1));
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        let rate = Rate {
            connections: per_second(totals.connections, known.connections),
            sent: per_second(totals.sent, known.sent),
            received: per_second(totals.received, known.received),
        };
        inner.last = Some((now, totals));
        inner.most_connections = inner.most_connections.max(rate.connections);
        if inner.seconds.len() >= SECONDS {
            inner.seconds.pop_front();
        }
        inner.seconds.push_back(rate);
    }

    /// The last second.
    #[must_use]
    pub fn rate(&self) -> Rate {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.seconds.back().copied().unwrap_or_default()
    }

    /// New connections of each of the last seconds, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<u64> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.seconds.iter().map(|rate| rate.connections).collect()
    }

    /// The most connections that were open when it was looked, and the most that began in
    /// a second.
    #[must_use]
    pub fn most(&self) -> (u64, u64) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.most_open, inner.most_connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_kept_and_rates_are_per_second() {
        let recent = Recent::default();
        let start = Instant::now();
        let total = |connections| Rate {
            connections,
            sent: connections * 10,
            received: 0,
        };
        recent.add(start, total(100), 7);
        assert_eq!(
            (recent.rate(), recent.connections()),
            (Rate::default(), vec![])
        );
        // Two seconds late: half of it each second.
        recent.add(start + Duration::from_secs(2), total(140), 3);
        assert_eq!(recent.rate(), total(20));
        // Too soon to divide by.
        recent.add(start + Duration::from_millis(2050), total(150), 3);
        assert_eq!(recent.connections(), [20]);
        for n in 0..100_u64 {
            let now = start + Duration::from_secs(3 + n);
            recent.add(now, total(150 + n), 1);
        }
        assert_eq!(recent.connections().len(), SECONDS);
        assert_eq!(recent.rate(), total(1));
        assert_eq!(recent.most(), (7, 20));
    }
}
