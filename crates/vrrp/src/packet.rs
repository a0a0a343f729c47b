//! Adverts as values and as bytes: [`parse`] and [`emit`] are inverse to each other.
//!
//! ```text
//!  VRRPv3 (RFC 9568 section 5.1)               VRRPv2 (RFC 3768 section 5.1)
//!  0       1       2       3                   0       1       2       3
//!  ┌───┬───┬───────┬───────┬───────┐           ┌───┬───┬───────┬───────┬───────┐
//!  │Ver│Typ│ VRID  │Priorit│ Count │           │Ver│Typ│ VRID  │Priorit│ Count │
//!  ├───┼───┴───────┼───────┴───────┤           ├───┴───┼───────┼───────┴───────┤
//!  │rsv│Max Adv Int│   Checksum    │           │ Auth  │Adv Int│   Checksum    │
//!  ├───┴───────────┴───────────────┤           ├───────┴───────┴───────────────┤
//!  │  Address (4 or 16 octets) × n │           │       Address (4 octets) × n  │
//!  └───────────────────────────────┘           ├───────────────────────────────┤
//!                                              │ Authentication Data (8 octets)│
//!                                              └───────────────────────────────┘
//! ```

mod addresses;
mod auth;
mod checksum;
pub mod ipv4;
pub mod ipv6;
mod wire;

pub use addresses::{Addresses, AddressesError};
pub use auth::{Auth, PASSWORD_OCTETS, Password};
pub use checksum::{Checksum, ChecksumStyle};
pub use wire::{emit, parse};

use std::net::IpAddr;

use crate::{AdvertInterval, Family, Priority, Version, Vrid};

/// What the IP header says about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// Source Address.
    pub source: IpAddr,
    /// Destination Address: the group, or a unicast peer.
    pub destination: IpAddr,
    /// Time to Live or Hop Limit as received.
    pub ttl: u8,
}

impl Envelope {
    /// What a router at `source` sends to the group of its family.
    pub const fn multicast(source: IpAddr) -> Self {
        Self {
            source,
            destination: Family::of(source).group(),
            ttl: crate::TTL,
        }
    }

    /// What a router at `source` sends to one peer.
    pub const fn unicast(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            ttl: crate::TTL,
        }
    }

    /// Was this sent to a group?
    pub const fn is_multicast(&self) -> bool {
        self.destination.is_multicast()
    }
}

/// One ADVERTISEMENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// Version.
    pub version: Version,
    /// Virtual Rtr ID.
    pub vrid: Vrid,
    /// Priority; 0 when the Active stops.
    pub priority: Priority,
    /// Adver Int (VRRPv2), Max Advertise Interval (VRRPv3).
    pub interval: AdvertInterval,
    /// Auth Type and Authentication Data; VRRPv3 has no such field and carries none.
    pub auth: Auth,
    /// The addresses, in the order of the configuration.
    pub addresses: Addresses,
}

/// An advert that was received, and what the wire said beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The advert.
    pub advert: Advert,
    /// How its sender computes the checksum.
    pub checksum: Checksum,
    /// Octets behind the message, which are ignored (Ethernet padding).
    pub trailing: usize,
}
