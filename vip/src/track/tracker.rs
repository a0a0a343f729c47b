//! The verdicts of one router's checks, kept by their places in the file, and the standing
//! that they come to, published to its driver.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use probe::Verdict;
use tokio::sync::watch;
use vrrp::Priority;

use super::{Out, Standing, standing};
use crate::config::{Effect, Initial, Router, Target, Track};
use crate::flight::Flight;
use crate::upgrade::Was;

/// The verdicts on one router, and whether it was told to stay out.
pub struct Tracker {
    state: Mutex<State>,
    standing: watch::Sender<Standing>,
    flight: Arc<Flight>,
}

struct State {
    base: Priority,
    checks: Vec<(Effect, Option<Verdict>)>,
    last: Vec<Option<Last>>,
    released: bool,
    /// A reload has brought checks without a verdict: what holds goes on holding until
    /// all have one, so that a new check does not move the address by being new.
    settling: bool,
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
        let checks: Vec<_> = router.tracks.iter().map(initial).collect();
        let standing = standing(router.priority, &checks, released);
        let last = vec![None; checks.len()];
        Self {
            state: Mutex::new(State {
                base: router.priority,
                checks,
                last,
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

    /// Goes on where the program before left off: what it advertised with holds until
    /// every check has a verdict.
    pub fn resume(&self, was: Was) {
        self.with(|state| {
            state.released = was.released;
            state.settling = state.checks.iter().any(|(_, verdict)| verdict.is_none());
        });
        let priority = Priority::new(was.priority);
        let out = was.released.then_some(Out::Released);
        self.standing.send_replace(Standing { priority, out });
        self.change(|_| {});
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

    /// Takes in a change of one check's verdict.
    pub fn record(&self, position: usize, verdict: Verdict) {
        self.change(|state| {
            if let Some((_, known)) = state.checks.get_mut(position) {
                *known = Some(verdict);
            }
        });
    }

    /// Takes in what a number has come to.
    pub fn weigh(&self, position: usize, effect: Effect, verdict: Verdict) {
        self.change(|state| {
            if let Some(known) = state.checks.get_mut(position) {
                *known = (effect, Some(verdict));
            }
        });
    }

    /// Takes on another priority and other checks without a stop: checks that stay keep
    /// their verdict.
    pub fn reconfigure(&self, before: &Router, after: &Router) {
        self.change(|state| {
            let known = |track: &Track| {
                let position = before.tracks.iter().position(|old| old == track);
                let known = position.and_then(|position| state.checks.get(position));
                known.copied().unwrap_or_else(|| initial(track))
            };
            state.checks = after.tracks.iter().map(known).collect();
            state.last = vec![None; state.checks.len()];
            state.base = after.priority;
            state.settling = true;
        });
    }

    /// Takes in one result of a check.
    pub(super) fn saw(&self, position: usize, last: Last) {
        self.with(|state| {
            if let Some(known) = state.last.get_mut(position) {
                *known = Some(last);
            }
        });
    }

    /// Every check in the order of the file.
    pub fn seen(&self) -> Vec<Seen> {
        self.with(|state| {
            let both = state.checks.iter().zip(&state.last);
            both.map(|((effect, verdict), last)| Seen {
                effect: *effect,
                verdict: *verdict,
                last: last.clone(),
            })
            .collect()
        })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let standing = self.with(|state| {
            change(state);
            state.settling &= state.checks.iter().any(|(_, verdict)| verdict.is_none());
            let settled = !state.settling;
            settled.then(|| standing(state.base, &state.checks, state.released))
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

/// What a check counts as before its first result. A number counts as nothing.
fn initial(track: &Track) -> (Effect, Option<Verdict>) {
    match (&track.target, track.initial) {
        (Target::FileValue(_), _) => (Effect::Weight(0), None),
        (_, Initial::Failed) => (track.effect, None),
        (_, Initial::Passed) => (track.effect, Some(Verdict::Up)),
    }
}
