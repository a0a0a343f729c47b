//! The way back: a program that came by an upgrade and does not come up puts the one before it
//! in its place again.
//!
//! There is one process, so nobody beside it could help. The file of the program before is
//! handed over as standard input; a start that fails executes it, with what that one had handed
//! over, and so does a thread that waits for nothing else when a start takes too long.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, panic};

use daemon::upgrade::Limit;
use rustix::stdio::dup2_stdin;
use rustix::thread::set_name;

use super::closer::Closer;
use super::{Resume, VARIABLE};

/// Why the program that runs is the one before.
const WENT_BACK: &str = "VIP_DAEMON_WENT_BACK";

/// How long a program may take from its first instruction until it is ready. A start takes tens
/// of milliseconds; with what stands before, it is less than `WatchdogSec`.
const STARTED_WITHIN: Duration = Duration::from_secs(5);

/// What to go back to until the start is over; nothing, where this is no upgrade.
#[derive(Debug)]
pub struct Back {
    before: Arc<Mutex<Option<Before>>>,
    _limit: Option<Limit>,
}

/// The program before.
#[derive(Debug)]
struct Before {
    program: OwnedFd,
    resume: Resume,
}

impl Back {
    /// What was handed over. The first thing that a daemon does.
    #[must_use]
    pub fn taken() -> Self {
        let before = Before::taken();
        let is_upgrade = before.is_some();
        let before = Arc::new(Mutex::new(before));
        if is_upgrade {
            let (panicked, usual) = (Arc::clone(&before), panic::take_hook());
            panic::set_hook(Box::new(move |info| {
                usual(info);
                go(&panicked, &format!("it panicked: {info}"));
            }));
        }
        let late = Arc::clone(&before);
        let limit = is_upgrade.then(|| {
            Limit::of(STARTED_WITHIN, move || {
                let within = STARTED_WITHIN.as_secs();
                go(&late, &format!("it was not ready within {within} s"));
            })
        });
        Self {
            before,
            // Where there is no thread for it, a start that fails goes back all the same.
            _limit: limit.and_then(Result::ok),
        }
    }

    /// The start is over: what happens from here on is this program's.
    pub fn over(&self) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = None;
    }

    /// Goes back, for this reason. Returns where there is nothing to go back to.
    pub fn go(&self, why: &str) {
        go(&self.before, why);
    }
}

impl Before {
    fn taken() -> Option<Self> {
        if went_back().is_some() {
            // It was started by a descriptor, and would be listed by that number.
            let _ = set_name(c"vip-daemon");
            return None;
        }
        let resume: Resume = serde_json::from_str(&env::var(VARIABLE).ok()?).ok()?;
        // A version that hands over no program names no arguments for it.
        if resume.arguments.is_empty() {
            return None;
        }
        let program = io::stdin().as_fd().try_clone_to_owned().ok()?;
        dup2_stdin(File::open("/dev/null").ok()?).ok()?;
        Some(Self { program, resume })
    }

    /// Returns only when that failed.
    fn execute(&self, why: &str) -> io::Error {
        let mut resume = self.resume.clone();
        // Without it, this takes longer.
        let _closer = Closer::start();
        resume.guards.extend(children());
        let mut arguments = resume.arguments.iter();
        let path = format!("/proc/self/fd/{}", self.program.as_raw_fd());
        let mut command = Command::new(path);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command
            .args(arguments)
            .env(VARIABLE, serde_json::to_string(&resume).unwrap_or_default())
            .env(WENT_BACK, why)
            .exec()
    }
}

/// The lock is held until the other program runs: nobody is ready any more.
fn go(before: &Mutex<Option<Before>>, why: &str) {
    let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(before) = before.take() {
        let error = before.execute(why);
        daemon::terminal::complain(&format!(
            "the program before does not run either: {error}"
        ));
    }
}

/// Why this program runs again, if another one was to take its place.
#[must_use]
pub fn went_back() -> Option<String> {
    env::var(WENT_BACK).ok()
}

/// This one is to be followed by another, which is no way back.
pub(super) fn forward(command: &mut Command) -> io::Result<()> {
    let own = File::open("/proc/self/exe")?;
    command.stdin(own).env_remove(WENT_BACK);
    Ok(())
}

/// The guard of this program, which whoever follows has to bury (`proc_pid_children(5)`);
/// nothing, where the kernel does not tell.
fn children() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    let lists = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let all = lists.flat_map(|list| {
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect::<Vec<_>>()
    });
    all.collect()
}
