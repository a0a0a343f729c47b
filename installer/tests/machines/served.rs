//! `apply` on bare machines to its end, watched: when it did what, and when the API was there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::command::run;
use lab::wait;
use libtest_mimic::Failed;

use super::timeline::Timeline;
use lab::rig::{Rig, Run, VIP};

/// Longer than any run of `apply`.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two questions: asking takes little from what is asked about.
const PAUSE: Duration = Duration::from_millis(50);

/// A run of `apply` that has ended well.
pub(crate) struct Served {
    pub(crate) run: Run,
    pub(crate) timeline: Timeline,
    /// How long after its beginning the API first answered through the address.
    pub(crate) after: Duration,
}

/// `sternpost apply` to its end; `look` is called with each line that it says.
pub(crate) fn applied(rig: &Rig, mut look: impl FnMut()) -> Result<Served, Failed> {
    let mut timeline = Timeline::begin();
    let (run, served) = served(rig, || {
        rig.watched(|line, _| {
            timeline.note(line);
            look();
        })
    })?;
    let run = run.ended(0)?;
    let after = served.ok_or("the API never answered through the address")?;
    Ok(Served {
        run,
        timeline,
        after,
    })
}

/// A run that lays a cluster down, and how long after its beginning the API first answered
/// through the address; it is waited for when the run has ended well.
fn served(
    rig: &Rig,
    run: impl FnOnce() -> Result<Run, Failed>,
) -> Result<(Run, Option<Duration>), Failed> {
    let begun = Instant::now();
    let in_vain = AtomicBool::new(false);
    let (run, served) = thread::scope(|scope| {
        let served = scope.spawn(|| serves(rig, begun, &in_vain));
        let run = run();
        let well = run.as_ref().is_ok_and(|run| run.code == Some(0));
        in_vain.store(!well, Ordering::Relaxed);
        (run, served.join().ok().flatten())
    });
    Ok((run?, served))
}

fn serves(rig: &Rig, begun: Instant, in_vain: &AtomicBool) -> Option<Duration> {
    let url = format!("https://{VIP}:6443/readyz");
    let netns = rig.operator.netns().name();
    let words = [
        "netns",
        "exec",
        netns,
        "curl",
        "-skf",
        "--max-time",
        "1",
        &url,
    ];
    let answered = wait::until("the API", PATIENCE, || {
        if run("ip", &words).is_ok_and(|text| text == "ok") {
            return Some(true);
        }
        wait::pass(PAUSE, || false);
        in_vain.load(Ordering::Relaxed).then_some(false)
    });
    answered.ok()?.then(|| begun.elapsed())
}
