//! `vip-daemon upgrade`: the program is replaced in place, by exec(2), without an election.
//!
//! The process keeps its pid and its rights; the addresses stay on the interface, carried
//! by their kernel lifetime. The new program is told through an environment variable which
//! routers were Active, and makes them so at once: its first advert follows the last one of
//! the old program within some ten milliseconds, far inside the peers' down interval.
//!
//! Before anything is given up, the new program has to read the configuration: one that
//! does not run, or refuses it, leaves the old one running.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use daemon::notify;
use rustix::process::{Pid, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use vrrp::State;

use crate::fleet::Fleet;

/// Where the new program finds what was.
const VARIABLE: &str = "VIP_DAEMON_RESUME";

/// How long the new program may take to read the configuration.
const CHECK: Duration = Duration::from_secs(10);

/// What the new program goes on with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    routers: BTreeMap<String, Was>,
    /// The guard of the program before, a child of this process.
    guard: Option<u32>,
}

/// How a router stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Was {
    /// It held its addresses.
    pub active: bool,
    /// It was told to stay out.
    pub released: bool,
    /// What it advertised with.
    pub priority: u8,
}

impl Resume {
    /// What the program before left, if this one follows another. What cannot be read is
    /// as if there were nothing: then there is an election.
    #[must_use]
    pub fn taken() -> Self {
        let text = env::var(VARIABLE).unwrap_or_default();
        let resume: Self = serde_json::from_str(&text).unwrap_or_default();
        if let Some(guard) = resume.guard {
            tokio::spawn(reap(guard));
        }
        resume
    }

    /// How this router stood.
    #[must_use]
    pub fn of(&self, router: &str) -> Option<Was> {
        self.routers.get(router).copied()
    }

    fn now(fleet: &Fleet) -> Self {
        let was = fleet.members().into_iter().map(|member| {
            let record = member.record.borrow();
            let was = Was {
                active: record.state == State::Active,
                released: member.tracker.released(),
                priority: record.priority.get(),
            };
            (member.router.name.clone(), was)
        });
        Self {
            routers: was.collect(),
            guard: fleet.guard().pid,
        }
    }
}

/// The guard of the program before ends when its socket is closed and nothing is left to
/// remove, within a lifetime; it is ours to bury.
async fn reap(guard: u32) {
    const LOOK: Duration = Duration::from_millis(250);
    let Some(pid) = i32::try_from(guard).ok().and_then(Pid::from_raw) else {
        return;
    };
    while let Ok(None) = waitpid(Some(pid), WaitOptions::NOHANG) {
        sleep(LOOK).await;
    }
}

/// Why the old program goes on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Where the program lies cannot be said.
    #[error("cannot tell where the program lies")]
    Where(#[source] io::Error),
    /// It does not run.
    #[error("{0} does not run; the old program goes on")]
    Run(PathBuf, #[source] io::Error),
    /// It refuses the configuration.
    #[error("{program} refuses the configuration, the old program goes on:\n{said}")]
    Refuses {
        /// The new program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// It did not answer.
    #[error("{0} did not answer within {limit} s; the old program goes on", limit = CHECK.as_secs())]
    Silent(PathBuf),
}

/// Replaces the program that runs by the one that lies where it was started from. Returns
/// only when that failed.
pub async fn upgrade(fleet: &Fleet, config: &Path) -> UpgradeError {
    let program = match program() {
        Ok(program) => program,
        Err(error) => return UpgradeError::Where(error),
    };
    if let Err(error) = check(&program, config).await {
        return error;
    }
    let resume = serde_json::to_string(&Resume::now(fleet)).unwrap_or_default();
    tracing::info!(program = %program.display(), "upgrading in place");
    notify::reloading();
    let error = Command::new(&program)
        .args(env::args_os().skip(1))
        .env(VARIABLE, resume)
        .exec();
    notify::ready();
    UpgradeError::Run(program, error)
}

/// The path that the process was started with, which an update has put a new file at.
fn program() -> io::Result<PathBuf> {
    let first = env::args_os().next().map(PathBuf::from);
    if let Some(path) = first.filter(|path| path.is_absolute()) {
        return Ok(path);
    }
    let path: OsString = env::current_exe()?.into();
    // The kernel's word for a file that was replaced.
    let text = path.to_string_lossy();
    Ok(PathBuf::from(text.trim_end_matches(" (deleted)")))
}

async fn check(program: &Path, config: &Path) -> Result<(), UpgradeError> {
    let mut check = tokio::process::Command::new(program);
    check
        .args(["check", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match timeout(CHECK, check.output()).await {
        Err(_) => Err(UpgradeError::Silent(program.to_owned())),
        Ok(Err(error)) => Err(UpgradeError::Run(program.to_owned(), error)),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(UpgradeError::Refuses {
            program: program.to_owned(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_is_read_as_it_was_written() {
        let was = Was {
            active: true,
            released: false,
            priority: 80,
        };
        let resume = Resume {
            routers: BTreeMap::from([("api".to_owned(), was)]),
            guard: Some(7),
        };
        let text = serde_json::to_string(&resume).unwrap();
        let read: Resume = serde_json::from_str(&text).unwrap();
        assert_eq!(read, resume);
        assert_eq!((read.of("api"), read.of("web")), (Some(was), None));
    }

    #[tokio::test]
    async fn a_program_that_does_not_do_leaves_the_old_one() {
        let config = Path::new("/no/such/file.yaml");
        let error = check(Path::new("/no/such/program"), config).await;
        assert!(matches!(error, Err(UpgradeError::Run(..))));
        let error = check(Path::new("/bin/false"), config).await;
        assert!(matches!(error, Err(UpgradeError::Refuses { .. })));
    }
}
