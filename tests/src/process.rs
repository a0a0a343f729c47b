//! A real binary running on a host: its log, its readiness, its ends.
//!
//! Every process leads a group of its own and is bound to the thread that started it
//! (`setpriv --pdeathsig`): when the lab dies in any way, it dies too.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::error::{Doing, LabError};
use crate::wait;

/// Until the name of a program's notify socket is free again.
const FREE: Duration = Duration::from_secs(10);

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// Short name: log file and messages.
    pub name: String,
    /// The binary.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment beyond the lab's own.
    pub env: Vec<(String, String)>,
    /// The folder of its log.
    pub logs: PathBuf,
}

impl Program {
    /// A program called `name`.
    #[must_use]
    pub fn new(name: &str, path: &Path, logs: &Path) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            logs: logs.to_owned(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.push((key.to_owned(), value.into()));
        self
    }

    /// Starts it from the calling thread, in whose namespace it will live. `stem` makes the
    /// name of its notify socket unique on the machine.
    ///
    /// # Errors
    /// When the binary is not there or cannot be started.
    pub fn spawn(&self, host: &str, stem: &str) -> Result<Process, LabError> {
        if !self.path.exists() {
            let path = self.path.display();
            return Err(LabError::Missing(format!("no {} at {path}", self.name)));
        }
        fs::create_dir_all(&self.logs).doing(self.logs.display())?;
        let log = self.logs.join(format!("{host}-{}.log", self.name));
        let out = File::options().create(true).append(true).open(&log);
        let out = out.doing(log.display())?;
        let notify_name = format!("{stem}-{host}-{}", self.name);
        let address = SocketAddr::from_abstract_name(notify_name.as_bytes());
        let address = address.doing("name a notify socket")?;
        // Whatever another thread starts has a copy of the one before, until it is executed.
        let notify = wait::until("a free notify socket", FREE, || {
            UnixDatagram::bind_addr(&address).ok()
        })?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.path)
            .args(&self.args)
            .env("NOTIFY_SOCKET", format!("@{notify_name}"))
            .envs(self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())))
            .stdin(Stdio::null())
            .stdout(out.try_clone().doing(log.display())?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .doing(format!("start {}", self.name))?;
        Ok(Process {
            label: format!("{host}/{}", self.name),
            notify,
            child,
            log,
            status: None,
        })
    }
}

/// A process that was started; dropping it kills its group.
#[derive(Debug)]
pub struct Process {
    label: String,
    notify: UnixDatagram,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// `host/name`, for messages.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id, which is its group's too.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.reap().is_none()
    }

    /// Hears nothing more of what it notifies. A manager of services goes on telling what it
    /// does, and waits for ever once nobody takes it.
    ///
    /// # Errors
    /// When there are no more sockets.
    pub fn deafen(&mut self) -> Result<(), LabError> {
        self.notify = UnixDatagram::unbound().doing("notify socket")?;
        Ok(())
    }

    /// Waits for its `READY=1`.
    ///
    /// # Errors
    /// When it ends first, or says nothing within `within`.
    pub fn ready(&mut self, within: Duration) -> Result<(), LabError> {
        let deadline = Instant::now() + within;
        let mut message = [0_u8; 512];
        self.notify
            .set_read_timeout(Some(Duration::from_millis(20)))
            .doing("notify socket")?;
        loop {
            if let Ok(length) = self.notify.recv(&mut message) {
                let text = message.get(..length).unwrap_or_default();
                if text.split(|b| *b == b'\n').any(|line| line == b"READY=1") {
                    return Ok(());
                }
            }
            self.running()?;
            if Instant::now() > deadline {
                let what =
                    format!("READY=1 of {} (log: {})", self.label, self.log.display());
                return Err(LabError::Late { what, within });
            }
        }
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// [`LabError::Ended`] with the last lines of its log.
    pub fn running(&mut self) -> Result<(), LabError> {
        let Some(status) = self.reap() else {
            return Ok(());
        };
        let mut log = self.log.display().to_string();
        for line in last_lines(&self.log, 5) {
            let _ = write!(log, "\n    {line}");
        }
        let process = self.label.clone();
        Err(LabError::Ended {
            process,
            status: status.to_string(),
            log,
        })
    }

    /// Sends a signal to the process itself.
    pub fn signal(&self, signal: Signal) {
        // Already gone is what a fault may well find.
        let _ = kill(self.pid(), signal);
    }

    /// kill -9 of its whole group: a crash.
    pub fn kill(&mut self) {
        if self.reap().is_none() {
            let _ = killpg(self.pid(), Signal::SIGKILL);
            self.status = self.child.wait().ok();
        }
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end within `within`.
    pub fn stop(&mut self, within: Duration) -> Result<ExitStatus, LabError> {
        self.signal(Signal::SIGTERM);
        self.ended(within)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within `within`.
    pub fn ended(&mut self, within: Duration) -> Result<ExitStatus, LabError> {
        let what = format!("the end of {}", self.label);
        wait::until(&what, within, || self.reap())
    }

    /// SIGSTOP of its group: a stall.
    pub fn pause(&self) {
        let _ = killpg(self.pid(), Signal::SIGSTOP);
    }

    /// SIGCONT of its group.
    pub fn resume(&self) {
        let _ = killpg(self.pid(), Signal::SIGCONT);
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn last_lines(log: &Path, count: usize) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_else(|e: io::Error| e.to_string());
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .to_vec()
}
