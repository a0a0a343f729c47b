//! Amounts of memory as files write them: `512B`, `64KiB`, `1MiB`, `2GiB`.

use crate::quantity::{QuantityError, Units};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// An amount of bytes, written as a whole number and its unit: `64KiB`, `1MiB`.
///
/// Powers of 1024 only: `64KB` would be 64,000 to one reader and 65,536 to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

static UNITS: Units = Units {
    names: &[
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("B", 1),
    ],
    usual: "KiB",
    shape: "is not a size; write it like \"64KiB\" or \"1MiB\"",
    excess: "is more than any machine has",
};

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        UNITS.read(text).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UNITS.print(self.0, f)
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
