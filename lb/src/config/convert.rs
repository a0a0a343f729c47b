//! From the file as written to the configuration as meant. Finds everything that is wrong
//! with a file in one go, except what the checks' own files hide.

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use daemon::admin::password::Passwords;
use daemon::admin::{Certificate, Secure};

use config::{Document, Errors, KeyPath, Period, Source};

use super::file::{self, File, Limit, RebalanceMode};
use super::meant::{
    Backend, Balance, Config, Dial, Frontend, Keepalive, Origin, Queue, Server, Switch,
    Tcp,
};
use super::{admission, checks, collide, discovery, lint, routes};
use crate::pool::{Ceiling, Rank, rebalance};
use crate::trail::Memory;

/// More workers than this gain nothing: one carries what an apiserver can answer.
const DEFAULT_WORKERS: u16 = 4;
const MAX_WORKERS: u32 = 64;
/// A vip-daemon looks at /readyz every 100 ms, believes the second look, and the address
/// moves within three adverts of 100 ms; the rest is for a busy host.
const DRAIN_DELAY: Duration = Duration::from_secs(1);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const FLIGHT_DIRECTORY: &str = "/var/lib/sternpost/api-lb";
const SOCKET: &str = "/run/sternpost/api-lb.sock";
/// `admin.address` of the vip-daemon on this host.
const VIP_DAEMON: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9010);

const ADMIN: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// A master of the same network accepts within 1 ms; below the kernel's first
/// retransmission of a SYN (1 s), so that a dead server costs a client little.
const CONNECT: Duration = Duration::from_millis(250);
const DIAL_TIME: Duration = Duration::from_secs(5);
const DIAL_ATTEMPTS: u32 = 6;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
/// The kernel gives up unacknowledged data after about as long by itself; a shorter time
/// would also end a client that reads slowly, since it counts behind a closed window too.
const CLIENT_USER_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const SERVER_USER_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const MAX_WEIGHT: u32 = 256;
/// The most descriptors that Linux gives one process by default (fs.nr_open).
pub(super) const MAX_CONNECTIONS: u32 = 1 << 20;
/// Those who wait cost a descriptor each, and one who waits behind more than this gives up
/// before it is his turn.
const QUEUE_LENGTH: u32 = 1024;
const MAX_QUEUE: u32 = 65_536;
/// Below the time after which clients of an apiserver give a handshake up (10 s).
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_NAME: usize = 64;

/// Longer than the bookmarks of a watch are apart (about a minute).
const QUIET: Duration = Duration::from_secs(65);
/// More per second than a disk takes.
const MAX_LINES: u32 = 1_000_000;
/// An audit log is looked at minutes after the fact.
const WHO_KEEP: Duration = Duration::from_secs(10 * 60);
/// Some 8 MiB when all are used.
const WHO_ENTRIES: u32 = 65_536;
const MAX_ENTRIES: u32 = 1 << 20;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const SHORTEST: Duration = Duration::from_millis(10);

/// Converts a whole file.
pub(super) fn convert(document: Document<File>) -> Result<Config, Errors> {
    let Document { file, source } = document;
    let mut reading = Reading {
        source: &source,
        errors: Errors::new(),
        warnings: vec![],
    };
    let config = reading.config(file);
    collide::refuse(&config, &mut reading);
    lint::warn(&config, &mut reading);
    let Reading {
        errors, warnings, ..
    } = reading;
    errors.or(Config { warnings, ..config })
}

/// One conversion: where things stand, and what was found.
pub(super) struct Reading<'a> {
    source: &'a Source,
    errors: Errors,
    warnings: Vec<String>,
}

impl Reading<'_> {
    fn config(&mut self, file: File) -> Config {
        let root = KeyPath::root();
        let workers = self.number(&root.key("workers"), file.workers, 1..=MAX_WORKERS);
        let delay = root.key("drainDelay");
        let drain = root.key("drainTimeout");
        let admin = root.key("admin");
        Config {
            workers: workers.and_then(to_workers).unwrap_or_else(default_workers),
            drain_delay: self
                .time(&delay, file.drain_delay, Duration::ZERO..=MINUTE)
                .unwrap_or(DRAIN_DELAY),
            drain_timeout: self
                .time(&drain, file.drain_timeout, Duration::ZERO..=HOUR)
                .unwrap_or(DRAIN_TIMEOUT),
            ceiling: Ceiling {
                connections: self
                    .number(
                        &root.key("maxConnections"),
                        file.max_connections,
                        1..=MAX_CONNECTIONS,
                    )
                    .map(u64::from),
                when_full: file.when_full,
            },
            admin: file.admin.address.map_or(ADMIN, |address| address.0),
            admin_tls: file.admin.tls.and_then(|tls| self.admin_tls(&admin, tls)),
            vip_daemon: match file.admin.vip_daemon {
                file::VipDaemon::Usual => Some(VIP_DAEMON),
                file::VipDaemon::At(address) => Some(address.0),
                file::VipDaemon::Off => None,
            },
            passwords: self.passwords(&admin, file.admin.password_file),
            socket: file.socket.unwrap_or_else(|| SOCKET.into()),
            flight_directory: flight_directory(file.flight_recorder.directory),
            // Who wants no line per connection wants to spare their cost, too.
            flight_connections: file
                .flight_recorder
                .connections
                .unwrap_or(file.log.connections),
            log: daemon::log::Settings {
                format: file.log.format,
                level: file.log.level.name().to_owned(),
                target: file.log.to,
            },
            log_connections: file.log.connections,
            log_rate: self
                .number(
                    &root.key("log").key("maxRate"),
                    file.log.max_rate,
                    1..=MAX_LINES,
                )
                .and_then(NonZeroU32::new),
            who: self.who(&root.key("who"), &file.who, file.log.connections),
            frontends: self.frontends(&root.key("frontends"), file.frontends),
            backends: self.backends(&root.key("backends"), file.backends),
            warnings: Vec::new(),
        }
    }

    fn who(&mut self, at: &KeyPath, written: &file::Who, log: Switch) -> Memory {
        let keep = at.key("keep");
        let entries = at.key("entries");
        let entries = self.number(&entries, written.entries, 1..=MAX_ENTRIES);
        // Who wants no line per connection wants to spare their cost, too.
        let default = match log {
            Switch::On => Some(WHO_KEEP),
            Switch::Off => None,
        };
        Memory {
            keep: self.limit(&keep, written.keep, SECOND..=24 * HOUR, default),
            entries: entries.unwrap_or(WHO_ENTRIES),
        }
    }

    /// The certificate has to be there before anything is touched.
    fn admin_tls(&mut self, at: &KeyPath, tls: file::AdminTls) -> Option<Secure> {
        let secure = Secure {
            address: tls.address.0,
            certificate: tls.cert_file,
            key: tls.key_file,
        };
        match Certificate::read(&secure.certificate, &secure.key) {
            Ok(_) => Some(secure),
            Err(error) => {
                let at = at.key("tls").key("certFile");
                self.refuse(&at, format!("cannot be used: {}", daemon::chain(&error)));
                None
            }
        }
    }

    fn passwords(&mut self, at: &KeyPath, file: Option<PathBuf>) -> Option<PathBuf> {
        if let Some(Err(error)) = file.as_deref().map(Passwords::read) {
            let at = at.key("passwordFile");
            self.refuse(&at, format!("cannot be used: {}", daemon::chain(&error)));
        }
        file
    }

    fn frontends(&mut self, at: &KeyPath, all: Vec<file::Frontend>) -> Vec<Frontend> {
        self.some(at, all.len(), "a frontend");
        self.names(at, all.iter().map(|frontend| frontend.name.as_str()));
        let each = all.into_iter().enumerate();
        each.map(|(i, frontend)| self.frontend(&at.index(i), frontend))
            .collect()
    }

    fn frontend(&mut self, at: &KeyPath, frontend: file::Frontend) -> Frontend {
        self.some(&at.key("bind"), frontend.bind.len(), "an address");
        let admission = admission::rules(self, at, &frontend);
        let (rules, routes) = routes::rules(self, at, frontend.tls, frontend.routes);
        Frontend {
            admission,
            name: frontend.name.into(),
            binds: frontend.bind.into_iter().map(|address| address.0).collect(),
            backend: frontend.backend.into(),
            tcp: self.tcp(
                at,
                &frontend.tcp_keepalive,
                frontend.tcp_user_timeout,
                CLIENT_USER_TIMEOUT,
            ),
            rules,
            routes,
        }
    }

    fn backends(&mut self, at: &KeyPath, all: Vec<file::Backend>) -> Vec<Backend> {
        self.some(at, all.len(), "a backend");
        self.names(at, all.iter().map(|backend| backend.name.as_str()));
        let each = all.into_iter().enumerate();
        each.map(|(i, backend)| self.backend(&at.index(i), backend))
            .collect()
    }

    fn backend(&mut self, at: &KeyPath, backend: file::Backend) -> Backend {
        let dial = self.dial(at, &backend.timeouts, &backend.dial_budget);
        let idle = at.key("timeouts").key("idle");
        let idle =
            self.limit(&idle, backend.timeouts.idle, SECOND..=30 * 24 * HOUR, None);
        let tcp = self.tcp(
            at,
            &backend.tcp_keepalive,
            backend.tcp_user_timeout,
            SERVER_USER_TIMEOUT,
        );
        let slow = at.key("slowStart");
        let slow_start = self.limit(&slow, backend.slow_start, SECOND..=HOUR, None);
        let rebalance = self.rebalance(at, &backend);
        let queue = self.queue(&at.key("queue"), &backend.queue);
        let send_proxy = admission::send_proxy(self, at, &backend);
        let key = at.key("discovery");
        self.somebody(at, &backend);
        let discovery =
            discovery::discovery(self, &key, &backend.name, backend.discovery);
        let servers = self.servers(&at.key("servers"), backend.servers);
        let check = checks::check(self, &at.key("check"), backend.check);
        Backend {
            name: backend.name.into(),
            balance: backend.balance,
            slow_start,
            rebalance,
            queue,
            send_proxy,
            dial,
            idle,
            tcp,
            check,
            discovery,
            servers,
        }
    }

    fn rebalance(&mut self, at: &KeyPath, backend: &file::Backend) -> Option<Duration> {
        let (at, written) = (at.key("rebalance"), &backend.rebalance);
        let quiet = self.time(&at.key("quiet"), written.quiet, SECOND..=HOUR);
        let moves = written.mode != RebalanceMode::Off;
        if moves && backend.balance == Balance::Source {
            self.refuse(&at.key("mode"), "does not go with balance source, by which every client comes back to the server it had; write off");
        }
        match written.mode {
            RebalanceMode::Off => None,
            RebalanceMode::Gentle => Some(quiet.unwrap_or(QUIET)),
            RebalanceMode::Prompt => Some(rebalance::PROMPT),
        }
    }

    fn queue(&mut self, at: &KeyPath, written: &file::Queue) -> Queue {
        let length = self.number(&at.key("length"), written.length, 0..=MAX_QUEUE);
        let timeout = self.time(&at.key("timeout"), written.timeout, SHORTEST..=MINUTE);
        Queue {
            length: length.unwrap_or(QUEUE_LENGTH),
            timeout: timeout.unwrap_or(QUEUE_TIMEOUT),
        }
    }

    fn dial(
        &mut self,
        at: &KeyPath,
        timeouts: &file::Timeouts,
        budget: &file::DialBudget,
    ) -> Dial {
        let connect = at.key("timeouts").key("connect");
        let time = at.key("dialBudget").key("time");
        let attempts = at.key("dialBudget").key("attempts");
        let dial = Dial {
            connect: self
                .time(&connect, timeouts.connect, SHORTEST..=MINUTE)
                .unwrap_or(CONNECT),
            time: self
                .time(&time, budget.time, SHORTEST..=5 * MINUTE)
                .unwrap_or(DIAL_TIME),
            attempts: self
                .number(&attempts, budget.attempts, 1..=100)
                .unwrap_or(DIAL_ATTEMPTS),
        };
        if dial.connect > dial.time {
            let at = if timeouts.connect.is_some() {
                &connect
            } else {
                &time
            };
            let (connect, time) = (Period(dial.connect), Period(dial.time));
            self.refuse(at, format!(
                "leaves no time for one attempt: timeouts.connect ({connect}) must not be longer than dialBudget.time ({time})"
            ));
        }
        dial
    }

    fn tcp(
        &mut self,
        at: &KeyPath,
        keepalive: &file::Keepalive,
        user_timeout: Option<Limit>,
        default: Duration,
    ) -> Tcp {
        let user = at.key("tcpUserTimeout");
        Tcp {
            keepalive: self.keepalive(&at.key("tcpKeepalive"), keepalive),
            user_timeout: self.limit(&user, user_timeout, SECOND..=HOUR, Some(default)),
        }
    }

    fn keepalive(
        &mut self,
        at: &KeyPath,
        written: &file::Keepalive,
    ) -> Option<Keepalive> {
        let (idle, interval) = (at.key("idle"), at.key("interval"));
        let probes = self.number(&at.key("probes"), written.probes, 1..=100);
        let between = self.time(&interval, written.interval, SECOND..=HOUR);
        let quiet = self.limit(&idle, written.idle, SECOND..=HOUR, Some(KEEPALIVE_IDLE));
        for (at, time) in [(&idle, quiet), (&interval, between)] {
            if time.is_some_and(|time| time.subsec_nanos() != 0) {
                self.refuse(at, "must be whole seconds: the kernel counts no finer here");
            }
        }
        Some(Keepalive {
            idle: quiet?,
            interval: between.unwrap_or(KEEPALIVE_INTERVAL),
            probes: probes.unwrap_or(KEEPALIVE_PROBES),
        })
    }

    /// Servers are written or found. The cluster's are found through one that is written.
    fn somebody(&mut self, at: &KeyPath, backend: &file::Backend) {
        let list = at.key("servers");
        match &backend.discovery {
            None => self.some(&list, backend.servers.len(), "a server"),
            Some(found) if found.kubernetes.is_some() && backend.servers.is_empty() => {
                self.refuse(&list, "is empty, so that discovery.kubernetes has nobody to ask at the first start; write at least one apiserver");
            }
            Some(_) => {}
        }
    }

    fn servers(&mut self, at: &KeyPath, all: Vec<file::Server>) -> Vec<Server> {
        self.names(at, all.iter().map(|server| server.name.as_str()));
        let each = all.into_iter().enumerate();
        each.map(|(i, server)| self.server(&at.index(i), server))
            .collect()
    }

    fn server(&mut self, at: &KeyPath, server: file::Server) -> Server {
        let weight = self.number(&at.key("weight"), server.weight, 1..=MAX_WEIGHT);
        let most = at.key("maxConnections");
        let most = self.number(&most, server.max_connections, 1..=MAX_CONNECTIONS);
        Server {
            name: server.name.into(),
            address: server.address.0,
            weight: weight
                .and_then(|weight| u16::try_from(weight).ok())
                .unwrap_or(1),
            rank: if server.backup {
                Rank::Backup
            } else {
                Rank::Regular
            },
            max_connections: most.and_then(NonZeroU32::new),
            disabled: server.disabled,
            origin: Origin::File,
        }
    }

    /// Notes what is wrong at a key; the value there is quoted before `problem`.
    pub(super) fn refuse(&mut self, at: &KeyPath, problem: impl Into<String>) {
        self.errors.push(self.source.error(at, problem));
    }

    pub(super) fn warn(&mut self, at: &KeyPath, sentence: &str) {
        let line = self.source.line(at);
        self.warnings.push(format!("line {line}: {at}: {sentence}"));
    }

    pub(super) fn one_of(
        &mut self,
        at: &KeyPath,
        names: &[&'static str],
    ) -> Option<&'static str> {
        let found = self.source.one_of(at, names);
        self.errors.keep(found)
    }

    pub(super) fn time(
        &mut self,
        at: &KeyPath,
        written: Option<Period>,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let time = written?.0;
        if !allowed.contains(&time) {
            let (low, high) = (Period(*allowed.start()), Period(*allowed.end()));
            self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        Some(time)
    }

    pub(super) fn number(
        &mut self,
        at: &KeyPath,
        written: Option<u32>,
        allowed: RangeInclusive<u32>,
    ) -> Option<u32> {
        let number = written?;
        if !allowed.contains(&number) {
            let (low, high) = allowed.into_inner();
            self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        Some(number)
    }

    pub(super) fn count(
        &mut self,
        at: &KeyPath,
        written: Option<u32>,
    ) -> Option<NonZeroU32> {
        self.number(at, written, 1..=100).and_then(NonZeroU32::new)
    }

    fn limit(
        &mut self,
        at: &KeyPath,
        written: Option<Limit>,
        allowed: RangeInclusive<Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        match written {
            None => default,
            Some(Limit::Off) => None,
            Some(Limit::After(period)) => self.time(at, Some(period), allowed),
        }
    }

    fn some(&mut self, at: &KeyPath, len: usize, what: &str) {
        if len == 0 {
            self.refuse(at, format!("is empty; write at least {what}"));
        }
    }

    fn names<'n>(&mut self, list: &KeyPath, names: impl Iterator<Item = &'n str>) {
        let mut seen: Vec<&str> = Vec::new();
        for (i, name) in names.enumerate() {
            let at = list.index(i).key("name");
            if !is_name(name) {
                self.refuse(&at, "is not a name; allowed: 1 to 64 of a-z A-Z 0-9 - _ .");
            } else if seen.contains(&name) {
                self.refuse(&at, format!("stands twice in {list}; names are unique"));
            }
            seen.push(name);
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(fits)
}

/// `off`, or where the unit lets it write.
fn flight_directory(written: Option<PathBuf>) -> Option<PathBuf> {
    let directory = written.unwrap_or_else(|| FLIGHT_DIRECTORY.into());
    (directory.as_os_str() != "off").then_some(directory)
}

fn to_workers(number: u32) -> Option<NonZeroU16> {
    u16::try_from(number).ok().and_then(NonZeroU16::new)
}

fn default_workers() -> NonZeroU16 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = u16::try_from(cpus).unwrap_or(u16::MAX).min(DEFAULT_WORKERS);
    NonZeroU16::new(workers).unwrap_or(NonZeroU16::MIN)
}
