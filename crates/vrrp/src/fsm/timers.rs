//! The lengths of time of RFC 9568 section 6.1 and RFC 3768 section 6.1, exact to the
//! nanosecond. Centiseconds would make the skew of a high priority zero at short intervals,
//! and with it the order in which Backups take over.

use std::time::Duration;

use super::Preempt;
use crate::{AdvertInterval, Priority, Version};

/// Adverts that may be missed in a row before a Backup takes over.
pub const ADVERTS_MISSED: u32 = 3;
/// 1/256 s, the step of VRRPv2's skew whatever the interval.
const SKEW_STEP_V2: Duration = Duration::from_nanos(3_906_250);

/// Skew_Time: what a Backup waits beyond three intervals, shorter for a higher priority.
/// A share of one second in VRRPv2, of the Active's interval in VRRPv3.
pub fn skew(version: Version, priority: Priority, active: AdvertInterval) -> Duration {
    match version {
        Version::V2 => SKEW_STEP_V2 * priority.below_256(),
        Version::V3 => active.duration() * priority.below_256() / 256,
    }
}

/// Active_Down_Interval: silence of the Active after which a Backup takes over.
pub fn down(version: Version, priority: Priority, active: AdvertInterval) -> Duration {
    active.duration() * ADVERTS_MISSED + skew(version, priority, active)
}

/// Silence of our own after which some other router may have taken over: the down
/// interval of the highest that may be waiting. Where everybody preempts, nobody higher
/// than us is: it would be Active. Else it may be anybody.
pub fn overtaken(
    version: Version,
    priority: Priority,
    preempt: Preempt,
    own: AdvertInterval,
) -> Duration {
    match preempt {
        Preempt::AtOnce => down(version, priority, own),
        Preempt::After(_) | Preempt::Never => down(version, Priority::OWNER, own),
    }
}

/// How long a router that was late listens before it acts: a living Active advertises
/// once in this time, and the skew keeps the order among several that listen.
pub(super) fn listen(
    version: Version,
    priority: Priority,
    active: AdvertInterval,
) -> Duration {
    active.duration() + skew(version, priority, active)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Version::{V2, V3};

    #[test]
    fn t1_t2_t3_skew_and_down_interval_are_exact() {
        // version, interval ms, priority, skew ns, down ns
        let cases: [(Version, u64, u8, u64, u64); 12] = [
            (V2, 1000, 100, 609_375_000, 3_609_375_000),
            (V2, 1000, 1, 996_093_750, 3_996_093_750),
            (V2, 1000, 255, 3_906_250, 3_003_906_250),
            // VRRPv2: a share of a second, not of the interval.
            (V2, 5000, 100, 609_375_000, 15_609_375_000),
            (V3, 1000, 100, 609_375_000, 3_609_375_000),
            (V3, 5000, 100, 3_046_875_000, 18_046_875_000),
            (V3, 100, 100, 60_937_500, 360_937_500),
            (V3, 100, 101, 60_546_875, 360_546_875),
            // Centiseconds would round these to zero, and both alike.
            (V3, 10, 254, 78_125, 30_078_125),
            (V3, 10, 253, 117_187, 30_117_187),
            (V3, 10, 1, 9_960_937, 39_960_937),
            (V3, 40_950, 100, 24_953_906_250, 147_803_906_250),
        ];
        for (version, millis, priority, expected_skew, expected_down) in cases {
            let every = Duration::from_millis(millis);
            let interval = AdvertInterval::new(version, every).unwrap();
            let priority = Priority::new(priority);
            let case = format!("{version} {every:?} priority {priority}");
            let skew = skew(version, priority, interval);
            assert_eq!(skew, Duration::from_nanos(expected_skew), "{case}");
            let down = down(version, priority, interval);
            assert_eq!(down, Duration::from_nanos(expected_down), "{case}");
        }
    }

    #[test]
    fn overtaken_by_the_highest_that_may_be_waiting() {
        let interval = AdvertInterval::new(V3, Duration::from_millis(100)).unwrap();
        let limit = |preempt| overtaken(V3, Priority::DEFAULT, preempt, interval);
        assert_eq!(limit(Preempt::AtOnce), Duration::from_nanos(360_937_500));
        assert_eq!(limit(Preempt::Never), Duration::from_nanos(300_390_625));
        let after = Preempt::After(Duration::ZERO);
        assert_eq!(limit(after), Duration::from_nanos(300_390_625));
    }
}
