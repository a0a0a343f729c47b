//! What workers tell control: connections that ended, dials and accepts that failed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use probe::Reach;

use super::{End, Stood};
use crate::pool::{ListenerId, ServerId};

/// Names a connection for the life of the process: the worker in the bits from 46 on, a
/// count from 1 in those below. With at most 64 workers it stays below 2^53, up to where
/// those who read numbers of JSON as floats (jq, JavaScript) tell any two apart.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The `count`th connection of this worker.
    #[must_use]
    pub const fn new(worker: u16, count: u64) -> Self {
        Self(((worker as u64) << 46) | (count & 0x3fff_ffff_ffff))
    }
}

/// What a worker tells control.
#[derive(Debug)]
pub enum Event {
    /// Connections that have ended, at most [`super::ENDED`]. Sent when the snapshot wants ends
    /// reported.
    Ended(Vec<Record>),
    /// A dial failed or timed out; the client went on to another server or was given up.
    DialFailed {
        /// The server that was dialled.
        server: ServerId,
        /// The system's word for it; `TimedOut` when the attempt's time was used up, or the
        /// server took the connection and said nothing.
        kind: std::io::ErrorKind,
    },
    /// Accepting failed; it goes on after a pause when resources are missing.
    AcceptFailed {
        /// The socket that was accepted from.
        listener: ListenerId,
        /// The system's error.
        error: std::io::Error,
    },
}

/// What traffic says of a server that fails again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The server.
    pub server: ServerId,
    /// How much of it was reached.
    pub reach: Reach,
}

impl Observed {
    /// It refuses connections, or does not take them.
    #[must_use]
    pub const fn unreachable(server: ServerId) -> Self {
        let reach = Reach::Unreachable;
        Self { server, reach }
    }

    /// It takes connections, and not a byte comes.
    #[must_use]
    pub const fn silent(server: ServerId) -> Self {
        let reach = Reach::Silent;
        Self { server, reach }
    }
}

/// One connection, when it is over.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub id: ConnectionId,
    /// When it was accepted.
    pub accepted: SystemTime,
    /// The client's address.
    pub client: SocketAddr,
    /// The address the client connected to.
    pub bind: SocketAddr,
    /// The frontend's name.
    pub frontend: Arc<str>,
    /// The backend's name.
    pub backend: Arc<str>,
    /// The server it was connected to, if it came to that.
    pub server: Option<Arc<str>>,
    /// Our address towards the server: what the server saw as the client.
    pub source: Option<SocketAddr>,
    /// Dials made.
    pub attempts: u32,
    /// From accepted to connected.
    pub connected_after: Option<Duration>,
    /// From accepted to the server's first byte.
    pub first_byte_after: Option<Duration>,
    /// From accepted to ended.
    pub lasted: Duration,
    /// Bytes from the client to the server.
    pub sent: u64,
    /// Bytes from the server to the client.
    pub received: u64,
    /// How it ended.
    pub end: End,
    /// Where it stood then.
    pub stood: Stood,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_told_apart_as_a_float() {
        const EXACT: u64 = 1 << 53;
        assert!(ConnectionId::new(63, u64::MAX).0 < EXACT);
        assert_ne!(ConnectionId::new(0, 1), ConnectionId::new(1, 1));
    }
}
