//! The guard's own process: waits for messages or a deadline, and removes.
//!
//! Owns standard input, a socket whose other end is the daemon's, and one rtnetlink
//! socket. One thread, and the log's when there is something to say; no runtime. Ends when the daemon's end of the
//! socket is closed and nothing is left to remove.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use daemon::log;
use nix::sys::signal::{SigSet, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};

use super::book::Book;
use super::message::{LENGTH, Message};
use super::{Held, Proof};
use crate::linux::{Netlink, Present, RequestError, round_robin};
use crate::privileges;

/// Above the adverts' thread: one that runs away must not hide that it does not renew.
const PRIORITY: u8 = 51;

/// Messages taken in before the clock is looked at again. A guard that was stopped finds
/// minutes of them; what waits behind them is taken the next time round.
const BATCH: usize = 4096;

/// Why the guard does not work.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Nobody to listen to.
    #[error(
        "standard input is no socket of a daemon; `vip-daemon run` starts its guard itself"
    )]
    Input(#[source] io::Error),
    /// Waiting failed.
    #[error("cannot wait for the daemon")]
    Wait(#[source] io::Error),
    /// It may not change addresses.
    #[error("has no CAP_NET_ADMIN, which it needs to remove an address")]
    NotPermitted,
    /// The kernel refused something every process gets.
    #[error("cannot give up rights")]
    Rights(#[source] io::Error),
    /// The kernel could not be asked.
    #[error(transparent)]
    Netlink(#[from] RequestError),
    /// It cannot log.
    #[error(transparent)]
    Log(#[from] log::LogError),
}

/// Guards until the daemon is gone and nothing of it is left.
///
/// # Errors
/// [`GuardError`], for its exit.
pub fn run(settings: &log::Settings) -> Result<(), GuardError> {
    let ignored = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    // A stop is for the daemon, which removes its addresses and then ends us. Before the
    // log's thread, which would take them otherwise.
    let blocked = ignored.into_iter().collect::<SigSet>().thread_block();
    blocked.map_err(|error| GuardError::Wait(error.into()))?;
    // May be refused, as it is to the daemon, which says so. Memory is not locked: without
    // the right to, which is given up next, nothing could be allocated any more.
    drop(round_robin(PRIORITY));
    if !privileges::guard().map_err(GuardError::Rights)? {
        return Err(GuardError::NotPermitted);
    }
    let mut guard = Guard {
        socket: io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(GuardError::Input)?,
        netlink: Netlink::open()?,
        book: Book::default(),
        settings: settings.clone(),
        log: None,
    };
    guard.watch()
}

/// Every address of this host.
type Addresses = BTreeMap<Held, Present>;

struct Guard {
    socket: OwnedFd,
    netlink: Netlink,
    book: Book,
    settings: log::Settings,
    /// Begun with the first line: a guard that has nothing to say stays small.
    log: Option<log::Log>,
}

/// What is to be heard from the daemon.
enum Daemon {
    Lives,
    Gone,
}

impl Guard {
    fn watch(&mut self) -> Result<(), GuardError> {
        loop {
            let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
            wait(&mut sockets, self.book.deadline())?;
            match self.listen()? {
                Daemon::Lives => {}
                Daemon::Gone => return self.inherit(),
            }
            let due = self.book.due(Instant::now());
            if !due.is_empty() {
                let present = self.present()?;
                self.remove(&due, &present, "the daemon does not renew the address")?;
            }
        }
    }

    /// Takes in what was said.
    fn listen(&mut self) -> Result<Daemon, GuardError> {
        let mut bytes = [0; LENGTH];
        for _ in 0..BATCH {
            match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(Daemon::Gone),
                Ok((length, _)) => {
                    let message = bytes.get(..length).and_then(Message::parse);
                    if let Some(message) = message {
                        self.book.take(message, Instant::now());
                    }
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(GuardError::Input(error.into())),
            }
        }
        Ok(Daemon::Lives)
    }

    /// The daemon is gone: what it held goes when its grace is over, unless somebody has
    /// renewed it since. That is the next daemon, which keeps what it found.
    fn inherit(&mut self) -> Result<(), GuardError> {
        let before = self.present()?;
        self.book.bereave(Instant::now());
        while let Some(deadline) = self.book.deadline() {
            wait(&mut [], Some(deadline))?;
            let mut due = self.book.due(Instant::now());
            if due.is_empty() {
                continue;
            }
            let present = self.present()?;
            let stamp = |present: &Addresses, held: &Held| {
                present.get(held).map(|there| there.renewed)
            };
            due.retain(|(held, _)| stamp(&present, held) == stamp(&before, held));
            self.remove(&due, &present, "the daemon is gone")?;
        }
        Ok(())
    }

    fn speak(&mut self) -> Result<(), GuardError> {
        if self.log.is_none() {
            self.log = Some(log::init(&self.settings)?);
        }
        Ok(())
    }

    fn present(&mut self) -> Result<Addresses, GuardError> {
        let present = self.netlink.all_addresses()?;
        Ok(present.into_iter().map(|it| (it.held(), it)).collect())
    }

    /// Removes what is there and the daemon's, and says so when it is done: the log begins
    /// with its first line, which takes a while. What fails is left to the kernel's lifetime.
    fn remove(
        &mut self,
        due: &[(Held, Proof)],
        present: &Addresses,
        why: &str,
    ) -> Result<(), GuardError> {
        if due.is_empty() {
            return Ok(());
        }
        let mut outcomes = Vec::new();
        for (held, proof) in due {
            let there = present.get(held).filter(|there| proof.holds(there));
            let outcome =
                there.map(|_| self.netlink.remove(held.interface, held.address));
            outcomes.push((held, outcome));
        }
        self.speak()?;
        for (held, outcome) in outcomes {
            let Held { interface, address } = held;
            match outcome {
                None => tracing::warn!(%address, interface, "{why}; it is not there"),
                Some(Ok(())) => tracing::warn!(%address, interface, "{why}: removed it"),
                Some(Err(error)) => {
                    let error = daemon::chain(&error);
                    tracing::error!(%address, interface, "{why}; not removed: {error}");
                }
            }
        }
        self.lower(due);
        Ok(())
    }

    /// Sets the interfaces down that the addresses were on, as far as they are up for these
    /// alone. After all of them are removed: it takes the kernel tens of milliseconds.
    fn lower(&mut self, removed: &[(Held, Proof)]) {
        let interfaces: BTreeSet<_> =
            removed.iter().map(|(held, _)| held.interface).collect();
        for interface in interfaces {
            match self.netlink.lower_unused(interface) {
                Ok(None) => {}
                Ok(Some(name)) => tracing::warn!(interface = name, "set it down"),
                Err(error) => {
                    tracing::error!("cannot set it down: {}", daemon::chain(&error));
                }
            }
        }
    }
}

/// Until one of `sockets` has something, or the deadline.
fn wait(sockets: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<(), GuardError> {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    match poll(sockets, left.map(timespec).as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(GuardError::Wait(error.into())),
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
