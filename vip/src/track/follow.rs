//! One check of a router, asked again and again on the control runtime, never on the
//! adverts' thread.

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::tracker::{Last, Tracker};
use super::weighed;
use crate::ask::{Asking, Board};
use crate::config::{Sense, TargetError, Track};
use crate::flight::What;

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
        tracker.flight().record(entry, Instant::now());
        if let Some(value) = answer.value {
            let value = match track.sense {
                Sense::AsIs => value,
                Sense::Reversed => value.saturating_neg(),
            };
            let (effect, verdict) = weighed(value, track.effect);
            tracker.weigh(position, effect, verdict);
        } else if let Some(verdict) = tracker.judge(position, good) {
            let check = track.target.name();
            tracing::info!(router, check, outcome, ?verdict, "tracked check changed");
        }
    }
}
