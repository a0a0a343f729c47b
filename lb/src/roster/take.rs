//! Another configuration: what stays, what is new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Back, Front, Heard, Member, Roster, Will};
use crate::admit::Gate;
use crate::config::{self, Config, Switch};
use crate::listener::Listener;
use crate::pool::{Judge, Server, ServerId, State, Terms};

impl Roster {
    /// Takes another configuration. What has the same name (and, for a server, the same
    /// address) keeps its counters, cursor and state.
    ///
    /// `listeners` holds one for each bind of the configuration.
    pub fn replace(
        &mut self,
        config: &Config,
        listeners: &[Arc<Listener>],
        now: SystemTime,
    ) {
        self.was_expected = self.is_expected();
        let old = std::mem::take(&mut self.backends);
        self.ceiling = config.ceiling;
        self.report_ends = config.log_connections == Switch::On
            || config.flight_connections == Switch::On
            || config.who.keep.is_some();
        self.flight_connections = config.flight_connections;
        self.log_connections = config.log_connections;
        self.log_rate = config.log_rate;
        self.who = Some(config.who);
        self.frontends = config
            .frontends
            .iter()
            .map(|meant| self.front(meant, listeners))
            .collect();
        self.backends = config
            .backends
            .iter()
            .map(|meant| self.back(meant, &old, now))
            .collect();
    }

    fn front(&self, meant: &config::Frontend, listeners: &[Arc<Listener>]) -> Front {
        let old = self
            .frontends
            .iter()
            .find(|front| front.meant.name == meant.name);
        let of = |address| listeners.iter().find(|l| l.address == address).cloned();
        Front {
            counters: old
                .map(|front| Arc::clone(&front.counters))
                .unwrap_or_default(),
            gate: Arc::new(Gate::new(
                meant.admission.clone(),
                old.map(|front| Arc::clone(&front.gate.books))
                    .unwrap_or_default(),
            )),
            listeners: meant
                .binds
                .iter()
                .filter_map(|&address| of(address))
                .collect(),
            meant: meant.clone(),
        }
    }

    fn back(&mut self, meant: &config::Backend, old: &[Back], now: SystemTime) -> Back {
        let old = old.iter().find(|back| back.meant.name == meant.name);
        let members = meant.servers.iter();
        let mut members: Vec<Member> = members
            .map(|server| self.member(server, meant, old, now))
            .collect();
        let left = old.map(|back| back.leaving(&members, meant, now));
        members.extend(left.unwrap_or_default());
        Back {
            members,
            cursor: old.map(|back| Arc::clone(&back.cursor)).unwrap_or_default(),
            results: old.map_or(0, |back| back.results),
            lifted: old.map_or_else(Vec::new, |back| back.lifted.clone()),
            meant: Arc::new(meant.clone()),
        }
    }

    fn member(
        &mut self,
        server: &config::Server,
        backend: &config::Backend,
        old: Option<&Back>,
        now: SystemTime,
    ) -> Member {
        let same = |member: &&Member| {
            member.server.name == server.name && member.server.address == server.address
        };
        let was = old.and_then(|back| {
            back.meant
                .servers
                .iter()
                .find(|was| was.name == server.name)
        });
        let old = old.and_then(|back| back.members.iter().find(same)).cloned();
        let mut member = old.unwrap_or_else(|| {
            self.last_server += 1;
            Member::stranger(ServerId(self.last_server), server, backend, now)
        });
        member.will = was.map_or(member.will, |was| member.will.after(was, server));
        member.obey(server, backend, now);
        member
    }
}

impl Member {
    /// One of whom nothing is known.
    pub(super) fn stranger(
        id: ServerId,
        server: &config::Server,
        backend: &config::Backend,
        now: SystemTime,
    ) -> Self {
        Self {
            server: Arc::new(Server {
                id,
                name: Arc::clone(&server.name),
                address: server.address,
                weight: server.weight,
                terms: terms(server),
                counters: Arc::default(),
            }),
            meant: server.clone(),
            state: State::Unknown,
            since: now,
            changes: 0,
            downs: 0,
            last: None,
            checks: BTreeMap::new(),
            came_back: false,
            will: Will::default(),
            judge: Judge::new(backend.check.rise, backend.check.fall),
            is_pending: !server.disabled,
            is_cut: false,
            heard: Heard::default(),
        }
    }
}

pub(super) fn terms(server: &config::Server) -> Terms {
    Terms {
        rank: server.rank,
        max_connections: server.max_connections,
    }
}
