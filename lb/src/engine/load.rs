//! What a session carries: in its dial the client's first bytes, in its relay what waits.

use std::os::fd::OwnedFd;

use super::pending::{Held, Pending};
use super::relay::Flow;
use super::wheel::Tick;
use crate::pool::{Dialling, Seat};

/// What a session carries in its dial, and what in its relay: never both.
#[derive(Debug)]
pub(super) enum Load {
    /// Until the server's first byte, or the client's first that cannot be given again:
    /// another server can still be dialled.
    Dial {
        /// The dials so far.
        dials: Dialling,
        /// What decides among equal servers: [`crate::pool::Backend::lot`].
        lot: u64,
        /// The client's first bytes: what the server has of them, and what not yet.
        kept: Option<Box<Pending>>,
        /// A second dial beside the first.
        spare: Option<Box<Spare>>,
        /// When this dial began.
        began: Tick,
    },
    /// While bytes cross.
    Relay {
        /// Pending bytes towards the server.
        up: Held,
        /// Pending bytes towards the client.
        down: Held,
        /// Bytes given to the server.
        sent: u64,
        /// Bytes given to the client.
        received: u64,
    },
}

/// A dial beside another.
#[derive(Debug)]
pub(super) struct Spare {
    /// Its socket, on the lane that the session's own is not on.
    pub(super) socket: OwnedFd,
    /// The place at the server that is dialled.
    pub(super) server: Seat,
    /// When it began.
    pub(super) began: Tick,
    /// When it is given up.
    pub(super) deadline: Tick,
}

impl Load {
    /// What waits in this direction; nothing is held before the relay.
    pub(super) fn held(&mut self, flow: Flow) -> Option<&mut Held> {
        match (self, flow) {
            (Self::Dial { .. }, _) => None,
            (Self::Relay { up, .. }, Flow::Up) => Some(up),
            (Self::Relay { down, .. }, Flow::Down) => Some(down),
        }
    }
}
