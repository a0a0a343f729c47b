//! The machine's services, through systemctl and its kin.

use std::io;
use std::process::{Command, Output};

use thiserror::Error;

use crate::facts::Unit;

/// Lines of a unit's journal that are shown with a failure.
const LINES: &str = "20";

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
    /// A program failed.
    #[error("{command} failed: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// The last line it said.
        said: String,
    },
}

/// systemd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Systemd;

impl Services for Systemd {
    fn look(&mut self, unit: &str) -> Result<Option<Unit>, ServicesError> {
        let output = Command::new("systemctl")
            .args([
                "show",
                "--property=LoadState,UnitFileState,ActiveState,SubState",
                unit,
            ])
            .output()
            .map_err(|source| ServicesError::Run {
                program: "systemctl",
                source,
            })?;
        Ok(shown(&String::from_utf8_lossy(&output.stdout)))
    }

    fn settle(&mut self) -> Result<(), ServicesError> {
        run("systemd-sysusers", &[])?;
        run(
            "systemd-tmpfiles",
            &["--create", "/etc/tmpfiles.d/sternpost.conf"],
        )?;
        // A module that is built in, or absent, is found out by who needs it.
        let _ = run("systemctl", &["restart", "systemd-modules-load.service"]);
        run(
            "sysctl",
            &["--quiet", "--load", "/etc/sysctl.d/90-sternpost.conf"],
        )?;
        run("systemctl", &["daemon-reload"])
    }

    fn enable(&mut self, unit: &str) -> Result<(), ServicesError> {
        run("systemctl", &["enable", "--quiet", unit])
    }

    fn start(&mut self, unit: &str) -> Result<(), ServicesError> {
        // One that failed too often would not be tried again by itself.
        let _ = run("systemctl", &["reset-failed", unit]);
        run("systemctl", &["start", unit])
    }

    fn restart(&mut self, unit: &str) -> Result<(), ServicesError> {
        run("systemctl", &["restart", unit])
    }

    fn reload(&mut self, unit: &str) -> Result<(), ServicesError> {
        run("systemctl", &["reload", unit])
    }

    fn said(&mut self, unit: &str) -> Vec<String> {
        let arguments = [
            "--no-pager",
            "--output=cat",
            "--lines",
            LINES,
            "--unit",
            unit,
        ];
        let Ok(output) = Command::new("journalctl").args(arguments).output() else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(str::to_owned).collect()
    }
}

/// Reads what `systemctl show` prints.
fn shown(text: &str) -> Option<Unit> {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    if value("LoadState")? == "not-found" {
        return None;
    }
    let active = value("ActiveState")?;
    Some(Unit {
        enabled: value("UnitFileState") == Some("enabled"),
        active: matches!(active, "active" | "reloading"),
        state: format!("{active}/{}", value("SubState").unwrap_or_default()),
    })
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
        let unit = shown(text).unwrap();
        assert_eq!(
            unit,
            Unit {
                enabled: true,
                active: true,
                state: "active/running".into()
            }
        );
        let failed = shown(
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=\n",
        );
        let failed = failed.unwrap();
        assert!(!failed.enabled && !failed.active);
        assert_eq!(shown("LoadState=not-found\nActiveState=inactive\n"), None);
        assert_eq!(shown(""), None);
    }
}
