//! The ways to a host: this machine, or SSH. Both are a child process that reads orders and
//! writes answers.

mod agents;
mod arrive;
pub mod asked;
mod cause;
mod courier;
mod ended;
mod here;
mod ssh;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::agent::{self, Answer, Order};
use crate::apply::{Transport, TransportError};

pub use agents::{Agents, AgentsError, Named};
use courier::Courier;
pub use here::{Here, is_root};
pub use ssh::{Ssh, SshError};

/// Octets of what a child says on its standard error that are kept: enough for ssh's reason.
const SAID: u64 = 16 * 1024;

/// An agent at the other end of two pipes.
#[derive(Debug)]
pub struct Piped {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    said: Option<JoinHandle<String>>,
    /// How files get there; `None` on this machine, where they are.
    way: Option<Ssh>,
    /// Who brings files ahead of their orders.
    courier: Option<Courier>,
}

impl Piped {
    /// Starts a command that ends in an agent.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self, TransportError> {
        let program = command.get_program().display().to_string();
        let gone =
            |why: &dyn std::fmt::Display| TransportError(format!("{program}: {why}"));
        let mut child = command
            // Ctrl-C is this program's to answer: an order under way is finished first.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| gone(&error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(orders), Some(answers), Some(errors)) = pipes else {
            return Err(gone(&"it has no pipes"));
        };
        // Read beside everything else, or a talkative child would block on a full pipe.
        let said = thread::spawn(move || {
            let mut text = Vec::new();
            let mut errors = errors;
            // What cannot be read was not said; the rest is drained so that nothing blocks.
            let _ = (&mut errors).take(SAID).read_to_end(&mut text);
            let _ = std::io::copy(&mut errors, &mut std::io::sink());
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        Ok(Self {
            child,
            orders: Some(orders),
            answers: BufReader::new(answers),
            said: Some(said),
            way: None,
            courier: None,
        })
    }

    /// The agent of this machine, which works below `root`.
    ///
    /// # Errors
    /// When this program cannot be started again.
    pub fn local(root: &Path) -> Result<Self, TransportError> {
        let own =
            std::env::current_exe().map_err(|error| TransportError(error.to_string()))?;
        Self::start(Command::new(own).arg("agent").arg("--root").arg(root))
    }

    /// The agent of another host.
    ///
    /// # Errors
    /// When the host cannot be reached, or does not let us.
    pub fn over(way: Ssh, agents: &Agents) -> Result<Self, TransportError> {
        let mut piped = way.agent(agents).map_err(|error| because(error.0))?;
        piped.way = Some(way);
        Ok(piped)
    }

    /// Why there was no answer: how the child ended, and what it said.
    fn ended(&mut self) -> TransportError {
        self.orders = None;
        let status = self
            .child
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = self
            .said
            .take()
            .and_then(|said| said.join().ok())
            .unwrap_or_default();
        match said.is_empty() {
            true => TransportError(status),
            false => because(format!("{said} ({status})")),
        }
    }
}

/// What was said, with what that most likely means.
fn because(said: String) -> TransportError {
    match cause::cause(&said) {
        Some(cause) => TransportError(format!("{said}; likely cause: {cause}")),
        None => TransportError(said),
    }
}

impl Transport for Piped {
    fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
        let Some(way) = &self.way else {
            return Ok(file.to_owned());
        };
        let place = place(file);
        let ahead = self.courier.as_ref().and_then(|one| one.brought(file));
        let sent = ahead.unwrap_or_else(|| way.send(file, &place));
        sent.map_err(|error| TransportError(daemon::chain(&error)))?;
        Ok(PathBuf::from(place))
    }

    fn announce(&mut self, files: Vec<PathBuf>) {
        if let Some(way) = &self.way {
            self.courier = Some(Courier::with(way.clone(), files));
        }
    }

    fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
        let mut line = serde_json::to_vec(&order)
            .map_err(|error| TransportError(error.to_string()))?;
        line.push(b'\n');
        let sent = match &mut self.orders {
            Some(orders) => orders.write_all(&line).and_then(|()| orders.flush()),
            None => return Err(TransportError("it has ended".to_owned())),
        };
        if sent.is_err() {
            return Err(self.ended());
        }
        let mut answer = String::new();
        match self.answers.read_line(&mut answer) {
            Ok(read) if read > 0 => serde_json::from_str(&answer).map_err(|_| {
                TransportError("what came back is no answer: is something printed when a shell starts there?".to_owned())
            }),
            Ok(_) | Err(_) => Err(self.ended()),
        }
    }
}

/// Where a file waits on a host.
fn place(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{}/{name}", agent::INCOMING)
}

impl Drop for Piped {
    /// An agent ends with its orders; it is not left behind, nor is a file half-way.
    fn drop(&mut self) {
        self.courier = None;
        self.orders = None;
        let _ = self.child.wait();
    }
}
