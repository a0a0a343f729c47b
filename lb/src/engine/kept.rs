//! A session written down: what one process image hands to the next, beside the sockets.
//!
//! Ticks and moments are those of the crew, whose clock goes on in the next image. Bytes do
//! not stand in the text but behind it, in the order of [`Kept::bytes_mut`].

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compact::Moment;
use super::machine::{Admission, Machine};
use super::relay::Flow;
use super::session::Writes;
use crate::pool::{Server, Snapshot};
use crate::roster::Served;

/// Bytes that stand behind the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes {
    len: u32,
    #[serde(skip)]
    bytes: Vec<u8>,
}

impl Bytes {
    /// These bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            bytes: bytes.to_vec(),
        }
    }

    /// The bytes, once they have been read.
    #[must_use]
    pub fn get(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are to be.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes its bytes off the front of what stands behind the text; `None` when that is too
    /// short.
    #[must_use]
    pub fn read<'a>(&mut self, behind: &'a [u8]) -> Option<&'a [u8]> {
        let (own, rest) = behind.split_at_checked(self.len())?;
        self.bytes = own.to_vec();
        Some(rest)
    }
}

/// What a session carried.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Cargo {
    /// The client's first words, which another server can still be given.
    #[serde(rename_all = "camelCase")]
    First { lot: u64, kept: Bytes, written: u32 },
    /// What waited in each direction, and what had crossed.
    #[serde(rename_all = "camelCase")]
    Relay {
        up: Bytes,
        down: Bytes,
        sent: u64,
        received: u64,
    },
}

/// The server of a session, by its names: its number is this image's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct At {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) weight: u16,
    /// A connection to it was counted.
    pub(super) counted: bool,
}

impl At {
    /// Whether it is this server's.
    pub(super) fn is_of(&self, server: &Server) -> bool {
        *server.name == *self.name && server.address == self.address
    }
}

/// A session, written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub(super) worker: u16,
    pub(super) count: u64,
    pub(super) client: SocketAddr,
    pub(super) frontend: String,
    pub(super) backend: String,
    pub(super) route: Option<usize>,
    pub(super) accepted: Moment,
    pub(super) connected_after: Option<NonZeroU32>,
    pub(super) first_byte_after: Option<NonZeroU32>,
    pub(super) attempts: u16,
    pub(super) writes: Writes,
    pub(super) machine: Machine,
    /// Present when the server has taken the connection, and its socket is handed over.
    pub(super) server: Option<At>,
    pub(super) cargo: Cargo,
}

impl Kept {
    /// The worker that had it.
    #[must_use]
    pub const fn worker(&self) -> u16 {
        self.worker
    }

    /// Its server in this image, by its name and address; none when that is in no configuration
    /// any more.
    #[must_use]
    pub fn server_in(&self, snapshot: &Snapshot) -> Option<Arc<Server>> {
        let at = self.server.as_ref()?;
        let servers = snapshot.backend(&self.backend)?.servers();
        let mut servers = servers.iter().map(|(server, _)| server);
        servers.find(|server| at.is_of(server)).map(Arc::clone)
    }

    /// Its server, by names.
    #[must_use]
    pub fn served_by(&self) -> Option<Served<'_>> {
        let at = self.server.as_ref()?;
        Some((&self.backend, &at.name, at.address))
    }

    /// How many sockets go with it: the client's, and then the server's.
    #[must_use]
    pub const fn sockets(&self) -> usize {
        if self.server.is_some() { 2 } else { 1 }
    }

    /// Its bytes, in the order in which they stand behind the text.
    pub fn bytes_mut(&mut self) -> impl Iterator<Item = &mut Bytes> {
        let (first, second) = match &mut self.cargo {
            Cargo::First { kept, .. } => (kept, None),
            Cargo::Relay { up, down, .. } => (up, Some(down)),
        };
        std::iter::once(first).chain(second)
    }

    /// The same, only to be read.
    pub fn bytes(&self) -> impl Iterator<Item = &Bytes> {
        let (first, second) = match &self.cargo {
            Cargo::First { kept, .. } => (kept, None),
            Cargo::Relay { up, down, .. } => (up, Some(down)),
        };
        std::iter::once(first).chain(second)
    }

    /// Whether its parts agree with each other, as they do when they were written together.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let pending = |flow| self.machine.pending(flow) as usize;
        let connected = self.machine.is_connected();
        connected == self.server.is_some()
            && match &self.cargo {
                Cargo::First { kept, written, .. } => {
                    let left = kept.len().checked_sub(*written as usize);
                    !connected || left == Some(pending(Flow::Up))
                }
                Cargo::Relay { up, down, .. } => {
                    connected
                        && self.machine.admission() == Admission::Given
                        && up.len() == pending(Flow::Up)
                        && down.len() == pending(Flow::Down)
                }
            }
    }
}
