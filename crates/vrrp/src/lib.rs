//! VRRP without a clock or a socket: who *should* hold the addresses.
//!
//! ```text
//!  raw socket read                                                    raw socket write
//!        │                                                                   ▲
//!        ▼                                                                   │
//!  packet::ipv4::strip ──► packet::parse ──► acceptance::judge      packet::emit
//!   (IPv4 only: the         Received           Result<Notices,               ▲
//!    kernel has cut          │ │                Refusal>                     │
//!    IPv6 headers)           │ └ checksum       │                   Action::Advertise
//!                            ▼                  ▼                            │
//!                      Event::Advert ───► fsm::Router::handle(event, now) ──► Actions
//!                      Event::Deadline ──►        │
//!                      Event::Fault, …  ──►       └── deadline(): when to come back
//! ```
//!
//! Time is an argument (`Instant`, `Duration`); centiseconds and seconds exist only in
//! [`packet`]. Who *may* hold the addresses (a fence) is not decided here: a partition
//! gives two Actives by the RFC, and by this crate.
//!
//! RFC 9568 is VRRPv3, RFC 3768 VRRPv2; [`Dialect`] lists where keepalived leaves them.

pub mod acceptance;
mod dialect;
pub mod fsm;
mod interval;
pub mod packet;
mod refusal;
mod types;

pub use dialect::{Dialect, Dialects};
pub use interval::{AdvertInterval, IntervalError};
pub use refusal::Refusal;
pub use types::{Family, Priority, State, Version, Vrid};

use std::net::{Ipv4Addr, Ipv6Addr};

/// IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;
/// TTL and hop limit of every multicast advert (RFC 9568 sections 5.1.1.3 and 5.1.2.3).
pub const TTL: u8 = 255;
/// IPv4 group of the adverts.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// IPv6 group of the adverts.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
