//! Servers that nobody names any more while connections are open on them: they are drained,
//! checked until the last one is over, and then forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::{Back, Member, Roster};
use crate::config::{self, Origin};

impl Roster {
    /// Forgets servers that have left and whose last connection is over: the names of the
    /// backend and of the server.
    pub fn forget(&mut self) -> Vec<(Arc<str>, Arc<str>)> {
        let mut gone = Vec::new();
        for back in &mut self.backends {
            let backend = &back.meant.name;
            back.members.retain(|member| {
                let stays = member.meant.origin != Origin::Left || member.is_busy();
                if !stays {
                    gone.push((Arc::clone(backend), Arc::clone(&member.server.name)));
                }
                stays
            });
        }
        gone
    }
}

impl Back {
    /// Those of its servers that are not among `members` and still carry connections. One
    /// whose name another server has been given cannot stay: no two have one name.
    pub(super) fn leaving(
        &self,
        members: &[Member],
        meant: &config::Backend,
        now: SystemTime,
    ) -> Vec<Member> {
        let stays = |old: &&Member| {
            let is_named = |member: &Member| {
                member.server.id == old.server.id || member.server.name == old.server.name
            };
            old.is_busy() && !members.iter().any(is_named)
        };
        let left = self.members.iter().filter(stays).cloned();
        left.map(|mut member| {
            let server = config::Server {
                origin: Origin::Left,
                ..member.meant.clone()
            };
            member.obey(&server, meant, now);
            member
        })
        .collect()
    }
}

impl Member {
    /// Whether connections are open on it, or being opened.
    fn is_busy(&self) -> bool {
        self.server.counters.seats.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::State;
    use crate::roster::View;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn replace(roster: &mut Roster, servers: &str) {
        let text = format!(
            "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {{name: f, bind: [\"192.0.2.99:6443\"], backend: a}}\nbackends:\n- name: a\n  servers: [{servers}]\n"
        );
        let config = config::parse("test", &text).unwrap();
        roster.replace(&config, &[], NOW);
    }

    fn seen(view: &View) -> Vec<(String, State, Origin)> {
        let members = view.backends[0].members.iter();
        let each = members.map(|m| (m.server.name.to_string(), m.state, m.meant.origin));
        each.collect()
    }

    const M1: &str = "{name: m1, address: \"192.0.2.1:6443\"}";
    const M2: &str = "{name: m2, address: \"192.0.2.2:6443\"}";
    const OTHER_M2: &str = "{name: m2, address: \"192.0.2.3:6443\"}";

    #[test]
    fn one_that_leaves_is_drained_and_checked_until_it_is_idle() {
        let mut roster = Roster::default();
        let both = format!("{M1}, {M2}");
        replace(&mut roster, &both);
        let view = roster.view();
        let m2 = &view.backends[0].members[1].server;
        m2.counters.seats.store(1, Ordering::Relaxed);
        let passed = crate::check::Checked {
            server: m2.id,
            report: probe::Report {
                outcome: probe::Outcome::Passed,
                took: std::time::Duration::ZERO,
            },
        };
        roster.record(&passed, NOW);
        replace(&mut roster, M1);
        let m1 = ("m1".to_owned(), State::Unknown, Origin::File);
        let left = ("m2".to_owned(), State::Draining, Origin::Left);
        assert_eq!(seen(&roster.view()), [m1.clone(), left.clone()]);
        // Its checks go on, and do not bring it back.
        assert_eq!(roster.plans().len(), 2);
        roster.record(&passed, NOW);
        assert_eq!(roster.forget(), []);
        assert_eq!(seen(&roster.view()), [m1.clone(), left]);
        // It comes back as it was.
        replace(&mut roster, &both);
        let back = ("m2".to_owned(), State::Up, Origin::File);
        assert_eq!(seen(&roster.view()), [m1.clone(), back]);
        replace(&mut roster, M1);
        m2.counters.seats.store(0, Ordering::Relaxed);
        assert_eq!(roster.forget(), [("a".into(), "m2".into())]);
        assert_eq!(seen(&roster.view()), [m1]);
    }

    #[test]
    fn one_that_is_idle_or_whose_name_is_taken_goes_at_once() {
        for (seats, servers) in [(0, M1.to_owned()), (1, format!("{M1}, {OTHER_M2}"))] {
            let mut roster = Roster::default();
            replace(&mut roster, &format!("{M1}, {M2}"));
            let view = roster.view();
            let counters = &view.backends[0].members[1].server.counters;
            counters.seats.store(seats, Ordering::Relaxed);
            replace(&mut roster, &servers);
            let all = seen(&roster.view());
            assert!(
                all.iter().all(|(_, _, origin)| *origin == Origin::File),
                "{all:?}"
            );
        }
    }
}
