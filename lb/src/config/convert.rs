//! From the file as written to the configuration as meant. Finds everything that is wrong
//! with a file in one go, except what the checks' own files hide.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daemon::admin::password::Passwords;
use daemon::admin::{Certificate, Secure};

use config::{Document, Errors, KeyPath};

use super::file::{self, File};
use super::meant::{Config, Frontend, Switch};
use super::reading::Reading;
use super::{admission, collide, lint, routes, stats_path};
use crate::pool::Ceiling;
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
const STATS_PATH: &str = "/stats";
/// `admin.address` of the vip-daemon on this host.
const VIP_DAEMON: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9010);

const ADMIN: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// The kernel gives up unacknowledged data after about as long by itself; a shorter time
/// would also end a client that reads slowly, since it counts behind a closed window too.
const CLIENT_USER_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The most descriptors that Linux gives one process by default (fs.nr_open).
pub(super) const MAX_CONNECTIONS: u32 = 1 << 20;

/// More per second than a disk takes.
const MAX_LINES: u32 = 1_000_000;
/// An audit log is looked at minutes after the fact.
const WHO_KEEP: Duration = Duration::from_secs(10 * 60);
/// Some 8 MiB when all are used.
const WHO_ENTRIES: u32 = 65_536;
const MAX_ENTRIES: u32 = 1 << 20;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);

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
            stats_path: self.stats_path(&admin, file.admin.stats_path),
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
    fn stats_path(&mut self, at: &KeyPath, written: Option<String>) -> Arc<str> {
        let path = written.unwrap_or_else(|| STATS_PATH.to_owned());
        if let Err(why) = stats_path::stats_path(&path) {
            self.refuse(&at.key("statsPath"), why);
        }
        path.into()
    }

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
