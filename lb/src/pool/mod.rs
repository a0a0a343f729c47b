//! Which servers there are, in which state, and whose turn it is.
//!
//! [`Snapshot`] is what the workers route by. It is never changed: when a server's state
//! or the configuration changes, the control thread publishes another one. What must be
//! shared between two snapshots (cursors, counters, listening sockets) is behind an
//! [`Arc`] that both hold.

mod counters;
mod cursor;
#[cfg(test)]
mod cursor_model;
mod cuts;
mod dialling;
mod group;
mod judge;
pub mod ramp;
pub mod rebalance;
mod recent;
mod rotation;
mod seat;
pub mod source;
mod state;
mod voice;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use counters::{Counters, Totals};
pub use cursor::Cursor;
pub use cuts::{Standing, cuts};
pub use dialling::{Attempt, Dialling, Failure, Refusal};
pub use judge::Judge;
pub use recent::{Rate, Recent};
pub use rotation::Rotation;
pub use seat::Seat;
pub use state::{State, Tier};
pub use voice::Voice;

use group::{Group, groups};

mod atomics {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

use crate::admit::{Gate, WhenFull};
use crate::config::{Balance, Dial, Queue, Tcp};
use crate::hello::Rules;
use crate::listener::Listener;
use crate::proxy::Version;

/// Everything a worker routes by, at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Grows by one with each snapshot.
    pub generation: u64,
    /// Where clients come in. A listener that is in no frontend is closed by the worker.
    pub frontends: Vec<Arc<Frontend>>,
    /// How many connections the process may have.
    pub ceiling: Ceiling,
    /// Whether ends are wanted as events; the counters are kept in any case.
    pub report_ends: bool,
}

/// How many connections the process may have, as configured; descriptors set another limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// At most so many; no limit when absent.
    pub connections: Option<u64>,
    /// What becomes of those who come when one of the limits is reached.
    pub when_full: WhenFull,
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
        self.backends().find(|b| &*b.name == name)
    }

    /// Every backend, once for each frontend and route that leads to it.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.frontends
            .iter()
            .flat_map(|f| std::iter::once(&f.backend).chain(&f.routes))
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
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// Where its connections go.
    pub backend: Arc<Backend>,
    /// What has come in here; carried over reloads.
    pub counters: Arc<Counters>,
    /// What clients have to say before a server is dialled; nothing, when absent.
    pub rules: Option<Arc<Rules>>,
    /// Where the routes of the rules lead, in their order.
    pub routes: Vec<Arc<Backend>>,
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
    /// Its share: 1 to 256, or a multiple of that while another one rises.
    pub weight: u16,
    /// What it is there for, and how much it may carry.
    pub terms: Terms,
    /// What has gone to it; carried over reloads.
    pub counters: Arc<Counters>,
}

/// What a server is there for, and how much it may carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// When it is used.
    pub rank: Rank,
    /// The most connections at a time, being dialled included; no limit when absent.
    pub max_connections: Option<NonZeroU32>,
}

impl Terms {
    /// How many places there are.
    #[must_use]
    pub fn seats(&self) -> u64 {
        self.max_connections
            .map_or(u64::MAX, |most| u64::from(most.get()))
    }
}

/// When a server is used.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Rank {
    /// Always.
    #[default]
    Regular,
    /// When no regular one of the same tier is left.
    Backup,
}

/// Why there is no place at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacancy {
    /// There is none that was not tried.
    Nobody,
    /// Those that are to be used have all that they may.
    Full,
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
    /// How many clients wait for a place at a server, and how long.
    pub queue: Queue,
    /// How the servers are told who a client is; not, when absent.
    pub send_proxy: Option<Version>,
    balance: Balance,
    servers: Vec<(Arc<Server>, State)>,
    /// Best first; groups without a server are left out.
    groups: Vec<Group>,
}

impl Backend {
    /// A backend with its servers in these states, used in turn.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        dial: Dial,
        tcp: Tcp,
        idle: Option<Duration>,
        cursor: Arc<Cursor>,
        servers: Vec<(Arc<Server>, State)>,
    ) -> Self {
        let groups = groups(&servers);
        Self {
            name,
            dial,
            tcp,
            idle,
            cursor,
            queue: Queue::default(),
            send_proxy: None,
            balance: Balance::default(),
            servers,
            groups,
        }
    }

    /// What is left of a backend that is in no configuration any more: this server, if any,
    /// for connections that have it already.
    #[must_use]
    pub fn left(name: &str, server: Option<&Arc<Server>>) -> Arc<Self> {
        let dial = Dial {
            connect: Duration::ZERO,
            time: Duration::ZERO,
            attempts: 0,
        };
        let tcp = Tcp {
            keepalive: None,
            user_timeout: None,
        };
        let servers = server.map(|server| (Arc::clone(server), State::Unknown));
        let servers = servers.into_iter().collect();
        Arc::new(Self::new(
            name.into(),
            dial,
            tcp,
            None,
            Arc::default(),
            servers,
        ))
    }

    /// The same, balanced in this way.
    #[must_use]
    pub const fn balanced(mut self, balance: Balance, queue: Queue) -> Self {
        self.balance = balance;
        self.queue = queue;
        self
    }

    /// The same, telling the servers in this way who a client is.
    #[must_use]
    pub const fn introducing(mut self, version: Option<Version>) -> Self {
        self.send_proxy = version;
        self
    }

    /// The servers and their states, in the order of the configuration.
    #[must_use]
    pub fn servers(&self) -> &[(Arc<Server>, State)] {
        &self.servers
    }

    /// What decides for this client among servers that are equally good; taken once per
    /// connection. Clients of one address have the same lot where it decides, else each has
    /// the next.
    #[must_use]
    pub fn lot(&self, client: IpAddr) -> u64 {
        match self.balance {
            Balance::Roundrobin | Balance::Leastconn => self.cursor.take(),
            Balance::Source => source::client(client),
        }
    }

    /// The state of a server of this backend.
    #[must_use]
    pub fn state_of(&self, server: ServerId) -> Option<State> {
        let is_it = |(s, _): &&(Arc<Server>, State)| s.id == server;
        self.servers.iter().find(is_it).map(|(_, state)| *state)
    }

    /// The server whose turn it is among those not yet tried, best tier first. Disabled
    /// servers are never given; servers that look down are, when nothing better is left:
    /// a client is not refused while something may answer.
    #[must_use]
    pub fn pick(&self, lot: u64, tried: &[ServerId]) -> Option<&Arc<Server>> {
        let group = self.group(tried)?;
        self.best(group, lot, |server| !tried.contains(&server.id))
    }

    /// A place at the server whose turn it is; see [`Backend::pick`]. One that has no place
    /// left is passed over, but not for one of a worse tier or a backup.
    ///
    /// # Errors
    /// Why there is none.
    pub fn seat(&self, lot: u64, tried: &[ServerId]) -> Result<Seat, Vacancy> {
        let group = self.group(tried).ok_or(Vacancy::Nobody)?;
        // Another worker may take the last place in between; then the next one is looked at.
        for _ in &group.members {
            let free = |server: &Server| !tried.contains(&server.id) && server.has_room();
            let server = self.best(group, lot, free).ok_or(Vacancy::Full)?;
            if let Some(seat) = Seat::take(server) {
                return Ok(seat);
            }
        }
        Err(Vacancy::Full)
    }

    /// The best group with somebody who was not tried.
    fn group(&self, tried: &[ServerId]) -> Option<&Group> {
        let is_left = |&(at, _): &(usize, u64)| {
            let server = self.servers.get(at);
            server.is_some_and(|(server, _)| !tried.contains(&server.id))
        };
        self.groups
            .iter()
            .find(|group| group.members.iter().any(is_left))
    }

    /// The most wanted server of a group that is `usable`.
    fn best(
        &self,
        group: &Group,
        lot: u64,
        usable: impl Fn(&Server) -> bool,
    ) -> Option<&Arc<Server>> {
        let server = |at: usize| self.servers.get(at).map(|(server, _)| server);
        let usable = |server: &&Arc<Server>| usable(server);
        match self.balance {
            Balance::Roundrobin => {
                group.rotation.from(lot).filter_map(server).find(usable)
            }
            Balance::Leastconn => group
                .members_from(lot)
                .filter_map(|(at, _)| server(at))
                .filter(usable)
                .reduce(|best, next| if next.is_freer(best) { next } else { best }),
            Balance::Source => group
                .members
                .iter()
                .filter_map(|&(at, key)| Some((server(at)?, key)))
                .filter(|(server, _)| usable(server))
                .map(|(server, key)| (source::draw(lot, key, server.weight), server))
                .reduce(|best, next| if next.0 > best.0 { next } else { best })
                .map(|(_, server)| server),
        }
    }
}

impl Server {
    /// Whether it may have one more connection.
    fn has_room(&self) -> bool {
        self.counters.seats.load(Ordering::Relaxed) < self.terms.seats()
    }

    /// Whether one more connection here weighs less than one more there.
    fn is_freer(&self, other: &Self) -> bool {
        self.load() * u64::from(other.weight) < other.load() * u64::from(self.weight)
    }

    fn load(&self) -> u64 {
        let seats = self.counters.seats.load(Ordering::Relaxed);
        // Small enough that the product with a weight is exact.
        (seats + 1).min(1 << 40)
    }
}

#[cfg(test)]
mod balance_tests;
#[cfg(test)]
mod tests;
