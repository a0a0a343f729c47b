//! Takes errors and warnings together while a file is converted.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::{Error, Errors, KeyPath, Period, Source};

/// Whether the files that hold secrets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// They are.
    Read,
    /// They are the daemon's own: what stands in for them is never used.
    Spare,
}

/// What every part of the conversion reports to. A method that refuses returns `None`, so
/// that the conversion goes on to the next key.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) errors: Errors,
    pub(super) warnings: Vec<String>,
    /// Whether secrets are read.
    pub(super) secrets: Secrets,
    /// Where scripts are run, if they may be.
    pub(super) scripts: Option<PathBuf>,
}

impl Reader<'_> {
    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        number: Option<i64>,
        allowed: RangeInclusive<i64>,
        default: i64,
        at: &KeyPath,
    ) -> Option<T> {
        let number = number.unwrap_or(default);
        if !allowed.contains(&number) {
            let (low, high) = (allowed.start(), allowed.end());
            return self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        T::try_from(number).ok()
    }

    pub(super) fn period(
        &mut self,
        period: Option<Period>,
        default: Duration,
        allowed: RangeInclusive<Duration>,
        at: &KeyPath,
    ) -> Option<Duration> {
        let period = period.map_or(default, |period| period.0);
        if !allowed.contains(&period) {
            let (low, high) = (Period(*allowed.start()), Period(*allowed.end()));
            return self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        Some(period)
    }

    pub(super) fn try_at<T, E: Display>(
        &mut self,
        at: &KeyPath,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => self.refuse(at, error),
        }
    }

    pub(super) fn refuse<T>(&mut self, at: &KeyPath, problem: impl Display) -> Option<T> {
        let error: Error = self.source.error(at, problem.to_string());
        self.errors.push(error);
        None
    }

    pub(super) fn warn(&mut self, at: &KeyPath, problem: impl Display) {
        self.warnings
            .push(self.source.error(at, problem.to_string()).to_string());
    }
}
