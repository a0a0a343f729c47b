//! One question of a tracked check, asked once: over the network, of this host, of another
//! router, or of the unit that runs scripts.
//!
//! Owns what makes the next question cheap (a parsed request, a known pid); fed by
//! [`crate::track::follow`] on the control runtime. Nothing here forks.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use probe::Check;
use tokio::sync::watch;
use vrrp::State;

use crate::config::{Script, Target, TargetError};
use crate::driver::Record;
use crate::linux::Netlink;
use crate::scripts;

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Whether it passed, before `reverse`.
    pub passed: bool,
    /// The way it ended, for logs and JSON.
    pub name: &'static str,
    /// The number that was asked for; absent where yes or no is.
    pub value: Option<i64>,
}

/// A question that can be asked again and again.
pub enum Asking {
    /// Over the network.
    Endpoint(SocketAddr, Box<Check>),
    /// Of the scripts' unit.
    Script(Script),
    /// Is a program of this name running? With the pid it had last.
    Process(String, Option<PathBuf>),
    /// Is the file there?
    File(PathBuf),
    /// Which number stands in the file?
    Value(PathBuf),
    /// Is the interface up, with a carrier?
    Interface(String),
    /// Is the other router Active?
    Router(String),
}

/// Where the routers of this daemon stand, by name.
#[derive(Default)]
pub struct Board(Mutex<BTreeMap<String, watch::Receiver<Record>>>);

impl Board {
    /// A router has started.
    pub fn post(&self, name: &str, record: watch::Receiver<Record>) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.insert(name.to_owned(), record);
    }

    fn state(&self, name: &str) -> Option<State> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.get(name).map(|record| record.borrow().state)
    }
}

impl Asking {
    /// Prepares the question.
    ///
    /// # Errors
    /// When a request or a trust cannot be made, which [`crate::config`] has ruled out.
    pub fn new(target: &Target) -> Result<Self, TargetError> {
        if let Some((address, check)) = target.endpoint()? {
            return Ok(Self::Endpoint(address, Box::new(check)));
        }
        Ok(match target {
            Target::Script(script) => Self::Script(script.clone()),
            Target::Process(name) => Self::Process(name.clone(), None),
            Target::File(path) => Self::File(path.clone()),
            Target::FileValue(path) => Self::Value(path.clone()),
            Target::Interface(name) => Self::Interface(name.clone()),
            Target::Router(name) => Self::Router(name.clone()),
            Target::Tcp(address)
            | Target::Http { address, .. }
            | Target::Https { address, .. } => {
                Self::Endpoint(*address, Box::new(Check::Tcp))
            }
        })
    }

    /// Asks once.
    pub async fn ask(&mut self, timeout: Duration, board: &Board) -> Answer {
        match self {
            Self::Endpoint(address, check) => {
                let target = probe::Target::from(*address);
                let outcome = probe::run(check, target, timeout).await.outcome;
                Answer {
                    passed: outcome.passed(),
                    name: outcome.name(),
                    value: None,
                }
            }
            Self::Script(script) => {
                let ended = scripts::ask(script, timeout).await;
                Answer {
                    passed: ended == scripts::Ended::Passed,
                    name: ended.name(),
                    value: None,
                }
            }
            Self::Process(name, known) => yes_no(runs(name, known), "notRunning"),
            Self::File(path) => yes_no(path.exists(), "absent"),
            Self::Value(path) => value(path),
            Self::Interface(name) => interface(name),
            Self::Router(name) => match board.state(name) {
                Some(State::Active) => yes_no(true, ""),
                Some(State::Backup | State::Fault | State::Initialize) => {
                    yes_no(false, "notActive")
                }
                None => yes_no(false, "unknown"),
            },
        }
    }
}

fn yes_no(passed: bool, otherwise: &'static str) -> Answer {
    let name = if passed { "passed" } else { otherwise };
    Answer {
        passed,
        name,
        value: None,
    }
}

/// As keepalived reads it: a file that is not there, or holds no number, counts as 0.
fn value(path: &Path) -> Answer {
    /// A number has twenty digits at most.
    const LONGEST: u64 = 64;
    let read = || {
        let mut open = fs::OpenOptions::new();
        // A FIFO would keep every other check waiting.
        let file = open.read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        Ok::<_, io::Error>(text)
    };
    let (name, value) = match read().map(|text| text.trim().parse()) {
        Ok(Ok(value)) => ("passed", value),
        Ok(Err(_)) => ("noNumber", 0),
        Err(_) => ("absent", 0),
    };
    Answer {
        value: Some(value),
        ..yes_no(name == "passed", name)
    }
}

fn interface(name: &str) -> Answer {
    let links = Netlink::open().and_then(|mut netlink| netlink.links());
    match links {
        Err(_) => yes_no(false, "netlink"),
        Ok(links) => match links.iter().find(|link| link.name == name) {
            None => yes_no(false, "absent"),
            Some(link) => yes_no(link.running, "down"),
        },
    }
}

/// Does a program of this name run? The process that did last time is asked first: a whole
/// `/proc` costs a millisecond where there are hundreds.
fn runs(name: &str, known: &mut Option<PathBuf>) -> bool {
    if known.as_deref().is_some_and(|process| is(process, name)) {
        return true;
    }
    *known = fs::read_dir("/proc").ok().and_then(|entries| {
        let processes = entries.filter_map(Result::ok).map(|entry| entry.path());
        let numbered = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or("");
            name.bytes().all(|byte| byte.is_ascii_digit())
        };
        let mut numbered = processes.filter(numbered);
        numbered.find(|process| is(process, name))
    });
    known.is_some()
}

/// By the program's first argument, and by the kernel's name for it, of 15 bytes, for
/// those that write over their arguments. A zombie has no arguments, and counts as gone.
fn is(process: &Path, name: &str) -> bool {
    let Ok(line) = fs::read(process.join("cmdline")) else {
        return false;
    };
    let kernel = fs::read(process.join("comm")).unwrap_or_default();
    if !line.is_empty() && kernel.trim_ascii_end() == name.as_bytes() {
        return true;
    }
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let base = program.rsplit(|byte| *byte == b'/').next();
    base == Some(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(target: &Target, board: &Board) -> &'static str {
        let mut asking = Asking::new(target).unwrap();
        let answer = asking.ask(Duration::from_secs(1), board).await;
        assert_eq!(answer.passed, answer.name == "passed");
        answer.name
    }

    #[tokio::test]
    async fn what_this_host_says_without_a_fork() {
        let board = Board::default();
        let here = std::env::current_exe().unwrap();
        let me = here.file_name().unwrap().to_str().unwrap().to_owned();
        for (target, expected) in [
            (Target::File(here.clone()), "passed"),
            (Target::File(here.join("no")), "absent"),
            (Target::Process(me), "passed"),
            (Target::Process("no-such-program".to_owned()), "notRunning"),
            (Target::Interface("no-such-link".to_owned()), "absent"),
            (Target::Router("api".to_owned()), "unknown"),
        ] {
            assert_eq!(answer(&target, &board).await, expected, "{target:?}");
        }
    }

    #[tokio::test]
    async fn another_router_passes_while_it_is_active() {
        let board = Board::default();
        let now = tokio::time::Instant::now();
        let record = Record::new(vrrp::Priority::new(100), now);
        let (publish, record) = watch::channel(record);
        board.post("api", record);
        let target = Target::Router("api".to_owned());
        assert_eq!(answer(&target, &board).await, "notActive");
        publish.send_modify(|record| record.state = State::Active);
        assert_eq!(answer(&target, &board).await, "passed");
    }

    #[tokio::test]
    async fn a_value_is_the_number_in_its_file_or_0() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        let mut asking = Asking::new(&Target::FileValue(path.clone())).unwrap();
        for (text, name, value) in [
            (None, "absent", 0),
            (Some("-3\n"), "passed", -3),
            (Some(" 12"), "passed", 12),
            (Some("x"), "noNumber", 0),
            (Some(""), "noNumber", 0),
        ] {
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            let answer = asking.ask(Duration::from_secs(1), &Board::default()).await;
            assert_eq!((answer.name, answer.value), (name, Some(value)), "{text:?}");
        }
    }

    #[test]
    fn a_process_that_is_gone_is_looked_for_again() {
        let here = std::env::current_exe().unwrap();
        let me = here.file_name().unwrap().to_str().unwrap();
        let mut known = Some(PathBuf::from("/proc/0"));
        assert!(runs(me, &mut known));
        assert_ne!(known, Some(PathBuf::from("/proc/0")));
    }
}
