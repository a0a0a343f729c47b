//! A host that is gone, on a virtual clock: when the connections of its server are cut by the
//! checks alone, whenever it goes; and that nothing is cut when it is this host that lost its
//! network.
//!
//! What decides is real (intervals, judge, witness, cuts); the network is played. Leaves to the
//! lab what a client sees of it.

use std::time::{Duration, SystemTime};

use super::*;
use crate::check::{Checked, head_start};

const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;
/// What a server takes to answer.
const ANSWER: Duration = Duration::from_millis(2);

/// Who does not answer, from when to when.
#[derive(Clone, Copy)]
struct Fault {
    server: Option<ServerId>,
    from: Duration,
    to: Duration,
}

/// A server's checks.
struct Checks {
    server: ServerId,
    started: Duration,
    count: u32,
    /// It is to be checked at once.
    is_hurried: bool,
}

/// Servers that are checked by the defaults, and what is wrong with the network.
struct Play {
    roster: Roster,
    checks: Vec<Checks>,
    timeout: Duration,
    fault: Fault,
}

impl Play {
    fn new(servers: u16, pick: impl FnOnce(&[ServerId]) -> Fault) -> Self {
        let listed: Vec<String> = (1..=servers)
            .map(|n| format!("{{name: s{n}, address: \"127.0.0.1:{n}\"}}"))
            .collect();
        let text = format!(
            "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {{name: f, bind: [\"127.0.0.1:6443\"], backend: b}}\nbackends:\n- name: b\n  servers: [{}]\n",
            listed.join(", ")
        );
        let config = crate::config::parse("cut", &text).unwrap();
        let mut roster = Roster::default();
        roster.replace(&config, &[], EPOCH);
        let plans = roster.plans();
        let ids: Vec<ServerId> = plans.iter().map(|plan| plan.server).collect();
        let first = |server: &ServerId| Checks {
            server: *server,
            started: Duration::ZERO,
            count: 0,
            is_hurried: false,
        };
        Self {
            checks: ids.iter().map(first).collect(),
            timeout: plans[0].timeout,
            fault: pick(&ids),
            roster,
        }
    }

    /// Whether a server answers a check that began then, and when that has ended.
    fn end(&self, check: &Checks) -> (bool, Duration) {
        let Fault { server, from, to } = self.fault;
        let hit = server.is_none_or(|server| server == check.server);
        // A SYN that is lost is sent again a second later, which is too late.
        let is_lost = hit && (from..to).contains(&check.started);
        let took = if is_lost { self.timeout } else { ANSWER };
        (!is_lost, check.started + took)
    }

    /// When connections are cut, of which server; nothing up to `until`.
    fn cut(mut self, until: Duration) -> Option<(ServerId, Duration)> {
        loop {
            let next = (0..self.checks.len())
                .min_by_key(|n| self.end(&self.checks[*n]).1)
                .unwrap();
            let (answered, ended) = self.end(&self.checks[next]);
            if ended > until {
                return None;
            }
            let outcome = match answered {
                true => probe::Outcome::Passed,
                false => probe::Outcome::ConnectTimeout,
            };
            let server = self.checks[next].server;
            let interval = self.roster.plans()[next].interval;
            let report = probe::Report {
                outcome,
                took: ended - self.checks[next].started,
            };
            let said = self
                .roster
                .record(&Checked { server, report }, EPOCH + ended);
            if let Some((server, _)) = said.cuts.first() {
                return Some((*server, ended));
            }
            self.rest(next, interval, ended);
            self.hurry(said.witness, ended);
        }
    }

    /// When the check after this one begins.
    fn rest(&mut self, next: usize, interval: Duration, ended: Duration) {
        let plan = self.roster.plans().swap_remove(next);
        let check = &mut self.checks[next];
        let skipped = match check.count {
            0 => head_start(check.server, interval),
            _ => Duration::ZERO,
        };
        let due = check.started + plan.pause(check.count).saturating_sub(skipped);
        check.started = if std::mem::take(&mut check.is_hurried) {
            ended
        } else {
            ended.max(due)
        };
        check.count += 1;
    }

    /// One under way is not broken off.
    fn hurry(&mut self, witness: Option<ServerId>, now: Duration) {
        let found = self.checks.iter_mut().find(|c| Some(c.server) == witness);
        match found {
            Some(check) if check.started <= now => check.is_hurried = true,
            Some(check) => check.started = now,
            None => {}
        }
    }
}

/// Moments of the first 14 s: the first checks come together, those later drift apart.
fn moments() -> impl Iterator<Item = Duration> {
    (1..200).map(|n| Duration::from_millis(n * 70))
}

#[test]
fn a_host_that_is_gone_is_cut_off_within_an_interval_its_jitter_and_two_timeouts() {
    let bound = Duration::from_millis(3_100) + ANSWER;
    for servers in [2_u16, 3, 5] {
        for victim in 0..usize::from(servers) {
            for from in moments() {
                let mut gone = None;
                let play = Play::new(servers, |ids| {
                    gone = ids.get(victim).copied();
                    Fault {
                        server: gone,
                        from,
                        to: Duration::MAX,
                    }
                });
                let (server, at) = play.cut(from + bound * 4).unwrap();
                assert_eq!(Some(server), gone);
                let what = format!("{victim} of {servers}, gone at {from:?}");
                assert!(at - from <= bound, "{what}: {:?}", at - from);
            }
        }
    }
}

#[test]
fn nothing_is_cut_when_this_host_loses_its_network() {
    for servers in [2, 3, 5] {
        for lasts in [900, 5_000, 7_300, 60_000].map(Duration::from_millis) {
            for from in moments() {
                let play = Play::new(servers, |_| Fault {
                    server: None,
                    from,
                    to: from + lasts,
                });
                let until = from + lasts + Duration::from_secs(10);
                let what = format!("{servers} servers, from {from:?} for {lasts:?}");
                assert_eq!(play.cut(until), None, "{what}");
            }
        }
    }
}
