//! Workers of the data path on real sockets of the loopback interface, without the daemon.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use api_lb::config::{Balance, Dial, Queue, Tcp};
use api_lb::engine::{self, Crew};
use api_lb::hello::Rules;
use api_lb::limits::Limits;
use api_lb::listener::Listener;
use api_lb::pool::{
    Backend, Ceiling, Counters, Cursor, Frontend, ListenerId, Server, ServerId, Snapshot,
    State, Terms,
};
use api_lb::worker::{self, Command, Event, Handle, Observed};
use tokio::sync::mpsc;

pub const PLAIN: Tcp = Tcp {
    keepalive: None,
    user_timeout: None,
};

/// For those who wait for a place: longer than any test does.
const QUEUE: Queue = Queue {
    length: 100,
    timeout: Duration::from_secs(60),
};

/// A balancer with everything but its control.
pub struct Rig {
    pub address: SocketAddr,
    pub workers: Vec<Handle>,
    pub events: mpsc::Receiver<Event>,
    /// Ends that came together with one that was asked for.
    ends: VecDeque<worker::Record>,
    pub observed: mpsc::Receiver<Observed>,
    pub snapshot: Arc<Snapshot>,
}

pub struct Options {
    pub workers: u16,
    pub dial: Dial,
    pub tcp: Tcp,
    pub idle: Option<Duration>,
    pub report_ends: bool,
    pub limits: Limits,
    pub rules: Option<Arc<Rules>>,
    /// What each server may have at a time; who comes beyond waits.
    pub places: Option<NonZeroU32>,
}

impl Default for Options {
    fn default() -> Self {
        let dial = Dial {
            connect: Duration::from_millis(500),
            time: Duration::from_secs(3),
            attempts: 5,
        };
        Self {
            workers: 1,
            dial,
            tcp: PLAIN,
            idle: None,
            report_ends: true,
            limits: Limits::of(20_000),
            rules: None,
            places: None,
        }
    }
}

impl Rig {
    pub fn start(servers: &[SocketAddr], options: &Options) -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener =
            Listener::open(ListenerId(7), any, PLAIN).map_err(io::Error::other)?;
        let address = listener.socket.local_addr()?;
        let snapshot = Arc::new(Snapshot {
            generation: 1,
            frontends: vec![Arc::new(Frontend {
                name: "front".into(),
                listeners: vec![Arc::new(listener)],
                gate: Arc::default(),
                backend: Arc::new(backend(servers, options)),
                counters: Arc::new(Counters::default()),
                rules: options.rules.clone(),
                routes: Vec::new(),
            })],
            ceiling: Ceiling::default(),
            report_ends: options.report_ends,
        });
        let (sender, events) = mpsc::channel(65_536);
        let (observer, observed) = mpsc::channel(worker::OBSERVED);
        let crew = Crew::new(usize::from(options.workers), &options.limits)?;
        let workers = (0..options.workers)
            .map(|number| {
                let crew = Arc::clone(&crew);
                let (events, observed) = (sender.clone(), observer.clone());
                worker::spawn(number, events, observed, |setup| engine::run(setup, crew))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let rig = Self {
            address,
            workers,
            events,
            ends: VecDeque::new(),
            observed,
            snapshot,
        };
        rig.command(&Command::Snapshot(Arc::clone(&rig.snapshot)));
        Ok(rig)
    }

    pub fn command(&self, command: &Command) {
        for worker in &self.workers {
            let (order, _) = worker::Order::new(command.clone());
            let _ = worker.commands.try_send(order);
        }
    }

    pub fn frontend(&self) -> &Frontend {
        &self.snapshot.frontends[0]
    }

    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.frontend()
            .backend
            .servers()
            .iter()
            .map(|(server, _)| &**server)
    }

    pub fn open(&self) -> Vec<u64> {
        let open = |handle: &Handle| {
            handle.gauges.open.load(std::sync::atomic::Ordering::SeqCst)
        };
        self.workers.iter().map(open).collect()
    }

    /// Polls until `done`, at most for `limit`.
    pub async fn until(
        &self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        while !done(self) {
            if tokio::time::Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        true
    }

    /// The next end that is reported.
    pub async fn ended(&mut self) -> Option<worker::Record> {
        loop {
            if let Some(record) = self.ends.pop_front() {
                return Some(record);
            }
            let next = tokio::time::timeout(Duration::from_secs(10), self.events.recv());
            match next.await {
                Ok(Some(Event::Ended(records))) => self.ends.extend(records),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.command(&Command::Shutdown);
        for worker in self.workers.drain(..) {
            let _ = worker.thread.join();
        }
    }
}

fn backend(servers: &[SocketAddr], options: &Options) -> Backend {
    let servers = (0u32..).zip(servers).map(|(n, address)| {
        let server = Server {
            id: ServerId(n),
            name: format!("s{n}").into(),
            address: *address,
            weight: 1,
            terms: Terms {
                max_connections: options.places,
                ..Terms::default()
            },
            counters: Arc::new(Counters::default()),
        };
        (Arc::new(server), State::Up)
    });
    Backend::new(
        "back".into(),
        options.dial,
        options.tcp,
        options.idle,
        Arc::new(Cursor::default()),
        servers.collect(),
    )
    .balanced(Balance::default(), QUEUE)
}
