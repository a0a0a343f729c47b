//! Whether a unit that came up stays up. Of a program that does not say when it is ready,
//! systemd's `active` means no more than that it was started: it may die of its configuration a
//! moment later, be started again, and die again, and look well in between.

use std::time::Duration;

use super::systemd::value;

/// A program that has run for so long does not die of what it reads as it starts.
const STEADY: Duration = Duration::from_secs(3);
/// A unit that systemd had to start so often will not come up by itself.
pub(super) const TRIES: u32 = 5;
/// Kinds of services that are active only once they have said so, or are done.
const TOLD: [&str; 5] = ["notify", "notify-reload", "oneshot", "forking", "dbus"];

/// How a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is up, and has been for long enough.
    Steady,
    /// It is up since a moment, or on its way up again.
    Young,
    /// It was started again too many times.
    Dies,
    /// It is down, and stays so.
    Down,
}

/// How a unit stands, by what `systemctl show` prints; `now` is what the kernel's monotonic
/// clock says.
pub(super) fn standing(text: &str, now: Duration) -> Standing {
    let waits = value(text, "Job").is_some_and(|job| job != "0" && !job.is_empty());
    match value(text, "ActiveState") {
        Some("active") if !waits && is_old(text, now) => Standing::Steady,
        Some("failed" | "inactive") if !waits => Standing::Down,
        _ if restarts(text) >= TRIES => Standing::Dies,
        // One that ended is started again after a pause, in which it is "activating".
        _ => Standing::Young,
    }
}

/// How often systemd has started it again by itself.
pub(super) fn restarts(text: &str) -> u32 {
    let again = value(text, "NRestarts").and_then(|again| again.parse().ok());
    again.unwrap_or(0)
}

/// Whether it was started again, and has not been up for long since.
pub(super) fn flaps(text: &str, now: Duration) -> bool {
    restarts(text) > 0 && standing(text, now) != Standing::Steady
}

fn is_old(text: &str, now: Duration) -> bool {
    let told = value(text, "Type").is_some_and(|kind| TOLD.contains(&kind));
    let since = value(text, "ActiveEnterTimestampMonotonic");
    let since = since.and_then(|micros| micros.parse().ok());
    let age = since.map(|since| now.saturating_sub(Duration::from_micros(since)));
    (told && restarts(text) == 0) || age.is_some_and(|age| age >= STEADY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Duration = Duration::from_secs(100);

    fn text(kind: &str, active: &str, job: &str, again: u32) -> String {
        format!(
            "Type={kind}\nActiveState={active}\nJob={job}\nNRestarts={again}\n\
             ActiveEnterTimestampMonotonic={}\n",
            SINCE.as_micros()
        )
    }

    #[test]
    fn a_unit_is_steady_when_it_has_run_for_a_while() {
        let almost = STEADY - Duration::from_millis(1);
        for (kind, active, job, again, age, wanted) in [
            ("simple", "active", "", 0, almost, Standing::Young),
            ("simple", "active", "", 0, STEADY, Standing::Steady),
            ("simple", "active", "0", 9, STEADY, Standing::Steady),
            // A restart that has not begun.
            ("simple", "active", "77", 0, STEADY, Standing::Young),
            ("simple", "active", "", TRIES - 1, almost, Standing::Young),
            ("simple", "active", "", TRIES, almost, Standing::Dies),
            (
                "simple",
                "activating",
                "",
                TRIES - 1,
                STEADY,
                Standing::Young,
            ),
            ("simple", "activating", "", TRIES, STEADY, Standing::Dies),
            ("simple", "failed", "", 0, STEADY, Standing::Down),
            ("simple", "inactive", "", 0, STEADY, Standing::Down),
            ("simple", "inactive", "77", 0, STEADY, Standing::Young),
            // What says by itself that it is ready, is.
            ("notify", "active", "", 0, Duration::ZERO, Standing::Steady),
            ("notify", "active", "", 1, Duration::ZERO, Standing::Young),
            ("forking", "active", "", 0, Duration::ZERO, Standing::Steady),
        ] {
            let text = text(kind, active, job, again);
            assert_eq!(standing(&text, SINCE + age), wanted, "{text} {age:?}");
        }
        let unknown = "ActiveState=active\nType=simple\n";
        assert_eq!(standing(unknown, SINCE), Standing::Young);
    }

    #[test]
    fn only_what_was_started_again_of_late_flaps() {
        for (active, again, age, wanted) in [
            ("active", 0, Duration::ZERO, false),
            ("active", 1, Duration::ZERO, true),
            ("active", 1, STEADY, false),
            ("activating", 1, STEADY, true),
        ] {
            let text = text("simple", active, "", again);
            assert_eq!(flaps(&text, SINCE + age), wanted, "{text}");
        }
    }
}
