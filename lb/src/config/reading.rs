//! What every conversion from text to meaning uses: where things stand, ranges, names, and what
//! was found to be wrong.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use config::{Errors, KeyPath, Period, Source};

use super::file::Limit;

const MAX_NAME: usize = 64;

/// One conversion: where things stand, and what was found.
pub(super) struct Reading<'a> {
    pub(super) source: &'a Source,
    pub(super) errors: Errors,
    pub(super) warnings: Vec<String>,
}

impl Reading<'_> {
    /// Notes what is wrong at a key; the value there is quoted before `problem`.
    pub(super) fn refuse(&mut self, at: &KeyPath, problem: impl Into<String>) {
        self.errors.push(self.source.error(at, problem));
    }

    pub(super) fn warn(&mut self, at: &KeyPath, sentence: &str) {
        let line = self.source.line(at);
        self.warnings.push(format!("line {line}: {at}: {sentence}"));
    }

    pub(super) fn one_of(
        &mut self,
        at: &KeyPath,
        names: &[&'static str],
    ) -> Option<&'static str> {
        let found = self.source.one_of(at, names);
        self.errors.keep(found)
    }

    pub(super) fn time(
        &mut self,
        at: &KeyPath,
        written: Option<Period>,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let time = written?.0;
        if !allowed.contains(&time) {
            let (low, high) = (Period(*allowed.start()), Period(*allowed.end()));
            self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        Some(time)
    }

    pub(super) fn number(
        &mut self,
        at: &KeyPath,
        written: Option<u32>,
        allowed: RangeInclusive<u32>,
    ) -> Option<u32> {
        let number = written?;
        if !allowed.contains(&number) {
            let (low, high) = allowed.into_inner();
            self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        Some(number)
    }

    pub(super) fn count(
        &mut self,
        at: &KeyPath,
        written: Option<u32>,
    ) -> Option<NonZeroU32> {
        self.number(at, written, 1..=100).and_then(NonZeroU32::new)
    }

    pub(super) fn limit(
        &mut self,
        at: &KeyPath,
        written: Option<Limit>,
        allowed: RangeInclusive<Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        match written {
            None => default,
            Some(Limit::Off) => None,
            Some(Limit::After(period)) => self.time(at, Some(period), allowed),
        }
    }

    pub(super) fn some(&mut self, at: &KeyPath, len: usize, what: &str) {
        if len == 0 {
            self.refuse(at, format!("is empty; write at least {what}"));
        }
    }

    pub(super) fn names<'n>(
        &mut self,
        list: &KeyPath,
        names: impl Iterator<Item = &'n str>,
    ) {
        let mut seen: Vec<&str> = Vec::new();
        for (i, name) in names.enumerate() {
            let at = list.index(i).key("name");
            if !is_name(name) {
                self.refuse(&at, "is not a name; allowed: 1 to 64 of a-z A-Z 0-9 - _ .");
            } else if seen.contains(&name) {
                self.refuse(&at, format!("stands twice in {list}; names are unique"));
            }
            seen.push(name);
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(fits)
}
