//! The machine's services, through systemctl and its kin.

use std::io;
use std::process::{Command, Output};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use super::patience::patience;
use super::steady::{self, Standing, TRIES};
use super::told::Told;
use crate::facts::Unit;

/// What starts and stops services.
pub trait Services {
    /// What is known of a unit; nothing of one that there is not.
    ///
    /// # Errors
    /// When nobody can be asked.
    fn look(&mut self, unit: &str) -> Result<Option<Unit>, ServicesError>;
    /// Makes users, folders, modules and kernel settings as the files say, and has units
    /// read again.
    ///
    /// # Errors
    /// When one of these fails.
    fn settle(&mut self) -> Result<(), ServicesError>;
    /// Has a unit started at boot.
    ///
    /// # Errors
    /// When it is not known.
    fn enable(&mut self, unit: &str) -> Result<(), ServicesError>;
    /// Starts a unit, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    fn start(&mut self, unit: &str) -> Result<(), ServicesError>;
    /// Starts a unit anew, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    fn restart(&mut self, unit: &str) -> Result<(), ServicesError>;
    /// Waits until it is clear that a unit that came up stays up.
    ///
    /// # Errors
    /// When it does not.
    fn stays(&mut self, unit: &str) -> Result<(), ServicesError>;
    /// Ends a unit, and all its tries to come up.
    ///
    /// # Errors
    /// When it does not end.
    fn stop(&mut self, unit: &str) -> Result<(), ServicesError>;
    /// Has a unit no longer started at boot.
    ///
    /// # Errors
    /// When systemd refuses.
    fn disable(&mut self, unit: &str) -> Result<(), ServicesError>;
    /// Has units read again, after some are gone.
    ///
    /// # Errors
    /// When systemd refuses.
    fn reread(&mut self) -> Result<(), ServicesError>;
    /// Has a unit read its files again.
    ///
    /// # Errors
    /// When it refuses them.
    fn reload(&mut self, unit: &str) -> Result<(), ServicesError>;
    /// The last lines that a unit said.
    fn said(&mut self, unit: &str) -> Vec<String>;
}

/// Why the services are not as ordered.
#[derive(Debug, Error)]
pub enum ServicesError {
    /// A program is not there.
    #[error("{program} cannot be run")]
    Run {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A unit does not come up.
    #[error("{unit} is not up: {state}")]
    NotUp {
        /// Which.
        unit: String,
        /// What systemd says of it.
        state: String,
    },
    /// A unit comes up, and does not stay.
    #[error("{unit} starts and dies again and again ({times} times): {state}")]
    Dies {
        /// Which.
        unit: String,
        /// How often systemd has started it again.
        times: u32,
        /// What systemd says of it.
        state: String,
    },
    /// A program failed.
    #[error("{command} failed: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// The last line it said.
        said: String,
    },
}

/// From its start until a unit must have been up for a while.
const STEADY: Duration = Duration::from_secs(120);
/// Between two looks at a unit: systemctl that waits would outlive an agent that is cut off.
const LOOK: Duration = Duration::from_millis(40);

/// systemd.
#[derive(Clone, Debug, Default)]
pub struct Systemd {
    told: Told,
}

impl Services for Systemd {
    fn look(&mut self, unit: &str) -> Result<Option<Unit>, ServicesError> {
        Ok(shown(&properties(unit)?, monotonic()))
    }

    fn settle(&mut self) -> Result<(), ServicesError> {
        run("systemd-sysusers", &[])?;
        // Hosts without a daemon of ours have no file that names this folder.
        run("systemd-tmpfiles", &["--create", "--prefix=/run/sternpost"])?;
        // A module that is built in, or absent, is found out by who needs it.
        let _ = run("systemctl", &["restart", "systemd-modules-load.service"]);
        run(
            "sysctl",
            &["--quiet", "--load", "/etc/sysctl.d/zz-sternpost.conf"],
        )?;
        run("systemctl", &["daemon-reload"])
    }

    fn enable(&mut self, unit: &str) -> Result<(), ServicesError> {
        run("systemctl", &["enable", "--quiet", unit])
    }

    fn start(&mut self, unit: &str) -> Result<(), ServicesError> {
        // One that failed too often would not be tried again by itself.
        let _ = run("systemctl", &["reset-failed", unit]);
        self.told.begin(unit);
        run("systemctl", &["start", "--no-block", unit])?;
        ready(unit)
    }

    fn restart(&mut self, unit: &str) -> Result<(), ServicesError> {
        let _ = run("systemctl", &["reset-failed", unit]);
        self.told.begin(unit);
        run("systemctl", &["restart", "--no-block", unit])?;
        ready(unit)
    }

    fn stays(&mut self, unit: &str) -> Result<(), ServicesError> {
        steady(unit)
    }

    fn stop(&mut self, unit: &str) -> Result<(), ServicesError> {
        run("systemctl", &["stop", unit])?;
        let _ = run("systemctl", &["reset-failed", unit]);
        Ok(())
    }

    fn disable(&mut self, unit: &str) -> Result<(), ServicesError> {
        run("systemctl", &["disable", "--quiet", unit])
    }

    fn reread(&mut self) -> Result<(), ServicesError> {
        run("systemctl", &["daemon-reload"])
    }

    fn reload(&mut self, unit: &str) -> Result<(), ServicesError> {
        run("systemctl", &["reload", unit])
    }

    fn said(&mut self, unit: &str) -> Vec<String> {
        self.told.said(unit)
    }
}

/// Kills a unit's own process, as a crash would; the others follow it by the unit's rules.
pub(super) fn kill(unit: &str) -> Result<(), ServicesError> {
    // The name of the option that every systemd since 205 knows.
    let words = ["kill", "--signal=SIGKILL", "--kill-who=main", "--", unit];
    run("systemctl", &words)
}

/// Waits until a unit is up, with no job of systemd's before it.
fn ready(unit: &str) -> Result<(), ServicesError> {
    let begun = Instant::now();
    loop {
        let text = properties(unit)?;
        match progress(&text) {
            Progress::Up => return Ok(()),
            Progress::Coming if begun.elapsed() < patience(&text) => park_timeout(LOOK),
            Progress::Coming | Progress::Failed => return Err(not_up(unit, &text)),
        }
    }
}

/// Waits until a unit has been up for a while.
fn steady(unit: &str) -> Result<(), ServicesError> {
    let deadline = Instant::now() + STEADY;
    loop {
        let text = properties(unit)?;
        match steady::standing(&text, monotonic()) {
            Standing::Steady => return Ok(()),
            Standing::Young if Instant::now() < deadline => park_timeout(LOOK),
            Standing::Young | Standing::Down | Standing::Dies => {
                return Err(not_up(unit, &text));
            }
        }
    }
}

fn not_up(unit: &str, text: &str) -> ServicesError {
    let (unit, state) = (unit.to_owned(), state_of(text));
    match steady::restarts(text) {
        times if times >= TRIES => ServicesError::Dies { unit, times, state },
        _ => ServicesError::NotUp { unit, state },
    }
}

/// What the times in systemd's properties are counted from.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Duration::from_secs(part(now.tv_sec)) + Duration::from_nanos(part(now.tv_nsec))
}

/// Where a unit is on its way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Up,
    Coming,
    Failed,
}

fn progress(text: &str) -> Progress {
    let waits = value(text, "Job").is_some_and(|job| job != "0" && !job.is_empty());
    match value(text, "ActiveState") {
        Some("active") if !waits => Progress::Up,
        Some("failed") if !waits => Progress::Failed,
        _ if steady::restarts(text) >= TRIES => Progress::Failed,
        // One that ended at once, and one that is started again, are on their way or not.
        _ => Progress::Coming,
    }
}

fn properties(unit: &str) -> Result<String, ServicesError> {
    let asked = "--property=LoadState,UnitFileState,ActiveState,SubState,NRestarts,Job,\
                 Result,Type,ActiveEnterTimestampMonotonic,TimeoutStartUSec";
    let output = Command::new("systemctl")
        .args(["show", asked, unit])
        .output();
    let output = output.map_err(|source| ServicesError::Run {
        program: "systemctl",
        source,
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Reads what `systemctl show` prints. One that dies again and again is not active, whatever
/// it is at the moment.
fn shown(text: &str, now: Duration) -> Option<Unit> {
    if value(text, "LoadState")? == "not-found" {
        return None;
    }
    let active = value(text, "ActiveState")?;
    let flaps = steady::flaps(text, now);
    let state = match flaps {
        true => format!(
            "{}, started again {} times",
            state_of(text),
            steady::restarts(text)
        ),
        false => state_of(text),
    };
    Some(Unit {
        enabled: value(text, "UnitFileState") == Some("enabled"),
        active: matches!(active, "active" | "reloading") && !flaps,
        state,
    })
}

fn state_of(text: &str) -> String {
    let value = |key: &str| value(text, key);
    let active = value("ActiveState").unwrap_or("unknown");
    let state = format!("{active}/{}", value("SubState").unwrap_or_default());
    match value("Result") {
        None | Some("" | "success") => state,
        Some(result) => format!("{state} ({result})"),
    }
}

fn run(program: &'static str, arguments: &[&str]) -> Result<(), ServicesError> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|source| ServicesError::Run { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(ServicesError::Failed {
        command: format!("{program} {}", arguments.join(" ")),
        said: last_line(&output),
    })
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next_back().unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systemctl_prints() {
        let text = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n";
        let now = Duration::from_secs(60);
        let unit = shown(text, now).unwrap();
        assert_eq!(
            unit,
            Unit {
                enabled: true,
                active: true,
                state: "active/running".into()
            }
        );
        let failed =
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=\n";
        let failed = shown(failed, now).unwrap();
        assert!(!failed.enabled && !failed.active);
        let flaps =
            format!("{text}NRestarts=7\nActiveEnterTimestampMonotonic=59000000\n");
        let flaps = shown(&flaps, now).unwrap();
        assert!(!flaps.active);
        assert_eq!(flaps.state, "active/running, started again 7 times");
        let none = "LoadState=not-found\nActiveState=inactive\n";
        assert_eq!(shown(none, now), None);
        assert_eq!(shown("", now), None);
    }

    #[test]
    fn a_unit_is_up_failed_or_on_its_way() {
        for (active, job, restarts, wanted) in [
            ("active", "", 0, Progress::Up),
            ("active", "0", 9, Progress::Up),
            // A restart that has not begun.
            ("active", "77", 0, Progress::Coming),
            ("activating", "77", 0, Progress::Coming),
            ("activating", "", TRIES - 1, Progress::Coming),
            ("activating", "", TRIES, Progress::Failed),
            ("inactive", "77", 0, Progress::Coming),
            ("failed", "", 0, Progress::Failed),
            ("failed", "77", 0, Progress::Coming),
        ] {
            let text = format!("ActiveState={active}\nJob={job}\nNRestarts={restarts}\n");
            assert_eq!(progress(&text), wanted, "{text}");
        }
    }
}
