//! What a unit has said since it was last told to start: systemd's journal, read.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::SystemTime;

/// Lines of a unit's journal that are looked through after a failure: a program that panics says
/// where it was in dozens of them, behind the one that says why.
const LINES: &str = "100";

/// When each unit was last told to start: what it said before speaks of another try.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(BTreeMap<String, SystemTime>);

impl Told {
    /// Notes that a unit is told to start.
    pub(super) fn begin(&mut self, unit: &str) {
        self.0.insert(unit.to_owned(), SystemTime::now());
    }

    /// The last lines that a unit has said since.
    pub(super) fn said(&self, unit: &str) -> Vec<String> {
        // Backwards: with --since it counts lines from there on otherwise, not from the end.
        let mut journalctl = Command::new("journalctl");
        journalctl.args(["--no-pager", "--output=cat", "--reverse"]);
        journalctl.args(["--lines", LINES, "--unit", unit]);
        journalctl.args(self.0.get(unit).and_then(|told| since(*told)));
        let Ok(output) = journalctl.output() else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().rev().map(str::to_owned).collect()
    }
}

/// From when on journalctl shows what was said: seconds as in systemd.time(7).
fn since(told: SystemTime) -> Option<String> {
    let since = told.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(format!(
        "--since=@{}.{:06}",
        since.as_secs(),
        since.subsec_micros()
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_journal_is_read_from_the_last_try_on() {
        let told = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 7_000_900);
        assert_eq!(since(told).unwrap(), "--since=@1700000000.007000");
        assert_eq!(since(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
