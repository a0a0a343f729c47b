//! Addresses and times in as few bytes as they need: every session has some.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A client's address in 24 bytes: a `SocketAddr` takes 32, for an IPv6 flow label that
/// nobody asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    ip: IpAddr,
    port: u16,
    scope: u32,
}

impl Peer {
    pub(super) const fn of(address: SocketAddr) -> Self {
        Self {
            ip: address.ip(),
            port: address.port(),
            scope: match address {
                SocketAddr::V4(_) => 0,
                SocketAddr::V6(six) => six.scope_id(),
            },
        }
    }

    /// The address without its port.
    #[must_use]
    pub(super) const fn ip(self) -> IpAddr {
        self.ip
    }

    /// The whole address.
    #[must_use]
    pub(super) fn address(self) -> SocketAddr {
        match self.ip {
            IpAddr::V4(four) => SocketAddr::from((four, self.port)),
            IpAddr::V6(six) => SocketAddrV6::new(six, self.port, 0, self.scope).into(),
        }
    }
}

/// A point of the worker's clock in 8 bytes: microseconds since its start. Lasts for half a
/// million years.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn at(since_start: Duration) -> Self {
        Self(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
    }

    /// How long ago it was.
    #[must_use]
    pub(super) const fn elapsed(self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_micros(self.0))
    }
}
