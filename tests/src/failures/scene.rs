//! The scenes: one fault each, how long it lasts, and who comes meanwhile.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::load::{Demand, Lasting};
use super::proxy::Door;

/// New connections a second, where a scene has no pace of its own.
pub(super) const RATE: u32 = 200;
/// The same under reloads and upgrades.
const FAST: u32 = 500;

/// How long the faults last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A few seconds: what a test asserts does not need more.
    Short,
    /// As in the published table.
    Whole,
}

impl Size {
    /// So many seconds.
    pub(super) const fn of(self, short: u64, whole: u64) -> Duration {
        Duration::from_secs(match self {
            Self::Short => short,
            Self::Whole => whole,
        })
    }

    /// Until a dead server was found out: ours takes two seconds, haproxy with kubeadm's timers
    /// 36.
    pub(super) const fn found_out(self) -> Duration {
        self.of(4, 40)
    }

    /// For how long a connection is quiet until it may be moved.
    const fn quiet(self) -> Duration {
        self.of(3, 65)
    }
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scene {
    /// A server's process is killed, and started again.
    Killed,
    /// A server's host hears nothing any more, and comes back.
    Blackholed,
    /// A server's process is stopped: the kernel still accepts.
    Hung,
    /// The same with a short accept queue: SYNs are dropped.
    QueueFull,
    /// A server says that it is not ready, goes on serving, and exits.
    Draining,
    /// All servers are killed, and one comes back.
    AllDown,
    /// No server has time for checks; all of them serve.
    Overloaded,
    /// Everybody reconnects at once, and handshakes are slow.
    Storm,
    /// A server that was dead returns, and those that last go quiet.
    Returns,
    /// Five reloads while a host is gone.
    Reloads,
    /// Five upgrades while a host is gone.
    Upgrades,
    /// Ten thousand who mean no good, beside those who do.
    Hostile,
}

impl Scene {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::Killed,
        Self::Blackholed,
        Self::Hung,
        Self::QueueFull,
        Self::Draining,
        Self::AllDown,
        Self::Overloaded,
        Self::Storm,
        Self::Returns,
        Self::Reloads,
        Self::Upgrades,
        Self::Hostile,
    ];

    /// As written in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Blackholed => "blackholed",
            Self::Hung => "hung",
            Self::QueueFull => "queue-full",
            Self::Draining => "draining",
            Self::AllDown => "all-down",
            Self::Overloaded => "overloaded",
            Self::Storm => "storm",
            Self::Returns => "returns",
            Self::Reloads => "reloads",
            Self::Upgrades => "upgrades",
            Self::Hostile => "hostile",
        }
    }

    /// What happens, for people.
    #[must_use]
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Killed => "a server is killed, and started again",
            Self::Blackholed => "a host hears nothing any more, and comes back",
            Self::Hung => "a server accepts and says nothing",
            Self::QueueFull => "a server's accept queue is full",
            Self::Draining => "a server says 500 and serves on, then exits",
            Self::AllDown => "all servers are down, then one is back",
            Self::Overloaded => "checks time out on all servers, traffic flows",
            Self::Storm => "all clients reconnect at once, handshakes are slow",
            Self::Returns => {
                "a server that was dead returns, and those that last are quiet"
            }
            Self::Reloads => "five reloads at 500 a second while a host is gone",
            Self::Upgrades => "five upgrades at 500 a second while a host is gone",
            Self::Hostile => "10,000 half ClientHellos, garbage, resets and scans",
        }
    }

    pub(super) fn fault_lasts(self, size: Size) -> Duration {
        let (short, whole) = match self {
            Self::Killed => (4, 6),
            Self::Blackholed => (8, 40),
            Self::Hung => (8, 60),
            Self::QueueFull => (6, 25),
            Self::Draining => (5, 20),
            Self::AllDown => (3, 6),
            Self::Overloaded => (6, 20),
            Self::Storm | Self::Hostile => (0, 0),
            // At most: until the connections are spread.
            Self::Returns => (3 + 60, 65 + 60),
            Self::Reloads | Self::Upgrades => (6, 10),
        };
        size.of(short, whole)
    }

    /// For how long the load goes on after the fault.
    pub(super) fn goes_on(self, size: Size) -> Duration {
        let (short, whole) = match self {
            // With those of the fault they are 10,000.
            Self::Blackholed => (6, 11),
            // Until the server is used again.
            Self::Killed | Self::Hung | Self::QueueFull => (6, 4),
            Self::Draining
            | Self::AllDown
            | Self::Overloaded
            | Self::Storm
            | Self::Returns
            | Self::Reloads
            | Self::Upgrades
            | Self::Hostile => (4, 4),
        };
        size.of(short, whole)
    }

    pub(super) const fn demand(self) -> Demand {
        let (rate, lasting) = match self {
            Self::Reloads | Self::Upgrades => (FAST, Lasting::Asking),
            Self::Returns => (RATE, Lasting::Quiet),
            Self::Killed
            | Self::Blackholed
            | Self::Hung
            | Self::QueueFull
            | Self::Draining
            | Self::AllDown
            | Self::Overloaded
            | Self::Storm
            | Self::Hostile => (RATE, Lasting::Asking),
        };
        Demand {
            rate,
            storm: 0,
            lasting,
        }
    }

    pub(super) const fn door(self, size: Size) -> Door {
        match self {
            Self::Hostile => Door::Tls,
            Self::Returns => Door::Gentle(size.quiet()),
            Self::Killed
            | Self::Blackholed
            | Self::Hung
            | Self::QueueFull
            | Self::Draining
            | Self::AllDown
            | Self::Overloaded
            | Self::Storm
            | Self::Reloads
            | Self::Upgrades => Door::Open,
        }
    }
}
