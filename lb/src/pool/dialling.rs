//! Which server to dial next for one client, and when to give up. Decides; dials nothing.
//!
//! Servers are tried in turn. When all were tried and at least one only timed out, another
//! round begins with twice the time per attempt: servers that are merely slow get their
//! connection then. When all refused there is no second round, since nothing is gained.

use std::sync::Arc;
use std::time::Duration;

use super::{Backend, Seat, Server, ServerId, State, Vacancy};
use crate::worker::End;

/// One dial to make.
#[derive(Debug)]
pub struct Attempt {
    /// Whom to dial: a place is taken there.
    pub server: Seat,
    /// How long to wait for it.
    pub timeout: Duration,
}

/// Why there is no next dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The servers to be used have all the connections they may: the client is to wait.
    Full,
    /// The connection is over.
    Over(End),
}

/// How a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An error came back: refused, unreachable, no local port.
    Refused,
    /// Nothing came back in time.
    TimedOut,
    /// It took the connection, and then said nothing. That it let its client down is told when
    /// that is noticed ([`Dialling::let_down`]).
    Silent,
}

/// The dials made for one client so far. Holds no memory until one has failed.
#[derive(Clone, Debug, Default)]
pub struct Dialling {
    tried: Option<Box<Tried>>,
    /// When dialling began, in milliseconds after the client came: later when it had to wait
    /// for a place.
    began: u32,
    /// At most 100, by the configuration.
    attempts: u8,
    round: u8,
    timed_out: bool,
    /// The server that was dialled last has let the client down, which was told.
    is_let_down: bool,
}

/// Boxed, so that a session whose first dial succeeds pays for one pointer.
#[derive(Clone, Debug, Default)]
struct Tried(Vec<ServerId>);

impl Dialling {
    /// The next dial, `elapsed` after the client came.
    ///
    /// # Errors
    /// [`Refusal::Full`] when the client is to wait, or the end of the connection:
    /// [`End::NoServer`] when the backend has none that may be used, [`End::DialFailed`] when
    /// all were tried in vain, [`End::DialBudget`] when the time or the attempts are used up.
    pub fn next(
        &mut self,
        backend: &Backend,
        lot: u64,
        elapsed: Duration,
    ) -> Result<Attempt, Refusal> {
        let left = backend.dial.time.saturating_sub(self.spent(elapsed));
        if left.is_zero() || self.attempts() >= backend.dial.attempts {
            return Err(Refusal::Over(End::DialBudget));
        }
        let server = self.candidate(backend, lot)?;
        Ok(self.attempt(backend, server, left))
    }

    /// A server to dial beside `current`, which keeps the client waiting: one that is thought
    /// to be usable, and for which there is still time. None is not an end.
    pub fn beside(
        &mut self,
        backend: &Backend,
        lot: u64,
        elapsed: Duration,
        current: ServerId,
    ) -> Option<Attempt> {
        let left = backend.dial.time.saturating_sub(self.spent(elapsed));
        if left.is_zero() || self.attempts() >= backend.dial.attempts {
            return None;
        }
        let server = Seat::take(self.other(backend, lot, current)?)?;
        Some(self.attempt(backend, server, left))
    }

    /// The server that a client of `current` would go to.
    #[must_use]
    pub fn other<'b>(
        &self,
        backend: &'b Backend,
        lot: u64,
        current: ServerId,
    ) -> Option<&'b Arc<Server>> {
        let mut tried = self.tried().to_vec();
        tried.push(current);
        backend
            .pick(lot, &tried)
            .filter(|server| backend.state_of(server.id).is_some_and(State::is_usable))
    }

    fn attempt(&mut self, backend: &Backend, server: Seat, left: Duration) -> Attempt {
        let patience = backend.dial.connect.saturating_mul(1 << self.round.min(10));
        self.attempts = self.attempts.saturating_add(1);
        self.is_let_down = false;
        Attempt {
            server,
            timeout: patience.min(left),
        }
    }

    /// The last dial could not even begin, for want of something of our own: it says nothing
    /// of the server, and does not count.
    pub const fn unmade(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// The server that was dialled last keeps the client waiting. Whether that is to be told:
    /// a client counts once, however often its silence is looked into.
    #[must_use]
    pub const fn let_down(&mut self) -> bool {
        !std::mem::replace(&mut self.is_let_down, true)
    }

    /// The dial to this server failed.
    pub fn failed(&mut self, server: ServerId, failure: Failure) {
        self.tried.get_or_insert_default().0.push(server);
        self.timed_out |= failure == Failure::TimedOut;
    }

    /// The client has waited for a place until now: the time for its dials begins anew.
    pub fn resume(&mut self, elapsed: Duration) {
        self.began = u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX);
    }

    /// Of the time since the client came, what its dials have used.
    #[must_use]
    pub fn spent(&self, elapsed: Duration) -> Duration {
        elapsed.saturating_sub(Duration::from_millis(u64::from(self.began)))
    }

    /// How many dials were made.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        u32::from(self.attempts)
    }

    fn tried(&self) -> &[ServerId] {
        self.tried.as_ref().map_or(&[], |tried| &tried.0)
    }

    fn candidate(&mut self, backend: &Backend, lot: u64) -> Result<Seat, Refusal> {
        match backend.seat(lot, self.tried()) {
            Ok(seat) => return Ok(seat),
            Err(Vacancy::Full) => return Err(Refusal::Full),
            Err(Vacancy::Nobody) => {}
        }
        if !self.timed_out {
            return Err(Refusal::Over(if self.attempts == 0 {
                End::NoServer
            } else {
                End::DialFailed
            }));
        }
        self.tried = None;
        self.timed_out = false;
        self.round = self.round.saturating_add(1);
        backend.seat(lot, &[]).map_err(|vacancy| match vacancy {
            Vacancy::Full => Refusal::Full,
            Vacancy::Nobody => Refusal::Over(End::NoServer),
        })
    }
}
