//! Runs that are broken off: killed, stopped by Ctrl-C, left by a host that dies, kept out by
//! another operator. The next one goes on, and the end is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use lab::host::Host;
use lab::process::Program;
use lab::wait;
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};

use super::{BARE, checks, lost};
use lab::rig::{MASTERS, Rig, Run};

/// Steps that a host ends between two kills, unless `STERNPOST_KILL_EVERY` says another number.
const EVERY: usize = 13;
/// Runs until all is done, however often they are killed.
const RUNS: usize = 400;
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed again and again with -9, each time some steps further, it ends where it would have.
#[expect(clippy::print_stdout, reason = "how often belongs to the result")]
pub(crate) fn killed() -> Result<(), Failed> {
    let rig = Rig::boot("installer-killed", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    let every = std::env::var("STERNPOST_KILL_EVERY");
    let every: usize = every.map_or(Ok(EVERY), |text| text.parse())?;
    let mut kills = 0;
    loop {
        let run = until_step(&rig, every, Signal::SIGKILL)?;
        match run.code {
            Some(0) => break,
            None if kills < RUNS => kills += 1,
            _ => return run.ended(0).map(drop),
        }
    }
    println!("killed {kills} times");
    if kills == 0 {
        return Err("it was never killed".into());
    }
    settled(&rig)?;
    lost::brought_back(&rig)?;
    settled(&rig)
}

/// The run of `sternpost apply` that gets a signal once the first of its hosts has ended `steps`
/// steps and begins the next: no run is for nothing. It gets it once, whatever the others say in
/// the meantime: a second Ctrl-C is an order of its own. What is said about the description, and
/// whom a host waits for, comes before.
fn until_step(rig: &Rig, steps: usize, signal: Signal) -> Result<Run, Failed> {
    let mut begun = BTreeMap::new();
    let mut sent = false;
    rig.watched(|line, pid| {
        let (said_by, step) = line.split_once(": ").unwrap_or_default();
        let by_a_host = MASTERS.iter().any(|master| master.name == said_by);
        if !by_a_host || step.starts_with("waits: ") {
            return;
        }
        let count = begun.entry(said_by.to_owned()).or_insert(0);
        *count += 1;
        if *count > steps && !sent {
            // It may have ended with that line.
            let _ = kill(pid, signal);
            sent = true;
        }
    })
}

/// All is as after a run that nothing has broken off.
fn settled(rig: &Rig) -> Result<(), Failed> {
    let again = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&again, rig)?;
    checks::serving(rig)?;
    checks::one_holder(rig)?;
    checks::one_cluster(rig)?;
    checks::nothing_left(rig)
}

/// Ctrl-C stops between two steps; another operator keeps one host; a host dies: each is
/// said, the other hosts are finished, and the next run does the rest.
pub(crate) fn stopped() -> Result<(), Failed> {
    let mut rig = Rig::boot("installer-stopped", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    let run = until_step(&rig, EVERY, Signal::SIGINT)?.ended(1)?;
    checks::holds(&run.said, "stopping after the steps under way")?;
    checks::holds(&run.printed, "m1: FAILED: stopped before")?;
    kept_out(&rig)?;
    let mut alive = true;
    let machine = rig.machine("m3")?;
    let run = rig.watched(|line, _| {
        if alive && line.starts_with("m3: start etcd") {
            machine.kill_all();
            alive = false;
        }
    })?;
    if alive {
        return Err(format!("m3 was never told to start etcd:\n{}", run.said).into());
    }
    let run = run.ended(1)?;
    checks::holds(&run.printed, "m3: FAILED: the host does not answer")?;
    for host in ["m1", "m2"] {
        let told = |line: &str| line.starts_with(host) && line.ends_with("step(s) done");
        if !run.printed.lines().any(told) {
            return Err(format!("{host} was not finished:\n{}", run.printed).into());
        }
    }
    checks::answers(&rig, "m1")?;
    let last = MASTERS.last().ok_or("no m3")?;
    rig.boot_again(last)?;
    rig.apply(&[])?.ended(0)?;
    settled(&rig)
}

/// Another operator is at work on m2: it is left alone, by name.
fn kept_out(rig: &Rig) -> Result<(), Failed> {
    let machine = rig.machine("m2")?;
    let script = "exec 9>>/var/lib/sternpost/lock; flock 9; echo 'eve on desk' >/var/lib/sternpost/lock; \
                  echo held >/run/held; sleep 60";
    let logs = rig.segment().logs().to_owned();
    let holder = Program::new("flock", std::path::Path::new("/bin/sh"), &logs);
    let mut holder = machine.start(&holder.args(["-c", script]))?;
    wait::until("the other operator", PATIENCE, || {
        rig.on("m2", "cat /run/held").ok()
    })?;
    let run = rig.apply(&["--host", "m2"])?.ended(1)?;
    checks::holds(&run.printed, "m2: FAILED: eve on desk")?;
    checks::holds(&run.printed, "is at work here")?;
    holder.signal(Signal::SIGKILL);
    rig.on("m2", "pkill -x sleep; true")?;
    wait::until("its end", PATIENCE, || (!holder.alive()).then_some(()))?;
    Ok(())
}
