//! Which server to dial next for one client, and when to give up. Decides; dials nothing.
//!
//! Servers are tried in turn. When all were tried and at least one only timed out, another
//! round begins with twice the time per attempt: servers that are merely slow get their
//! connection then. When all refused there is no second round, since nothing is gained.

use std::sync::Arc;
use std::time::Duration;

use super::{Backend, Server, ServerId};
use crate::worker::End;

/// One dial to make.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Whom to dial.
    pub server: Arc<Server>,
    /// How long to wait for it.
    pub timeout: Duration,
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
    round: u32,
    attempts: u32,
    timed_out: bool,
}

impl Dialling {
    /// The next dial, `elapsed` after the client came.
    ///
    /// # Errors
    /// The end of the connection: [`End::NoServer`] when the backend has none that may be
    /// used, [`End::DialFailed`] when all were tried in vain, [`End::DialBudget`] when the
    /// time or the attempts are used up.
    pub fn next(
        &mut self,
        backend: &Backend,
        turn: u64,
        elapsed: Duration,
    ) -> Result<Attempt, End> {
        let left = backend.dial.time.saturating_sub(elapsed);
        if left.is_zero() || self.attempts >= backend.dial.attempts {
            return Err(End::DialBudget);
        }
        let server = self.candidate(backend, turn)?;
        let patience = backend.dial.connect.saturating_mul(1 << self.round.min(10));
        self.attempts += 1;
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

    /// How many dials were made.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    fn candidate(&mut self, backend: &Backend, turn: u64) -> Result<Arc<Server>, End> {
        if let Some(server) = backend.pick(turn, &self.tried) {
            return Ok(Arc::clone(server));
        }
        if !self.timed_out {
            return Err(if self.attempts == 0 {
                End::NoServer
            } else {
                End::DialFailed
            });
        }
        self.tried.clear();
        self.timed_out = false;
        self.round += 1;
        backend.pick(turn, &[]).cloned().ok_or(End::NoServer)
    }
}
