//! What checks and traffic say of servers, and what follows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use probe::Reach;

use super::{Back, Cause, Change, Consequence, Last, Member, Roster};
use crate::check::Checked;
use crate::pool::{ServerId, Standing, State, cuts};
use crate::worker::{Observed, Which};

/// When a server was heard, by a count of the results of its backend.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Heard {
    /// Its last result.
    result: Option<u64>,
    /// Its last result in which it answered.
    answer: Option<u64>,
    /// Its results in a row in which it was silent while a usable server answered.
    silent_alone: u32,
}

impl Roster {
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
        let witness = back.witness(id, outcome.reach());
        let is_usable = |member: &Member| member.state.is_usable();
        self.was_ever_usable |= back.members.iter().any(is_usable);
        Consequence {
            change,
            cuts,
            interval,
            witness,
        }
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
}

impl Back {
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
        let judged = member.judge.observe(reach);
        let to = member.stand(judged);
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

impl Back {
    /// Who is to be checked at once, so that it is known by this server's next result whether
    /// it is silent alone: two checks of others may be further apart than two of its own that
    /// run into their time, and then nobody had been asked. One will do, the last that was
    /// heard; none for a server whose connections are gone.
    fn witness(&self, checked: ServerId, reach: Reach) -> Option<ServerId> {
        let member = self.members.iter().find(|m| m.server.id == checked)?;
        let is_silent = matches!(reach, Reach::Unreachable | Reach::Silent);
        if !is_silent || member.is_cut || member.state == State::Disabled {
            return None;
        }
        let others = self.members.iter().filter(|m| m.server.id != checked);
        others
            .filter(|other| other.state.is_usable())
            .max_by_key(|other| other.heard.answer)
            .map(|other| other.server.id)
    }
}

impl Member {
    /// The state before.
    pub(super) fn record(&mut self, report: probe::Report, now: SystemTime) -> State {
        let outcome = report.outcome;
        self.is_pending = false;
        *self
            .checks
            .entry(Cow::Borrowed(outcome.name()))
            .or_default() += 1;
        self.last = Some(Last {
            at: now,
            outcome,
            took: report.took,
        });
        let before = self.state;
        let judged = self.judge.record(outcome.passed(), outcome.reach());
        let state = self.stand(judged);
        self.enter(state, now);
        before
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
    use crate::pool::Server;

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
        let config = crate::config::parse("two", text).unwrap();
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

    #[test]
    fn who_was_heard_last_is_asked_whether_a_server_is_silent_alone() {
        use probe::Outcome::{ConnectTimeout, Passed, Refused};
        let (mut roster, servers) = two();
        let mut asked = |n: usize, outcome| {
            let now = SystemTime::UNIX_EPOCH;
            roster.record(&checked(&servers[n], outcome), now).witness
        };
        let witness = Some(servers[1].id);
        for (n, outcome, expected, what) in [
            (0, Refused, None, "nobody else is usable"),
            (0, Passed, None, "it answers"),
            (1, Passed, None, "it answers"),
            (0, ConnectTimeout, witness, "the first"),
            (0, ConnectTimeout, witness, "nobody was asked meanwhile"),
            (1, Passed, None, "the witness"),
            (0, ConnectTimeout, witness, "silent alone, once"),
            (1, Passed, None, "the witness"),
            (0, ConnectTimeout, None, "cut"),
            (0, Passed, None, "it answers"),
            (0, Passed, None, "it is up"),
            (0, ConnectTimeout, witness, "again"),
        ] {
            assert_eq!(asked(n, outcome), expected, "{what}");
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
