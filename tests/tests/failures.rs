//! Every scene of failing servers with the real api-lb on the wire, and the bounds that do not
//! depend on the machine's speed. One of time that is missed by no more than the machine kept
//! programs waiting for a core is void, and the scene is played again.
//!
//! Leaves to `make bench-failures`: faults of their whole length, and the peers.

use libtest_mimic::Failed;

use lab::failures::{Peer, Programs, Scene, Size, sound};
use lab::load::usage;
use lab::requirement::{Requirement, trial};
use lab::{binaries, harness, schedule};

fn main() {
    schedule::prefer_run();
    let trials = Scene::ALL.into_iter().map(|scene| {
        let name = format!("failures::{}", scene.name());
        trial(name, &[Requirement::Root], move || test(scene))
    });
    harness::run(trials.collect())
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
    sound(scene.claim(), &binaries::logs(scene.name()), |logs| {
        let figures = scene.run(Peer::Ours, Size::Short, &programs, logs)?;
        println!("{}: {figures:?}", scene.name());
        Ok(scene.judge(&figures))
    })
}
