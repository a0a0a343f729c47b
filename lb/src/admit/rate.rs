//! So many per second, and at most a second's worth at once (GCRA: one number per bucket).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A bucket holds what a second brings.
const WORTH: u64 = 1_000_000_000;

/// One bucket: when it will be full again, in nanoseconds of its owner's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(u64);

impl Bucket {
    /// The bucket with one more taken.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(self, rate: NonZeroU32, now: Duration) -> Result<Self, Duration> {
        let now = nanos(now);
        let each = WORTH / u64::from(rate.get());
        let full = self.0.max(now) + each;
        match (full - now).checked_sub(WORTH) {
            None | Some(0) => Ok(Self(full)),
            Some(late) => Err(Duration::from_nanos(late)),
        }
    }

    /// Whether it is full: nothing is lost when it is forgotten.
    #[must_use]
    pub fn is_full(self, now: Duration) -> bool {
        self.0 <= nanos(now)
    }
}

/// A bucket that all workers take from.
#[derive(Debug, Default)]
pub(super) struct Shared(AtomicU64);

impl Shared {
    /// Whether there is one.
    ///
    /// # Errors
    /// How long until there is one.
    pub(super) fn wait(&self, rate: NonZeroU32, now: Duration) -> Result<(), Duration> {
        let bucket = Bucket(self.0.load(Ordering::Relaxed));
        bucket.take(rate, now).map(drop)
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long until there is one.
    pub(super) fn take(&self, rate: NonZeroU32, now: Duration) -> Result<(), Duration> {
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let after = Bucket(before).take(rate, now)?;
            let swapped = self.0.compare_exchange_weak(
                before,
                after.0,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return Ok(()),
                // Another worker was quicker: one of them gets on each time round.
                Err(now_is) => before = now_is,
            }
        }
    }
}

/// Lasts for 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_second_is_worth_its_rate() {
        let rate = NonZeroU32::new(4).unwrap();
        let bucket = Shared::default();
        for _ in 0..4 {
            assert_eq!(bucket.take(rate, ms(5_000)), Ok(()));
        }
        assert_eq!(bucket.take(rate, ms(5_000)), Err(ms(250)));
        assert_eq!(bucket.take(rate, ms(5_249)), Err(ms(1)));
        assert_eq!(bucket.take(rate, ms(5_250)), Ok(()));
        assert_eq!(bucket.take(rate, ms(5_250)), Err(ms(250)));
        // Never more than a second's worth is saved.
        let late: Vec<bool> = (0..6)
            .map(|_| bucket.take(rate, ms(60_000)).is_ok())
            .collect();
        assert_eq!(late, [true, true, true, true, false, false]);
    }

    #[test]
    fn one_per_second() {
        let rate = NonZeroU32::MIN;
        let bucket = Bucket::default().take(rate, ms(10)).unwrap();
        assert_eq!(bucket.take(rate, ms(1_009)), Err(ms(1)));
        assert!(!bucket.is_full(ms(1_009)) && bucket.is_full(ms(1_010)));
        assert!(bucket.take(rate, ms(1_010)).is_ok());
    }

    proptest! {
        /// In any stretch of time pass at most the rate times the stretch, and a second's worth.
        #[test]
        fn never_more_than_the_rate(
            rate in 1_u32..2_000,
            gaps in prop::collection::vec(0_u64..20_000_000, 1..400),
        ) {
            let rate = NonZeroU32::new(rate).unwrap();
            let (mut bucket, mut now, mut passed) = (Bucket::default(), 0, 0_u64);
            let start: u64 = 1_000_000_000_000;
            for gap in gaps {
                now += gap;
                if let Ok(after) = bucket.take(rate, Duration::from_nanos(start + now)) {
                    bucket = after;
                    passed += 1;
                }
            }
            let each = WORTH / u64::from(rate.get());
            prop_assert!(passed <= (WORTH + now) / each + 1, "{} in {}", passed, now);
        }
    }
}
