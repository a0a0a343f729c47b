//! The words between a relay and its driver: what was reported, what is to be done, how it went.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Relay;

/// One of the two peers of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) enum Side {
    /// Whoever connected to the frontend.
    Client,
    /// The server that was dialled.
    Server,
}

/// One direction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) enum Flow {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Flow {
    /// The flow that reads from `side`.
    #[must_use]
    pub(in crate::engine) const fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Up,
            Side::Server => Self::Down,
        }
    }

    /// The side that this flow reads from.
    #[must_use]
    pub(in crate::engine) const fn source(self) -> Side {
        match self {
            Self::Up => Side::Client,
            Self::Down => Side::Server,
        }
    }

    /// The side that this flow writes to.
    #[must_use]
    pub(in crate::engine) const fn destination(self) -> Side {
        self.opposite().source()
    }

    /// The other direction.
    #[must_use]
    pub(in crate::engine) const fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// How bytes cross: through the worker's scratch buffer or through a pipe in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) enum Via {
    /// `recv` and `send`.
    Copy,
    /// `splice` into a pipe and out of it.
    Pipe,
}

/// What a poll reported about one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the four bits that epoll reports"
)]
pub(in crate::engine) struct Ready {
    /// There may be something to read.
    pub(in crate::engine) readable: bool,
    /// There may be room to write.
    pub(in crate::engine) writable: bool,
    /// The peer will send no more: an end of file follows the bytes that are queued.
    pub(in crate::engine) hup: bool,
    /// The socket has an error; the next call on it says which.
    pub(in crate::engine) error: bool,
}

/// Why a socket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) enum Fault {
    /// The peer reset the connection, or was written to after it had closed.
    Reset,
    /// The kernel gave the peer up: keepalive or unacknowledged data.
    TimedOut,
    /// The network said that the peer cannot be reached.
    Unreachable,
    /// Any other error.
    Other,
}

/// What a read took from a flow's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Took {
    /// Some bytes; `full` when the read was filled, so that more may be waiting.
    Bytes {
        /// How many.
        len: u32,
        /// Whether the read ended because it was full.
        full: bool,
    },
    /// Nothing to read yet.
    Empty,
    /// The source has ended.
    Eof,
    /// Nothing: the kernel had no memory for it.
    Starved,
    /// The source failed.
    Failed(Fault),
}

/// What a write gave to a flow's destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Gave {
    /// Everything that there was.
    All,
    /// The destination took no more; `left` bytes are pending.
    Part {
        /// How many bytes are pending.
        left: u32,
    },
    /// The kernel had no memory for it; `left` bytes are pending, and no report comes when it
    /// has some again.
    Starved {
        /// How many bytes are pending.
        left: u32,
    },
    /// The destination failed.
    Failed(Fault),
}

/// How a relay is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Over {
    /// Both directions ended in order; `first` is the side that ended first.
    Closed {
        /// Who ended first.
        first: Side,
    },
    /// One side failed; the other is to see a reset, not an end of file.
    Broken {
        /// Who failed.
        by: Side,
        /// How.
        fault: Fault,
    },
}

/// The one thing to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Step {
    /// Read once from the source and write that to the destination; answer with
    /// [`Relay::carried`].
    Carry {
        /// In which direction.
        flow: Flow,
        /// In which way.
        via: Via,
    },
    /// Write what is pending; answer with [`Relay::flushed`].
    Flush(Flow),
    /// Tell the destination that no more comes; answer with [`Relay::shut`].
    Shut(Flow),
    /// Ask the socket for its error, which no read will meet; answer with
    /// [`Relay::failed`].
    Inquire(Side),
    /// Nothing, until a poll reports something.
    Wait,
    /// Nothing for a while, since memory was missing; then [`Relay::rested`].
    Rest,
    /// Close both sockets.
    Over(Over),
}
