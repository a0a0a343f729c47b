//! What the program runs on: no half-states, every default filled in.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration, as meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Threads that carry traffic.
    pub workers: NonZeroUsize,
    /// How long a drain waits for the connections that are left.
    pub drain_timeout: Duration,
    /// Where `/metrics`, `/status`, `/livez` and `/readyz` are read over TCP.
    pub admin: Option<SocketAddr>,
    /// The unix socket of `api-lb status`.
    pub socket: PathBuf,
    /// What is logged, and how.
    pub log: Log,
    /// In the order of the file; names are unique.
    pub frontends: Vec<Frontend>,
    /// In the order of the file; names are unique.
    pub backends: Vec<Backend>,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// One line of text or one JSON object per event.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Whether every connection leaves a line when it ends.
    pub connections: Switch,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A choice written `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Written `on`.
    On,
    /// Written `off`.
    Off,
}

/// Where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// Unique among the frontends.
    pub name: String,
    /// Every address that is listened on; at least one.
    pub binds: Vec<SocketAddr>,
    /// The backend's name; it exists.
    pub backend: String,
    /// Options of the clients' sockets.
    pub tcp: Tcp,
}

/// A group of servers that can stand in for one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Unique among the backends.
    pub name: String,
    /// How a server is chosen.
    pub balance: Balance,
    /// How long and how often a connection to a server is tried.
    pub dial: Dial,
    /// A connection quiet both ways for this long is ended; never, when absent.
    pub idle: Option<Duration>,
    /// Options of the sockets towards the servers.
    pub tcp: Tcp,
    /// How the servers are watched.
    pub check: Check,
    /// In the order of the file; names and addresses are unique; at least one.
    pub servers: Vec<Server>,
}

/// How a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight; exact over a cycle and over all workers.
    Roundrobin,
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
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// The longest a check may take as a whole.
    pub timeout: Duration,
    /// Passed checks in a row until a server counts as up.
    pub rise: u32,
    /// Failed checks in a row until it does not.
    pub fall: u32,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckKind {
    /// A TCP connection.
    Tcp,
    /// A TLS handshake.
    Tls(TlsCheck),
    /// A request in clear.
    Http(HttpCheck),
    /// A TLS handshake and a request.
    Https(TlsCheck, HttpCheck),
}

/// How a check trusts a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsCheck {
    /// The authorities, PEM; the server is not verified when absent.
    pub ca_file: Option<PathBuf>,
    /// The name to verify; the server's address when absent.
    pub server_name: Option<String>,
    /// The certificate and key to show, both PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What a check requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// Path and query.
    pub path: String,
    /// The `Host` header; the server's address when absent.
    pub host: Option<String>,
    /// The first and last status of each range that passes.
    pub statuses: Vec<(u16, u16)>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Unique in the backend.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share, 1 to 256.
    pub weight: u16,
    /// Out of use by the operator's word.
    pub disabled: bool,
}
