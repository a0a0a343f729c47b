//! Runs of `sternpost`: under way, and how they ended.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How a run of `sternpost` ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub printed: String,
    /// Its standard error.
    pub said: String,
    /// From its start to its end.
    pub took: Duration,
}

/// A run that is under way; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    operator: Pid,
    begun: Instant,
    /// Until it is waited for.
    output: Option<JoinHandle<io::Result<Output>>>,
}

impl Run {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn whole(mut command: Command) -> Result<Self, Failed> {
        let begun = Instant::now();
        let output = command.output()?;
        Ok(Self::of(&output, begun.elapsed()))
    }

    /// Runs a command to its end; `seen` is given every line of its standard error, and its
    /// process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn watched(
        mut command: Command,
        mut seen: impl FnMut(&str, Pid),
    ) -> Result<Self, Failed> {
        let begun = Instant::now();
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let lines = child.stderr.take().ok_or("no pipe")?;
        let mut said = String::new();
        for line in BufReader::new(lines).lines() {
            let line = line?;
            seen(&line, pid);
            said.push_str(&line);
            said.push('\n');
        }
        let output = child.wait_with_output()?;
        Ok(Self {
            said,
            ..Self::of(&output, begun.elapsed())
        })
    }

    fn of(output: &Output, took: Duration) -> Self {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Self {
            code: output.status.code(),
            printed: text(&output.stdout),
            said: text(&output.stderr),
            took,
        }
    }

    /// The run when it ended with `code`; all it said otherwise.
    ///
    /// # Errors
    /// When it ended otherwise.
    pub fn ended(self, code: i32) -> Result<Self, Failed> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let Self {
            code: got,
            printed,
            said,
            ..
        } = self;
        Err(format!("ended with {got:?}, not {code}:\n{said}\n{printed}").into())
    }
}

impl Running {
    pub(super) fn start(mut command: Command) -> Result<Self, Failed> {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let child = command.spawn()?;
        Ok(Self {
            operator: Pid::from_raw(i32::try_from(child.id())?),
            begun,
            output: Some(thread::spawn(move || child.wait_with_output())),
        })
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.output.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Sends a signal to the operator's process, if it has not ended.
    pub fn signal(&self, signal: Signal) {
        if !self.is_over() {
            // It may end at this moment, which is as good.
            let _ = kill(self.operator, signal);
        }
    }

    /// Its end.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn end(mut self) -> Result<Run, Failed> {
        let output = self.output.take().ok_or("it was waited for")?;
        let output = output.join().map_err(|_| "nobody waits for it")??;
        Ok(Run::of(&output, self.begun.elapsed()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
