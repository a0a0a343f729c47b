//! Backends and their servers, from the file to what is meant.

use std::num::NonZeroU32;
use std::time::Duration;

use config::{KeyPath, Period};

use super::convert::{HOUR, MAX_CONNECTIONS, MINUTE, SECOND};
use super::file::{self, Limit, RebalanceMode};
use super::meant::{Backend, Balance, Dial, Keepalive, Origin, Queue, Server, Tcp};
use super::reading::Reading;
use super::{admission, checks, discovery};
use crate::pool::{Rank, rebalance};

/// A master of the same network accepts within 1 ms; below the kernel's first
/// retransmission of a SYN (1 s), so that a dead server costs a client little.
const CONNECT: Duration = Duration::from_millis(250);
const DIAL_TIME: Duration = Duration::from_secs(5);
const DIAL_ATTEMPTS: u32 = 6;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
const SERVER_USER_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const MAX_WEIGHT: u32 = 256;
/// Those who wait cost a descriptor each, and one who waits behind more than this gives up
/// before it is his turn.
const QUEUE_LENGTH: u32 = 1024;
const MAX_QUEUE: u32 = 65_536;
/// Below the time after which clients of an apiserver give a handshake up (10 s).
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the bookmarks of a watch are apart (about a minute).
const QUIET: Duration = Duration::from_secs(65);
const SHORTEST: Duration = Duration::from_millis(10);

impl Reading<'_> {
    pub(super) fn backends(
        &mut self,
        at: &KeyPath,
        all: Vec<file::Backend>,
    ) -> Vec<Backend> {
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

    pub(super) fn tcp(
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
}
