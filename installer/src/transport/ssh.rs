//! The way over SSH, by the system's own ssh: its agent, its configuration, its jumps.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use thiserror::Error;

use super::Piped;
use crate::apply::TransportError;
use crate::spec;

/// Where the agent lies on a host for the time of one run: in memory, and gone with it. Each
/// run has its own, so that the end of one takes nothing from another.
fn place() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let stamp = since.unwrap_or_default().as_millis();
    format!("/run/sternpost-agent-{stamp:x}-{}", std::process::id())
}

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    arguments: Vec<String>,
    privileged: Vec<String>,
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
    /// The way to a host. Who is not root there becomes it by `sudo -n`: without a password,
    /// or not at all. `config` stands for ssh's own configuration.
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
        let root = host.user.as_deref() == Some("root");
        let privileged = if root {
            Vec::new()
        } else {
            vec!["sudo".to_owned(), "-n".to_owned(), "--".to_owned()]
        };
        Self {
            arguments,
            privileged,
        }
    }

    /// Puts the agent there and starts it; it goes when it ends.
    ///
    /// # Errors
    /// When the host cannot be reached, or does not let us.
    pub fn agent(&self, program: &Path) -> Result<Piped, TransportError> {
        let place = place();
        let sent = self.send(program, &place);
        sent.map_err(|error| TransportError(daemon::chain(&error)))?;
        let script = format!("trap 'rm -f {place}' EXIT; {place} agent");
        Piped::start(&mut self.command(&script))
    }

    /// Copies a file to a host, for its owner alone and executable.
    ///
    /// # Errors
    /// When it cannot be read here or written there.
    pub fn send(&self, from: &Path, to: &str) -> Result<(), SshError> {
        let file = File::open(from).map_err(|source| SshError::Read {
            path: from.to_owned(),
            source,
        })?;
        let script = format!(
            "umask 077 && mkdir -p $(dirname {to}) && cat > {to}.new && chmod 0700 {to}.new && mv {to}.new {to}"
        );
        let output = self
            .command(&script)
            .process_group(0)
            .stdin(Stdio::from(file))
            .output()
            .map_err(SshError::Run)?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let said = text.lines().rev().find(|line| !line.trim().is_empty());
        Err(SshError::Refused {
            host: self.arguments.last().cloned().unwrap_or_default(),
            said: said.unwrap_or("it said nothing").to_owned(),
        })
    }

    /// ssh with a script for the far side's shell, which becomes root first.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(&self.arguments);
        command.arg(self.line(script));
        command
    }

    /// What the far side's shell is given: words that it takes as they are.
    fn line(&self, script: &str) -> String {
        let mut words = self.privileged.clone();
        words.extend(["sh".to_owned(), "-c".to_owned(), quoted(script)]);
        words.join(" ")
    }
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

    #[test]
    fn who_is_not_root_becomes_it() {
        assert_eq!(way(Some("root"), None).line("true"), "sh -c 'true'");
        assert_eq!(
            way(Some("ops"), None).line("true"),
            "sudo -n -- sh -c 'true'"
        );
        assert_eq!(way(None, None).line("true"), "sudo -n -- sh -c 'true'");
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
