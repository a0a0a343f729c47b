//! How each row is run, once, against one proxy.

mod streams;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::load::bulk::Direction;
use lab::load::histogram::Histogram;
use lab::load::{self, closed, crowd, open, usage};

use crate::cluster::Cluster;
use crate::figures::{Figures, Spent, as_f64, micros};
use crate::peer::{APISERVER, Cores, Proxy, SECURE, SECURE_SIZES};
use crate::row::{CONNECTION, KEPT, Row};
use crate::secure;

/// How large and how long the rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Before it is measured.
    pub(crate) warm_up: Duration,
    /// While it is measured.
    pub(crate) time: Duration,
    /// While [`Row::Idle`] is measured, in which next to nothing happens.
    pub(crate) quiet: Duration,
    /// Connections of [`Row::Idle`].
    pub(crate) idle: usize,
    /// Clients of [`Row::Storm`].
    pub(crate) storm: usize,
}

/// What stands around the proxy beside servers and load.
pub(crate) struct Around {
    /// Where certificates are.
    pub(crate) scratch: PathBuf,
    /// For [`Row::Kubectl`].
    pub(crate) cluster: Option<Cluster>,
}

/// Requests a second that haproxy carries on one core of the machine that the peers were
/// first measured on: what the rows at 20 % and 60 % load refer to.
const CAPACITY: u32 = 95_000;

/// Clients per core that connect with TLS: a handshake takes its ends most of a
/// millisecond.
const CLIENTS: usize = 12;
/// After which a connection is no longer new: what a proxy does once for each is done.
/// Checks are regular then, too.
const GROWN_UP: Duration = Duration::from_millis(2_500);
/// How long a tail is measured at least: the p99.9 of a second at 20 % load is its 19 latest
/// answers, and one pause of the machine makes as many late.
const TAIL: Duration = Duration::from_secs(4);

impl Row {
    /// Runs it once.
    pub(crate) fn run(
        self,
        proxy: &Proxy,
        cores: Cores,
        size: Size,
        around: &Around,
    ) -> io::Result<Figures> {
        let load_cores = self.server_cores(cores).collect();
        let bench = Bench {
            proxy,
            load_cores,
            size,
        };
        match self {
            Self::Connections | Self::ConnectionsLogged => {
                bench.closed(CONNECTION, 128, 46, Some(1))
            }
            Self::ConnectionsTls => bench.secure(&around.scratch),
            Self::KeepAlive | Self::KeepAliveLogged => bench.closed(KEPT, 256, 200, None),
            Self::Down1 => bench.bulk(Direction::Down, 1),
            Self::Down16 => bench.bulk(Direction::Down, 16),
            Self::Up1 => bench.bulk(Direction::Up, 1),
            Self::Up16 => bench.bulk(Direction::Up, 16),
            Self::Mixed => bench.mixed(),
            Self::Latency20 => bench.tail(CAPACITY / 5),
            Self::Latency60 => bench.tail(CAPACITY / 5 * 3),
            Self::Idle => bench.idle(),
            Self::Storm => bench.storm(),
            Self::Kubectl => bench.kubectl(around.cluster.as_ref()),
        }
    }
}

struct Bench<'a> {
    proxy: &'a Proxy,
    load_cores: Vec<usize>,
    size: Size,
}

impl Bench<'_> {
    fn closed(
        &self,
        manner: usize,
        connections: usize,
        request: usize,
        lifetime: Option<u64>,
    ) -> io::Result<Figures> {
        let threads = self.load_cores.len();
        let shared = Arc::new(closed::Shared::default());
        let runs = self.threads(|n| {
            let share = connections / threads + usize::from(n < connections % threads);
            let mut addresses = self.proxy.addresses(manner);
            let turn = n % addresses.len().max(1);
            addresses.rotate_left(turn);
            let plan = closed::Plan {
                addresses,
                connections: share,
                request,
                reply: 1024,
                lifetime,
            };
            let shared = Arc::clone(&shared);
            move || closed::run(&plan, &shared)
        })?;
        self.watch(&shared, runs)
    }

    /// Connections with a handshake, from so many clients that the proxy is never idle for
    /// want of one.
    fn secure(&self, scratch: &Path) -> io::Result<Figures> {
        let config = secure::client(scratch)?;
        let shared = Arc::new(closed::Shared::default());
        let (request, reply) = SECURE_SIZES;
        let mut runs = Vec::new();
        for client in 0..CLIENTS {
            runs.extend(self.threads(|n| {
                let plan = load::secure::Plan {
                    address: self.proxy.address(SECURE, n + client),
                    config: Arc::clone(&config),
                    request,
                    reply,
                };
                let shared = Arc::clone(&shared);
                move || load::secure::run(&plan, &shared)
            })?);
        }
        self.watch(&shared, runs)
    }

    /// Measures what runs, then ends it.
    fn watch(
        &self,
        shared: &closed::Shared,
        runs: Vec<JoinHandle<io::Result<Histogram>>>,
    ) -> io::Result<Figures> {
        lab_sleep(self.size.warm_up);
        shared.counting.store(true, Ordering::Relaxed);
        let (before, answered) = (
            Spent::by(self.proxy)?,
            shared.answered.load(Ordering::Relaxed),
        );
        lab_sleep(self.size.time);
        let (after, total) = (
            Spent::by(self.proxy)?,
            shared.answered.load(Ordering::Relaxed),
        );
        shared.stop.store(true, Ordering::Relaxed);
        let mut latencies = Histogram::default();
        for run in runs {
            latencies.merge(&joined(run)?);
        }
        let mut figures = before.until(&after, total - answered);
        figures.latencies(&latencies);
        figures.failed = shared.failed.load(Ordering::Relaxed);
        Ok(figures)
    }

    /// kubectl on each core of the load, one after the other.
    fn kubectl(&self, cluster: Option<&Cluster>) -> io::Result<Figures> {
        let Some(kubectl) = cluster.map(Cluster::kubectl) else {
            return Err(io::Error::other("no kube-apiserver runs"));
        };
        let address = self.proxy.address(APISERVER, 0);
        let end = Instant::now() + self.size.time;
        let before = Spent::by(self.proxy)?;
        let runs = self.threads(|_| {
            let kubectl = kubectl.clone();
            move || {
                let (mut latencies, mut failed) = (Histogram::default(), 0);
                while Instant::now() < end {
                    let begun = Instant::now();
                    if kubectl.ask(address)? {
                        latencies.add(closed::nanos(begun.elapsed()));
                    } else {
                        failed += 1;
                    }
                }
                Ok((latencies, failed))
            }
        })?;
        let (mut latencies, mut failed) = (Histogram::default(), 0);
        for run in runs {
            let (own, missed) = joined(run)?;
            latencies.merge(&own);
            failed += missed;
        }
        let mut figures = before.until(&Spent::by(self.proxy)?, latencies.len());
        figures.latencies(&latencies);
        figures.failed = failed;
        Ok(figures)
    }
    /// Requests by the clock, for long enough that the tail is more than one pause of the
    /// machine, and after what a proxy does once.
    fn tail(&self, rate: u32) -> io::Result<Figures> {
        let Size { warm_up, time, .. } = self.size;
        self.latency(rate, warm_up.max(GROWN_UP), time.max(TAIL))
    }

    fn latency(
        &self,
        rate: u32,
        warm_up: Duration,
        time: Duration,
    ) -> io::Result<Figures> {
        let plan = open::Plan {
            address: self.proxy.address(KEPT, 0),
            connections: 50,
            rate,
            request: 200,
            reply: 1024,
            warm_up,
            time,
        };
        let core = usage::cores() - 1;
        let before = Spent::by(self.proxy)?;
        let run = thread::spawn(move || {
            usage::pin(&[core])?;
            open::run(plan)
        });
        let seen = joined(run)?;
        let mut figures = before.until(&Spent::by(self.proxy)?, seen.latencies.len());
        figures.latencies(&seen.latencies);
        figures.away = Some(micros(closed::nanos(seen.away)));
        figures.failed = seen.lost;
        Ok(figures)
    }

    fn idle(&self) -> io::Result<Figures> {
        let Some(pid) = self.proxy.pid() else {
            return Ok(Figures::default());
        };
        let empty = usage::memory_of(pid)?;
        let crowd = self.crowd(self.size.idle)?;
        lab_sleep(GROWN_UP);
        let full = usage::memory_of(pid)?;
        let before = Spent::by(self.proxy)?;
        lab_sleep(self.size.quiet);
        let mut figures =
            before.until(&Spent::by(self.proxy)?, crowd.connections.len() as u64);
        let grown = full.saturating_sub(empty);
        figures.memory = Some(as_f64(grown) / as_f64(self.size.idle as u64));
        figures.failed = crowd.failed as u64;
        Ok(figures)
    }

    fn storm(&self) -> io::Result<Figures> {
        let before = Spent::by(self.proxy)?;
        let crowd = self.crowd(self.size.storm)?;
        let mut figures = before.until(&Spent::by(self.proxy)?, crowd.served_after.len());
        figures.seconds = crowd.all_after.as_secs_f64();
        figures.latencies(&crowd.served_after);
        figures.failed = crowd.failed as u64;
        Ok(figures)
    }

    fn crowd(&self, size: usize) -> io::Result<crowd::Crowd> {
        let address = self.proxy.address(CONNECTION, 0);
        let cores = self.load_cores.clone();
        let run = thread::spawn(move || {
            usage::pin(&cores)?;
            crowd::storm(address, size, 46, 1024, Duration::from_secs(30))
        });
        joined(run)
    }

    /// One thread per core that the load has, pinned.
    fn threads<T, F>(
        &self,
        work: impl Fn(usize) -> F,
    ) -> io::Result<Vec<JoinHandle<io::Result<T>>>>
    where
        T: Send + 'static,
        F: FnOnce() -> io::Result<T> + Send + 'static,
    {
        let start = |(n, core): (usize, usize)| {
            let work = work(n);
            thread::Builder::new()
                .name(format!("load-{n}"))
                .spawn(move || {
                    usage::pin(&[core])?;
                    work()
                })
        };
        self.load_cores
            .iter()
            .copied()
            .enumerate()
            .map(start)
            .collect()
    }
}

fn joined<T>(run: JoinHandle<io::Result<T>>) -> io::Result<T> {
    run.join()
        .map_err(|_| io::Error::other("a thread of the generator panicked"))?
}

/// A measurement lasts for a time: nothing else is waited for here.
fn lab_sleep(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}
