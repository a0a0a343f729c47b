//! An agent as a process of its own, at the end of two pipes. It ends with its value.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use libtest_mimic::Failed;
use sternpost::agent::{Answer, Order};
use sternpost::apply::{Transport, TransportError};

pub(crate) struct Process {
    pub(crate) child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a command that becomes an agent.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failed> {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.stderr(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self {
            child,
            orders,
            answers,
        })
    }

    /// Gives no more orders; what it says at its end when that is no good one.
    pub(crate) fn ended(mut self) -> Result<(), Failed> {
        drop(self.orders.take());
        let mut said = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_string(&mut said)?;
        }
        match self.child.wait()?.success() {
            true => Ok(()),
            false => Err(said.into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is as it should be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Transport for Process {
    fn bring(&mut self, program: &Path) -> Result<PathBuf, TransportError> {
        Ok(program.to_owned())
    }

    fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
        let gone = |error: &dyn std::fmt::Display| TransportError(error.to_string());
        let mut line = serde_json::to_vec(&order).map_err(|error| gone(&error))?;
        line.push(b'\n');
        let orders = self.orders.as_mut().ok_or_else(|| gone(&"no pipe"))?;
        orders.write_all(&line).map_err(|error| gone(&error))?;
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer);
        read.map_err(|error| gone(&error))?;
        serde_json::from_str(&answer).map_err(|error| gone(&error))
    }
}
