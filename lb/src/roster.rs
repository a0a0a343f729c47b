//! Frontends, backends and servers as they stand: configuration, states, counters.
//!
//! The control thread owns it. What workers and readers see are the [`Snapshot`] and the
//! [`View`] that it gives out.

mod shed;
mod will;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use probe::Reach;

use crate::admit::Gate;
use crate::check::{Checked, Plan};
use crate::config::{self, Config, Pace, Switch};
use crate::listener::Listener;
use crate::pool::ramp::{self, Rising};
use crate::pool::{
    Backend, Ceiling, Counters, Cursor, Frontend, Judge, Server, ServerId, Snapshot,
    Standing, State, Terms, cuts,
};
use crate::trail::Memory;
use crate::worker::{Observed, Which};

pub use will::{Told, Unknown, Will};

/// Frontends, backends and servers as they stand.
#[derive(Debug, Default)]
pub struct Roster {
    frontends: Vec<Front>,
    backends: Vec<Back>,
    ceiling: Ceiling,
    report_ends: bool,
    log_connections: Switch,
    log_rate: Option<NonZeroU32>,
    who: Option<Memory>,
    generation: u64,
    last_server: u32,
    was_ever_usable: bool,
    /// Clients were expected before the last reload.
    was_expected: bool,
}

/// What all who only read see of it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// In the order of the configuration.
    pub frontends: Vec<Front>,
    /// In the order of the configuration.
    pub backends: Vec<Back>,
    /// Clients may come: see [`Roster::is_expected`].
    pub is_expected: bool,
    /// Whether every connection leaves a line when it ends.
    pub log_connections: Switch,
    /// Of each end, the most lines per second; no limit when absent.
    pub log_rate: Option<NonZeroU32>,
    /// What is remembered of connections that are over.
    pub who: Option<Memory>,
}

/// A frontend.
#[derive(Clone, Debug)]
pub struct Front {
    /// As configured.
    pub meant: config::Frontend,
    /// Its listening sockets, in the order of its binds.
    pub listeners: Vec<Arc<Listener>>,
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// What has come in here.
    pub counters: Arc<Counters>,
}

/// A backend.
#[derive(Clone, Debug)]
pub struct Back {
    /// As configured.
    pub meant: Arc<config::Backend>,
    /// In the order of the configuration.
    pub members: Vec<Member>,
    cursor: Arc<Cursor>,
    /// Results of checks so far.
    results: u64,
}

/// A server with what its checks have said.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who it is.
    pub server: Arc<Server>,
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// How often the state has changed.
    pub changes: u64,
    /// The last check.
    pub last: Option<Last>,
    /// Checks by outcome.
    pub checks: BTreeMap<&'static str, u64>,
    /// What was ordered for it.
    pub will: Will,
    /// It came up after it had not been, so that a slow start applies.
    came_back: bool,
    judge: Judge,
    /// No check has ended since it is to be checked.
    is_pending: bool,
    is_cut: bool,
    heard: Heard,
}

/// When a server was heard, by a count of the results of its backend.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// Its last result.
    result: Option<u64>,
    /// Its last result in which it answered.
    answer: Option<u64>,
    /// Its results in a row in which it was silent while a usable server answered.
    silent_alone: u32,
}

/// The last check of a server.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// When it ended.
    pub at: SystemTime,
    /// How.
    pub outcome: probe::Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What follows from a check.
#[derive(Debug, Default)]
pub struct Consequence {
    /// The server's state is another one.
    pub change: Option<Change>,
    /// Connections to end.
    pub cuts: Vec<(ServerId, Which)>,
    /// When it is checked again.
    pub interval: Option<(ServerId, Duration)>,
}

/// A server's state has changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// The backend's name.
    pub backend: Arc<str>,
    /// The server's name.
    pub server: Arc<str>,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Who said so.
    pub cause: Cause,
}

/// What a change of state follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This end of a check.
    Check(probe::Outcome),
    /// Clients that were let down.
    Traffic,
}

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
        self.report_ends =
            config.log_connections == Switch::On || config.who.keep.is_some();
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
        Back {
            members: members
                .map(|server| self.member(server, meant, old, now))
                .collect(),
            cursor: old.map(|back| Arc::clone(&back.cursor)).unwrap_or_default(),
            results: old.map_or(0, |back| back.results),
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
        let mut member = old.unwrap_or_else(|| self.stranger(server, backend, now));
        member.will = was.map_or(member.will, |was| member.will.after(was, server));
        member.obey(server, backend, now);
        member
    }

    fn stranger(
        &mut self,
        server: &config::Server,
        backend: &config::Backend,
        now: SystemTime,
    ) -> Member {
        self.last_server += 1;
        Member {
            server: Arc::new(Server {
                id: ServerId(self.last_server),
                name: Arc::clone(&server.name),
                address: server.address,
                weight: server.weight,
                terms: terms(server),
                counters: Arc::default(),
            }),
            state: State::Unknown,
            since: now,
            changes: 0,
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

    /// Whom to check, and how.
    #[must_use]
    pub fn plans(&self) -> Vec<Plan> {
        let each = self.backends.iter().flat_map(|back| {
            back.members
                .iter()
                .map(move |member| (&back.meant.check, member))
        });
        each.filter(|(_, member)| member.state != State::Disabled)
            .map(|(check, member)| Plan {
                server: member.server.id,
                address: member.server.address,
                probe: check.probe.clone(),
                interval: member.interval(check.pace),
                jitter: check.pace.jitter,
                timeout: check.timeout,
            })
            .collect()
    }

    /// Takes in the result of a check. One of a server that is no longer configured, or
    /// disabled, is passed over.
    pub fn record(&mut self, checked: &Checked, now: SystemTime) -> Consequence {
        let id = checked.server;
        let of = |back: &&mut Back| back.members.iter().any(|m| m.server.id == id);
        let Some(back) = self.backends.iter_mut().find(of) else {
            return Consequence::default();
        };
        let outcome = checked.report.outcome;
        let change = back.record(id, checked.report, now);
        let interval = back.interval(id);
        let cuts = back.cuts(id, !outcome.passed());
        let is_usable = |member: &Member| member.state.is_usable();
        self.was_ever_usable |= back.members.iter().any(is_usable);
        Consequence {
            change,
            cuts,
            interval,
        }
    }

    /// When the next snapshot is due although nothing happens: a server rises.
    #[must_use]
    pub fn rises_in(&self, now: SystemTime) -> Option<Duration> {
        let each = self.backends.iter().filter_map(|back| {
            ramp::next_change(&back.rising(now), back.meant.slow_start?)
        });
        each.min()
    }

    /// Takes in what traffic says of a server. It counts as long as another server of the
    /// backend is usable: an overload that makes all of them fail takes none away.
    pub fn observe(&mut self, observed: Observed, now: SystemTime) -> Option<Change> {
        let id = observed.server;
        let of = |back: &&mut Back| back.members.iter().any(|m| m.server.id == id);
        self.backends
            .iter_mut()
            .find(of)?
            .observe(id, observed.reach, now)
    }

    /// The next snapshot.
    pub fn snapshot(&mut self, now: SystemTime) -> Snapshot {
        self.generation += 1;
        let backends: Vec<Arc<Backend>> = self
            .backends
            .iter()
            .map(|back| Arc::new(back.backend(now)))
            .collect();
        let of = |name: &Arc<str>| backends.iter().find(|b| b.name == *name).cloned();
        let frontends = self.frontends.iter().filter_map(|front| {
            Some(Arc::new(Frontend {
                name: Arc::clone(&front.meant.name),
                listeners: front.listeners.clone(),
                gate: Arc::clone(&front.gate),
                backend: of(&front.meant.backend)?,
                counters: Arc::clone(&front.counters),
                rules: front.meant.rules.clone(),
                routes: front.meant.routes.iter().filter_map(of).collect(),
            }))
        });
        Snapshot {
            generation: self.generation,
            frontends: frontends.collect(),
            ceiling: self.ceiling,
            report_ends: self.report_ends,
        }
    }

    /// Whether clients may come: some server is usable, or none ever was (so that a first
    /// apiserver can be born behind the address), or a reload has replaced all that were
    /// and the first check of a new one still runs. Such a reload says nothing of the new
    /// servers; the check does, within its timeout.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        let mut members = self.backends.iter().flat_map(|back| &back.members);
        !self.was_ever_usable
            || members.any(|m| m.state.is_usable() || (self.was_expected && m.is_pending))
    }

    /// What readers see.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            frontends: self.frontends.clone(),
            backends: self.backends.clone(),
            is_expected: self.is_expected(),
            log_connections: self.log_connections,
            log_rate: self.log_rate,
            who: self.who,
        }
    }
}

impl View {
    /// The names of a server's backend and of itself.
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<(&str, &str)> {
        self.backends.iter().find_map(|back| {
            let member = back.members.iter().find(|member| member.server.id == id)?;
            Some((&*back.meant.name, &*member.server.name))
        })
    }
}

impl Back {
    fn backend(&self, now: SystemTime) -> Backend {
        let weights =
            ramp::weights(&self.rising(now), self.meant.slow_start.unwrap_or_default());
        let servers = self.members.iter().zip(weights);
        Backend::new(
            Arc::clone(&self.meant.name),
            self.meant.dial,
            self.meant.tcp,
            self.meant.idle,
            Arc::clone(&self.cursor),
            servers
                .map(|(m, weight)| (m.weighing(weight), m.state))
                .collect(),
        )
        .balanced(self.meant.balance, self.meant.queue)
        .introducing(self.meant.send_proxy)
    }

    fn rising(&self, now: SystemTime) -> Vec<Rising> {
        self.members
            .iter()
            .map(|member| member.rising(now))
            .collect()
    }

    /// How many clients wait for a place at one of its servers.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.cursor.waiting()
    }

    fn record(
        &mut self,
        id: ServerId,
        report: probe::Report,
        now: SystemTime,
    ) -> Option<Change> {
        let usable = self.members.iter().filter(|m| m.state.is_usable());
        let answer = usable.filter_map(|member| member.heard.answer).max();
        let member = self
            .members
            .iter_mut()
            .find(|member| member.server.id == id)?;
        if member.state == State::Disabled {
            return None;
        }
        self.results += 1;
        member
            .heard
            .listen(report.outcome.reach(), self.results, answer);
        let from = member.record(report, now);
        (from != member.state).then(|| Change {
            backend: Arc::clone(&self.meant.name),
            server: Arc::clone(&member.server.name),
            from,
            to: member.state,
            cause: Cause::Check(report.outcome),
        })
    }

    fn interval(&self, id: ServerId) -> Option<(ServerId, Duration)> {
        let member = self.members.iter().find(|m| m.server.id == id)?;
        Some((id, member.interval(self.meant.check.pace)))
    }

    fn observe(&mut self, id: ServerId, reach: Reach, now: SystemTime) -> Option<Change> {
        let is_usable = |member: &&Member| member.state.is_usable();
        let mut others = self.members.iter().filter(is_usable);
        others.find(|member| member.server.id != id)?;
        let member = self.members.iter_mut().find(|m| m.server.id == id)?;
        if !member.state.is_usable() {
            return None;
        }
        let from = member.state;
        let to = member.will.state(member.judge.observe(reach));
        member.enter(to, now);
        (from != to).then(|| Change {
            backend: Arc::clone(&self.meant.name),
            server: Arc::clone(&member.server.name),
            from,
            to,
            cause: Cause::Traffic,
        })
    }

    fn cuts(&mut self, checked: ServerId, has_failed: bool) -> Vec<(ServerId, Which)> {
        let standings: Vec<Standing> = self
            .members
            .iter()
            .map(|member| Standing {
                state: member.state,
                is_cut: member.is_cut,
                has_failed_now: has_failed && member.server.id == checked,
                silent_alone: member.heard.silent_alone,
            })
            .collect();
        let decided = self.members.iter_mut().zip(cuts(&standings));
        decided
            .filter_map(|(member, which)| {
                member.is_cut |= which == Some(Which::All);
                Some((member.server.id, which?))
            })
            .collect()
    }
}

impl Member {
    /// From the start of its last check to the start of the next.
    fn interval(&self, pace: Pace) -> Duration {
        if self.judge.is_wavering() {
            pace.fast
        } else if self.state == State::Up {
            pace.steady
        } else {
            pace.down
        }
    }

    /// The state before.
    fn record(&mut self, report: probe::Report, now: SystemTime) -> State {
        let outcome = report.outcome;
        self.is_pending = false;
        *self.checks.entry(outcome.name()).or_default() += 1;
        self.last = Some(Last {
            at: now,
            outcome,
            took: report.took,
        });
        let before = self.state;
        let judged = self.judge.record(outcome.passed(), outcome.reach());
        let state = self.will.state(judged);
        self.enter(state, now);
        before
    }

    fn rising(&self, now: SystemTime) -> Rising {
        let up_for = now.duration_since(self.since).unwrap_or_default();
        Rising {
            weight: self.server.weight,
            up_for: self.came_back.then_some(up_for),
        }
    }

    /// The server with this weight.
    fn weighing(&self, weight: u16) -> Arc<Server> {
        if weight == self.server.weight {
            return Arc::clone(&self.server);
        }
        Arc::new(Server {
            id: self.server.id,
            name: Arc::clone(&self.server.name),
            address: self.server.address,
            weight,
            terms: self.server.terms,
            counters: Arc::clone(&self.server.counters),
        })
    }

    fn enter(&mut self, state: State, now: SystemTime) {
        if state != self.state {
            self.came_back = state == State::Up && self.state != State::Unknown;
            self.state = state;
            self.since = now;
            self.changes += 1;
        }
        self.is_cut &= state == State::Unreachable;
    }
}

fn terms(server: &config::Server) -> Terms {
    Terms {
        rank: server.rank,
        max_connections: server.max_connections,
    }
}

impl Heard {
    /// Notes the server's next result, and the last answer of a usable server so far.
    fn listen(&mut self, reach: Reach, result: u64, answer: Option<u64>) {
        match reach {
            Reach::Unknown => return,
            Reach::Unreachable | Reach::Silent if answer > self.result => {
                self.silent_alone = self.silent_alone.saturating_add(1);
            }
            Reach::Unreachable | Reach::Silent => self.silent_alone = 0,
            Reach::Answered => (self.silent_alone, self.answer) = (0, Some(result)),
        }
        self.result = Some(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(server: &Server, outcome: probe::Outcome) -> Checked {
        Checked {
            server: server.id,
            report: probe::Report {
                outcome,
                took: Duration::ZERO,
            },
        }
    }

    /// A backend of two servers with other intervals for each standing.
    fn two() -> (Roster, Vec<Arc<Server>>) {
        let text = "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {name: f, bind: [\"127.0.0.1:6443\"], backend: b}\nbackends:\n- name: b\n  check: {http: {}, interval: 10s, downInterval: 3s, fastInterval: 1s}\n  servers: [{name: s1, address: \"127.0.0.1:1\"}, {name: s2, address: \"127.0.0.1:2\"}]\n";
        let config = config::parse("two", text).unwrap();
        let mut roster = Roster::default();
        roster.replace(&config, &[], SystemTime::UNIX_EPOCH);
        let view = roster.view();
        let servers = view.backends[0].members.iter();
        let servers = servers.map(|m| Arc::clone(&m.server)).collect();
        (roster, servers)
    }

    #[test]
    fn a_server_is_checked_by_how_it_stands() {
        use probe::Outcome::{Passed, Refused};
        let (mut roster, servers) = two();
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(roster.plans()[0].interval, Duration::from_secs(1));
        for (outcome, seconds) in [
            (Passed, 10),
            (Refused, 1),
            (Passed, 10),
            (Refused, 1),
            (Refused, 3),
            (Refused, 3),
            (Passed, 1),
            (Passed, 10),
        ] {
            let consequence = roster.record(&checked(&servers[0], outcome), now);
            let expected = Some((servers[0].id, Duration::from_secs(seconds)));
            assert_eq!(consequence.interval, expected, "{outcome:?}");
            assert_eq!(roster.plans()[0].interval, Duration::from_secs(seconds));
        }
    }

    #[test]
    fn what_traffic_says_counts_while_another_server_is_usable() {
        let (mut roster, servers) = two();
        let now = SystemTime::UNIX_EPOCH;
        let silent = |n: usize| Observed::silent(servers[n].id);
        let passed = |n: usize| checked(&servers[n], probe::Outcome::Passed);
        assert!(roster.observe(silent(0), now).is_none(), "unknown already");
        roster.record(&passed(0), now);
        assert!(
            roster.observe(silent(0), now).is_none(),
            "no other is usable"
        );
        roster.record(&passed(1), now);
        let change = roster.observe(silent(0), now).unwrap();
        assert_eq!((change.from, change.to), (State::Up, State::Hung));
        assert_eq!(change.cause, Cause::Traffic);
        assert!(
            roster.observe(silent(1), now).is_none(),
            "it is the last one"
        );
        // The checks bring it back, and no connection was cut.
        for state in [State::Hung, State::Up] {
            let consequence = roster.record(&passed(0), now);
            assert_eq!(consequence.cuts, []);
            assert_eq!(roster.view().backends[0].members[0].state, state);
        }
    }

    /// Results as they come: the first server's in small letters, another's in capitals;
    /// a answered, s silent, l local. How long the first was silent alone in the end.
    #[test]
    fn silent_alone() {
        for (results, expected) in [
            ("aAs", 1),
            ("aAsAs", 2),
            // This host has lost its network.
            ("aAsSsSs", 0),
            // Its network is back while a check still waits.
            ("aAsSsSAs", 1),
            ("aAsSsSAa", 0),
            // What could not be made says nothing.
            ("aAsAls", 2),
            ("as", 0),
        ] {
            let (mut first, mut other) = (Heard::default(), None);
            for (count, letter) in (1..).zip(results.chars()) {
                match letter {
                    'A' => other = Some(count),
                    'S' => {}
                    'a' => first.listen(Reach::Answered, count, other),
                    's' => first.listen(Reach::Silent, count, other.max(first.answer)),
                    _ => first.listen(Reach::Unknown, count, other),
                }
            }
            assert_eq!(first.silent_alone, expected, "{results}");
        }
    }
}
