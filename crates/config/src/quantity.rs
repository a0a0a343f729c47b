//! A whole number and its unit, as files write times and sizes: what both have in common.

use std::fmt;

/// The units of one kind of quantity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Units {
    /// Each with how many of the smallest it is; the largest first, the smallest last.
    pub(crate) names: &'static [(&'static str, u64)],
    /// The one to propose where there is none.
    pub(crate) usual: &'static str,
    /// What to say of a text that is no number with a unit.
    pub(crate) shape: &'static str,
    /// What to say of more than 64 bits of the smallest.
    pub(crate) excess: &'static str,
}

/// Why a text is no quantity of a kind; printed after the text in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    why: Why,
    units: &'static Units,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// A number alone, kept for the hint.
    NoUnit(String),
    /// A number with something that is no unit of the kind.
    Unit(String),
    /// Not a whole number and a unit.
    Shape,
    /// More than 64 bits of the smallest unit.
    Excess,
}

impl Units {
    /// So many of the smallest unit.
    pub(crate) fn read(&'static self, text: &str) -> Result<u64, QuantityError> {
        let refused = |why| QuantityError { why, units: self };
        let end = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        if number.is_empty() || unit.starts_with(['.', ',']) {
            return Err(refused(Why::Shape));
        }
        if unit.is_empty() {
            return Err(refused(Why::NoUnit(number.to_owned())));
        }
        let Some((_, each)) = self.names.iter().find(|(name, _)| *name == unit) else {
            return Err(refused(Why::Unit(unit.to_owned())));
        };
        let count = number.parse::<u64>().ok();
        let total = count.and_then(|count| count.checked_mul(*each));
        total.ok_or_else(|| refused(Why::Excess))
    }

    /// In the largest unit that it is a whole number of.
    pub(crate) fn print(&self, total: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |each: u64| each == 1 || (total != 0 && total.is_multiple_of(each));
        let unit = self.names.iter().find(|(_, each)| whole(*each));
        unit.map_or(Ok(()), |(name, each)| write!(f, "{}{name}", total / each))
    }

    fn allowed(&self) -> String {
        let names: Vec<_> = self.names.iter().rev().map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.units;
        match &self.why {
            Why::NoUnit(number) => {
                write!(f, "has no unit; write \"{number}{}\"", units.usual)
            }
            Why::Unit(unit) => {
                write!(f, "has the unit \"{unit}\"; allowed: {}", units.allowed())
            }
            Why::Shape => f.write_str(units.shape),
            Why::Excess => f.write_str(units.excess),
        }
    }
}

impl std::error::Error for QuantityError {}
