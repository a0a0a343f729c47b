//! Frontends, backends and servers as they stand: configuration, states, counters.
//!
//! ```text
//!   configuration ─▶ take ─┐              ┌─▶ picture ─▶ Snapshot (workers), View (readers)
//!   checks, traffic ─▶ hear ┼─▶ Roster ────┼─▶ plans ─▶ checks
//!   orders ─▶ will ─────────┘              └─▶ shed ─▶ connections to be moved
//! ```
//!
//! The control thread owns it. What workers and readers see are the [`Snapshot`] and the
//! [`View`] that it gives out.
//!
//! [`Snapshot`]: crate::pool::Snapshot

#[cfg(test)]
mod cut_tests;
mod hear;
mod keep;
mod leave;
mod picture;
#[cfg(test)]
mod return_tests;
mod shed;
mod take;
mod will;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::admit::Gate;
use crate::check::Plan;
use crate::config::{self, Origin, Pace, Switch};
use crate::discover::Ledger;
use crate::listener::Listener;
use crate::pool::{Ceiling, Counters, Cursor, Judge, Server, ServerId, State};
use crate::trail::Memory;
use crate::worker::Which;

use hear::Heard;
pub use keep::{Kept, Served};
pub use will::{Told, Unknown, Will};

/// Frontends, backends and servers as they stand.
#[derive(Debug, Default)]
pub struct Roster {
    frontends: Vec<Front>,
    backends: Vec<Back>,
    ceiling: Ceiling,
    report_ends: bool,
    log_connections: Switch,
    flight_connections: Switch,
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
    /// Whether the flight recorder has connections that are over.
    pub flight_connections: Switch,
    /// Of each end, the most lines per second; no limit when absent.
    pub log_rate: Option<NonZeroU32>,
    /// What is remembered of connections that are over.
    pub who: Option<Memory>,
    /// What is known of the servers of each backend that seeks them.
    pub ledgers: BTreeMap<Arc<str>, Ledger>,
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
    /// Servers that lack connections, as the snapshot has them.
    lifted: Vec<ServerId>,
}

/// A server with what its checks have said.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who it is.
    pub server: Arc<Server>,
    /// As configured, or found.
    pub meant: config::Server,
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// How often the state has changed.
    pub changes: u64,
    /// How often its checks or its traffic have taken it from usable to not.
    pub downs: u64,
    /// The last check.
    pub last: Option<Last>,
    /// Checks by outcome.
    pub checks: BTreeMap<Cow<'static, str>, u64>,
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
    /// Who is checked at once beside it.
    pub witness: Option<ServerId>,
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
    /// An operator's order.
    Order,
    /// A file that was read anew.
    File,
    /// What discovery has heard.
    Found,
}

impl Roster {
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

    /// The servers that stand otherwise than they did.
    #[must_use]
    pub fn changes_since(&self, before: &View, cause: Cause) -> Vec<Change> {
        let stood = |id: ServerId| {
            let members = before.backends.iter().flat_map(|back| &back.members);
            let mut same = members.filter(|member| member.server.id == id);
            same.next().map(|member| member.state)
        };
        let each = self.backends.iter().flat_map(|back| {
            let members = back.members.iter();
            members.map(|member| (&back.meant.name, member))
        });
        each.filter_map(|(backend, member)| {
            let from = stood(member.server.id)?;
            (from != member.state).then(|| Change {
                backend: Arc::clone(backend),
                server: Arc::clone(&member.server.name),
                from,
                to: member.state,
                cause,
            })
        })
        .collect()
    }

    /// What readers see.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            frontends: self.frontends.clone(),
            backends: self.backends.clone(),
            is_expected: self.is_expected(),
            log_connections: self.log_connections,
            flight_connections: self.flight_connections,
            log_rate: self.log_rate,
            who: self.who,
            ledgers: BTreeMap::new(),
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
    /// How many clients wait for a place at one of its servers.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.cursor.waiting()
    }
}

impl Member {
    /// The state that follows from what the checks say. One that nobody names any more is
    /// drained.
    const fn stand(&self, judged: State) -> State {
        match (self.meant.origin, judged) {
            (Origin::Left, State::Up) => State::Draining,
            (Origin::File | Origin::Found | Origin::Left, judged) => {
                self.will.state(judged)
            }
        }
    }

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

    fn enter(&mut self, state: State, now: SystemTime) {
        if state != self.state {
            self.came_back = state == State::Up && self.state != State::Unknown;
            let is_lost = !state.is_usable() && state != State::Disabled;
            self.downs += u64::from(self.state.is_usable() && is_lost);
            self.state = state;
            self.since = now;
            self.changes += 1;
        }
        self.is_cut &= state == State::Unreachable;
    }
}
