//! Clocks, held against each other: certificates say from when on they hold, and leases until
//! when.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::what::{CLOCK, What};
use super::{Round, Sight};

/// How many hosts make their clocks the ones to go by.
const MANY: usize = 3;

/// Each host whose clock is off. Where there are enough of them, the one in the middle is the
/// one to go by, and this machine's may be off too; it is named with the first host
/// whose own is right.
pub(super) fn clocks(round: &Round) -> BTreeMap<String, What> {
    let offsets = round.sights.iter();
    let offsets: BTreeMap<&String, i64> =
        offsets.map(|(host, sight)| (host, offset(sight))).collect();
    let mut sorted: Vec<_> = offsets.values().copied().collect();
    sorted.sort_unstable();
    let middle = match sorted.len() {
        count if count >= MANY => sorted.get(count / 2).copied().unwrap_or(0),
        _ => 0,
    };
    let limit = i64::try_from(CLOCK.as_secs()).unwrap_or(i64::MAX);
    let mut found = BTreeMap::new();
    let right = |(_, offset): &(&&String, &i64)| (**offset - middle).abs() <= limit;
    if middle.abs() > limit
        && let Some((host, _)) = offsets.iter().find(right)
    {
        found.insert((*host).clone(), What::OwnClock(-middle));
    }
    for (host, offset) in offsets {
        let off = offset - middle;
        if off.abs() > limit {
            found.insert(host.clone(), What::Clock(off));
        }
    }
    found
}

/// How far a host's clock is ahead of this machine's, s.
fn offset(sight: &Sight) -> i64 {
    let here = sight.asked.duration_since(UNIX_EPOCH).unwrap_or_default();
    let there = sight.machine.system.clock;
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    seconds(there.saturating_sub(here)) - seconds(here.saturating_sub(there))
}
