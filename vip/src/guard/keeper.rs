//! The daemon's side of the guard: starts it, sees it end, starts another.
//!
//! The [`Keeper`] is a task on the control runtime and owns the child. A [`Line`] is what
//! the routers tell it through, on the adverts' thread: one write that never waits. A new
//! guard needs no list: the next renewal of each address tells it.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use daemon::log;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::message::Message;
use super::{COMMAND, Held, JSON, Proof};
use crate::ledger::{Known, Ledger, Marks};

/// From the start of one guard to the start of the next: one that cannot live is tried
/// once a second, not in a loop.
const AGAIN: Duration = Duration::from_secs(1);

/// A guard whose daemon ends has at most a lifetime to wait; then it is stuck.
const END: Duration = Duration::from_secs(2);

/// What is known about the guard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// How many were started.
    pub starts: u64,
    /// Why the last one could not be.
    pub refused: Option<String>,
}

/// Where the routers tell what they hold: the guard, and the ledger for the next run.
#[derive(Debug, Clone)]
pub struct Line {
    guard: watch::Receiver<Option<Arc<UnixStream>>>,
    ledger: Ledger,
}

impl Line {
    /// Without a guard: for a trial that puts nothing anywhere.
    pub fn unguarded(ledger: Ledger) -> Self {
        let (_, guard) = watch::channel(None);
        Self { guard, ledger }
    }

    /// The address is about to be put there or renewed. Where its mark will say whose it is
    /// the guard is told before the kernel: dying in between leaves nothing behind.
    pub fn intend(&self, held: Held, grace: Duration) -> Known {
        let known = self.ledger.intend(held);
        if let (Marks::Kept, Some(mark)) = (self.ledger.marks(), self.ledger.mark()) {
            let proof = Proof::Mark(mark);
            self.say(&Message::Hold { held, grace, proof });
        }
        known
    }

    /// The address is there. Without a mark the guard is told only then: before, it might
    /// have been somebody else's.
    pub fn hold(&self, held: Held, grace: Duration) {
        match self.ledger.marks() {
            Marks::Kept => {}
            Marks::Unseen | Marks::Lost => {
                let proof = Proof::Lifetime;
                self.say(&Message::Hold { held, grace, proof });
            }
        }
    }

    /// The address was removed, or is somebody else's.
    pub fn left(&self, held: Held) {
        self.say(&Message::Left(held));
        self.ledger.forget(held);
    }

    /// What says whose an address is.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn say(&self, message: &Message) {
        if let Some(guard) = &*self.guard.borrow() {
            // It is gone, and the keeper knows; or it is stopped and has minutes of these
            // waiting. Either way the kernel's lifetime is left, and nothing to be done.
            drop((&**guard).write(&message.emit()));
        }
    }
}

/// The task that keeps a guard.
pub struct Keeper {
    line: Line,
    facts: watch::Receiver<Facts>,
    /// Answered when the guard has ended.
    end: mpsc::Sender<oneshot::Sender<()>>,
}

/// One guard that runs.
struct Guard {
    child: Child,
    /// The same socket that the [`Line`] writes to: nothing ever comes out of it but its
    /// end.
    socket: tokio::net::UnixStream,
}

impl Keeper {
    /// Starts the first guard. Inside a tokio runtime, before the adverts' thread.
    pub fn start(settings: &log::Settings, ledger: Ledger) -> Self {
        let (lines, guard) = watch::channel(None);
        let line = Line { guard, ledger };
        let (publish, facts) = watch::channel(Facts::default());
        let (end, asked) = mpsc::channel(1);
        let mut post = Post {
            settings: settings.clone(),
            lines,
            facts: publish,
        };
        let first = post.fill();
        tokio::spawn(post.keep(first, asked));
        Self { line, facts, end }
    }

    /// What the routers tell the guard through.
    pub fn line(&self) -> Line {
        self.line.clone()
    }

    /// What is known about it.
    pub fn facts(&self) -> Facts {
        self.facts.borrow().clone()
    }

    /// Ends the guard, when nothing is held any more. What still is, it removes first.
    pub async fn end(&self) {
        let (done, answer) = oneshot::channel();
        if self.end.send(done).await.is_ok() {
            // An error means that it has ended, which is what was asked for.
            let _ = answer.await;
        }
    }
}

/// The place of the guard, filled or not.
struct Post {
    settings: log::Settings,
    lines: watch::Sender<Option<Arc<UnixStream>>>,
    facts: watch::Sender<Facts>,
}

impl Post {
    async fn keep(
        mut self,
        mut guard: Option<Guard>,
        mut end: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        let done = loop {
            let again = Instant::now() + AGAIN;
            tokio::select! {
                done = end.recv() => break done,
                () = gone(&mut guard) => self.mourn(guard.take()),
            }
            tokio::select! {
                done = end.recv() => break done,
                () = sleep_until(again) => {}
            }
            guard = self.fill();
        };
        self.lines.send_replace(None);
        relieve(guard).await;
        // Without one, the whole daemon is being dropped.
        if let Some(done) = done {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }

    fn mourn(&mut self, guard: Option<Guard>) {
        self.lines.send_replace(None);
        if let Some(mut guard) = guard {
            let status = guard.child.wait();
            tracing::error!(?status, "the guard of our addresses has ended");
            self.facts.send_modify(|facts| facts.pid = None);
        }
    }

    fn fill(&mut self) -> Option<Guard> {
        match spawn(&self.settings) {
            Ok((guard, line)) => {
                tracing::info!(pid = guard.child.id(), "the guard of our addresses runs");
                self.lines.send_replace(Some(Arc::new(line)));
                self.facts.send_modify(|facts| {
                    facts.pid = Some(guard.child.id());
                    facts.starts += 1;
                    facts.refused = None;
                });
                Some(guard)
            }
            Err(error) => {
                tracing::error!("cannot start the guard of our addresses: {error}");
                let text = error.to_string();
                self.facts.send_modify(|facts| facts.refused = Some(text));
                None
            }
        }
    }
}

/// Returns when the guard has ended; at once when there is none.
async fn gone(guard: &mut Option<Guard>) {
    if let Some(guard) = guard {
        let mut nothing = [0; 1];
        // It never writes: this returns with its end, or with an error that means it too.
        let _ = guard.socket.read(&mut nothing).await;
    }
}

/// Lets the guard go when the daemon ends.
async fn relieve(guard: Option<Guard>) {
    let Some(mut guard) = guard else { return };
    let socket = rustix::net::shutdown(&guard.socket, rustix::net::Shutdown::Write);
    let ended = async {
        let mut nothing = [0; 1];
        // As in `gone`.
        let _ = guard.socket.read(&mut nothing).await;
    };
    if socket.is_err() || timeout(END, ended).await.is_err() {
        tracing::error!("the guard of our addresses does not end");
        // It has ended meanwhile, then.
        let _ = guard.child.kill();
    }
    // Reaped, so that nothing of us is left.
    let _ = guard.child.wait();
}

fn spawn(settings: &log::Settings) -> io::Result<(Guard, UnixStream)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let format = match settings.format {
        log::Format::Text => None,
        log::Format::Json => Some(JSON),
    };
    // The file of this very process, also when a package has replaced it meanwhile.
    let child = Command::new("/proc/self/exe")
        .arg0("vip-daemon")
        .arg(COMMAND)
        .args(format)
        .env_clear()
        .envs(journal())
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        // A terminal's ^C is for the daemon, and so is a signal to its group.
        .process_group(0)
        .spawn()?;
    // A datagram socket in the type of a stream: write(2) and read(2) are all that is
    // asked of it.
    let line = UnixStream::from(ours);
    line.set_nonblocking(true)?;
    let socket = tokio::net::UnixStream::from_std(line.try_clone()?)?;
    Ok((Guard { child, socket }, line))
}

/// Tells the guard's log whether the journal reads it.
fn journal() -> Option<(&'static str, std::ffi::OsString)> {
    const NAME: &str = "JOURNAL_STREAM";
    std::env::var_os(NAME).map(|value| (NAME, value))
}
