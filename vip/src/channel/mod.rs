//! The side channel: a few authenticated datagrams between the daemons of a group, so that
//! an address that moves on purpose moves to a successor that was told first.
//!
//! ```text
//!   driver ──Ask──▶ link ── Offer ──▶ link ──▶ is the router there ready?
//!     ▲              │  ◀── Accept ──
//!     └──── Go ──────┘
//!   lets go of the address
//!   sends Go ─────────────────────▶ link ──Take──▶ driver: Active at once
//!                       ◀── Taken ──
//! ```
//!
//! [`message`] is the format, [`session`] says which messages are new, [`choose`] picks
//! the successor, [`link`] owns the socket. Until the successor has accepted, nothing has
//! changed; what goes wrong before that leads to priority 0, as without a channel.

pub mod choose;
mod client;
pub mod link;
pub mod message;
pub mod session;
mod terms;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

pub use client::{Ask, Client, Declined, Entry, Facts, Go, Peer, Shared};

/// The port of the channel.
pub const PORT: u16 = 8112;

/// The channel as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// This node's name.
    pub name: message::Name,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The key that all nodes share.
    pub key: message::Key,
    /// The other nodes by name.
    pub peers: BTreeMap<message::Name, SocketAddr>,
}

/// Which group a message is about, whatever nodes call the router: it has as many names as
/// addresses, and two nodes are in one group that share a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The virtual router.
    pub vrid: u8,
    /// One of its addresses.
    pub address: IpAddr,
}
