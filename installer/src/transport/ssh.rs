//! The way over SSH, by the system's own ssh: its agent, its configuration, its jumps.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::ended::{broke, said};
use super::{Agents, Piped, arrive};
use crate::apply::TransportError;
use crate::architecture::{Architecture, ArchitectureError};
use crate::spec;

/// How the far side says that it is of another architecture: nobody else ends with that (sh,
/// ssh and sudo have 1, 126, 127 and 255).
const OTHER: i32 = 65;
/// How often a way that broke is tried again, and after how long each time.
const AGAIN: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// Becomes root, unless the user is, and goes on with the script that it is given: without a
/// password, or not at all.
const PRIVILEGED: &str = "if [ \"$(id -u)\" = 0 ]; then exec sh -c \"$1\"; fi; \
                          exec sudo -n -- sh -c \"$1\"";

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    arguments: Vec<String>,
}

/// Why a file did not get to a host.
#[derive(Debug, Error)]
pub enum SshError {
    /// ssh cannot be run.
    #[error("ssh cannot be run; install openssh-client")]
    Run(#[source] io::Error),
    /// The file cannot be read here.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The user there may not become root.
    #[error(
        "{host} lets this user become root not at all, or with a password only ({said}); write \
         \"USER ALL=(root) NOPASSWD: ALL\" into a file of /etc/sudoers.d there, or write another \
         user into hosts[].ssh.user"
    )]
    Sudo {
        /// What ssh connects to.
        host: String,
        /// The last line that was said.
        said: String,
    },
    /// Its sudo wants a terminal, and none is given: a pipe carries the agent's words as they are.
    #[error(
        "{host} lets nobody become root without a terminal ({said}); write \"Defaults:USER \
         !requiretty\" into a file of /etc/sudoers.d there, or write another user into \
         hosts[].ssh.user"
    )]
    Terminal {
        /// What ssh connects to.
        host: String,
        /// The last line that was said.
        said: String,
    },
    /// What it is has no program.
    #[error("{host}")]
    Machine {
        /// What ssh connects to.
        host: String,
        /// Why.
        source: ArchitectureError,
    },
    /// There is no program for it here.
    #[error(
        "{host} is {architecture}; name the sternpost for it with --agent {architecture}=PATH"
    )]
    NoAgent {
        /// What ssh connects to.
        host: String,
        /// What it is.
        architecture: Architecture,
    },
    /// The far side refused.
    #[error("{host} refused: {said}")]
    Refused {
        /// What ssh connects to.
        host: String,
        /// The last line that was said.
        said: String,
    },
}

impl Ssh {
    /// The way to a host. Who is not root there becomes it by `sudo -n`. `config` stands for
    /// ssh's own configuration.
    #[must_use]
    pub fn to(host: &spec::Ssh, config: Option<&Path>) -> Self {
        // No question can be answered on a pipe; a host that is down is named soon.
        let mut arguments: Vec<String> = [
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
            "-o",
            "ServerAliveInterval=5",
            "-o",
            "ServerAliveCountMax=3",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some(config) = config {
            arguments.extend(["-F".to_owned(), config.display().to_string()]);
        }
        if let Some(user) = &host.user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = host.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        arguments.extend(["--".to_owned(), host.host.clone()]);
        Self { arguments }
    }

    /// Puts the agent for its architecture there and starts it; it goes when it ends.
    ///
    /// # Errors
    /// When the host cannot be reached, does not let us, or is of another architecture.
    pub fn agent(&self, agents: &Agents) -> Result<Piped, TransportError> {
        let place = self.offer(agents, &arrive::name());
        let place = place.map_err(|error| TransportError(daemon::chain(&error)))?;
        Piped::start(&mut self.command(&arrive::run(&place)))
    }

    /// Copies a file to a host, for its owner alone and executable.
    ///
    /// # Errors
    /// When it cannot be read here or written there.
    pub fn send(&self, from: &Path, to: &str) -> Result<(), SshError> {
        let output = self.bring(from, &receive(to))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(self.refusal(&output)),
        }
    }

    /// Sends the program for this machine's architecture, which most hosts have; one of
    /// another says which, and is sent its own. Where it lies there.
    fn offer(&self, agents: &Agents, name: &str) -> Result<String, SshError> {
        let first = agents.first();
        let machine = match self.try_agent(agents, first, name)? {
            Ok(place) => return Ok(place),
            Err(machine) => machine,
        };
        let other = Architecture::of_machine(&machine);
        let other = other.map_err(|source| SshError::Machine {
            host: self.host(),
            source,
        })?;
        match self.try_agent(agents, other, name)? {
            Ok(place) => Ok(place),
            Err(said) => Err(SshError::Refused {
                host: self.host(),
                said,
            }),
        }
    }

    /// Sends the program for an architecture; where it lies, or what the host is where it is
    /// of another.
    fn try_agent(
        &self,
        agents: &Agents,
        architecture: Architecture,
        name: &str,
    ) -> Result<Result<String, String>, SshError> {
        let program = agents.get(architecture).ok_or_else(|| SshError::NoAgent {
            host: self.host(),
            architecture,
        })?;
        let size = fs::metadata(program).map_err(unread(program))?.len();
        let machine = architecture.machine();
        let script = format!(
            "if [ \"$(uname -m)\" != {machine} ]; then uname -m; exit {OTHER}; fi\n{}",
            arrive::script(name, size)
        );
        let output = self.bring(program, &script)?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(Ok(said));
        }
        if output.status.code() == Some(OTHER) {
            return Ok(Err(said));
        }
        Err(self.refusal(&output))
    }

    /// Copies a file, again where the way broke: what arrived in part is written anew.
    fn bring(&self, from: &Path, script: &str) -> Result<Output, SshError> {
        let mut output = self.copy(from, script)?;
        for _ in 0..AGAIN {
            if !broke(&output) {
                break;
            }
            thread::park_timeout(PAUSE);
            output = self.copy(from, script)?;
        }
        Ok(output)
    }

    fn copy(&self, from: &Path, script: &str) -> Result<Output, SshError> {
        let mut file = File::open(from).map_err(unread(from))?;
        let mut command = self.command(script);
        command.process_group(0).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(SshError::Run)?;
        let pipe = child.stdin.take();
        // By way of this process: when it dies the file does not arrive whole.
        let sends = thread::spawn(move || {
            // A far side that wants no more says why.
            pipe.map(|mut pipe| io::copy(&mut file, &mut pipe))
        });
        let output = child.wait_with_output().map_err(SshError::Run);
        // Its pipe has no other end any more.
        let _ = sends.join();
        output
    }

    fn host(&self) -> String {
        self.arguments.last().cloned().unwrap_or_default()
    }

    fn refusal(&self, output: &Output) -> SshError {
        let said = said(&output.stderr);
        let silent = || format!("it said nothing ({})", output.status);
        let said = said.unwrap_or_else(silent);
        let host = self.host();
        // "sudo: a password is required", "ops is not in the sudoers file", "sudo: not found";
        // "sudo: sorry, you must have a tty to run sudo"
        match (said.contains("sudo"), said.contains("have a tty")) {
            (true, true) => SshError::Terminal { host, said },
            (true, false) => SshError::Sudo { host, said },
            (false, _) => SshError::Refused { host, said },
        }
    }

    /// ssh with a script for the far side's shell, which becomes root first.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(&self.arguments);
        command.arg(Self::line(script));
        command
    }

    /// What the far side's shell is given: words that it takes as they are.
    fn line(script: &str) -> String {
        format!("sh -c {} sh {}", quoted(PRIVILEGED), quoted(script))
    }
}

fn unread(path: &Path) -> impl FnOnce(io::Error) -> SshError {
    let path = path.to_owned();
    |source| SshError::Read { path, source }
}

/// Takes a file from standard input.
fn receive(to: &str) -> String {
    format!(
        "umask 077 && mkdir -p $(dirname {to}) && cat > {to}.new && chmod 0700 {to}.new && mv {to}.new {to}"
    )
}

/// In single quotes, where a shell takes everything literally (POSIX, 2.2.2).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(user: Option<&str>, port: Option<u16>) -> Ssh {
        let host = spec::Ssh {
            host: "192.0.2.1".into(),
            user: user.map(str::to_owned),
            port,
        };
        Ssh::to(&host, Some(Path::new("/etc/a config")))
    }

    /// The far side's part, with commands of its own: who is root goes on, everybody else
    /// becomes it first.
    #[test]
    fn who_is_not_root_becomes_it() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(path, mode).unwrap();
        };
        put("sudo", "echo sudo \"$1\" \"$2\"; shift 2; exec \"$@\"");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        for (id, wanted) in [("0", "it's done\n"), ("1000", "sudo -n --\nit's done\n")] {
            put("id", &format!("echo {id}"));
            let output = Command::new("sh")
                .args(["-c", &Ssh::line("echo \"it's done\"")])
                .env("PATH", &path)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
        }
    }

    #[test]
    fn nothing_from_the_description_is_an_option_or_a_script() {
        let way = way(Some("ops"), Some(2222));
        let at = |word: &str| way.arguments.iter().position(|one| one == word).unwrap();
        assert!(at("--") < at("192.0.2.1"));
        assert_eq!(way.arguments[at("-p") + 1], "2222");
        assert_eq!(way.arguments[at("-F") + 1], "/etc/a config");
        assert_eq!(way.arguments[at("-l") + 1], "ops");
        assert_eq!(way.arguments.last().unwrap(), "192.0.2.1");
    }

    #[test]
    fn a_script_reaches_the_shell_as_it_is() {
        for script in ["echo a", "trap 'rm -f x' EXIT; y", "a\"b$c`d\\e"] {
            let output = Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(script))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), script);
        }
    }
}
