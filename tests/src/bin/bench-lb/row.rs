//! What is measured: each row is one kind of load, run once against one proxy.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::load::bulk::Direction;
use lab::load::histogram::Histogram;
use lab::load::{self, bulk, closed, crowd, open, usage};
use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;
use crate::peer::{APISERVER, Cores, Lines, Peer, Proxy, SECURE, SECURE_SIZES};
use crate::secure;

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Row {
    /// Connect, 46 bytes, 1 KiB back, close; 128 at once.
    Connections,
    /// The same, with a line of the log for each.
    ConnectionsLogged,
    /// The same without lines, with a TLS handshake between client and server.
    ConnectionsTls,
    /// 200 bytes and 1 KiB back, over 256 kept connections.
    KeepAlive,
    /// The same, with the log on.
    KeepAliveLogged,
    /// One stream from a server.
    Down1,
    /// Sixteen streams from servers.
    Down16,
    /// One stream to a server.
    Up1,
    /// Sixteen streams to servers.
    Up16,
    /// Small requests by the clock beside four streams.
    Mixed,
    /// Requests by the clock, at a fifth of what haproxy carries.
    Latency20,
    /// Requests by the clock, at three fifths of it.
    Latency60,
    /// Connections that did one request and then nothing.
    Idle,
    /// 9,000 clients that connect at once.
    Storm,
    /// kubectl, again and again, against a real kube-apiserver.
    Kubectl,
}

/// What one run of a row gave. Absent is what the row does not measure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Figures {
    /// How long it was measured, in seconds.
    pub(crate) seconds: f64,
    /// Answers, or bytes, in that time.
    pub(crate) count: f64,
    /// CPU seconds of the proxy in that time.
    pub(crate) proxy_cpu: f64,
    /// CPU seconds of all cores in that time.
    pub(crate) machine_cpu: f64,
    /// Microseconds, of those rows that have latencies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50: Option<f64>,
    /// As `p50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    /// As `p50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p999: Option<f64>,
    /// Microseconds for which the generator itself did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) away: Option<f64>,
    /// Bytes of user memory that each idle connection costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<f64>,
    /// Connections or requests that failed.
    pub(crate) failed: u64,
}

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

const CONNECTION: usize = 0;
const KEPT: usize = 1;
const DOWN: usize = 2;
const UP: usize = 3;
/// Requests a second that haproxy carries on one core of the machine that the peers were
/// first measured on: what the rows at 20 % and 60 % load refer to.
const CAPACITY: u32 = 95_000;

/// Clients per core that connect with TLS: a handshake takes its ends most of a
/// millisecond.
const CLIENTS: usize = 12;
/// After which a connection is no longer new: what a proxy does once for each is done.
const GROWN_UP: Duration = Duration::from_millis(2_500);

impl Row {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 15] = [
        Self::Connections,
        Self::ConnectionsLogged,
        Self::ConnectionsTls,
        Self::KeepAlive,
        Self::KeepAliveLogged,
        Self::Down1,
        Self::Down16,
        Self::Up1,
        Self::Up16,
        Self::Mixed,
        Self::Latency20,
        Self::Latency60,
        Self::Idle,
        Self::Storm,
        Self::Kubectl,
    ];

    /// As written in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsLogged => "connections-logged",
            Self::ConnectionsTls => "connections-tls",
            Self::KeepAlive => "keep-alive",
            Self::KeepAliveLogged => "keep-alive-logged",
            Self::Down1 => "down1",
            Self::Down16 => "down16",
            Self::Up1 => "up1",
            Self::Up16 => "up16",
            Self::Mixed => "mixed",
            Self::Latency20 => "latency20",
            Self::Latency60 => "latency60",
            Self::Idle => "idle",
            Self::Storm => "storm",
            Self::Kubectl => "kubectl",
        }
    }

    /// Whether the proxies write a line per connection.
    pub(crate) fn lines(self) -> Lines {
        if matches!(self, Self::ConnectionsLogged | Self::KeepAliveLogged) {
            Lines::On
        } else {
            Lines::Off
        }
    }

    /// The frontends that the proxies have for it.
    pub(crate) fn manners(self) -> &'static [usize] {
        match self {
            Self::ConnectionsTls => &[SECURE],
            Self::Kubectl => &[APISERVER],
            Self::Connections
            | Self::ConnectionsLogged
            | Self::KeepAlive
            | Self::KeepAliveLogged
            | Self::Down1
            | Self::Down16
            | Self::Up1
            | Self::Up16
            | Self::Mixed
            | Self::Latency20
            | Self::Latency60
            | Self::Idle
            | Self::Storm => &[CONNECTION, KEPT, DOWN, UP],
        }
    }

    /// Whether it says something about this peer on these cores. One that is made to splice
    /// needs two pipes per connection, and has no descriptors for a crowd. Where cores are
    /// shared, what is compared is throughput.
    pub(crate) fn takes(self, peer: Peer, cores: Cores) -> bool {
        match self {
            Self::ConnectionsLogged | Self::KeepAliveLogged => {
                cores == Cores::One && matches!(peer, Peer::Haproxy | Peer::Ours)
            }
            Self::Idle | Self::Storm => {
                cores == Cores::One && peer != Peer::HaproxySplice
            }
            Self::Connections | Self::KeepAlive | Self::Down16 => true,
            Self::ConnectionsTls
            | Self::Down1
            | Self::Up1
            | Self::Up16
            | Self::Mixed
            | Self::Latency20
            | Self::Latency60
            | Self::Kubectl => cores == Cores::One,
        }
    }

    /// Its rounds where others have so many: a tail needs twice as many.
    pub(crate) fn rounds(self, others: u32) -> u32 {
        if self.compares_tails() {
            others * 2
        } else {
            others
        }
    }

    /// Whether the tail of its latencies is compared.
    pub(crate) fn compares_tails(self) -> bool {
        matches!(self, Self::Latency20 | Self::Latency60)
    }

    /// Whether latencies are what it is about: then the generator that measures them has a
    /// core of its own.
    pub(crate) fn counts_latencies(self) -> bool {
        self.compares_tails() || self == Self::Mixed
    }

    /// The cores that servers and load have.
    pub(crate) fn server_cores(self, cores: Cores) -> std::ops::Range<usize> {
        let first = match cores {
            Cores::One => 1,
            Cores::All => 0,
        };
        let last = usage::cores();
        if self.counts_latencies() {
            first..(last - 1).max(first + 1)
        } else {
            first..last
        }
    }

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
            Self::Latency20 => bench.latency(CAPACITY / 5),
            Self::Latency60 => bench.latency(CAPACITY / 5 * 3),
            Self::Idle => bench.idle(),
            Self::Storm => bench.storm(),
            Self::Kubectl => bench.kubectl(around.cluster.as_ref()),
        }
    }
}

/// What stands around the proxy beside servers and load.
pub(crate) struct Around {
    /// Where certificates are.
    pub(crate) scratch: PathBuf,
    /// For [`Row::Kubectl`].
    pub(crate) cluster: Option<Cluster>,
}

struct Bench<'a> {
    proxy: &'a Proxy,
    load_cores: Vec<usize>,
    size: Size,
}

/// What was spent at one moment.
struct Spent {
    at: Instant,
    proxy: Duration,
    machine: Duration,
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
        let (before, answered) = (self.spent()?, shared.answered.load(Ordering::Relaxed));
        lab_sleep(self.size.time);
        let (after, total) = (self.spent()?, shared.answered.load(Ordering::Relaxed));
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
        let before = self.spent()?;
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
        let mut figures = before.until(&self.spent()?, latencies.len());
        figures.latencies(&latencies);
        figures.failed = failed;
        Ok(figures)
    }

    fn bulk(&self, direction: Direction, streams: usize) -> io::Result<Figures> {
        let stream = Streams::start(self, direction, streams)?;
        lab_sleep(self.size.warm_up);
        let (before, bytes) = (self.spent()?, stream.bytes());
        lab_sleep(self.size.time);
        let (after, total) = (self.spent()?, stream.bytes());
        stream.stop()?;
        Ok(before.until(&after, total - bytes))
    }

    fn mixed(&self) -> io::Result<Figures> {
        let stream = Streams::start(self, Direction::Down, 4)?;
        lab_sleep(self.size.warm_up);
        let bytes = stream.bytes();
        let figures = self.latency(2_000)?;
        let total = stream.bytes();
        stream.stop()?;
        Ok(Figures {
            count: as_f64(total - bytes),
            ..figures
        })
    }

    fn latency(&self, rate: u32) -> io::Result<Figures> {
        let plan = open::Plan {
            address: self.proxy.address(KEPT, 0),
            connections: 50,
            rate,
            request: 200,
            reply: 1024,
            warm_up: self.size.warm_up,
            time: self.size.time,
        };
        let core = usage::cores() - 1;
        let before = self.spent()?;
        let run = thread::spawn(move || {
            usage::pin(&[core])?;
            open::run(plan)
        });
        let seen = joined(run)?;
        let mut figures = before.until(&self.spent()?, seen.latencies.len());
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
        let before = self.spent()?;
        lab_sleep(self.size.quiet);
        let mut figures = before.until(&self.spent()?, crowd.connections.len() as u64);
        let grown = full.saturating_sub(empty);
        figures.memory = Some(as_f64(grown) / as_f64(self.size.idle as u64));
        figures.failed = crowd.failed as u64;
        Ok(figures)
    }

    fn storm(&self) -> io::Result<Figures> {
        let before = self.spent()?;
        let crowd = self.crowd(self.size.storm)?;
        let mut figures = before.until(&self.spent()?, crowd.served_after.len());
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

    fn spent(&self) -> io::Result<Spent> {
        let proxy = self.proxy.pid().map_or(Ok(Duration::ZERO), usage::cpu_of)?;
        Ok(Spent {
            at: Instant::now(),
            proxy,
            machine: usage::cpu_of_machine()?,
        })
    }
}

/// Streams that run until they are stopped.
struct Streams {
    bytes: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    runs: Vec<JoinHandle<io::Result<()>>>,
}

impl Streams {
    fn start(
        bench: &Bench<'_>,
        direction: Direction,
        streams: usize,
    ) -> io::Result<Self> {
        let manner = if direction == Direction::Down {
            DOWN
        } else {
            UP
        };
        let (bytes, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let threads = bench.load_cores.len();
        let runs = bench.threads(|n| {
            let share = streams / threads + usize::from(n < streams % threads);
            let (bytes, stop) = (Arc::clone(&bytes), Arc::clone(&stop));
            let address = bench.proxy.address(manner, n);
            move || bulk::run(address, share, direction, &bytes, &stop)
        })?;
        Ok(Self { bytes, stop, runs })
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn stop(self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.runs.into_iter().try_for_each(joined)
    }
}

impl Spent {
    fn until(&self, after: &Self, count: u64) -> Figures {
        Figures {
            seconds: (after.at - self.at).as_secs_f64(),
            count: as_f64(count),
            proxy_cpu: after.proxy.saturating_sub(self.proxy).as_secs_f64(),
            machine_cpu: after.machine.saturating_sub(self.machine).as_secs_f64(),
            ..Figures::default()
        }
    }
}

impl Figures {
    fn latencies(&mut self, latencies: &Histogram) {
        if !latencies.is_empty() {
            self.p50 = Some(micros(latencies.quantile(500)));
            self.p99 = Some(micros(latencies.quantile(990)));
            self.p999 = Some(micros(latencies.quantile(999)));
        }
    }
}

fn joined<T>(run: JoinHandle<io::Result<T>>) -> io::Result<T> {
    run.join()
        .map_err(|_| io::Error::other("a thread of the generator panicked"))?
}

fn micros(nanos: u64) -> f64 {
    as_f64(nanos) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A measurement lasts for a time: nothing else is waited for here.
fn lab_sleep(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}
