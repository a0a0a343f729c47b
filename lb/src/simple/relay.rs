//! Carries bytes both ways until both directions are closed, or one side fails.
//!
//! Each direction reads into the worker's scratch buffer and writes at once; what the
//! receiver does not take is kept, and nothing more is read until it is gone: at most one
//! scratch buffer per direction. The end of one direction is passed on as such and the
//! other stays open. After a failure, what the failed side had still sent is handed on as
//! far as the other takes it, and then both are reset.

use std::cell::Cell;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Worker;
use super::connection::Session;
use crate::pool::Counters;
use crate::tcp;
use crate::worker::End;

/// Reads after a failure, at most: what a receive buffer holds, and a bound on the loop.
const LAST_READS: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// Why a direction stopped before its end.
struct Fault {
    side: Side,
    error: io::Error,
}

/// One connection's two sockets.
pub(super) struct Relay<'a> {
    pub(super) worker: &'a Worker,
    pub(super) session: &'a Session,
    pub(super) client: &'a TcpStream,
    pub(super) server: &'a TcpStream,
    pub(super) counters: &'a Counters,
    pub(super) idle: Option<Duration>,
    pub(super) stalls: Stalls,
}

/// Which direction holds bytes that its receiver does not take.
#[derive(Default)]
pub(super) struct Stalls {
    from_client: Cell<bool>,
    from_server: Cell<bool>,
}

impl Relay<'_> {
    /// Returns when the connection is over.
    pub(super) async fn run(&self) -> End {
        let heard = Cell::new(Instant::now());
        tokio::select! {
            end = self.both(&heard) => end,
            () = quiet(self.idle, &heard) => End::Idle,
        }
    }

    async fn both(&self, heard: &Cell<Instant>) -> End {
        let mut up = std::pin::pin!(self.pump(Side::Client, heard));
        let mut down = std::pin::pin!(self.pump(Side::Server, heard));
        let (first, end) = tokio::select! {
            result = &mut up => (result, End::ClientClosed),
            result = &mut down => (result, End::ServerClosed),
        };
        let second = match (first, end) {
            (Err(fault), _) => Err(fault),
            (Ok(()), End::ClientClosed) => self.last(Side::Client, down).await,
            (Ok(()), _) => self.last(Side::Server, up).await,
        };
        match second {
            Ok(()) => end,
            Err(fault) => {
                self.hand_on_last(fault.side);
                fault.end()
            }
        }
    }

    /// The direction that is left. Nothing is read any more from the side that closed, so
    /// that its failure would not be noticed otherwise.
    async fn last(
        &self,
        closed: Side,
        pump: impl Future<Output = Result<(), Fault>>,
    ) -> Result<(), Fault> {
        tokio::select! {
            result = pump => result,
            error = failure(self.socket(closed)) => Err(Fault { side: closed, error }),
        }
    }

    /// One direction, from this side to the other, until its end has been passed on.
    async fn pump(&self, from: Side, heard: &Cell<Instant>) -> Result<(), Fault> {
        let mut kept = Vec::new();
        loop {
            self.socket(from)
                .readable()
                .await
                .map_err(|error| Fault { side: from, error })?;
            let count = match self.step(from, &mut kept)? {
                Step::Again => continue,
                Step::End => break,
                Step::Moved(count) => count,
            };
            heard.set(Instant::now());
            self.count(from, count);
            if !kept.is_empty() {
                self.drain(from, std::mem::take(&mut kept)).await?;
                heard.set(Instant::now());
            }
        }
        let to = SockRef::from(self.socket(from.other()));
        match to.shutdown(std::net::Shutdown::Write) {
            // The other side is gone already: its own direction says how.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result.map_err(|error| Fault {
                side: from.other(),
                error,
            }),
        }
    }

    /// One read and one write; what was not taken is in `kept`.
    fn step(&self, from: Side, kept: &mut Vec<u8>) -> Result<Step, Fault> {
        let mut scratch = self.worker.scratch.borrow_mut();
        let count = match self.socket(from).try_read(&mut scratch) {
            Ok(0) => return Ok(Step::End),
            Ok(count) => count,
            Err(error) if is_blocked(&error) => return Ok(Step::Again),
            Err(error) => return Err(Fault { side: from, error }),
        };
        let read = scratch.get(..count).unwrap_or_default();
        let taken = match self.socket(from.other()).try_write(read) {
            Ok(taken) => taken,
            Err(error) if is_blocked(&error) => 0,
            Err(error) => {
                return Err(Fault {
                    side: from.other(),
                    error,
                });
            }
        };
        kept.extend_from_slice(read.get(taken..).unwrap_or_default());
        Ok(Step::Moved(count))
    }

    /// Writes what the receiver did not take at once. A sender that resets meanwhile is
    /// noticed, although nothing is read from it.
    async fn drain(&self, from: Side, kept: Vec<u8>) -> Result<(), Fault> {
        let stalled = self.stalled(from);
        stalled.set(true);
        let mut rest = kept.as_slice();
        while !rest.is_empty() {
            tokio::select! {
                biased;
                error = failure(self.socket(from)) => return Err(Fault { side: from, error }),
                ready = self.socket(from.other()).writable() => {
                    ready.map_err(|error| Fault { side: from.other(), error })?;
                }
            }
            match self.socket(from.other()).try_write(rest) {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) if is_blocked(&error) => {}
                Err(error) => {
                    return Err(Fault {
                        side: from.other(),
                        error,
                    });
                }
            }
        }
        Ok(())
    }

    /// What the failed side had sent before it failed and the kernel still holds: often
    /// the answer that explains the reset. Waits for nobody, and leaves no gap: nothing
    /// follows bytes that could not be written.
    fn hand_on_last(&self, failed: Side) {
        for _ in 0..LAST_READS {
            if self.stalled(failed).get() {
                return;
            }
            let mut kept = Vec::new();
            match self.step(failed, &mut kept) {
                Ok(Step::Moved(count)) => self.count(failed, count),
                Ok(Step::Again | Step::End) | Err(_) => return,
            }
            if !kept.is_empty() {
                return;
            }
        }
    }

    fn count(&self, from: Side, count: usize) {
        let (session, count) = (self.session, u64::try_from(count).unwrap_or(u64::MAX));
        let frontend = &session.frontend.counters;
        if from == Side::Client {
            session.link.unanswered.set(true);
            session.sent.set(session.sent.get() + count);
            self.counters.sent.fetch_add(count, Ordering::Relaxed);
            frontend.sent.fetch_add(count, Ordering::Relaxed);
            return;
        }
        session.link.unanswered.set(false);
        if session.received.get() == 0 {
            session.first_byte_after.set(Some(session.began.elapsed()));
        }
        session.received.set(session.received.get() + count);
        self.counters.received.fetch_add(count, Ordering::Relaxed);
        frontend.received.fetch_add(count, Ordering::Relaxed);
    }

    const fn stalled(&self, from: Side) -> &Cell<bool> {
        match from {
            Side::Client => &self.stalls.from_client,
            Side::Server => &self.stalls.from_server,
        }
    }

    const fn socket(&self, side: Side) -> &TcpStream {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

enum Step {
    /// Nothing was there to read.
    Again,
    /// The sender has closed its direction.
    End,
    /// So many bytes were read.
    Moved(usize),
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl Fault {
    fn end(&self) -> End {
        match (self.side, tcp::is_gone(&self.error)) {
            (Side::Client, false) => End::ClientReset,
            (Side::Client, true) => End::ClientGone,
            (Side::Server, false) => End::ServerReset,
            (Side::Server, true) => End::ServerGone,
        }
    }
}

fn is_blocked(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Returns when the socket has failed.
async fn failure(socket: &TcpStream) -> io::Error {
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    loop {
        match socket.ready(Interest::ERROR).await {
            Err(error) => return error,
            Ok(ready) if ready.is_error() => {
                return socket.take_error().ok().flatten().unwrap_or_else(reset);
            }
            Ok(_) => {}
        }
    }
}

/// Returns when nothing was heard for `limit`; never without one.
async fn quiet(limit: Option<Duration>, heard: &Cell<Instant>) {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    loop {
        let due = heard.get() + limit;
        if Instant::now() >= due {
            return;
        }
        tokio::time::sleep_until(due).await;
    }
}
