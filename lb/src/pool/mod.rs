//! Which servers there are, in which state, and whose turn it is.
//!
//! [`Snapshot`] is what the workers route by. It is never changed: when a server's state
//! or the configuration changes, the control thread publishes another one. What must be
//! shared between two snapshots (cursors, counters, listening sockets) is behind an
//! [`Arc`] that both hold.

mod counters;
mod cuts;
mod dialling;
mod judge;
mod rotation;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use counters::{Counters, Cursor};
pub use cuts::{Standing, cuts};
pub use dialling::{Attempt, Dialling, Failure};
pub use judge::Judge;
pub use rotation::Rotation;
pub use state::{State, Tier};

use crate::config::{Dial, Tcp};
use crate::listener::Listener;

/// Everything a worker routes by, at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Grows by one with each snapshot.
    pub generation: u64,
    /// Where clients come in. A listener that is in no frontend is closed by the worker.
    pub frontends: Vec<Arc<Frontend>>,
    /// Whether ends are wanted as events; the counters are kept in any case.
    pub report_ends: bool,
}

impl Snapshot {
    /// The frontend that a listener belongs to.
    #[must_use]
    pub fn frontend_of(&self, listener: ListenerId) -> Option<&Arc<Frontend>> {
        self.frontends
            .iter()
            .find(|f| f.listeners.iter().any(|l| l.id == listener))
    }

    /// The backend of that name in this snapshot.
    #[must_use]
    pub fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        self.frontends
            .iter()
            .map(|f| &f.backend)
            .find(|b| &*b.name == name)
    }
}

/// Names a listening socket for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);

/// Names a server for as long as it is configured: kept over reloads while its backend,
/// name and address stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u32);

/// Where clients come in.
#[derive(Debug)]
pub struct Frontend {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its listening sockets.
    pub listeners: Vec<Arc<Listener>>,
    /// Where its connections go.
    pub backend: Arc<Backend>,
    /// What has come in here; carried over reloads.
    pub counters: Arc<Counters>,
}

/// One server. It does not change; its state is in the [`Backend`].
#[derive(Debug)]
pub struct Server {
    /// Names it within the process.
    pub id: ServerId,
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the rotation, 1 to 256.
    pub weight: u16,
    /// What has gone to it; carried over reloads.
    pub counters: Arc<Counters>,
}

/// A group of servers with their states at one instant.
#[derive(Debug)]
pub struct Backend {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// How long and how often a connection is tried.
    pub dial: Dial,
    /// Options of the sockets towards the servers.
    pub tcp: Tcp,
    /// A connection quiet both ways for this long is ended; never, when absent.
    pub idle: Option<Duration>,
    /// One for all workers and all snapshots, so that the rotation is exact.
    pub cursor: Arc<Cursor>,
    servers: Vec<(Arc<Server>, State)>,
    /// Best first; tiers without a server are left out.
    tiers: Vec<Rotation>,
}

impl Backend {
    /// A backend with its servers in these states.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        dial: Dial,
        tcp: Tcp,
        idle: Option<Duration>,
        cursor: Arc<Cursor>,
        servers: Vec<(Arc<Server>, State)>,
    ) -> Self {
        let tiers = tiers(&servers);
        Self {
            name,
            dial,
            tcp,
            idle,
            cursor,
            servers,
            tiers,
        }
    }

    /// The servers and their states, in the order of the configuration.
    #[must_use]
    pub fn servers(&self) -> &[(Arc<Server>, State)] {
        &self.servers
    }

    /// The server whose turn it is among those not yet tried, best tier first. Disabled
    /// servers are never given; servers that look down are, when nothing better is left:
    /// a client is not refused while something may answer.
    ///
    /// `turn` comes from [`Cursor::take`], once per connection.
    #[must_use]
    pub fn pick(&self, turn: u64, tried: &[ServerId]) -> Option<&Arc<Server>> {
        self.tiers
            .iter()
            .find_map(|tier| tier.from(turn).find(|&at| !self.is_tried(at, tried)))
            .and_then(|at| self.servers.get(at))
            .map(|(server, _)| server)
    }

    fn is_tried(&self, at: usize, tried: &[ServerId]) -> bool {
        self.servers
            .get(at)
            .is_some_and(|(server, _)| tried.contains(&server.id))
    }
}

fn tiers(servers: &[(Arc<Server>, State)]) -> Vec<Rotation> {
    [Tier::Up, Tier::Draining, Tier::Doubtful]
        .into_iter()
        .map(|tier| {
            Rotation::new(
                servers
                    .iter()
                    .enumerate()
                    .filter(|(_, (_, state))| state.tier() == Some(tier))
                    .map(|(at, (server, _))| (at, server.weight)),
            )
        })
        .filter(|rotation| !rotation.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
