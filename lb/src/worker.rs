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

mod end;
mod event;
mod luggage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::pool::{ServerId, Snapshot};

pub use end::{End, Stood};
pub use event::{ConnectionId, Event, Observed, Record};
pub use luggage::{Adoption, Frozen, Luggage};

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
    /// Accept nobody, and leave the listeners open: who comes waits in their queues. The
    /// next [`Command::Snapshot`] ends it.
    Hold,
    /// Give all connections away as they are, and leave the thread.
    Freeze(mpsc::Sender<Frozen>),
    /// Go on with connections that another process image gave away. Before the first
    /// [`Command::Snapshot`].
    Adopt(Arc<Adoption>),
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

/// What a worker counts for itself.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Connections it has, dialling ones included. Zero after a drain.
    pub open: AtomicU64,
    /// Clients it has accepted, whoever serves them.
    pub came: AtomicU64,
    /// Accepts that failed.
    pub accept_failures: AtomicU64,
    /// Turns of sessions put off because the kernel had no memory.
    pub starved: AtomicU64,
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
