//! One session: two sockets, a machine, and what is needed to say in the end how it was.
//!
//! Idle, it is this struct in its slab slot and nothing else: no buffer, no timer entry. Its
//! size is the memory that a connection costs, so every field has to earn its place.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::compact::{Moment, Peer};
use super::load::Load;
use super::machine::Machine;
use super::origin::Origin;
use super::poll::Lane;
use super::relay::{Fault, Flow, Over, Side};
use super::turn::can_be_given_again;
use super::wheel::Tick;
use super::{report, tcp_info};
use crate::hello::{self, Extent};
use crate::pool::{Attempt, Backend, Refusal, Seat};
use crate::proxy::{self, Header};
use crate::worker::End;

/// How often the server's socket was written to: its first write leaves at once by itself,
/// from the second on TCP_NODELAY has to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Writes {
    /// Not yet.
    None,
    /// Once.
    One,
    /// More often; TCP_NODELAY is set.
    Many,
}

/// What a session's next turn waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A report of the poll.
    Report,
    /// Its place in the queue.
    Queue,
    /// Memory, which was missing: a report of the poll, or a while.
    Memory,
}

/// One client, and the server it was given.
#[derive(Debug)]
pub(super) struct Session {
    /// Where it stands.
    pub(super) machine: Machine,
    /// The client's socket.
    pub(super) client: OwnedFd,
    /// The socket of the server that is dialled or connected.
    pub(super) socket: Option<OwnedFd>,
    /// What it carries.
    pub(super) load: Load,
    /// Which events are of `socket`.
    pub(super) lane: Lane,
    /// The place at the server that `socket` belongs to.
    pub(super) server: Option<Seat>,
    /// Where it came in.
    pub(super) origin: Rc<Origin>,
    /// Its number among the sessions of this worker.
    pub(super) count: u64,
    /// The client's address.
    pub(super) address: Peer,
    /// When it was accepted.
    pub(super) accepted: Moment,
    /// From accepted to connected, in microseconds.
    pub(super) connected_after: Option<std::num::NonZeroU32>,
    /// From accepted to the server's first byte, in microseconds.
    pub(super) first_byte_after: Option<std::num::NonZeroU32>,
    /// When its entry in the wheel fires.
    pub(super) timer: Option<Tick>,
    /// Dials made.
    pub(super) attempts: u16,
    /// Whether it waits for another turn.
    pub(super) next: Next,
    /// Writes to the server's socket.
    pub(super) writes: Writes,
}

impl Session {
    /// The next server of this backend to dial.
    ///
    /// # Errors
    /// The end, when no server is left or the dial budget is used up, or that it is to wait.
    pub(super) fn next_dial(
        &mut self,
        backend: &Backend,
        now: Duration,
    ) -> Result<Attempt, Refusal> {
        let elapsed = self.elapsed(now);
        match &mut self.load {
            Load::Dial { dials, lot, .. } => dials.next(backend, *lot, elapsed),
            Load::Relay { .. } => Err(Refusal::Over(End::DialFailed)),
        }
    }

    /// Whether another server can take over after this end, with nobody the wiser: it is
    /// the server that failed, and nothing it was given is lost or was answered.
    #[must_use]
    pub(super) fn can_redial(&self, over: Over, now: Duration) -> bool {
        let Over::Broken {
            by: Side::Server,
            fault,
        } = over
        else {
            return false;
        };
        match &self.load {
            Load::Relay { .. } => false,
            // Other first words are here where routes wait for a ClientHello.
            Load::Dial {
                kept: Some(kept), ..
            } => kept.written() == 0 || can_be_given_again(kept.all()),
            Load::Dial {
                kept: None, dials, ..
            } => {
                let spent = dials.spent(self.elapsed(now));
                fault == Fault::Reset && spent < self.origin.backend.dial.time
            }
        }
    }

    /// Whether the server has just been given all of a ClientHello, and nothing else.
    #[must_use]
    pub(super) fn has_asked(&self) -> bool {
        let Load::Dial {
            kept: Some(kept), ..
        } = &self.load
        else {
            return false;
        };
        let whole = Extent::Whole(kept.all().len());
        kept.rest().is_empty() && hello::extent(kept.all()) == whole
    }

    /// Whether the client has sent something that the server has not acknowledged.
    #[must_use]
    pub(super) fn is_owed(&mut self) -> bool {
        let queued = self.socket.as_ref().map_or(0, tcp_info::unacknowledged);
        queued > 0 || self.machine.relay().pending(Flow::Up) > 0
    }

    /// Bytes of the client that a server is still to be given, all of them anew.
    pub(super) fn rewind(&mut self) -> u32 {
        let Load::Dial {
            kept: Some(kept), ..
        } = &mut self.load
        else {
            return 0;
        };
        kept.rewind();
        u32::try_from(kept.all().len()).unwrap_or(u32::MAX)
    }

    /// Tells the server who the client is, where that is configured. The first bytes of a
    /// connection always fit.
    ///
    /// # Errors
    /// The server has gone already.
    pub(super) fn introduce(&mut self) -> rustix::io::Result<()> {
        let (Some(version), Some(socket)) =
            (self.origin.backend.send_proxy, &self.socket)
        else {
            return Ok(());
        };
        let header = match report::own_address(&self.client) {
            Some(destination) => Header::Tcp {
                source: self.address.address(),
                destination,
            },
            None => Header::Local,
        };
        let bytes = proxy::emit(version, &header);
        match rustix::net::send(socket, &bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(sent) if sent == bytes.len() => {
                // What comes next must not wait until the header is acknowledged.
                if self.writes == Writes::None {
                    self.writes = Writes::One;
                }
                Ok(())
            }
            Ok(_) => Err(rustix::io::Errno::PIPE),
            Err(errno) => Err(errno),
        }
    }

    /// How long ago it was accepted.
    #[must_use]
    pub(super) fn elapsed(&self, now: Duration) -> Duration {
        self.accepted.elapsed(now)
    }

    /// Microseconds since it was accepted.
    #[must_use]
    pub(super) fn age(&self, now: Duration) -> Option<std::num::NonZeroU32> {
        let age = self.elapsed(now).as_micros();
        std::num::NonZeroU32::new(u32::try_from(age).unwrap_or(u32::MAX).max(1))
    }

    /// Bytes given to the server and to the client.
    #[must_use]
    pub(super) const fn bytes(&self) -> (u64, u64) {
        match &self.load {
            Load::Dial { kept, .. } => match kept {
                Some(kept) => (kept.written(), 0),
                None => (0, 0),
            },
            Load::Relay { sent, received, .. } => (*sent, *received),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/life-of-a-connection.md` promises it.
    #[test]
    fn an_idle_connection_costs_at_most_its_budget() {
        let slot = crate::engine::slab::Slab::<Session>::SLOT;
        assert!(slot <= 224, "{slot} bytes");
    }
}
