//! The hold-off: what a short disturbance of the interface does not cost an Active.
//!
//! A link that is back before any peer has stopped waiting, and a source address that a
//! network manager takes away and gives back, are no reason to move. Until the hold-off is
//! over the router stays Active: without a link it keeps silent, without its source address
//! it goes on speaking from it. Backups get none: they could not hear an Active.

use std::time::Duration;

use tokio::time::Instant;
use vrrp::AdvertInterval;

/// A network manager's restart, or the renewal of a lease. Longer, and a preferred peer
/// that comes back, and is not heard, would share the address with us for too long.
pub(super) const SOURCE: Duration = Duration::from_secs(1);

/// A link that is away for longer is a cable that was pulled, whatever the interval.
const LINK_AT_MOST: Duration = Duration::from_secs(2);

/// Since when something is missing, as the moment from which on it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HoldOff {
    link_for: Duration,
    /// The link is down, and counts from then on.
    pub(super) link: Option<Instant>,
    /// The source address is gone, and counts from then on.
    pub(super) source: Option<Instant>,
}

impl HoldOff {
    /// For a router that advertises so often. The last advert is up to one interval old
    /// when the link goes, and peers wait for more than three: two are left.
    pub(super) fn new(interval: AdvertInterval) -> Self {
        Self {
            link_for: LINK_AT_MOST.min(interval.duration() * 2),
            link: None,
            source: None,
        }
    }

    /// The link is down.
    pub(super) fn link_lost(&mut self, now: Instant) {
        self.link.get_or_insert(now + self.link_for);
    }

    /// The source address is gone.
    pub(super) fn source_lost(&mut self, now: Instant) {
        self.source.get_or_insert(now + SOURCE);
    }

    /// The next moment at which something counts.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.link, self.source].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vrrp::Version;

    #[test]
    fn a_link_may_be_away_for_two_intervals_and_two_seconds_at_most() {
        for (interval, link) in [(10, 20), (100, 200), (1000, 2000), (40_000, 2000)] {
            let interval = Duration::from_millis(interval);
            let interval = AdvertInterval::new(Version::V3, interval).unwrap();
            let now = Instant::now();
            let mut hold = HoldOff::new(interval);
            hold.link_lost(now);
            hold.link_lost(now + Duration::from_millis(5));
            assert_eq!(hold.deadline(), Some(now + Duration::from_millis(link)));
            hold.source_lost(now);
            let first = Duration::from_millis(link).min(SOURCE);
            assert_eq!(hold.deadline(), Some(now + first));
        }
    }
}
