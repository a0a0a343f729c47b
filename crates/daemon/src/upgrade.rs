//! What daemons that replace themselves in place share: which program it would be, and a
//! trial of it while the old one goes on.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Why the old program goes on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Where the program lies cannot be said.
    #[error("cannot tell where the program lies")]
    Where(#[source] io::Error),
    /// It does not run.
    #[error("{0} does not run; the old program goes on")]
    Run(PathBuf, #[source] io::Error),
    /// It refuses the configuration, or what it was to take over.
    #[error("{program} refuses, the old program goes on:\n{said}")]
    Refuses {
        /// The new program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// It did not answer.
    #[error("{0} did not answer within {limit} s; the old program goes on", limit = .1.as_secs())]
    Silent(PathBuf, Duration),
}

/// The path that the process was started with, which an update has put a new file at.
///
/// # Errors
/// When the kernel does not tell.
pub fn program() -> Result<PathBuf, UpgradeError> {
    let first = env::args_os().next().map(PathBuf::from);
    if let Some(path) = first.filter(|path| path.is_absolute()) {
        return Ok(path);
    }
    let path: OsString = env::current_exe().map_err(UpgradeError::Where)?.into();
    // The kernel's word for a file that was replaced.
    let text = path.to_string_lossy();
    Ok(PathBuf::from(text.trim_end_matches(" (deleted)")))
}

/// Runs the program with these arguments to its end, within `limit`. What it says on standard
/// output when all is well.
///
/// # Errors
/// It does not run, says that it will not do, or says nothing in time; then it is ended.
pub async fn trial(
    program: &Path,
    arguments: &[&OsStr],
    input: Stdio,
    limit: Duration,
) -> Result<String, UpgradeError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(input).kill_on_drop(true);
    match timeout(limit, command.output()).await {
        Err(_) => Err(UpgradeError::Silent(program.to_owned(), limit)),
        Ok(Err(error)) => Err(UpgradeError::Run(program.to_owned(), error)),
        Ok(Ok(output)) => {
            let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
            if output.status.success() {
                return Ok(text(&output.stdout));
            }
            let said = match text(&output.stderr) {
                nothing if nothing.is_empty() => output.status.to_string(),
                said => said,
            };
            Err(UpgradeError::Refuses {
                program: program.to_owned(),
                said,
            })
        }
    }
}

/// How long something may take. There is one process while it is replaced, and nobody beside
/// it who could look at a clock.
#[derive(Debug)]
pub struct Limit {
    /// Lets the thread go that waits, when it is dropped.
    _over: SyncSender<()>,
}

impl Limit {
    /// Does this on a thread of its own when the time is over, unless it is dropped before.
    ///
    /// # Errors
    /// There is no further thread.
    pub fn of(time: Duration, act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (limit, over) = sync_channel(0);
        thread::Builder::new()
            .name("custody".to_owned())
            .spawn(move || {
                if over.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    act();
                }
            })?;
        Ok(Self { _over: limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    async fn shell(script: &str, limit: Duration) -> Result<String, UpgradeError> {
        let arguments = ["-c".as_ref(), script.as_ref()];
        trial(Path::new("/bin/sh"), &arguments, Stdio::null(), limit).await
    }

    #[tokio::test]
    async fn every_way_a_trial_ends() {
        assert_eq!(shell("echo 1.2.3", LONG).await.unwrap(), "1.2.3");
        for (script, expected) in
            [("echo no >&2; exit 1", "no"), ("exit 7", "exit status: 7")]
        {
            match shell(script, LONG).await {
                Err(UpgradeError::Refuses { said, .. }) => assert_eq!(said, expected),
                other => panic!("{other:?}"),
            }
        }
        let silent = shell("exec sleep 60", Duration::from_millis(50)).await;
        assert!(
            matches!(silent, Err(UpgradeError::Silent(..))),
            "{silent:?}"
        );
        let none = Path::new("/no/such/program");
        let none = trial(none, &[], Stdio::null(), LONG).await;
        assert!(matches!(none, Err(UpgradeError::Run(..))), "{none:?}");
    }

    #[test]
    fn what_is_late_is_acted_upon_and_what_is_over_is_not() {
        let acts = |limit| {
            let (tell, told) = sync_channel(1);
            let act = move || tell.send(()).unwrap();
            (Limit::of(limit, act).unwrap(), told)
        };
        let (late, told) = acts(Duration::ZERO);
        told.recv().unwrap();
        drop(late);
        let (over, told) = acts(Duration::MAX);
        drop(over);
        // The thread has ended without a word.
        told.recv().unwrap_err();
    }
}
