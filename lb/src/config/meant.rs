//! What the program runs on: no half-states, every default filled in.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daemon::admin::Secure;

use crate::admit;
use crate::hello::Rules;
use crate::pool::{Ceiling, Rank};
use crate::proxy::Version;
use crate::trail::Memory;

/// The whole configuration, as meant.
#[derive(Clone, Debug)]
pub struct Config {
    /// Threads that carry traffic.
    pub workers: NonZeroU16,
    /// How long a stop goes on accepting after /readyz has turned.
    pub drain_delay: Duration,
    /// How long a drain waits for the connections that are left.
    pub drain_timeout: Duration,
    /// Where `/metrics`, `/status`, `/livez` and `/readyz` are read over TCP.
    pub admin: SocketAddr,
    /// The same with TLS.
    pub admin_tls: Option<Secure>,
    /// Where the status page is beside `/` and `/stats`, with its table.
    pub stats_path: Arc<str>,
    /// Who may give commands on the status page; nobody, when absent.
    pub passwords: Option<PathBuf>,
    /// Who is asked who has the address that clients use; nobody, when absent.
    pub vip_daemon: Option<SocketAddr>,
    /// The unix socket of `api-lb status`.
    pub socket: PathBuf,
    /// How many connections the process may have.
    pub ceiling: Ceiling,
    /// Where the flight recorder is kept; nowhere, when absent.
    pub flight_directory: Option<PathBuf>,
    /// Whether the flight recorder has connections that are over.
    pub flight_connections: Switch,
    /// How a log line looks, and which are written.
    pub log: daemon::log::Settings,
    /// Whether every connection leaves a line when it ends.
    pub log_connections: Switch,
    /// Of each end, the most lines per second; no limit when absent.
    pub log_rate: Option<NonZeroU32>,
    /// What is remembered of connections that are over.
    pub who: Memory,
    /// In the order of the file; names are unique.
    pub frontends: Vec<Frontend>,
    /// In the order of the file; names are unique.
    pub backends: Vec<Backend>,
    /// What is allowed and probably not wanted: one sentence each.
    pub warnings: Vec<String>,
}

impl Config {
    /// The keys in which another configuration differs and that a reload does not change.
    #[must_use]
    pub fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("workers", self.workers == other.workers),
            ("admin.address", self.admin == other.admin),
            ("admin.tls", self.admin_tls == other.admin_tls),
            ("admin.passwordFile", self.passwords == other.passwords),
            ("admin.statsPath", self.stats_path == other.stats_path),
            ("admin.vipDaemon", self.vip_daemon == other.vip_daemon),
            ("socket", self.socket == other.socket),
            (
                "flightRecorder.directory",
                self.flight_directory == other.flight_directory,
            ),
            ("log.format", self.log.format == other.log.format),
            ("log.level", self.log.level == other.log.level),
            ("log.to", self.log.target == other.log.target),
        ]
        .into_iter()
        .filter_map(|(key, is_same)| (!is_same).then_some(key))
        .collect()
    }
}

/// A choice written `on` or `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Switch {
    /// Written `on`.
    #[default]
    On,
    /// Written `off`.
    Off,
}

/// Where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// Unique among the frontends.
    pub name: Arc<str>,
    /// Every address that is listened on; at least one.
    pub binds: Vec<SocketAddr>,
    /// The backend's name; it exists.
    pub backend: Arc<str>,
    /// Who may come in, and how many.
    pub admission: admit::Rules,
    /// Options of the clients' sockets.
    pub tcp: Tcp,
    /// What clients have to say before a server is dialled; nothing, when absent.
    pub rules: Option<Arc<Rules>>,
    /// The backends of the routes of the rules, in their order; they exist.
    pub routes: Vec<Arc<str>>,
}

/// A group of servers that can stand in for one another.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Unique among the backends.
    pub name: Arc<str>,
    /// How a server is chosen.
    pub balance: Balance,
    /// How long a server that has come up takes to its whole share; at once when absent.
    pub slow_start: Option<Duration>,
    /// How long a connection is quiet before it may be moved to a server that has come;
    /// none is moved, when absent.
    pub rebalance: Option<Duration>,
    /// How many clients wait for a place at a server, and how long.
    pub queue: Queue,
    /// How the servers are told who a client is; not, when absent.
    pub send_proxy: Option<Version>,
    /// How long and how often a connection to a server is tried.
    pub dial: Dial,
    /// A connection quiet both ways for this long is ended; never, when absent.
    pub idle: Option<Duration>,
    /// Options of the sockets towards the servers.
    pub tcp: Tcp,
    /// How the servers are watched.
    pub check: Check,
    /// Where more servers are found; nowhere, when absent.
    pub discovery: Option<Discovery>,
    /// In the order of the file; names and addresses are unique; at least one, unless more
    /// are found.
    pub servers: Vec<Server>,
}

/// How a server is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Balance {
    /// In turn, by weight; exact over a cycle and over all workers.
    #[default]
    Roundrobin,
    /// Where the fewest connections are, by weight, over all workers.
    Leastconn,
    /// By the client's address: the same server for as long as it is there.
    Source,
}

impl Balance {
    /// The word in the file and in `/status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Roundrobin => "roundrobin",
            Self::Leastconn => "leastconn",
            Self::Source => "source",
        }
    }
}

/// How many clients wait for a place at a server, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// The most that wait, of all workers.
    pub length: u32,
    /// How long each waits.
    pub timeout: Duration,
}

/// How long and how often a connection to a server is tried for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// The longest one attempt of the first round may take.
    pub connect: Duration,
    /// The longest all attempts together may take.
    pub time: Duration,
    /// The most attempts.
    pub attempts: u32,
}

/// Options of the sockets of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Probes on an idle connection; none when absent.
    pub keepalive: Option<Keepalive>,
    /// TCP_USER_TIMEOUT: how long sent data may stay unacknowledged.
    pub user_timeout: Option<Duration>,
}

/// TCP keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Quiet for this long before the first probe; whole seconds.
    pub idle: Duration,
    /// Between two probes; whole seconds.
    pub interval: Duration,
    /// Unanswered probes after which the connection is dead.
    pub probes: u32,
}

/// How the servers of a backend are watched.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is asked; certificates are loaded.
    pub probe: probe::Check,
    /// How far checks are apart.
    pub pace: Pace,
    /// The longest a check may take as a whole.
    pub timeout: Duration,
    /// Passed checks in a row until a server counts as up.
    pub rise: NonZeroU32,
    /// Failed checks in a row until it does not.
    pub fall: NonZeroU32,
}

/// From the start of one check of a server to the start of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// While it is up and its checks pass.
    pub steady: Duration,
    /// While it is not up and its checks do not pass.
    pub down: Duration,
    /// While its checks say otherwise than its state, or nothing is known.
    pub fast: Duration,
    /// By how much an interval may be longer, in percent of it.
    pub jitter: u8,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Unique in the backend.
    pub name: Arc<str>,
    /// Where it listens; unique in the backend.
    pub address: SocketAddr,
    /// Its share, 1 to 256.
    pub weight: u16,
    /// Whether it is used only when no other of its tier is left.
    pub rank: Rank,
    /// The most connections at a time; no limit when absent.
    pub max_connections: Option<NonZeroU32>,
    /// Whether the operator has taken it out of use.
    pub disabled: bool,
    /// Who says that it is one.
    pub origin: Origin,
}

/// Who says that a server is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The file.
    #[default]
    File,
    /// A source of the backend's discovery.
    Found,
    /// Nobody any more: it is drained until its last connection is over.
    Left,
}

impl Origin {
    /// The word in `/status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Found => "found",
            Self::Left => "left",
        }
    }
}

/// Where more servers of a backend are found, and how they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Who is asked.
    pub source: Source,
    /// The share of each server that is found.
    pub weight: u16,
    /// The most connections at a time of each; no limit when absent.
    pub max_connections: Option<NonZeroU32>,
    /// Where they are kept for the next start; nowhere, when absent.
    pub file: Option<PathBuf>,
    /// What stood there when the configuration was read.
    pub remembered: Vec<SocketAddr>,
}

/// Who is asked for servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The system's resolver.
    Dns {
        /// The names; at least one.
        hosts: Vec<Host>,
        /// From one round of answers to the next questions.
        interval: Duration,
    },
    /// The cluster itself, through any of the backend's servers.
    Kubernetes {
        /// Who we are there, and whom we trust.
        kubeconfig: PathBuf,
    },
}

impl Source {
    /// The word in the log and in `/status`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Dns { .. } => "dns",
            Self::Kubernetes { .. } => "kubernetes",
        }
    }
}

/// A name with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// As it is asked for.
    pub name: Arc<str>,
    /// Where its servers listen.
    pub port: u16,
}
