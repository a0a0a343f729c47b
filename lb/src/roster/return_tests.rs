//! A server that returns, on a virtual clock: when it is used again, and when it has its share
//! of the connections that last.
//!
//! What decides is real (intervals, judge, snapshot, rotation, shed); checks and clients are
//! played. Leaves to the lab that a worker ends what rests, and what a client sees of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::*;
use crate::check::Checked;
use crate::pool::{Backend, Server, Tier};

const SECOND: Duration = Duration::from_secs(1);
const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;

fn roster(backend: &str, weights: &[u16]) -> Roster {
    let servers: Vec<String> = (1..)
        .zip(weights)
        .map(|(n, weight)| {
            format!("{{name: s{n}, address: \"127.0.0.1:{n}\", weight: {weight}}}")
        })
        .collect();
    let text = format!(
        "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {{name: f, bind: [\"127.0.0.1:6443\"], backend: b}}\nbackends:\n- name: b\n{backend}\n  servers: [{}]\n",
        servers.join(", ")
    );
    let config = crate::config::parse("return", &text).unwrap();
    let mut roster = Roster::default();
    roster.replace(&config, &[], EPOCH);
    roster
}

fn record(
    roster: &mut Roster,
    server: ServerId,
    outcome: probe::Outcome,
    now: SystemTime,
) -> Consequence {
    let took = Duration::ZERO;
    let report = probe::Report { outcome, took };
    roster.record(&Checked { server, report }, now)
}

fn backend(roster: &mut Roster, now: SystemTime) -> Arc<Backend> {
    Arc::clone(&roster.snapshot(now).frontends[0].backend)
}

/// From its return to its first use, when a check that began at `phase` before the return
/// fails and each check takes `took`; and the bound.
fn rotation_after(check: &str, phase: Duration, took: Duration) -> (Duration, Duration) {
    let mut roster = roster(check, &[1, 1]);
    let id = roster.plans()[0].server;
    let other = roster.plans()[1].server;
    record(&mut roster, other, probe::Outcome::Passed, EPOCH);
    for _ in 0..20 {
        record(&mut roster, id, probe::Outcome::Refused, EPOCH);
    }
    let meant = roster.view().backends[0].meant.check.clone();
    let (rise, jitter) = (meant.rise.get(), u32::from(meant.pace.jitter));
    let longest = meant.pace.steady.max(meant.pace.down).max(meant.pace.fast);
    let bound = longest * (rise + 1) * (100 + jitter) / 100 + took;
    let back = EPOCH + phase;
    let mut started = EPOCH;
    for count in 0.. {
        let ended = started + took;
        let outcome = if started > back {
            probe::Outcome::Passed
        } else {
            probe::Outcome::Refused
        };
        record(&mut roster, id, outcome, ended);
        let backend = backend(&mut roster, ended);
        if backend.state_of(id).and_then(State::tier) == Some(Tier::Up) {
            return (ended.duration_since(back).unwrap(), bound);
        }
        assert!(count < 200, "it never comes back");
        let plans = roster.plans();
        let plan = plans.iter().find(|plan| plan.server == id).unwrap();
        started = ended.max(started + plan.pause(count));
    }
    unreachable!()
}

#[test]
fn a_server_that_returns_is_in_rotation_within_rise_and_one_intervals() {
    for (check, took) in [
        ("{tcp: {}, interval: 1s, rise: 2}", 0),
        ("{tcp: {}, interval: 1s, rise: 2}", 1000),
        ("{tcp: {}, interval: 1s, timeout: 1s, rise: 1}", 400),
        ("{tcp: {}, interval: 2s, jitter: 50, rise: 5}", 900),
        ("{tcp: {}, interval: 2s, jitter: 0, rise: 3}", 1),
        (
            "{tcp: {}, interval: 1s, downInterval: 5s, fastInterval: 100ms, rise: 3}",
            90,
        ),
        (
            "{tcp: {}, interval: 1s, downInterval: 1s, fastInterval: 1s, rise: 100}",
            500,
        ),
    ] {
        // It returns at any time between two checks: one side of a check's start, and the other.
        for phase in (0..1000).step_by(37) {
            let check = format!("  check: {check}");
            let (phase, took) =
                (Duration::from_millis(phase), Duration::from_millis(took));
            let (after, bound) = rotation_after(&check, phase, took);
            assert!(
                after <= bound,
                "{check} {phase:?}: {after:?}, at most {bound:?}"
            );
        }
    }
}

/// Connections that last: where each is, and when something crossed it last.
struct Clients {
    all: Vec<(ServerId, SystemTime)>,
    servers: Vec<Arc<Server>>,
    /// Others who come in between: at random (xorshift64), or none.
    others: Option<u64>,
}

impl Clients {
    fn count(&self, id: ServerId) -> u64 {
        let theirs = self.all.iter().filter(|(at, _)| *at == id);
        u64::try_from(theirs.count()).unwrap()
    }

    /// As the workers count them.
    fn counted(&self) {
        for server in &self.servers {
            let count = self.count(server.id);
            server.counters.open.store(count, Ordering::Relaxed);
            server.counters.seats.store(count, Ordering::Relaxed);
        }
    }

    /// Ends those that are to go and rest, and has their clients come anew; says how
    /// many.
    fn move_on(&mut self, roster: &mut Roster, now: SystemTime) -> usize {
        let mut moved = 0;
        roster.lift(now);
        let backend = backend(roster, now);
        for shed in roster.sheds(now) {
            let rests = |(at, active): &(ServerId, SystemTime)| {
                *at == shed.server && now.duration_since(*active).unwrap() >= shed.quiet
            };
            while let Some(n) = self.all.iter().position(rests) {
                if !shed.take() {
                    break;
                }
                self.all.swap_remove(n);
                self.counted();
                for _ in 0..self.come_between() {
                    let _: u64 = backend.lot([127, 0, 0, 1].into());
                }
                let lot = backend.lot([127, 0, 0, 1].into());
                let to = backend.pick(lot, &[]).unwrap().id;
                self.all.push((to, now));
                self.counted();
                moved += 1;
            }
        }
        moved
    }

    fn come_between(&mut self) -> u64 {
        self.others.as_mut().map_or(0, |state| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *state % 101
        })
    }

    /// By how much each server is off its share, in percent of it; the worst.
    fn spread(&self) -> u64 {
        let total = u64::try_from(self.all.len()).unwrap();
        let weights: u64 = self.servers.iter().map(|s| u64::from(s.weight)).sum();
        let off = self.servers.iter().map(|server| {
            // A connection is whole: one more or less than the share is nobody's fault.
            let (open, share) = (
                self.count(server.id) * weights,
                total * u64::from(server.weight),
            );
            open.abs_diff(share).saturating_sub(weights) * 100 / share
        });
        off.max().unwrap_or(0)
    }
}

/// What crosses connections after the server has come up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Nothing,
    Always,
    /// Nothing; but others come in between, begun anew by this seed.
    Others(u64),
}

/// The last server has returned; the others have all connections. What the spread is 125 s
/// later, and how many were moved.
fn spread_after(
    balance: &str,
    weights: &[u16],
    each: u64,
    traffic: Traffic,
) -> (u64, usize) {
    let mut roster = roster(
        &format!(
            "  balance: {balance}\n  rebalance: {{mode: gentle}}\n  check: {{tcp: {{}}, interval: 1s}}"
        ),
        weights,
    );
    let ids: Vec<ServerId> = roster.plans().iter().map(|plan| plan.server).collect();
    let (returned, others) = ids.split_last().unwrap();
    for &id in others {
        record(&mut roster, id, probe::Outcome::Passed, EPOCH);
    }
    record(&mut roster, *returned, probe::Outcome::Refused, EPOCH);
    let up = EPOCH + Duration::from_secs(100_000);
    for _ in 0..2 {
        record(&mut roster, *returned, probe::Outcome::Passed, up);
    }
    let view = roster.view();
    let servers = view.backends[0].members.iter();
    let servers: Vec<Arc<Server>> = servers.map(|m| Arc::clone(&m.server)).collect();
    let at = servers.iter().take(others.len()).flat_map(|server| {
        let count = usize::try_from(each * u64::from(server.weight)).unwrap();
        std::iter::repeat_n((server.id, up), count)
    });
    let mut clients = Clients {
        all: at.collect(),
        servers,
        others: match traffic {
            Traffic::Others(seed) => Some(seed),
            Traffic::Nothing | Traffic::Always => None,
        },
    };
    clients.counted();
    let mut moved = 0;
    for second in 0..=65 + 60 {
        let now = up + SECOND * second;
        if traffic == Traffic::Always {
            clients.all.iter_mut().for_each(|(_, active)| *active = now);
        }
        let looked = clients.move_on(&mut roster, now);
        assert!(
            second >= 65 || looked == 0,
            "moved after {second} s of quiet"
        );
        moved += looked;
    }
    (clients.spread(), moved)
}

#[test]
fn what_goes_quiet_is_spread_within_a_tenth_in_65_and_60_seconds() {
    for balance in ["roundrobin", "leastconn"] {
        for weights in [
            &[1, 1][..],
            &[1, 1, 1],
            &[1, 1, 1, 1, 1],
            &[2, 1],
            &[1, 3],
            &[3, 1],
            &[1, 1, 4],
            &[100, 50, 100],
        ] {
            for each in [20, 61, 200] {
                let total: u64 = weights.iter().map(|&w| u64::from(w)).sum();
                // Few connections for each unit of weight where weights are percentages.
                let each = (each * 3 / total).max(1);
                let what = format!("{balance} {weights:?} {each}");
                let (spread, moved) =
                    spread_after(balance, weights, each, Traffic::Nothing);
                assert!(spread <= 10, "{what}: {spread} % off");
                assert!(moved > 0, "{what}");
                let (spread, moved) =
                    spread_after(balance, weights, each, Traffic::Always);
                assert!(spread > 50, "{what}: {spread} % off, none was quiet");
                assert_eq!(moved, 0, "{what}: none was quiet");
            }
        }
    }
}

/// Who is moved among others who come and go lands anywhere; nobody may be moved twice within the
/// time.
#[test]
fn it_is_spread_so_also_while_others_come_in_between() {
    for (weights, each) in [(&[1, 1, 1][..], 30), (&[1, 1], 60), (&[1, 1, 1], 200)] {
        for seed in 1..=200 {
            let traffic = Traffic::Others(seed * 0x9e37_79b9);
            let (spread, _) = spread_after("roundrobin", weights, each, traffic);
            assert!(spread <= 10, "{weights:?} {each} {seed}: {spread} % off");
        }
    }
}

/// Only while it lacks them, and only where turns decide.
#[test]
fn a_server_that_lacks_connections_gets_more_of_the_new_ones() {
    let late = EPOCH + SECOND * 65 + crate::pool::rebalance::WINDOW;
    for (balance, lifts) in [("roundrobin", true), ("leastconn", false)] {
        let mut roster = roster(
            &format!(
                "  balance: {balance}\n  rebalance: {{mode: gentle}}\n  check: {{tcp: {{}}}}"
            ),
            &[1, 1],
        );
        let ids: Vec<ServerId> = roster.plans().iter().map(|plan| plan.server).collect();
        for id in &ids {
            record(&mut roster, *id, probe::Outcome::Passed, EPOCH);
        }
        let view = roster.view();
        for (counts, now, is_other, of_twelve) in [
            ([40, 0], EPOCH, true, 9),
            ([36, 4], EPOCH, false, 9),
            ([22, 18], EPOCH, true, 6),
            ([40, 0], EPOCH, true, 9),
            ([40, 0], late, true, 6),
        ] {
            for (member, open) in view.backends[0].members.iter().zip(counts) {
                member.server.counters.open.store(open, Ordering::Relaxed);
            }
            let what = format!("{balance} {counts:?}");
            assert_eq!(roster.lift(now), lifts && is_other, "{what}");
            if lifts {
                let backend = backend(&mut roster, now);
                let lots = (0..12).map(|_| backend.lot([127, 0, 0, 1].into()));
                let picked = lots.filter(|lot| {
                    backend
                        .pick(*lot, &[])
                        .is_some_and(|server| server.id == ids[1])
                });
                assert_eq!(picked.count(), of_twelve, "{what}");
            }
        }
    }
}
