//! The seam between control and traffic: what goes into a worker and what comes out.
//!
//! ```text
//!   control ──Command──▶ worker ──Event──▶ control
//!                          │
//!                          └─ counters (atomics, read by /metrics and /status)
//! ```
//!
//! A worker runs on a thread of its own. It accepts from the listeners of its [`Snapshot`],
//! picks, dials, relays and ends connections until it is told to stop. It decides nothing
//! that [`crate::pool`] can decide.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use probe::Reach;
use tokio::sync::{mpsc, oneshot};

use crate::pool::{ListenerId, ServerId, Snapshot};

/// Commands waiting for one worker. They are rare (state changes, reloads, operators), and
/// control waits when the queue is full.
pub const COMMANDS: usize = 64;

/// Events waiting for control, from all workers. A worker does not wait when the queue is
/// full: it drops the event and counts it, since traffic goes before its log.
pub const EVENTS: usize = 1024;

/// Ended connections that one event tells of: of a busy round of the loop, and little enough
/// that a full queue stays below 20 MiB.
pub const ENDED: usize = 64;

/// Observations that wait for control: at most a few a second of each server.
pub const OBSERVED: usize = 64;

/// What control tells a worker. Commands are obeyed in order.
#[derive(Clone, Debug)]
pub enum Command {
    /// Route by this from here on. Listeners that it does not name are closed, new ones
    /// are accepted from; established connections stay as they are.
    Snapshot(Arc<Snapshot>),
    /// Accept what already waits, then close every listener. Established connections stay.
    StopAccepting,
    /// End connections established to this server, with a reset to the client.
    Cut(ServerId, Which),
    /// End one connection, with a reset to both sides.
    Kill(ConnectionId),
    /// End connections that nothing is lost with, so that their clients come anew.
    Shed(Arc<Shed>),
    /// Show these connections.
    Show(Arc<Sought>, mpsc::Sender<Vec<Shown>>),
    /// Do nothing: to obey is a sign of life.
    Pulse,
    /// End everything at once ([`End::Shutdown`]) and leave the thread.
    Shutdown,
}

/// Connections of a server that are too many there.
#[derive(Debug)]
pub struct Shed {
    /// The server.
    pub server: ServerId,
    /// How many are to end; all workers take from it.
    pub most: AtomicU64,
    /// Only those that have been quiet for this long, in both directions.
    pub quiet: Duration,
}

impl Shed {
    /// Takes one, when one is left.
    #[must_use]
    pub fn take(&self) -> bool {
        let less = |most: u64| most.checked_sub(1);
        let taken = self
            .most
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }
}

/// Which connections are to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// All.
    All,
    /// Those of this backend's server, by their names.
    Server(Arc<str>, Arc<str>),
    /// These.
    Ids(Box<[ConnectionId]>),
    /// Those whose server sees this address as the client's.
    Source(SocketAddr),
}

/// A connection as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub id: ConnectionId,
    /// The client's address.
    pub client: SocketAddr,
    /// The frontend's name.
    pub frontend: Arc<str>,
    /// The backend's name.
    pub backend: Arc<str>,
    /// The server that is dialled or connected.
    pub server: Option<Arc<str>>,
    /// Our address towards the server.
    pub source: Option<SocketAddr>,
    /// Where it stands: `header`, `hello`, `queue`, `dial`, `asked` or `relay`.
    pub stage: &'static str,
    /// Since it was accepted.
    pub age: Duration,
    /// Bytes from the client to the server.
    pub sent: u64,
    /// Bytes from the server to the client.
    pub received: u64,
}

/// A command on its way to a worker. Who gave it learns that it was obeyed when the worker
/// lets go of this.
#[derive(Debug)]
pub struct Order {
    /// What is to be done.
    pub command: Command,
    _receipt: oneshot::Sender<()>,
}

impl Order {
    /// An order, and what ends (with an error) when it was obeyed or the worker has left.
    #[must_use]
    pub fn new(command: Command) -> (Self, oneshot::Receiver<()>) {
        let (receipt, obeyed) = oneshot::channel();
        let order = Self {
            command,
            _receipt: receipt,
        };
        (order, obeyed)
    }
}

/// Which connections of a server are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those whose client has sent something since the server last did, or something that the
    /// server has not acknowledged.
    Unanswered,
}

/// Names a connection for the life of the process: the worker in the bits from 46 on, a
/// count from 1 in those below. With at most 64 workers it stays below 2^53, up to where
/// those who read numbers of JSON as floats (jq, JavaScript) tell any two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The `count`th connection of this worker.
    #[must_use]
    pub const fn new(worker: u16, count: u64) -> Self {
        Self(((worker as u64) << 46) | (count & 0x3fff_ffff_ffff))
    }
}

/// What a worker tells control.
#[derive(Debug)]
pub enum Event {
    /// Connections that have ended, at most [`ENDED`]. Sent when the snapshot wants ends
    /// reported.
    Ended(Vec<Record>),
    /// A dial failed or timed out; the client went on to another server or was given up.
    DialFailed {
        /// The server that was dialled.
        server: ServerId,
        /// The system's word for it; `TimedOut` when the attempt's time was used up.
        kind: std::io::ErrorKind,
    },
    /// Accepting failed; it goes on after a pause when resources are missing.
    AcceptFailed {
        /// The socket that was accepted from.
        listener: ListenerId,
        /// The system's error.
        error: std::io::Error,
    },
}

/// What traffic says of a server that fails again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The server.
    pub server: ServerId,
    /// How much of it was reached.
    pub reach: Reach,
}

impl Observed {
    /// It refuses connections, or does not take them.
    #[must_use]
    pub const fn unreachable(server: ServerId) -> Self {
        let reach = Reach::Unreachable;
        Self { server, reach }
    }

    /// It takes connections, and not a byte comes.
    #[must_use]
    pub const fn silent(server: ServerId) -> Self {
        let reach = Reach::Silent;
        Self { server, reach }
    }
}

/// One connection, when it is over.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub id: ConnectionId,
    /// When it was accepted.
    pub accepted: SystemTime,
    /// The client's address.
    pub client: SocketAddr,
    /// The address the client connected to.
    pub bind: SocketAddr,
    /// The frontend's name.
    pub frontend: Arc<str>,
    /// The backend's name.
    pub backend: Arc<str>,
    /// The server it was connected to, if it came to that.
    pub server: Option<Arc<str>>,
    /// Our address towards the server: what the server saw as the client.
    pub source: Option<SocketAddr>,
    /// Dials made.
    pub attempts: u32,
    /// From accepted to connected.
    pub connected_after: Option<Duration>,
    /// From accepted to the server's first byte.
    pub first_byte_after: Option<Duration>,
    /// From accepted to ended.
    pub lasted: Duration,
    /// Bytes from the client to the server.
    pub sent: u64,
    /// Bytes from the server to the client.
    pub received: u64,
    /// How it ended.
    pub end: End,
}

/// Every way a connection can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Both sides closed in order, the client first.
    ClientClosed,
    /// Both sides closed in order, the server first.
    ServerClosed,
    /// The client reset it; the server was given a reset.
    ClientReset,
    /// The server reset it; the client was given a reset.
    ServerReset,
    /// The client no longer acknowledged (keepalive or TCP_USER_TIMEOUT).
    ClientGone,
    /// The server no longer acknowledged (keepalive or TCP_USER_TIMEOUT).
    ServerGone,
    /// The client went away before a server was connected.
    ClientAborted,
    /// The client's address may not come in.
    Denied,
    /// The client's source has as many connections as it may.
    SourceConnections,
    /// The client's source comes faster than it may.
    SourceRate,
    /// The frontend has as many connections as it may.
    FrontendConnections,
    /// Clients come to the frontend faster than they may.
    FrontendRate,
    /// The process has as many connections as it may.
    ProcessConnections,
    /// The connection came from a proxy and did not begin with a PROXY header.
    BadProxyHeader,
    /// The connection came from a proxy, whose PROXY header did not come in time.
    NoProxyHeader,
    /// No ClientHello in time, where one is wanted; the client was reset.
    NoHello,
    /// The client's first bytes are no ClientHello, where one is wanted; it was reset.
    NotTls,
    /// The backend has no server that may be used; the client was reset.
    NoServer,
    /// Every server was dialled in vain; the client was reset.
    DialFailed,
    /// The dial budget (time or attempts) was used up; the client was reset.
    DialBudget,
    /// Too many waited already for a place at a server; the client was reset.
    QueueFull,
    /// No place at a server came free in time; the client was reset.
    QueueTimeout,
    /// No file descriptor or memory for the server's socket; the client was reset.
    NoResources,
    /// The server became unreachable; the client was reset.
    ServerUnreachable,
    /// The server hangs and owed an answer; the client was reset.
    ServerHung,
    /// Quiet both ways for longer than the configured idle time.
    Idle,
    /// Quiet, and moved away from a server that has too many.
    Rebalanced,
    /// By an operator's command.
    Killed,
    /// The process ended before the connection did.
    Shutdown,
}

impl End {
    /// Every end, in the order of [`End::index`].
    pub const ALL: [Self; 29] = [
        Self::ClientClosed,
        Self::ServerClosed,
        Self::ClientReset,
        Self::ServerReset,
        Self::ClientGone,
        Self::ServerGone,
        Self::ClientAborted,
        Self::Denied,
        Self::SourceConnections,
        Self::SourceRate,
        Self::FrontendConnections,
        Self::FrontendRate,
        Self::ProcessConnections,
        Self::BadProxyHeader,
        Self::NoProxyHeader,
        Self::NoHello,
        Self::NotTls,
        Self::NoServer,
        Self::DialFailed,
        Self::DialBudget,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::NoResources,
        Self::ServerUnreachable,
        Self::ServerHung,
        Self::Idle,
        Self::Rebalanced,
        Self::Killed,
        Self::Shutdown,
    ];

    /// Its place in [`End::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word in logs, metrics and status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientClosed => "clientClosed",
            Self::ServerClosed => "serverClosed",
            Self::ClientReset => "clientReset",
            Self::ServerReset => "serverReset",
            Self::ClientGone => "clientGone",
            Self::ServerGone => "serverGone",
            Self::ClientAborted => "clientAborted",
            Self::Denied => "denied",
            Self::SourceConnections => "sourceConnections",
            Self::SourceRate => "sourceRate",
            Self::FrontendConnections => "frontendConnections",
            Self::FrontendRate => "frontendRate",
            Self::ProcessConnections => "processConnections",
            Self::BadProxyHeader => "badProxyHeader",
            Self::NoProxyHeader => "noProxyHeader",
            Self::NoHello => "noHello",
            Self::NotTls => "notTls",
            Self::NoServer => "noServer",
            Self::DialFailed => "dialFailed",
            Self::DialBudget => "dialBudget",
            Self::QueueFull => "queueFull",
            Self::QueueTimeout => "queueTimeout",
            Self::NoResources => "noResources",
            Self::ServerUnreachable => "serverUnreachable",
            Self::ServerHung => "serverHung",
            Self::Idle => "idle",
            Self::Rebalanced => "rebalanced",
            Self::Killed => "killed",
            Self::Shutdown => "shutdown",
        }
    }

    /// haproxy's two letters for it, for readers that know them: who ended it (`C`lient,
    /// `S`erver, a `c`lient or `s`erver that was too slow, `P`roxy by rule, `R`esources, server
    /// `D`own, `K`illed), and where it stood (`R`equest awaited, `Q`ueue, `C`onnect, `D`ata).
    #[must_use]
    pub const fn flags(self) -> &'static str {
        match self {
            Self::ClientClosed | Self::ServerClosed | Self::Rebalanced => "--",
            Self::ClientReset => "CD",
            Self::ServerReset => "SD",
            Self::ClientGone | Self::Idle => "cD",
            Self::ServerGone => "sD",
            Self::ClientAborted => "CC",
            Self::Denied
            | Self::SourceConnections
            | Self::SourceRate
            | Self::FrontendConnections
            | Self::FrontendRate
            | Self::BadProxyHeader
            | Self::NotTls => "PR",
            Self::NoProxyHeader | Self::NoHello => "cR",
            Self::ProcessConnections => "RR",
            Self::NoServer | Self::DialFailed => "SC",
            Self::DialBudget => "sC",
            Self::QueueFull => "SQ",
            Self::QueueTimeout => "sQ",
            Self::NoResources => "RC",
            Self::ServerUnreachable | Self::ServerHung => "DD",
            Self::Killed => "KD",
            Self::Shutdown => "PD",
        }
    }

    /// Whether both sides have seen an orderly end; all others are given a reset.
    #[must_use]
    pub const fn is_orderly(self) -> bool {
        matches!(
            self,
            Self::ClientClosed | Self::ServerClosed | Self::Rebalanced
        )
    }

    /// How a cut of this kind is named.
    #[must_use]
    pub const fn of_cut(which: Which) -> Self {
        match which {
            Which::All => Self::ServerUnreachable,
            Which::Unanswered => Self::ServerHung,
        }
    }
}

/// What a worker counts for itself.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Connections it has, dialling ones included. Zero after a drain.
    pub open: AtomicU64,
    /// Accepts that failed.
    pub accept_failures: AtomicU64,
    /// Events dropped because the queue was full.
    pub events_dropped: AtomicU64,
    /// It no longer obeys. Set by control.
    pub is_stuck: AtomicBool,
}

/// What a worker is started with.
#[derive(Debug)]
pub struct Setup {
    /// From 0; names the thread and the connections.
    pub number: u16,
    /// Where its commands come from; it ends as by [`Command::Shutdown`] when closed.
    pub commands: mpsc::Receiver<Order>,
    /// Where its events go.
    pub events: Outlet,
    /// What it counts for itself.
    pub gauges: Arc<Gauges>,
}

/// Where a worker's events go. Never waits.
#[derive(Clone, Debug)]
pub struct Outlet {
    events: mpsc::Sender<Event>,
    observed: mpsc::Sender<Observed>,
    gauges: Arc<Gauges>,
}

impl Outlet {
    /// Hands an event to control, or drops and counts it when the queue is full.
    pub fn send(&self, event: Event) {
        let lines = match &event {
            Event::Ended(records) => records.len() as u64,
            Event::DialFailed { .. } | Event::AcceptFailed { .. } => 1,
        };
        if self.events.try_send(event).is_err() {
            self.gauges
                .events_dropped
                .fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// Tells control of a server that fails. Lost when the queue is full: a server that
    /// goes on to fail is told of again.
    pub fn observe(&self, observed: Observed) {
        let _ = self.observed.try_send(observed);
    }
}

/// Control's end of a worker.
#[derive(Debug)]
pub struct Handle {
    /// Where its commands go.
    pub commands: mpsc::Sender<Order>,
    /// What it counts for itself.
    pub gauges: Arc<Gauges>,
    /// Its thread; ends after [`Command::Shutdown`].
    pub thread: JoinHandle<()>,
}

/// Starts a worker on a thread of its own. `run` is the data path: it returns when the
/// worker is told to shut down.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(
    number: u16,
    events: mpsc::Sender<Event>,
    observed: mpsc::Sender<Observed>,
    run: impl FnOnce(Setup) + Send + 'static,
) -> std::io::Result<Handle> {
    let (commands, inlet) = mpsc::channel(COMMANDS);
    let gauges = Arc::new(Gauges::default());
    let setup = Setup {
        number,
        commands: inlet,
        events: Outlet {
            events,
            observed,
            gauges: Arc::clone(&gauges),
        },
        gauges: Arc::clone(&gauges),
    };
    let thread = std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || run(setup))?;
    Ok(Handle {
        commands,
        gauges,
        thread,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_told_apart_as_a_float() {
        const EXACT: u64 = 1 << 53;
        assert!(ConnectionId::new(63, u64::MAX).0 < EXACT);
        assert_ne!(ConnectionId::new(0, 1), ConnectionId::new(1, 1));
    }
}
