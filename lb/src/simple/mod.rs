//! A worker as one task per connection on a runtime of its own.
//!
//! Owns nothing that outlives the thread but its share of the listening sockets. Fed by
//! [`Command`]s; ends at [`Command::Shutdown`]. One scratch buffer serves all connections,
//! since all run on this thread: a connection holds memory only while its peer blocks.

mod accept;
mod connection;
mod dial;
mod relay;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, LocalSet};

use crate::listener::Listener;
use crate::pool::{ListenerId, ServerId, Snapshot};
use crate::worker::{Command, ConnectionId, End, Gauges, Outlet, Setup, Which};

/// What one read takes at most: large enough that a bulk stream needs few system calls,
/// small enough to stay in the second-level cache.
const SCRATCH: usize = 128 * 1024;

/// Runs the worker until it is told to shut down.
pub fn run(setup: Setup) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, obey(setup)),
        Err(error) => {
            tracing::error!(worker = setup.number, %error, "no runtime for a worker")
        }
    }
}

/// The worker's state, shared by the tasks of its thread.
struct Worker {
    number: u16,
    events: Outlet,
    gauges: Arc<Gauges>,
    snapshot: RefCell<Arc<Snapshot>>,
    links: RefCell<HashMap<ConnectionId, Rc<Link>>>,
    accepted: Cell<u64>,
    scratch: RefCell<Box<[u8]>>,
    /// Told when a connection ends: its descriptors are free.
    ended: Notify,
}

/// What the worker knows of one connection while it lasts.
#[derive(Default)]
struct Link {
    server: Cell<Option<ServerId>>,
    /// The client has sent something since the server last did.
    unanswered: Cell<bool>,
    stop: Cell<Option<End>>,
    wake: Notify,
}

impl Link {
    fn stop(&self, end: End) {
        self.stop.set(Some(end));
        self.wake.notify_one();
    }

    /// Returns when the connection is to end, and how.
    async fn stopped(&self) -> End {
        loop {
            if let Some(end) = self.stop.get() {
                return end;
            }
            self.wake.notified().await;
        }
    }
}

async fn obey(setup: Setup) {
    let Setup {
        number,
        mut commands,
        events,
        gauges,
    } = setup;
    let worker = Rc::new(Worker {
        number,
        events,
        gauges,
        snapshot: RefCell::default(),
        links: RefCell::default(),
        accepted: Cell::default(),
        scratch: RefCell::new(vec![0; SCRATCH].into()),
        ended: Notify::new(),
    });
    let mut doors = Doors::default();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Snapshot(snapshot) => {
                doors.leave(&worker, &snapshot);
                *worker.snapshot.borrow_mut() = Arc::clone(&snapshot);
                doors.enter(&worker, &snapshot);
            }
            Command::StopAccepting => doors.close(&worker),
            Command::Cut(server, which) => worker.cut(server, which),
            Command::Kill(id) => worker.kill(id),
            Command::Shutdown => break,
        }
    }
    doors.close(&worker);
    worker.stop_all();
    while !worker.links.borrow().is_empty() {
        worker.ended.notified().await;
    }
}

impl Worker {
    fn cut(&self, server: ServerId, which: Which) {
        let links = self.links.borrow();
        let theirs = links
            .values()
            .filter(|link| link.server.get() == Some(server));
        for link in theirs.filter(|l| which == Which::All || l.unanswered.get()) {
            link.stop(End::of_cut(which));
        }
    }

    fn kill(&self, id: ConnectionId) {
        if let Some(link) = self.links.borrow().get(&id) {
            link.stop(End::Killed);
        }
    }

    fn stop_all(&self) {
        self.links
            .borrow()
            .values()
            .for_each(|link| link.stop(End::Shutdown));
    }

    fn next_id(&self) -> ConnectionId {
        self.accepted.set(self.accepted.get() + 1);
        ConnectionId::new(self.number, self.accepted.get())
    }
}

/// The accepting tasks, one per listener.
#[derive(Default)]
struct Doors {
    open: HashMap<ListenerId, Arc<Listener>>,
    tasks: HashMap<ListenerId, AbortHandle>,
    is_closed: bool,
}

impl Doors {
    /// Closes the listeners that the next snapshot does not have; those who wait there
    /// are still routed by the one before.
    fn leave(&mut self, worker: &Rc<Worker>, next: &Snapshot) {
        let gone: Vec<ListenerId> = self
            .open
            .keys()
            .filter(|&&id| next.frontend_of(id).is_none())
            .copied()
            .collect();
        gone.into_iter().for_each(|id| self.shut(worker, id));
    }

    fn enter(&mut self, worker: &Rc<Worker>, snapshot: &Snapshot) {
        let listeners = snapshot.frontends.iter().flat_map(|f| &f.listeners);
        for listener in listeners.filter(|_| !self.is_closed) {
            self.open.entry(listener.id).or_insert_with(|| {
                let task = accept::accept(Rc::clone(worker), Arc::clone(listener));
                let task = tokio::task::spawn_local(task).abort_handle();
                self.tasks.insert(listener.id, task);
                Arc::clone(listener)
            });
        }
    }

    fn close(&mut self, worker: &Rc<Worker>) {
        self.is_closed = true;
        let all: Vec<ListenerId> = self.open.keys().copied().collect();
        for id in all {
            self.shut(worker, id);
        }
    }

    /// Takes in who already waits, so that the close resets nobody.
    fn shut(&mut self, worker: &Rc<Worker>, id: ListenerId) {
        if let Some(task) = self.tasks.remove(&id) {
            task.abort();
        }
        if let Some(listener) = self.open.remove(&id) {
            accept::accept_waiting(worker, &listener);
            listener.close();
        }
    }
}
