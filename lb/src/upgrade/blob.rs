//! The state that one process image hands to the next, as bytes.
//!
//! ```text
//!   0      16      20        24        32
//!   ┌──────┬───────┬─────────┬─────────┬──────────────┬─────────────────────────┐
//!   │ name │version│ sockets │ text len│ text (JSON)  │ bytes of the connections│
//!   └──────┴───────┴─────────┴─────────┴──────────────┴─────────────────────────┘
//! ```
//!
//! Numbers are big-endian. There is no checksum: these bytes never leave the memory of the
//! kernel that both images share. What does not fit together is refused all the same, since
//! the one who reads was written by somebody else than the one who wrote.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::History;
use crate::engine::Kept;
use crate::roster;
use crate::trail::Past;

/// What the bytes begin with.
const NAME: &[u8; 16] = b"sternpost-api-lb";
/// Raised with every change of what is written that an older or newer reader would not
/// understand. Read are this one and, once there is one, the version before.
pub const VERSION: u32 = 1;
const HEAD: usize = 32;

/// All that the next image goes on with, beside the sockets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the program that wrote it.
    pub program: String,
    /// What it was started with, for the way back.
    pub arguments: Vec<OsString>,
    /// The clock of the connections.
    pub clock: Clock,
    /// The process was told to stop meanwhile.
    pub stops: bool,
    /// How upgrades went.
    pub history: History,
    /// Servers, orders, counters.
    pub roster: roster::Kept,
    /// Where the listening sockets listen, in their order among the sockets.
    pub listeners: Vec<SocketAddr>,
    /// Who stood behind which of our addresses.
    pub trail: Vec<Past>,
    /// The last count of each worker.
    pub counts: Vec<u64>,
    /// The connections, in the order of their sockets, which follow the listening ones.
    pub sessions: Vec<Kept>,
}

/// How the clock of the connections relates to the machine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// The machine's monotonic clock, at one instant.
    pub machine: Duration,
    /// The connections' clock at that instant.
    pub crew: Duration,
}

/// Why a state is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// It is none of ours, or breaks off.
    #[error("what was handed over is no state of an api-lb")]
    Foreign,
    /// It is of a version that this program does not know.
    #[error(
        "the running program hands over version {0}; this one takes version {VERSION}"
    )]
    Version(u32),
    /// Its text says something that this program does not understand.
    #[error("the state that was handed over does not read: {0}")]
    Text(String),
    /// Its parts do not go together.
    #[error("the state that was handed over does not hold together: {0}")]
    Broken(&'static str),
}

impl State {
    /// How many sockets go with it.
    #[must_use]
    pub fn sockets(&self) -> usize {
        let sessions: usize = self.sessions.iter().map(Kept::sockets).sum();
        self.listeners.len() + sessions
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When something in it cannot be written as text.
    pub fn encode(&self) -> Result<Vec<u8>, BlobError> {
        let text =
            serde_json::to_vec(self).map_err(|e| BlobError::Text(e.to_string()))?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut blob = Vec::with_capacity(HEAD + text.len());
        blob.extend_from_slice(NAME);
        blob.extend_from_slice(&VERSION.to_be_bytes());
        blob.extend_from_slice(&count(self.sockets()).to_be_bytes());
        blob.extend_from_slice(&(text.len() as u64).to_be_bytes());
        blob.extend_from_slice(&text);
        let bytes = self.sessions.iter().flat_map(Kept::bytes);
        bytes.for_each(|bytes| blob.extend_from_slice(bytes.get()));
        Ok(blob)
    }

    /// Reads what [`State::encode`] wrote.
    ///
    /// # Errors
    /// Whatever is not as it writes it; nothing panics.
    pub fn decode(blob: &[u8]) -> Result<Self, BlobError> {
        let (head, rest) = blob.split_first_chunk::<HEAD>().ok_or(BlobError::Foreign)?;
        let [
            name @ ..,
            v0,
            v1,
            v2,
            v3,
            s0,
            s1,
            s2,
            s3,
            l0,
            l1,
            l2,
            l3,
            l4,
            l5,
            l6,
            l7,
        ] = head;
        if name != NAME {
            return Err(BlobError::Foreign);
        }
        let version = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
        if version != VERSION {
            return Err(BlobError::Version(version));
        }
        let sockets = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
        let len = u64::from_be_bytes([*l0, *l1, *l2, *l3, *l4, *l5, *l6, *l7]);
        let len = usize::try_from(len).map_err(|_| BlobError::Foreign)?;
        let (text, mut behind) = rest.split_at_checked(len).ok_or(BlobError::Foreign)?;
        let mut state: Self =
            serde_json::from_slice(text).map_err(|e| BlobError::Text(e.to_string()))?;
        for bytes in state.sessions.iter_mut().flat_map(Kept::bytes_mut) {
            behind = bytes
                .read(behind)
                .ok_or(BlobError::Broken("bytes are missing"))?;
        }
        if !behind.is_empty() {
            return Err(BlobError::Broken("there are bytes that are nobody's"));
        }
        if usize::try_from(sockets).ok() != Some(state.sockets()) {
            return Err(BlobError::Broken("another number of sockets"));
        }
        if !state.sessions.iter().all(Kept::is_sound) {
            return Err(BlobError::Broken("a connection that cannot be"));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests;
