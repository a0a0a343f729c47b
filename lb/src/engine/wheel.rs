//! One coarse timer wheel per worker: the few deadlines that a session has while it is young.
//!
//! An entry is a key and a tick. Nothing is ever taken out early: a session that no longer
//! waits lets its entry fire, and the worker finds nothing to do. A session that is
//! established and idle has no entry, so an idle worker sleeps without a timeout.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::slab::Key;

/// The wheel's resolution. A deadline fires at its tick or up to one tick later: fine enough
/// for dial timeouts, coarse enough that a busy worker turns the wheel once per many events.
pub(super) const TICK: Duration = Duration::from_millis(4);
/// Slots: a power of two that spans 4 s; later deadlines go round again.
const SLOTS: u32 = 1024;

/// A point in time, in [`TICK`]s since the crew of workers began. 32 bits last for 198 days; the
/// arithmetic wraps, and no deadline is half that far away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tick(u32);

impl Tick {
    /// The last tick that is over after `since_start`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "wraps on purpose, see the type"
    )]
    pub(super) const fn at(since_start: Duration) -> Self {
        Self((since_start.as_nanos() / TICK.as_nanos()) as u32)
    }

    /// The first tick that is not before `self` plus `wait`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "wraps on purpose, see the type"
    )]
    pub(super) const fn after(self, wait: Duration) -> Self {
        let ticks = wait.as_nanos().div_ceil(TICK.as_nanos()) as u32;
        Self(self.0.wrapping_add(ticks).wrapping_add(1))
    }

    /// As a number, for what all workers share.
    #[must_use]
    pub(super) const fn to_bits(self) -> u32 {
        self.0
    }

    /// The inverse of [`Tick::to_bits`].
    #[must_use]
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The earlier of two.
    #[must_use]
    pub(super) const fn min(self, other: Self) -> Self {
        if self.is_due(other) { self } else { other }
    }

    /// How long it is from `self` until `later`; nothing when that is earlier.
    #[must_use]
    pub(super) fn until(self, later: Self) -> Duration {
        if self.is_due(later) {
            TICK * later.0.wrapping_sub(self.0)
        } else {
            Duration::ZERO
        }
    }

    /// Whether `self` is `now` or earlier.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "the sign is the answer")]
    pub(super) const fn is_due(self, now: Self) -> bool {
        (now.0.wrapping_sub(self.0) as i32) >= 0
    }
}

/// The deadlines of one worker.
pub(super) struct Wheel {
    slots: Box<[Vec<(Key, Tick)>]>,
    /// Ticks up to and including this one have been turned.
    turned: Tick,
    len: usize,
}

impl Wheel {
    /// An empty wheel that starts to turn at `now`.
    #[must_use]
    pub(super) fn new(now: Tick) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            turned: now,
            len: 0,
        }
    }

    /// Lets `key` fire at `deadline`, or at the next turn when that is over.
    pub(super) fn insert(&mut self, key: Key, deadline: Tick) {
        let first = Tick(self.turned.0.wrapping_add(1));
        let tick = if deadline.is_due(first) {
            first
        } else {
            deadline
        };
        if let Some(slot) = self.slots.get_mut((tick.0 % SLOTS) as usize) {
            slot.push((key, deadline));
            self.len += 1;
        }
    }

    /// Moves what is due at `now` into `due`.
    pub(super) fn turn(&mut self, now: Tick, due: &mut Vec<Key>) {
        let behind = now.0.wrapping_sub(self.turned.0);
        if !self.turned.is_due(now) || self.turned == now {
            return;
        }
        if self.len > 0 {
            for step in 1..=behind.min(SLOTS) {
                self.turn_slot(self.turned.0.wrapping_add(step) % SLOTS, now, due);
            }
        }
        self.turned = now;
    }

    /// How long a worker may sleep from tick `now` on: `None` when nothing waits.
    #[must_use]
    pub(super) fn sleep(&self, now: Tick) -> Option<Duration> {
        if self.len == 0 {
            return None;
        }
        let used = |step: &u32| {
            let slot = self.slots.get((now.0.wrapping_add(*step) % SLOTS) as usize);
            slot.is_some_and(|slot| !slot.is_empty())
        };
        Some(TICK * (1..SLOTS).find(used).unwrap_or(SLOTS))
    }

    fn turn_slot(&mut self, index: u32, now: Tick, due: &mut Vec<Key>) {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        let before = slot.len();
        slot.retain(|(key, deadline)| {
            let is_due = deadline.is_due(now);
            if is_due {
                due.push(*key);
            }
            !is_due
        });
        self.len -= before - slot.len();
        if slot.is_empty() && slot.capacity() > 64 {
            // A burst of dials is not worth remembering: an idle worker gives it back.
            *slot = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slab::Slab;

    fn keys(n: usize) -> Vec<Key> {
        let mut slab = Slab::default();
        (0..n).map(|_| slab.insert_with(|_| ())).collect()
    }

    #[test]
    fn a_deadline_fires_at_its_tick_and_not_before() {
        // deadline, sleep before it, and what fires one tick early, on time, one tick late
        for wait_ms in [0, 1, 4, 5, 100, 4_000, 4_096, 10_000, 60_000] {
            let wait = Duration::from_millis(wait_ms);
            let mut wheel = Wheel::new(Tick(10));
            let deadline = Tick(10).after(wait);
            let key = keys(1)[0];
            wheel.insert(key, deadline);
            let mut due = Vec::new();
            for tick in 11..deadline.0 {
                wheel.turn(Tick(tick), &mut due);
            }
            assert_eq!(due, [], "{wait_ms} ms: early");
            wheel.turn(deadline, &mut due);
            assert_eq!(due, [key], "{wait_ms} ms: on time");
            assert_eq!(wheel.sleep(deadline), None);
            let waited = TICK * (deadline.0 - 10);
            assert!(
                waited >= wait && waited <= wait + 2 * TICK,
                "{waited:?} for {wait:?}"
            );
        }
    }

    #[test]
    fn a_worker_that_sleeps_as_told_misses_nothing() {
        let keys = keys(200);
        let mut wheel = Wheel::new(Tick(u32::MAX - 500));
        let mut now = wheel.turned;
        let mut expected = Vec::new();
        for (n, key) in keys.iter().enumerate() {
            let wait = Duration::from_millis((n as u64 * 7919) % 20_000);
            wheel.insert(*key, now.after(wait));
            expected.push((now.after(wait), *key));
        }
        let mut fired = 0;
        while let Some(sleep) = wheel.sleep(now) {
            let ticks = sleep.as_millis() / TICK.as_millis();
            now = Tick(now.0.wrapping_add(u32::try_from(ticks).unwrap()));
            let mut due = Vec::new();
            wheel.turn(now, &mut due);
            for key in &due {
                let (deadline, _) = expected.iter().find(|(_, k)| k == key).unwrap();
                assert_eq!(now, *deadline);
            }
            fired += due.len();
        }
        assert_eq!(fired, keys.len());
    }

    #[test]
    fn a_worker_that_was_away_for_long_catches_up_in_one_turn() {
        let keys = keys(3);
        let mut wheel = Wheel::new(Tick(0));
        wheel.insert(keys[0], Tick(5));
        wheel.insert(keys[1], Tick(3_000));
        wheel.insert(keys[2], Tick(9_000));
        let mut due = Vec::new();
        wheel.turn(Tick(8_000), &mut due);
        assert_eq!(due.len(), 2);
        assert_eq!(wheel.sleep(Tick(8_000)), Some(TICK * 1_000));
    }
}
