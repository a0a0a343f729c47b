//! Amounts of memory as files write them: `512B`, `64KiB`, `1MiB`, `2GiB`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// An amount of bytes, written as a whole number and its unit: `64KiB`, `1MiB`.
///
/// Powers of 1024 only: `64KB` would be 64,000 to one reader and 65,536 to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// Why a text is not a [`Size`]; printed after the text in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SizeError {
    /// A number alone, kept for the hint.
    NoUnit(String),
    /// A number with something that is no unit of memory.
    Unit(String),
    /// Not a whole number and a unit.
    Shape,
    /// More than 64 bits of bytes.
    TooLarge,
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUnit(number) => write!(f, "has no unit; write \"{number}KiB\""),
            Self::Unit(unit) => {
                write!(f, "has the unit \"{unit}\"; allowed: B, KiB, MiB, GiB")
            }
            Self::Shape => {
                write!(f, "is not a size; write it like \"64KiB\" or \"1MiB\"")
            }
            Self::TooLarge => write!(f, "is more than any machine has"),
        }
    }
}

impl std::error::Error for SizeError {}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        if number.is_empty() || unit.starts_with(['.', ',']) {
            return Err(SizeError::Shape);
        }
        let per_unit = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "" => return Err(SizeError::NoUnit(number.to_owned())),
            other => return Err(SizeError::Unit(other.to_owned())),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(per_unit))
            .map(Self)
            .ok_or(SizeError::TooLarge)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, per_unit) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 != 0 && self.0.is_multiple_of(per_unit) {
                return write!(f, "{}{unit}", self.0 / per_unit);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, bytes, printed) in [
            ("0B", 0, "0B"),
            ("1023B", 1_023, "1023B"),
            ("1024B", 1_024, "1KiB"),
            ("64KiB", 65_536, "64KiB"),
            ("1MiB", 1 << 20, "1MiB"),
            ("2GiB", 2 << 30, "2GiB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), printed);
            assert_eq!(printed.parse(), Ok(size));
        }
    }

    #[test]
    fn refuses_with_the_way_out() {
        for (text, problem) in [
            ("64", "has no unit; write \"64KiB\""),
            ("64KB", "has the unit \"KB\"; allowed: B, KiB, MiB, GiB"),
            (
                "1.5MiB",
                "is not a size; write it like \"64KiB\" or \"1MiB\"",
            ),
            ("KiB", "is not a size; write it like \"64KiB\" or \"1MiB\""),
            ("17179869184GiB", "is more than any machine has"),
        ] {
            assert_eq!(
                text.parse::<Size>().unwrap_err().to_string(),
                problem,
                "{text}"
            );
        }
    }
}
