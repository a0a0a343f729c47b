//! Spans of time as files write them: `100ms`, `2s`, `5m`, `1h`.

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

/// Why a text is not a [`Period`]; printed after the text in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeriodError {
    /// A number alone, kept for the hint.
    NoUnit(String),
    /// A number with something that is no unit of time.
    Unit(String),
    /// Not a whole number and a unit.
    Shape,
    /// More than 64 bits of milliseconds.
    TooLong,
}

impl fmt::Display for PeriodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUnit(number) => write!(f, "has no unit; write \"{number}s\""),
            Self::Unit(unit) => {
                write!(f, "has the unit \"{unit}\"; allowed: ms, s, m, h")
            }
            Self::Shape => {
                write!(
                    f,
                    "is not a time; write it like \"100ms\", \"2s\", \"5m\" or \"1h\""
                )
            }
            Self::TooLong => write!(f, "is longer than time goes here"),
        }
    }
}

impl std::error::Error for PeriodError {}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        if number.is_empty() || unit.starts_with(['.', ',']) {
            return Err(PeriodError::Shape);
        }
        let per_unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" => return Err(PeriodError::NoUnit(number.to_owned())),
            other => return Err(PeriodError::Unit(other.to_owned())),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(per_unit))
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or(PeriodError::TooLong)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, per_unit) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if millis != 0 && millis.is_multiple_of(per_unit) {
                return write!(f, "{}{unit}", millis / per_unit);
            }
        }
        write!(f, "{millis}ms")
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
