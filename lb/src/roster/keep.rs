//! The roster written down for the next process image: what is known of servers, what was
//! ordered for them, and what was counted.
//!
//! The next image reads the configuration file itself, as a reload does; what has the same
//! names there goes on. The last result of a check is not kept: the first one is made at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::hear::Heard;
use super::{Back, Member, Roster, Will};
use crate::config::{self, Origin};
use crate::pool::{Judge, Rank, ServerId, State, Totals};

/// The server of a connection: its backend's name, its own, its address.
pub type Served<'k> = (&'k str, &'k str, SocketAddr);

/// A roster, written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    was_ever_usable: bool,
    generation: u64,
    frontends: Vec<KeptFront>,
    backends: Vec<KeptBack>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptFront {
    name: String,
    totals: Totals,
    /// Connections of sources for which the table had no room. Not known to the first
    /// versions.
    #[serde(default, skip_serializing_if = "is_none")]
    uncounted: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptBack {
    name: String,
    turn: u64,
    results: u64,
    members: Vec<KeptMember>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptMember {
    name: String,
    address: SocketAddr,
    /// What the file said, by which an older order is judged.
    disabled: bool,
    weight: u16,
    /// Not known to the first versions, as the next.
    #[serde(default, skip_serializing_if = "is_regular")]
    rank: Rank,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_connections: Option<NonZeroU32>,
    will: Will,
    state: State,
    since: SystemTime,
    changes: u64,
    /// Not known to the first versions.
    #[serde(default, skip_serializing_if = "is_none")]
    downs: u64,
    checks: BTreeMap<String, u64>,
    came_back: bool,
    judge: Judge,
    is_pending: bool,
    is_cut: bool,
    heard: Heard,
    totals: Totals,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_regular(rank: &Rank) -> bool {
    *rank == Rank::Regular
}

impl Roster {
    /// Writes down what the next image goes on with.
    #[must_use]
    pub fn keep(&self) -> Kept {
        let fronts = self.frontends.iter().map(|front| KeptFront {
            name: front.meant.name.to_string(),
            totals: front.counters.totals(),
            uncounted: front.gate.books.sources.uncounted(),
        });
        let backs = self.backends.iter().map(|back| KeptBack {
            name: back.meant.name.to_string(),
            turn: back.cursor.turn(),
            results: back.results,
            members: back.members.iter().map(Member::keep).collect(),
        });
        Kept {
            was_ever_usable: self.was_ever_usable,
            generation: self.generation,
            frontends: fronts.collect(),
            backends: backs.collect(),
        }
    }

    /// Goes on with what another image has written down. To be called once, after the
    /// configuration was taken and before anything is counted. `served` are the servers of the
    /// connections that go on.
    pub fn restore(
        &mut self,
        kept: &Kept,
        served: &HashSet<Served<'_>>,
        now: SystemTime,
    ) {
        self.was_ever_usable = kept.was_ever_usable;
        self.generation = kept.generation;
        for front in &self.frontends {
            let was = kept
                .frontends
                .iter()
                .find(|was| *was.name == *front.meant.name);
            if let Some(was) = was {
                front.counters.go_on(&was.totals);
                front.gate.books.sources.go_on(was.uncounted);
            }
        }
        for back in &mut self.backends {
            let was = kept
                .backends
                .iter()
                .find(|was| *was.name == *back.meant.name);
            if let Some(was) = was {
                back.restore(was, now);
                back.restore_left(was, served, &mut self.last_server, now);
            }
        }
    }
}

impl Back {
    fn restore(&mut self, was: &KeptBack, now: SystemTime) {
        self.cursor.go_on(was.turn);
        self.results = was.results;
        for (member, file) in self.members.iter_mut().zip(&self.meant.servers) {
            let mut others = was.members.iter();
            let same =
                others.find(|was| *was.name == *file.name && was.address == file.address);
            if let Some(was) = same {
                member.restore(was, file);
                member.obey(file, &self.meant, now);
            }
        }
    }

    /// Those that nobody names any more and that have connections. One whose name another
    /// server has been given cannot stay.
    fn restore_left(
        &mut self,
        was: &KeptBack,
        served: &HashSet<Served<'_>>,
        last: &mut u32,
        now: SystemTime,
    ) {
        for was in &was.members {
            let it = (&*self.meant.name, &*was.name, was.address);
            let mut others = self.members.iter();
            let is_named = others.any(|member| *member.server.name == *was.name);
            if is_named || !served.contains(&it) {
                continue;
            }
            *last += 1;
            let server = was.left();
            let mut member = Member::stranger(ServerId(*last), &server, &self.meant, now);
            member.restore(was, &server);
            member.obey(&server, &self.meant, now);
            self.members.push(member);
        }
    }
}

impl KeptMember {
    /// As a server that nobody names any more.
    fn left(&self) -> config::Server {
        config::Server {
            name: self.name.as_str().into(),
            address: self.address,
            weight: self.weight,
            rank: self.rank,
            max_connections: self.max_connections,
            disabled: self.disabled,
            origin: Origin::Left,
        }
    }
}

impl Member {
    fn keep(&self) -> KeptMember {
        let (file, checks) = (&self.meant, self.checks.iter());
        KeptMember {
            name: self.server.name.to_string(),
            address: self.server.address,
            disabled: file.disabled,
            weight: file.weight,
            rank: file.rank,
            max_connections: file.max_connections,
            will: self.will,
            state: self.state,
            since: self.since,
            changes: self.changes,
            downs: self.downs,
            checks: checks.map(|(name, n)| (name.to_string(), *n)).collect(),
            came_back: self.came_back,
            judge: self.judge,
            is_pending: self.is_pending,
            is_cut: self.is_cut,
            heard: self.heard,
            totals: self.server.counters.totals(),
        }
    }

    fn restore(&mut self, was: &KeptMember, file: &config::Server) {
        let old = config::Server {
            disabled: was.disabled,
            weight: was.weight,
            ..file.clone()
        };
        self.will = was.will.after(&old, file);
        self.state = was.state;
        self.since = was.since;
        self.changes = was.changes;
        self.downs = was.downs;
        let checks = was.checks.iter();
        self.checks = checks
            .map(|(name, count)| (Cow::Owned(name.clone()), *count))
            .collect();
        self.came_back = was.came_back;
        self.judge = was.judge;
        self.is_pending = was.is_pending;
        self.is_cut = was.is_cut;
        self.heard = was.heard;
        self.server.counters.go_on(&was.totals);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::Checked;
    use crate::order::Mode;
    use crate::worker::End;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn roster(servers: &str) -> Roster {
        let text = format!(
            "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {{name: f, bind: [\"192.0.2.1:6443\"], backend: b}}\nbackends:\n- name: b\n  servers: [{servers}]\n"
        );
        let config = config::parse("test", &text).unwrap();
        let mut roster = Roster::default();
        roster.replace(&config, &[], NOW);
        roster
    }

    const TWO: &str = "{name: s1, address: \"192.0.2.11:6443\"}, {name: s2, address: \"192.0.2.12:6443\"}";

    /// The second server is dead since 1970-01-01T00:00:07Z, the first drained by order.
    fn known() -> Roster {
        let mut roster = roster(TWO);
        let later = NOW + Duration::from_secs(7);
        let servers = roster.view().backends[0].members.clone();
        for (member, outcome) in servers
            .iter()
            .zip([probe::Outcome::Passed, probe::Outcome::Refused])
        {
            let report = probe::Report {
                outcome,
                took: Duration::ZERO,
            };
            let server = member.server.id;
            roster.record(&Checked { server, report }, later);
        }
        roster.use_server("s1", Mode::Drain, later).unwrap();
        let counters = &servers[1].server.counters;
        counters.opened();
        counters.closed(End::ServerReset);
        roster
    }

    fn through_text(kept: &Kept) -> Kept {
        serde_json::from_str(&serde_json::to_string(kept).unwrap()).unwrap()
    }

    #[test]
    fn what_was_known_is_known() {
        let kept = through_text(&known().keep());
        let mut next = roster(TWO);
        next.restore(&kept, &HashSet::new(), NOW + Duration::from_secs(9));
        assert!(next.is_expected());
        let view = next.view();
        let [first, second] = &view.backends[0].members[..] else {
            panic!("there are two");
        };
        assert_eq!(first.state, State::Draining);
        assert_eq!(first.will.mode, Some(Mode::Drain));
        assert_eq!(second.state, State::Unreachable);
        assert_eq!(second.since, NOW + Duration::from_secs(7));
        assert_eq!(second.server.counters.ended(End::ServerReset), 1);
        assert_eq!(second.checks.get("refused"), Some(&1));
        let open = second
            .server
            .counters
            .open
            .load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(open, 0, "who goes on counts it");
    }

    #[test]
    fn another_server_knows_nothing_and_a_changed_file_goes_before_an_order() {
        let kept = known().keep();
        let mut next = roster(
            "{name: s1, address: \"192.0.2.11:6443\", disabled: true}, {name: s2, address: \"192.0.2.99:6443\"}",
        );
        next.restore(&kept, &HashSet::new(), NOW);
        let states: Vec<State> = next.view().backends[0]
            .members
            .iter()
            .map(|m| m.state)
            .collect();
        assert_eq!(states, [State::Disabled, State::Unknown]);
    }

    /// The file of the next image, the connections that go on, the servers it then knows.
    #[test]
    fn who_has_left_is_known_for_as_long_as_connections_go_on_there() {
        const S1: &str = "{name: s1, address: \"192.0.2.11:6443\"}";
        const OTHER_S2: &str = "{name: s2, address: \"192.0.2.99:6443\"}";
        let kept = through_text(&known().keep());
        let s1 = ("s1".to_owned(), State::Draining, Origin::File);
        let is = |state, origin| Some(("s2".to_owned(), state, origin));
        let named_anew = format!("{S1}, {OTHER_S2}");
        for (file, served, expected) in [
            (
                S1,
                Some("192.0.2.12:6443"),
                is(State::Unreachable, Origin::Left),
            ),
            (S1, None, None),
            (S1, Some("192.0.2.99:6443"), None),
            (
                &named_anew,
                Some("192.0.2.12:6443"),
                is(State::Unknown, Origin::File),
            ),
            (
                TWO,
                Some("192.0.2.12:6443"),
                is(State::Unreachable, Origin::File),
            ),
        ] {
            let mut next = roster(file);
            let at = served.map(|text| ("b", "s2", text.parse().unwrap()));
            next.restore(&kept, &at.into_iter().collect(), NOW);
            let view = next.view();
            let members = view.backends[0].members.iter();
            let seen: Vec<_> = members
                .map(|m| (m.server.name.to_string(), m.state, m.meant.origin))
                .collect();
            let expected: Vec<_> = std::iter::once(s1.clone()).chain(expected).collect();
            assert_eq!(seen, expected, "{file} {served:?}");
            assert_eq!(next.plans().len(), expected.len(), "each is checked");
            let ids: HashSet<ServerId> = view.backends[0]
                .members
                .iter()
                .map(|m| m.server.id)
                .collect();
            assert_eq!(ids.len(), expected.len());
        }
    }

    #[test]
    fn what_passed_uncounted_goes_on_counting() {
        let first = roster(TWO);
        first.frontends[0].gate.books.sources.go_on(3);
        let mut next = roster(TWO);
        next.restore(&through_text(&first.keep()), &HashSet::new(), NOW);
        let sources = &next.frontends[0].gate.books.sources;
        assert_eq!(sources.uncounted(), 3);
    }
}
