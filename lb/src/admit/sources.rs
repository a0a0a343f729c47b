//! What each source has open and how fast it comes: a table of bounded size.
//!
//! A source is an IPv4 address or the first 64 bits of an IPv6 address, which is what one
//! host has. One that has nothing open and a full bucket is forgotten when room is needed.
//! When all of the table is in use, further sources pass uncounted: the limits are there
//! against a client that runs wild, and must not let a crowd lock the others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::network::Network;
use super::rate::Bucket;
use crate::pool::source;
use crate::worker::End;

/// Tables with a lock of their own, so that workers rarely meet.
const PARTS: usize = 16;
/// Bits of an IPv6 address that make a source.
const HOST_BITS: u8 = 64;

/// The limits of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; no limit when absent.
    pub connections: Option<NonZeroU32>,
    /// New connections per second; no limit when absent.
    pub rate: Option<NonZeroU32>,
    /// Sources that are remembered.
    pub table: u32,
}

impl Limits {
    /// Whether nothing is limited, so that nothing is counted.
    pub(super) const fn are_none(&self) -> bool {
        self.connections.is_none() && self.rate.is_none()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    open: u32,
    bucket: Bucket,
}

/// What is known of the sources of a frontend; one for all workers.
#[derive(Debug, Default)]
pub struct Sources {
    parts: [Mutex<HashMap<IpAddr, Source>>; PARTS],
    uncounted: AtomicU64,
}

impl Sources {
    /// A connection of this source begins.
    ///
    /// # Errors
    /// The limit that it meets.
    pub fn enter(&self, ip: IpAddr, limits: &Limits, now: Duration) -> Result<(), End> {
        if limits.are_none() {
            return Ok(());
        }
        let ip = key(ip);
        let mut part = self.part(ip);
        let most = (limits.table as usize).div_ceil(PARTS);
        if part.len() >= most && !part.contains_key(&ip) {
            part.retain(|_, known| known.open > 0 || !known.bucket.is_full(now));
            if part.len() >= most {
                self.uncounted.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
        let mut known = part.get(&ip).copied().unwrap_or_default();
        known = admitted(known, limits, now)?;
        part.insert(ip, known);
        Ok(())
    }

    /// Goes on from so many that passed uncounted.
    pub fn go_on(&self, uncounted: u64) {
        self.uncounted.fetch_add(uncounted, Ordering::Relaxed);
    }

    /// A connection of this source is open already. One without room here is none that has
    /// come.
    pub fn keep(&self, ip: IpAddr, limits: &Limits) {
        if limits.are_none() {
            return;
        }
        let ip = key(ip);
        let mut part = self.part(ip);
        if part.len() >= (limits.table as usize).div_ceil(PARTS)
            && !part.contains_key(&ip)
        {
            return;
        }
        let known = part.entry(ip).or_default();
        known.open = known.open.saturating_add(1);
    }

    /// A connection of this source is over.
    pub fn leave(&self, ip: IpAddr) {
        let ip = key(ip);
        let mut part = self.part(ip);
        if let Some(known) = part.get_mut(&ip) {
            known.open = known.open.saturating_sub(1);
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn known(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len()).sum()
    }

    /// Connections that came while the table was full of others.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Ordering::Relaxed)
    }

    fn part(&self, ip: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, Source>> {
        let number = source::server((ip, 0).into()) % 16;
        let at = usize::try_from(number).unwrap_or(0);
        // There are sixteen.
        let [first, ..] = &self.parts;
        lock(self.parts.get(at).unwrap_or(first))
    }
}

fn admitted(known: Source, limits: &Limits, now: Duration) -> Result<Source, End> {
    if limits
        .connections
        .is_some_and(|most| known.open >= most.get())
    {
        return Err(End::SourceConnections);
    }
    let bucket = match limits.rate {
        None => known.bucket,
        Some(rate) => {
            let taken = known.bucket.take(rate, now);
            taken.map_err(|_| End::SourceRate)?
        }
    };
    Ok(Source {
        open: known.open.saturating_add(1),
        bucket,
    })
}

fn key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        four @ IpAddr::V4(_) => four,
        six @ IpAddr::V6(_) => Network::around(six, HOST_BITS),
    }
}

fn lock(
    part: &Mutex<HashMap<IpAddr, Source>>,
) -> MutexGuard<'_, HashMap<IpAddr, Source>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn limits(connections: u32, rate: u32, table: u32) -> Limits {
        Limits {
            connections: NonZeroU32::new(connections),
            rate: NonZeroU32::new(rate),
            table,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_of_a_source() {
        let (sources, limits) = (Sources::default(), limits(2, 0, 1000));
        let enter = |text| sources.enter(ip(text), &limits, NOW);
        assert_eq!(enter("10.0.0.1"), Ok(()));
        assert_eq!(enter("::ffff:10.0.0.1"), Ok(()));
        assert_eq!(enter("10.0.0.1"), Err(End::SourceConnections));
        assert_eq!(enter("10.0.0.2"), Ok(()));
        sources.leave(ip("10.0.0.1"));
        assert_eq!(enter("10.0.0.1"), Ok(()));
        // One network of IPv6 is one source.
        assert_eq!(enter("2001:db8::1"), Ok(()));
        assert_eq!(enter("2001:db8::2"), Ok(()));
        assert_eq!(enter("2001:db8::3"), Err(End::SourceConnections));
        assert_eq!(enter("2001:db8:0:1::3"), Ok(()));
    }

    #[test]
    fn the_rate_of_a_source() {
        let (sources, limits) = (Sources::default(), limits(0, 2, 1000));
        let enter = |text, ms| {
            let now = NOW + Duration::from_millis(ms);
            sources.enter(ip(text), &limits, now)
        };
        assert_eq!(enter("10.0.0.1", 0), Ok(()));
        assert_eq!(enter("10.0.0.1", 0), Ok(()));
        assert_eq!(enter("10.0.0.1", 499), Err(End::SourceRate));
        assert_eq!(enter("10.0.0.2", 499), Ok(()));
        // A refused one costs nothing.
        assert_eq!(enter("10.0.0.1", 500), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_the_crowd_passes_uncounted() {
        let (sources, limits) = (Sources::default(), limits(1, 0, 64));
        let crowd = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        for n in 0..1_000 {
            assert_eq!(sources.enter(crowd(n), &limits, NOW), Ok(()));
        }
        assert!(sources.known() <= 64);
        assert_eq!(sources.uncounted(), 1_000 - sources.known() as u64);
        (0..1_000).for_each(|n| sources.leave(crowd(n)));
        // Those have left: there is room for others.
        for n in 0..32 {
            assert_eq!(sources.enter(crowd(n + 5_000), &limits, NOW), Ok(()));
        }
        let before = sources.uncounted();
        let again = |n: u32| sources.enter(crowd(n + 5_000), &limits, NOW);
        let limited = (0..32).filter(|&n| again(n).is_err()).count() as u64;
        assert_eq!(limited + sources.uncounted() - before, 32);
        assert!(limited >= 16, "{limited}");
    }

    #[test]
    fn without_limits_nothing_is_remembered() {
        let sources = Sources::default();
        for _ in 0..10 {
            let entered = sources.enter(ip("10.0.0.1"), &limits(0, 0, 100), NOW);
            assert_eq!(entered, Ok(()));
        }
        assert_eq!(sources.known(), 0);
    }
}
