//! Which server to dial next for one client, and when to give up. Decides; dials nothing.
//!
//! Servers are tried in turn. When all were tried and at least one only timed out, another
//! round begins with twice the time per attempt: servers that are merely slow get their
//! connection then. When all refused there is no second round, since nothing is gained.

use std::time::Duration;

use super::{Backend, Seat, ServerId, Vacancy};
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
}

/// The dials made for one client so far. Holds no memory until one has failed.
#[derive(Clone, Debug, Default)]
pub struct Dialling {
    tried: Vec<ServerId>,
    /// When dialling began, in milliseconds after the client came: later when it had to wait
    /// for a place.
    began: u32,
    round: u16,
    attempts: u16,
    timed_out: bool,
}

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
        let patience = backend
            .dial
            .connect
            .saturating_mul(1 << u32::from(self.round.min(10)));
        self.attempts = self.attempts.saturating_add(1);
        Ok(Attempt {
            server,
            timeout: patience.min(left),
        })
    }

    /// The dial to this server failed.
    pub fn failed(&mut self, server: ServerId, failure: Failure) {
        self.tried.push(server);
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
    pub const fn attempts(&self) -> u32 {
        self.attempts as u32
    }

    fn candidate(&mut self, backend: &Backend, lot: u64) -> Result<Seat, Refusal> {
        match backend.seat(lot, &self.tried) {
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
        self.tried.clear();
        self.timed_out = false;
        self.round = self.round.saturating_add(1);
        backend.seat(lot, &[]).map_err(|vacancy| match vacancy {
            Vacancy::Full => Refusal::Full,
            Vacancy::Nobody => Refusal::Over(End::NoServer),
        })
    }
}
