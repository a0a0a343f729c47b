//! Advertisement interval: a length of time that the wire of its version can carry.

use std::fmt;
use std::time::Duration;

use crate::Version;

/// One unit of VRRPv3 (RFC 9568 section 5.2.7): a hundredth of a second.
const CENTISECOND: Duration = Duration::from_millis(10);
/// One unit of VRRPv2 (RFC 3768 section 5.3.7).
const SECOND: Duration = Duration::from_secs(1);
/// The field of VRRPv2 has 8 bits, that of VRRPv3 has 12.
const MAX_V2: u16 = 255;
const MAX_V3: u16 = 4095;

/// Time between two adverts of an Active: 1 s to 255 s in whole seconds (VRRPv2), or
/// 10 ms to 40.95 s in steps of 10 ms (VRRPv3). Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvertInterval(Duration);

/// Why a length of time is not an interval of that version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// Shorter than the wire's unit, or longer than its field holds.
    #[error("{version} carries {} to {}", Limit(*.version, 1), Limit(*.version, max(*.version)))]
    OutOfRange {
        /// The version that was asked for.
        version: Version,
    },
    /// Between two steps of the wire's unit.
    #[error("{version} counts in steps of {}", Limit(*.version, 1))]
    NotAStep {
        /// The version that was asked for.
        version: Version,
    },
}

impl AdvertInterval {
    /// One second, the default of both RFCs.
    pub const DEFAULT: Self = Self(SECOND);

    /// An interval that `version` can carry.
    ///
    /// # Errors
    /// [`IntervalError`] when the wire has no value for it; nothing is rounded, since a
    /// VRRPv2 router with another interval than its peers refuses all they send.
    pub fn new(version: Version, every: Duration) -> Result<Self, IntervalError> {
        let unit = unit(version);
        if every < unit || every > unit * u32::from(max(version)) {
            return Err(IntervalError::OutOfRange { version });
        }
        if !every.as_nanos().is_multiple_of(unit.as_nanos()) {
            return Err(IntervalError::NotAStep { version });
        }
        Ok(Self(every))
    }

    /// As a length of time.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The value of the packet's field, or `None` for zero.
    pub(crate) fn from_wire(version: Version, count: u16) -> Option<Self> {
        let count = count.min(max(version));
        (count > 0).then(|| Self(unit(version) * u32::from(count)))
    }

    /// In units of the packet's field. An interval of the other version is brought to
    /// the nearest that the field holds.
    pub(crate) fn to_wire(self, version: Version) -> u16 {
        let count = self.0.as_nanos() / unit(version).as_nanos();
        u16::try_from(count)
            .unwrap_or(u16::MAX)
            .clamp(1, max(version))
    }
}

impl fmt::Display for AdvertInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

const fn unit(version: Version) -> Duration {
    match version {
        Version::V2 => SECOND,
        Version::V3 => CENTISECOND,
    }
}

const fn max(version: Version) -> u16 {
    match version {
        Version::V2 => MAX_V2,
        Version::V3 => MAX_V3,
    }
}

/// So many units of a version, for messages.
struct Limit(Version, u16);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", unit(self.0) * u32::from(self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(version: Version, millis: u64) -> Result<u16, IntervalError> {
        AdvertInterval::new(version, Duration::from_millis(millis))
            .map(|interval| interval.to_wire(version))
    }

    #[test]
    fn an_interval_is_what_its_wire_can_carry() {
        use Version::{V2, V3};
        let cases = [
            (V2, 999, Err(IntervalError::OutOfRange { version: V2 })),
            (V2, 1000, Ok(1)),
            (V2, 1500, Err(IntervalError::NotAStep { version: V2 })),
            (V2, 255_000, Ok(255)),
            (V2, 256_000, Err(IntervalError::OutOfRange { version: V2 })),
            (V3, 9, Err(IntervalError::OutOfRange { version: V3 })),
            (V3, 10, Ok(1)),
            (V3, 15, Err(IntervalError::NotAStep { version: V3 })),
            (V3, 100, Ok(10)),
            (V3, 40_950, Ok(4095)),
            (V3, 40_960, Err(IntervalError::OutOfRange { version: V3 })),
        ];
        for (version, millis, expected) in cases {
            assert_eq!(wire(version, millis), expected, "{version} {millis} ms");
        }
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let refused = AdvertInterval::new(Version::V3, Duration::from_millis(5));
        assert_eq!(
            refused.unwrap_err().to_string(),
            "VRRPv3 carries 10ms to 40.95s"
        );
        let refused = AdvertInterval::new(Version::V2, Duration::from_millis(1500));
        assert_eq!(
            refused.unwrap_err().to_string(),
            "VRRPv2 counts in steps of 1s"
        );
    }

    #[test]
    fn zero_is_no_interval() {
        assert_eq!(AdvertInterval::from_wire(Version::V2, 0), None);
        assert_eq!(AdvertInterval::from_wire(Version::V3, 0), None);
    }
}
