//! The guard: a second, tiny process that takes addresses away when the daemon cannot.
//!
//! ```text
//!   daemon                                      guard (vip-daemon guard)
//!   adverts' thread ── Line ──held, left──▶ socket ──▶ Book ──due──▶ rtnetlink
//!   control runtime ── Keeper: starts it, sees it end, starts another
//! ```
//!
//! The lifetime that the kernel keeps for an address is looked at by a timer that does not
//! wake an idle CPU, since *ipv4: Namespacify IPv4 address GC* (2024) made it deferrable;
//! measured on 6.18: up to 1.72 s for a lifetime of 1 s. So alone it bounds nothing on an
//! idle machine. The guard holds the same deadline with an ordinary timer: every renewal is
//! told to it, an address that was not renewed for a lifetime is removed, and when the
//! daemon is gone, at the moment at which another node takes over.
//!
//! It removes nothing that does not carry our mark, ends with the daemon, and ignores the
//! signals of a stop: in good order the daemon removes the addresses itself.

mod book;
mod keeper;
mod message;
mod process;

use std::time::Duration;

use crate::config::{Address, Router};
use crate::linux::LIFETIME;

pub use keeper::{Facts, Keeper, Line};
pub use process::{GuardError, run};

/// The name of the hidden command.
pub const COMMAND: &str = "guard";

/// Its argument for log lines as JSON.
pub const JSON: &str = "--json";

/// An address on an interface of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The interface's number.
    pub interface: u32,
    /// The address.
    pub address: Address,
}

/// How long an address stays when the daemon is gone. After four intervals every backup,
/// down to priority 1, has taken over, and it would be one address on two hosts; before, it
/// would be on none. A daemon that is started again in time finds its address and keeps it.
pub fn grace(router: &Router) -> Duration {
    let lifetime = Duration::from_secs(LIFETIME.into());
    lifetime.min(router.interval.duration() * 4)
}
