//! How long the machine kept programs waiting for a core: the kernel's own count of a thread
//! that could run and did not (the second number of `/proc/PID/task/TID/schedstat`). A program
//! that is late by itself, asleep or waiting for something else, does not show here.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use nix::unistd::Pid;

/// What the threads of a process had waited at some moment, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waited(BTreeMap<u32, Duration>);

impl Waited {
    /// Up to now. Nothing of a process that is gone, and where the kernel does not count.
    #[must_use]
    pub fn of(process: Pid) -> Self {
        Self::of_all([process])
    }

    /// The same of several.
    #[must_use]
    pub fn of_all(processes: impl IntoIterator<Item = Pid>) -> Self {
        let threads = processes
            .into_iter()
            .filter_map(|process| fs::read_dir(format!("/proc/{process}/task")).ok());
        let threads = threads.flatten().flatten();
        let waited = threads.filter_map(|thread| {
            let number = thread.file_name().to_str()?.parse().ok()?;
            let said = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            Some((number, delay(&said)?))
        });
        Self(waited.collect())
    }

    /// The longest that one of its threads has waited since `before`; what a thread that was
    /// not there then has waited counts in full.
    #[must_use]
    pub fn since(&self, before: &Self) -> Duration {
        let waits = self.0.iter().map(|(thread, waited)| {
            let then = before.0.get(thread).copied().unwrap_or_default();
            waited.saturating_sub(then)
        });
        waits.max().unwrap_or_default()
    }
}

/// Nanoseconds on a queue, between those on a core and the number of turns.
fn delay(schedstat: &str) -> Option<Duration> {
    let waited = schedstat.split_whitespace().nth(1)?;
    waited.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited(rows: &[(u32, u64)]) -> Waited {
        let rows = rows.iter();
        Waited(
            rows.map(|(thread, ms)| (*thread, Duration::from_millis(*ms)))
                .collect(),
        )
    }

    #[test]
    fn the_thread_that_waited_longest_counts() {
        let before = waited(&[(1, 10), (2, 100)]);
        let after = waited(&[(1, 17), (2, 103), (3, 5)]);
        assert_eq!(after.since(&before), Duration::from_millis(7));
        assert_eq!(after.since(&Waited::default()), Duration::from_millis(103));
        assert_eq!(Waited::default().since(&before), Duration::ZERO);
    }

    #[test]
    fn the_second_number_is_the_wait() {
        assert_eq!(delay("171673 20 1\n"), Some(Duration::from_nanos(20)));
        assert_eq!(delay("171673"), None);
    }

    #[test]
    fn a_process_that_is_gone_has_waited_for_nothing() {
        assert_eq!(Waited::of(Pid::from_raw(i32::MAX)), Waited::default());
    }
}
