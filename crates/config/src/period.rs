//! Spans of time as files write them: `100ms`, `2s`, `5m`, `1h`.

use crate::quantity::{QuantityError, Units};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time, written as a whole number and its unit: `100ms`, `2s`, `5m`, `1h`.
///
/// A bare number is refused: whether `2` means seconds or milliseconds is a guess
/// that costs a failover. Largest: what 64 bits of milliseconds hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

static UNITS: Units = Units {
    names: &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)],
    usual: "s",
    shape: "is not a time; write it like \"100ms\", \"2s\", \"5m\" or \"1h\"",
    excess: "is longer than time goes here",
};

impl FromStr for Period {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        UNITS
            .read(text)
            .map(|millis| Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UNITS.print(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), f)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, millis, printed) in [
            ("0ms", 0, "0ms"),
            ("0s", 0, "0ms"),
            ("100ms", 100, "100ms"),
            ("1000ms", 1_000, "1s"),
            ("2s", 2_000, "2s"),
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("60m", 3_600_000, "1h"),
            ("1h", 3_600_000, "1h"),
            ("18446744073709551615ms", u64::MAX, "18446744073709551615ms"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.0, Duration::from_millis(millis), "{text}");
            assert_eq!(period.to_string(), printed);
            assert_eq!(printed.parse(), Ok(period));
        }
    }

    #[test]
    fn refuses_with_the_way_out() {
        for (text, problem) in [
            ("2", "has no unit; write \"2s\""),
            (
                "",
                "is not a time; write it like \"100ms\", \"2s\", \"5m\" or \"1h\"",
            ),
            (
                "s",
                "is not a time; write it like \"100ms\", \"2s\", \"5m\" or \"1h\"",
            ),
            (
                "-1s",
                "is not a time; write it like \"100ms\", \"2s\", \"5m\" or \"1h\"",
            ),
            (
                "1.5s",
                "is not a time; write it like \"100ms\", \"2s\", \"5m\" or \"1h\"",
            ),
            ("2 s", "has the unit \" s\"; allowed: ms, s, m, h"),
            ("2sec", "has the unit \"sec\"; allowed: ms, s, m, h"),
            ("2S", "has the unit \"S\"; allowed: ms, s, m, h"),
            ("1h30m", "has the unit \"h30m\"; allowed: ms, s, m, h"),
            ("18446744073709551616ms", "is longer than time goes here"),
            ("18446744073709552s", "is longer than time goes here"),
        ] {
            assert_eq!(
                text.parse::<Period>().unwrap_err().to_string(),
                problem,
                "{text}"
            );
        }
    }
}
