//! The verdicts of one router's checks, kept by their places in the file, and the standing
//! that they come to, published to its driver.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use probe::{Tally, Verdict};
use tokio::sync::watch;
use vrrp::Priority;

use super::{Out, Standing, standing};
use crate::config::{Effect, Initial, Router, Sense, Target, Track};
use crate::flight::Flight;
use crate::upgrade::{Found, Was};

/// The verdicts on one router, and whether it was told to stay out.
pub struct Tracker {
    state: Mutex<State>,
    standing: watch::Sender<Standing>,
    flight: Arc<Flight>,
}

struct State {
    base: Priority,
    checks: Vec<Check>,
    released: bool,
    /// A reload has brought checks without a verdict: what holds goes on holding until
    /// all have one, so that a new check does not move the address by being new.
    settling: bool,
}

/// One check.
#[derive(Debug, Clone)]
struct Check {
    effect: Effect,
    /// What counts: what the tally has come to, or what counts before.
    verdict: Option<Verdict>,
    /// Results in a row; kept over a reload, so that one failure is not a verdict then.
    tally: Tally,
    /// It has had a result. What counts before that is no reason to move anything.
    is_known: bool,
    last: Option<Last>,
}

/// The last result of one check, for `status`.
#[derive(Debug, Clone)]
pub struct Last {
    /// How it ended.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// One check as `status` shows it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it does.
    pub effect: Effect,
    /// What it has come to.
    pub verdict: Option<Verdict>,
    /// Its last result.
    pub last: Option<Last>,
}

impl Tracker {
    /// For a router without a verdict yet.
    pub fn new(router: &Router, released: bool) -> Self {
        let checks: Vec<_> = router.tracks.iter().map(Check::new).collect();
        let standing = standing(router.priority, &verdicts(&checks), released);
        Self {
            state: Mutex::new(State {
                base: router.priority,
                checks,
                released,
                settling: false,
            }),
            standing: watch::Sender::new(standing),
            flight: Arc::new(Flight::default()),
        }
    }

    /// What the driver follows.
    pub fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Goes on where the program before left off: what its checks had come to counts, and
    /// what it advertised with holds until every check has had a result.
    pub fn resume(&self, router: &Router, was: &Was) {
        let able = self.with(|state| {
            state.released = was.released;
            for (check, track) in state.checks.iter_mut().zip(&router.tracks) {
                let name = asked(track);
                if let Some(found) = was.checks.iter().find(|it| it.check == name) {
                    check.tally.record(found.passed);
                    check.verdict = check.tally.verdict();
                }
            }
            state.settling = state.checks.iter().any(|check| !check.is_known);
            standing(state.base, &verdicts(&state.checks), state.released).able
        });
        let priority = Priority::new(was.priority);
        let out = was.out.as_deref().and_then(Out::named);
        let out = was.released.then_some(Out::Released).or(out);
        let able = match out {
            Some(_) => able,
            None => priority,
        };
        self.standing.send_replace(Standing {
            priority,
            able,
            out,
        });
        self.change(|_| {});
    }

    /// What the checks of `router` have come to, for the next program.
    pub fn found(&self, router: &Router) -> Vec<Found> {
        self.with(|state| {
            let all = router.tracks.iter().zip(&state.checks);
            let found = all.filter_map(|(track, check)| {
                let passed = check.tally.verdict()? == Verdict::Up;
                let check = asked(track);
                Some(Found { check, passed })
            });
            found.collect()
        })
    }

    /// Where everything about the router is recorded.
    pub fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// What holds right now.
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Was it told to stay out?
    pub fn released(&self) -> bool {
        self.with(|state| state.released)
    }

    /// Tells it to stay out, or to take part again.
    pub fn release(&self, released: bool) {
        self.change(|state| state.released = released);
    }

    /// Takes in one result of a check; its verdict, where that has changed.
    pub fn judge(&self, position: usize, good: bool) -> Option<Verdict> {
        let mut changed = None;
        self.change(|state| {
            if let Some(check) = state.checks.get_mut(position) {
                changed = check.tally.record(good);
                check.verdict = changed.or(check.verdict);
                check.is_known = true;
            }
        });
        changed
    }

    /// Takes in what a number has come to.
    pub fn weigh(&self, position: usize, effect: Effect, verdict: Verdict) {
        self.change(|state| {
            if let Some(check) = state.checks.get_mut(position) {
                check.effect = effect;
                check.verdict = Some(verdict);
                check.is_known = true;
            }
        });
    }

    /// Takes on another priority and other checks without a stop: those that ask the same
    /// keep what they have come to, whatever limits and weight they have.
    pub fn reconfigure(&self, before: &Router, after: &Router) {
        self.change(|state| {
            let known = |track: &Track| {
                let position = before.tracks.iter().position(|old| asks_same(old, track));
                let known = position.and_then(|position| state.checks.get(position));
                known.map_or_else(|| Check::new(track), |known| known.under(track))
            };
            state.checks = after.tracks.iter().map(known).collect();
            state.base = after.priority;
            state.settling = true;
        });
    }

    /// Takes in one result of a check.
    pub(super) fn saw(&self, position: usize, last: Last) {
        self.with(|state| {
            if let Some(known) = state.checks.get_mut(position) {
                known.last = Some(last);
            }
        });
    }

    /// Every check in the order of the file.
    pub fn seen(&self) -> Vec<Seen> {
        self.with(|state| {
            let all = state.checks.iter().map(|check| Seen {
                effect: check.effect,
                verdict: check.verdict,
                last: check.last.clone(),
            });
            all.collect()
        })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let standing = self.with(|state| {
            change(state);
            state.settling &= state.checks.iter().any(|check| !check.is_known);
            let settled = !state.settling;
            let verdicts = verdicts(&state.checks);
            settled.then(|| standing(state.base, &verdicts, state.released))
        });
        let Some(standing) = standing else {
            return;
        };
        self.standing.send_if_modified(|known| {
            let changed = *known != standing;
            *known = standing;
            changed
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a verdict answers, from one program to the next: a reversed check of the same target has
/// the opposite one.
fn asked(track: &Track) -> String {
    let name = track.target.name();
    match track.sense {
        Sense::AsIs => name,
        Sense::Reversed => format!("not {name}"),
    }
}

impl Check {
    /// Before its first result. A number counts as nothing.
    fn new(track: &Track) -> Self {
        let (effect, verdict) = match (&track.target, track.initial) {
            (Target::FileValue(_), _) => (Effect::Weight(0), None),
            (_, Initial::Failed) => (track.effect, None),
            (_, Initial::Passed) => (track.effect, Some(Verdict::Up)),
        };
        Self {
            effect,
            verdict,
            tally: Tally::new(track.rise, track.fall),
            is_known: false,
            last: None,
        }
    }

    /// The same, as another file describes it.
    fn under(&self, track: &Track) -> Self {
        if !self.is_known {
            return Self::new(track);
        }
        let weighed = matches!(track.target, Target::FileValue(_));
        let effect = if weighed { self.effect } else { track.effect };
        Self {
            effect,
            tally: self.tally.with_limits(track.rise, track.fall),
            last: None,
            ..self.clone()
        }
    }
}

/// Would the answer of the one be the other's? What a number came to has its weight in it.
fn asks_same(one: &Track, other: &Track) -> bool {
    let weighed = matches!(one.target, Target::FileValue(_));
    one.target == other.target
        && one.sense == other.sense
        && (!weighed || one.effect == other.effect)
}

fn verdicts(checks: &[Check]) -> Vec<(Effect, Option<Verdict>)> {
    let all = checks.iter();
    all.map(|check| (check.effect, check.verdict)).collect()
}
