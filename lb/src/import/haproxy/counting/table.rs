//! A `stick-table` line.

use std::time::Duration;

use super::super::Section;
use super::condition::Word;
use crate::import::times::{Bare, time};

/// What ours counts over.
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// What `sources.table` may say.
const SIZES: std::ops::RangeInclusive<u32> = 16..=1_048_576;

/// What a table has one entry for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Each address.
    Address,
    /// Something else.
    Other,
}

/// A table of a section, which has one at most.
#[derive(Debug)]
pub(super) struct Table {
    /// That of its section.
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) key: Key,
    /// How many entries it has, within what may be written.
    pub(super) size: Option<u32>,
    has_connections: bool,
    rate: Option<Duration>,
}

impl Table {
    /// The table of a section, if it has one.
    pub(super) fn of(section: &Section) -> Option<Self> {
        let is_table = |words: &Vec<&str>| words.first() == Some(&"stick-table");
        let mut lines = section.lines.iter().map(|line| (line.number, line.words()));
        let (line, words) = lines.find(|(_, words)| is_table(words))?;
        let after = |key: &str| {
            let at = words.iter().position(|word| *word == key)?;
            words.get(at + 1).copied()
        };
        let stored = words.windows(2).filter_map(|pair| match pair {
            ["store", stored] => Some(stored.split(',')),
            _ => None,
        });
        let stored: Vec<&str> = stored.flatten().collect();
        let period = |stored: &&str| {
            let period = stored.strip_prefix("conn_rate(")?.strip_suffix(')')?;
            time(period, Bare::Milliseconds)
        };
        Some(Self {
            name: section.name.clone(),
            line,
            key: match after("type") {
                Some("ip" | "ipv6") => Key::Address,
                Some(_) | None => Key::Other,
            },
            size: after("size")
                .and_then(size)
                .map(|size| size.clamp(*SIZES.start(), *SIZES.end())),
            has_connections: stored.contains(&"conn_cur"),
            rate: stored.iter().find_map(period),
        })
    }

    /// Whether it counts this.
    pub(super) const fn stores(&self, word: Word) -> bool {
        match word {
            Word::Connections => self.has_connections,
            Word::Rate => self.rate.is_some(),
        }
    }

    /// What its rate is counted over.
    pub(super) const fn period(&self) -> Option<Duration> {
        self.rate
    }
}

/// A number with `k`, `m` or `g` behind it, each 1,024 of the one before.
fn size(text: &str) -> Option<u32> {
    let number = text.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G']);
    let factor: u64 = match text.get(number.len()..)? {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    let size = number.parse::<u64>().ok()?.checked_mul(factor)?;
    Some(u32::try_from(size).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("500", Some(500)),
            ("1k", Some(1024)),
            ("1M", Some(1 << 20)),
            ("9g", Some(u32::MAX)),
            ("1kk", None),
            ("k", None),
            ("", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
