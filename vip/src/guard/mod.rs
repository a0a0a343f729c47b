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
//! It removes nothing that does not carry our mark (or, where the kernel keeps none, that
//! lives longer than an address of ours), ends with the daemon, and ignores the signals of a
//! stop: in good order the daemon removes the addresses itself. An interface with a
//! virtual hardware address that is up for them alone is set down after them.

mod book;
mod keeper;
mod message;
mod process;

use std::time::Duration;

use crate::config::{Address, Router};
use crate::linux::{LIFETIME, Present};

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

/// How the guard knows that what is there is what it was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It carries this mark.
    Mark(u8),
    /// It lives no longer than the daemon lets one live: the kernel keeps no marks.
    Lifetime,
}

impl Proof {
    /// Is `there` the daemon's?
    pub fn holds(self, there: &Present) -> bool {
        match self {
            Self::Mark(mark) => there.mark == Some(mark),
            Self::Lifetime => there.left <= LIFETIME,
        }
    }
}

/// How long an address stays when the daemon is gone. After four intervals every backup,
/// down to priority 1, has taken over, and it would be one address on two hosts; before, it
/// would be on none. A daemon that is started again in time finds its address and keeps it.
pub fn grace(router: &Router) -> Duration {
    let lifetime = Duration::from_secs(LIFETIME.into());
    lifetime.min(router.interval.duration() * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_the_daemon_s_only_as_it_put_it_there() {
        for (mark, left, proof, is) in [
            (Some(86), 1, Proof::Mark(86), true),
            (Some(86), u32::MAX, Proof::Mark(86), true),
            (Some(87), 1, Proof::Mark(86), false),
            (None, 1, Proof::Mark(86), false),
            (None, LIFETIME, Proof::Lifetime, true),
            (Some(86), 0, Proof::Lifetime, true),
            (None, LIFETIME + 1, Proof::Lifetime, false),
            (None, u32::MAX, Proof::Lifetime, false),
        ] {
            let held = Held {
                interface: 2,
                address: "10.55.0.100/24".parse().unwrap(),
            };
            let there = Present::shown(held, mark, left);
            assert_eq!(proof.holds(&there), is, "{there:?} {proof:?}");
        }
    }
}
