//! What can be done to masters, good or bad, as values; [`crate::group`] does it to hosts that
//! are network namespaces, [`crate::installed`] to booted machines.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::scenario::Time;

/// What a program is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A member of etcd.
    Etcd,
    /// kube-apiserver or the stand-in.
    Apiserver,
    /// The load balancer.
    ApiLb,
    /// The holder of the address.
    VipDaemon,
}

impl Role {
    /// The word for it in scenarios and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "apiserver",
            Self::ApiLb => "api-lb",
            Self::VipDaemon => "vip-daemon",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Etcd, Self::Apiserver, Self::ApiLb, Self::VipDaemon]
            .into_iter()
            .find(|role| role.name() == word)
            .ok_or_else(|| {
                format!("{word:?} is none of etcd, apiserver, api-lb, vip-daemon")
            })
    }
}

/// One program on one host: `a/vip-daemon`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: String,
    /// The program.
    pub role: Role,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.role.name())
    }
}

/// What can be done to a group, good or bad.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// kill -9 of a program.
    Kill(Target),
    /// SIGTERM, and its end.
    Stop(Target),
    /// SIGTERM, its end, and a new start.
    Restart(Target),
    /// A new start of a program that ended.
    Start(Target),
    /// SIGSTOP.
    Pause(Target),
    /// SIGCONT.
    Resume(Target),
    /// SIGHUP.
    Reload(Target),
    /// `upgrade`: the program is replaced in place, by the same.
    Upgrade(Target),
    /// Cable cut, everything on the host killed, and its virtual address flushed.
    KillHost(String),
    /// Cable back and every program started.
    StartHost(String),
    /// Cable cut: no carrier.
    Cut(String),
    /// The port at the bridge closed: carrier, but nothing passes.
    Isolate(String),
    /// Cable or port back.
    Heal(String),
    /// Cable cut, and back after a time.
    Flap {
        /// Whose.
        host: String,
        /// For how long.
        away: Time,
    },
    /// The interface deleted, and made anew, with its address, after a time.
    Recreate {
        /// Whose.
        host: String,
        /// For how long it is not there.
        away: Time,
    },
    /// Somebody's hand, or a network manager's: commands of ip(8) on the host, and others
    /// after a time.
    Meddle {
        /// Where.
        host: String,
        /// At once.
        first: Vec<String>,
        /// After the pause.
        then: Vec<String>,
        /// Between the two.
        pause: Time,
    },
    /// The virtual address deleted by somebody else.
    DeleteAddress(String),
    /// `host` no longer hears the adverts of `from`.
    Deafen {
        /// Who hears nothing.
        host: String,
        /// Who is not heard.
        from: String,
    },
    /// `host` hears everybody again.
    Undeafen(String),
}

/// When a fault took effect: somewhere between two instants, since the lab's own commands
/// take their time. Outages count from the first; what was open at the second is in flight.
#[derive(Debug, Clone, Copy)]
pub struct Struck {
    /// Just before; by the kernel's own notice where that is the fault.
    pub begun: Instant,
    /// When it surely had.
    pub done: Instant,
    /// How much later than `begun` the lab's own command may have done it: what was measured
    /// from `begun` may be too long by that.
    pub hand: Duration,
}

impl Struck {
    /// Nothing was done at that moment; what is measured counts from there.
    #[must_use]
    pub fn none(at: Instant) -> Self {
        Self {
            begun: at,
            done: at,
            hand: Duration::ZERO,
        }
    }
}

impl Fault {
    /// When it took effect: begun at `begun`, done by the lab's hand at `by`, and with all that
    /// belongs to it just now.
    pub(crate) fn struck(&self, begun: Instant, by: Instant) -> Struck {
        let done = if self.is_over_at_once() {
            Instant::now()
        } else {
            begun
        };
        let hand = match self.takes_its_own_time() {
            true => Duration::ZERO,
            false => by.saturating_duration_since(begun),
        };
        Struck { begun, done, hand }
    }

    /// Whether the time that it takes is a program's own, not the lab's.
    fn takes_its_own_time(&self) -> bool {
        match self {
            Self::Stop(_)
            | Self::Restart(_)
            | Self::Start(_)
            | Self::StartHost(_)
            | Self::Upgrade(_) => true,
            Self::Kill(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Reload(_)
            | Self::KillHost(_)
            | Self::Cut(_)
            | Self::Isolate(_)
            | Self::Heal(_)
            | Self::Flap { .. }
            | Self::Recreate { .. }
            | Self::Meddle { .. }
            | Self::DeleteAddress(_)
            | Self::Deafen { .. }
            | Self::Undeafen(_) => false,
        }
    }

    /// Whether it has taken effect when it is done, rather than when it begins (a program that
    /// stops or starts does so in its own time).
    fn is_over_at_once(&self) -> bool {
        match self {
            Self::Kill(_)
            | Self::Pause(_)
            | Self::Cut(_)
            | Self::Isolate(_)
            | Self::DeleteAddress(_)
            | Self::KillHost(_) => true,
            Self::Stop(_)
            | Self::Restart(_)
            | Self::Start(_)
            | Self::Resume(_)
            | Self::Reload(_)
            | Self::Upgrade(_)
            | Self::StartHost(_)
            | Self::Heal(_)
            | Self::Flap { .. }
            | Self::Recreate { .. }
            | Self::Meddle { .. }
            | Self::Deafen { .. }
            | Self::Undeafen(_) => false,
        }
    }
}
