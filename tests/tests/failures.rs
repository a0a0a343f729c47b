//! Every scene of failing servers with the real api-lb on the wire, and the bounds that do not
//! depend on the machine's speed.
//!
//! Leaves to `make bench-failures`: faults of their whole length, and the peers.

use libtest_mimic::{Arguments, Failed, Trial};

use lab::failures::{Peer, Programs, Scene, Size};
use lab::load::usage;
use lab::requirement::{Requirement, trial};
use lab::{binaries, netns, schedule, signals};

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let trials: Vec<Trial> = Scene::ALL
        .into_iter()
        .map(|scene| {
            let name = format!("failures::{}", scene.name());
            trial(name, &[Requirement::Root], move || test(scene))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

#[expect(
    clippy::print_stdout,
    reason = "what was measured belongs to the result"
)]
fn test(scene: Scene) -> Result<(), Failed> {
    usage::widen_table()?;
    let programs = Programs {
        ours: binaries::own("api-lb")?,
        backend: binaries::own("bench-failures")?,
    };
    let logs = binaries::logs(scene.name());
    let figures = scene.run(Peer::Ours, Size::Short, &programs, &logs)?;
    println!("{}: {figures:?}", scene.name());
    let missed = scene.missed(&figures);
    if missed.is_empty() {
        Ok(())
    } else {
        let (claim, missed) = (scene.claim(), missed.join("; "));
        Err(format!("{claim}: {missed}\n{figures:?}\nlogs: {}", logs.display()).into())
    }
}
