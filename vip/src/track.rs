//! Tracking: checks of what an address is good for, and what they make of the priority.
//!
//! [`standing`] decides; [`Tracker`] keeps the verdicts of one router's checks and
//! publishes the result; [`follow`] runs one check again and again, on the control
//! runtime, never on the adverts' thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use probe::{Tally, Verdict};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use vrrp::Priority;

use crate::ask::{Asking, Board};
use crate::config::{Effect, Initial, Router, Sense, Target, TargetError, Track};
use crate::flight::{Flight, What};
use crate::upgrade::Was;

/// What a router runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The priority.
    pub priority: Priority,
    /// Why it stays out, if it does.
    pub out: Option<Out>,
}

/// Why a router leaves the address to the others. It still takes it when there are none:
/// never nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// A check of weight 0 fails.
    Fault,
    /// `vip-daemon release`.
    Released,
    /// Another router of its sync group stays out.
    Together,
}

impl Out {
    /// Name for logs, metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Released => "released",
            Self::Together => "together",
        }
    }
}

/// Decides what the verdicts make of the configured priority. No verdict yet counts as
/// failed.
pub fn standing(
    base: Priority,
    verdicts: &[(Effect, Option<Verdict>)],
    released: bool,
) -> Standing {
    let fails = |verdict: Option<Verdict>| verdict != Some(Verdict::Up);
    let weights = verdicts.iter().map(|(effect, verdict)| match effect {
        Effect::Weight(weight) if (*weight < 0) == fails(*verdict) => *weight,
        Effect::Weight(_) | Effect::Fault => 0,
    });
    let fault = verdicts
        .iter()
        .any(|(effect, verdict)| *effect == Effect::Fault && fails(*verdict));
    let out = match (released, fault) {
        (true, _) => Some(Out::Released),
        (false, true) => Some(Out::Fault),
        (false, false) => None,
    };
    let priority = match out {
        Some(_) => Priority::MIN,
        None => base.adjusted(weights.sum()),
    };
    Standing { priority, out }
}

/// What a number does, as keepalived's `track_file`: multiplied by the weight it is added;
/// at −254 or below, or with weight 0 at anything but 0, it is a fault.
pub fn weighed(value: i64, weight: Effect) -> (Effect, Verdict) {
    /// What keepalived allows a product to be.
    const MOST: i64 = 253;
    const LEAST: i64 = -MOST;
    match weight {
        Effect::Fault if value == 0 => (Effect::Fault, Verdict::Up),
        Effect::Fault => (Effect::Fault, Verdict::Down),
        Effect::Weight(weight) => {
            let product = value.saturating_mul(weight.into());
            let amount = i32::try_from(product.clamp(LEAST, MOST)).unwrap_or(0);
            match product {
                ..LEAST => (Effect::Fault, Verdict::Down),
                LEAST..0 => (Effect::Weight(amount), Verdict::Down),
                0.. => (Effect::Weight(amount), Verdict::Up),
            }
        }
    }
}

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

    fn saw(&self, position: usize, last: Last) {
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

/// Runs one check of `router` for ever. A check that is still running is not overtaken;
/// the ones it made impossible are left out. Returns only when the check cannot be made,
/// which a configuration that was accepted rules out.
pub async fn follow(
    tracker: &Tracker,
    router: &str,
    position: usize,
    track: &Track,
    board: &Board,
) -> TargetError {
    let mut asking = match Asking::new(&track.target) {
        Ok(asking) => asking,
        Err(error) => return error,
    };
    let mut tally = Tally::new(track.rise, track.fall);
    let mut ticks = interval(track.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let started = Instant::now();
        let answer = asking.ask(track.timeout, board).await;
        let outcome = answer.name;
        let took = started.elapsed();
        tracker.saw(position, Last { outcome, took });
        let good = match track.sense {
            Sense::AsIs => answer.passed,
            Sense::Reversed => !answer.passed,
        };
        let entry = What::Check {
            position,
            outcome,
            good,
        };
        tracker.flight.record(entry, Instant::now());
        if let Some(value) = answer.value {
            let value = match track.sense {
                Sense::AsIs => value,
                Sense::Reversed => value.saturating_neg(),
            };
            let (effect, verdict) = weighed(value, track.effect);
            tracker.weigh(position, effect, verdict);
        } else if let Some(verdict) = tally.record(good) {
            let check = track.target.name();
            tracing::info!(router, check, outcome, ?verdict, "tracked check changed");
            tracker.record(position, verdict);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use Effect::{Fault, Weight};
    use Verdict::{Down, Up};

    fn of(
        base: u8,
        verdicts: &[(Effect, Option<Verdict>)],
        released: bool,
    ) -> (u8, Option<Out>) {
        let standing = standing(Priority::new(base), verdicts, released);
        (standing.priority.get(), standing.out)
    }

    #[test]
    fn k1_k2_k5_weights_are_summed_and_clamped() {
        for (base, verdicts, priority) in [
            (200, &[][..], 200),
            (200, &[(Weight(-120), Some(Up))], 200),
            (200, &[(Weight(-120), Some(Down))], 80),
            (200, &[(Weight(-120), None)], 80),
            (100, &[(Weight(50), Some(Up))], 150),
            (100, &[(Weight(50), Some(Down))], 100),
            (100, &[(Weight(50), None)], 100),
            (
                100,
                &[(Weight(-30), Some(Down)), (Weight(-40), Some(Down))],
                30,
            ),
            (
                100,
                &[(Weight(-30), Some(Down)), (Weight(50), Some(Up))],
                120,
            ),
            (100, &[(Weight(-254), Some(Down))], 1),
            (200, &[(Weight(254), Some(Up))], 254),
            (255, &[(Weight(-254), Some(Down))], 255),
        ] {
            assert_eq!(
                of(base, verdicts, false),
                (priority, None),
                "{base} {verdicts:?}"
            );
        }
    }

    #[test]
    fn k3_fault_and_release_stay_out_with_the_lowest_priority() {
        for (base, verdicts, released, expected) in [
            (200, &[(Fault, Some(Up))][..], false, (200, None)),
            (200, &[(Fault, Some(Down))], false, (1, Some(Out::Fault))),
            (200, &[(Fault, None)], false, (1, Some(Out::Fault))),
            (255, &[(Fault, Some(Down))], false, (1, Some(Out::Fault))),
            (200, &[(Fault, Some(Up))], true, (1, Some(Out::Released))),
            (200, &[(Fault, Some(Down))], true, (1, Some(Out::Released))),
        ] {
            assert_eq!(
                of(base, verdicts, released),
                expected,
                "{base} {verdicts:?}"
            );
        }
    }

    #[test]
    fn a_number_counts_times_its_weight_as_in_keepalived() {
        for (value, weight, came_to) in [
            (0, Fault, (Fault, Up)),
            (1, Fault, (Fault, Down)),
            (-1, Fault, (Fault, Down)),
            (0, Weight(-10), (Weight(0), Up)),
            (5, Weight(-10), (Weight(-50), Down)),
            (-5, Weight(-10), (Weight(50), Up)),
            (253, Weight(-1), (Weight(-253), Down)),
            (254, Weight(-1), (Fault, Down)),
            (300, Weight(1), (Weight(253), Up)),
            (i64::MIN, Weight(-1), (Weight(253), Up)),
            (i64::MAX, Weight(-1), (Fault, Down)),
        ] {
            assert_eq!(weighed(value, weight), came_to, "{value} {weight:?}");
        }
    }

    const CONFIG: &str = "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n\
        - {name: api, interface: eth0, vrid: 51, priority: 200, addresses: [10.55.0.100], \
        track: TRACKS}\n";

    fn router(tracks: &str) -> Router {
        let text = CONFIG.replace("TRACKS", tracks);
        Config::parse("test", &text).unwrap().routers.remove(0)
    }

    fn check(port: u16, weight: i32) -> String {
        format!("{{tcp: {{address: '127.0.0.1:{port}'}}, weight: {weight}}}")
    }

    #[test]
    fn a_new_check_moves_nothing_before_it_has_a_verdict() {
        let before = router(&format!("[{}]", check(1, -50)));
        let after = router(&format!("[{}, {}]", check(2, 0), check(1, -50)));
        let tracker = Tracker::new(&before, false);
        let now = |tracker: &Tracker| {
            let standing = tracker.standing();
            (standing.priority.get(), standing.out)
        };
        assert_eq!(now(&tracker), (150, None));
        tracker.record(0, Up);
        assert_eq!(now(&tracker), (200, None));
        tracker.reconfigure(&before, &after);
        assert_eq!(now(&tracker), (200, None));
        tracker.record(0, Down);
        assert_eq!(now(&tracker), (1, Some(Out::Fault)));
        tracker.record(0, Up);
        assert_eq!(now(&tracker), (200, None));
    }

    #[test]
    fn a_new_program_goes_on_with_what_the_old_one_had() {
        let tracker = Tracker::new(&router(&format!("[{}]", check(1, -50))), false);
        let was = |released| Was {
            active: true,
            released,
            priority: 200,
        };
        tracker.resume(was(false));
        assert_eq!(tracker.standing().priority, Priority::new(200));
        tracker.record(0, Down);
        assert_eq!(tracker.standing().priority, Priority::new(150));
        let tracker = Tracker::new(&router("[]"), false);
        tracker.resume(was(true));
        assert_eq!(tracker.standing().out, Some(Out::Released));
    }

    #[test]
    fn release_lasts_until_it_is_taken_back() {
        let tracker = Tracker::new(&router("[]"), false);
        let mut seen = tracker.subscribe();
        tracker.release(true);
        assert_eq!(tracker.standing().out, Some(Out::Released));
        assert!(seen.has_changed().unwrap());
        seen.mark_unchanged();
        tracker.release(true);
        assert!(!seen.has_changed().unwrap());
        tracker.release(false);
        assert_eq!(tracker.standing().priority, Priority::new(200));
    }

    /// Runs the only check until the standing is `wanted`.
    async fn becomes(tracks: &str, wanted: u8) {
        let router = router(tracks);
        let tracker = Tracker::new(&router, false);
        let board = Board::default();
        let mut standing = tracker.subscribe();
        let reached = standing.wait_for(|now| now.priority == Priority::new(wanted));
        let track = &router.tracks[0];
        tokio::select! {
            error = follow(&tracker, "api", 0, track, &board) => panic!("{error}"),
            reached = reached => drop(reached.unwrap()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k2_k4_reverse_init_rise_and_fall() {
        let here = "file: {path: /}";
        let gone = "file: {path: /no/such/file}";
        let weight = "weight: -50, interval: 10ms, fall: 3, rise: 3";
        for (target, more, wanted) in [
            (here, "", 200),
            (gone, "", 150),
            (here, ", reverse: true", 150),
            (gone, ", reverse: true", 200),
            // Good until it has failed.
            (gone, ", init: passed", 150),
        ] {
            let tracks = format!("[{{{target}, {weight}{more}}}]");
            becomes(&tracks, wanted).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let value = folder.path().join("value");
        for (number, more, wanted) in
            [("3", "", 170), ("3", ", reverse: true", 230), ("99", "", 1)]
        {
            std::fs::write(&value, number).unwrap();
            let target = format!("fileValue: {{path: {}}}", value.display());
            let track = format!("[{{{target}, weight: -10, interval: 10ms{more}}}]");
            becomes(&track, wanted).await;
        }
        let passed = router(&format!("[{{{gone}, {weight}, init: passed}}]"));
        let standing = Tracker::new(&passed, false).standing();
        assert_eq!(standing.priority, Priority::new(200));
    }
}
