//! Killed (-9) over SSH at moments without a pattern, the operator's side or an agent on a host,
//! again and again until a run comes to its end: that end is the same as without. Then all is
//! taken off, and it is begun again.

use std::time::Duration;

use lab::host::Host;
use lab::moments::{Moments, setting};
use lab::rig::{MASTERS, Rig, Run};
use lab::wait;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;

use super::leave::{self, Standing};
use super::{BARE, checks};

/// Moments, unless `STERNPOST_KILLS` says another number.
const KILLS: u64 = 4;
/// Where they begin, unless `STERNPOST_SEED` says another number.
const SEED: u64 = 36;
/// Lives for each of them: in some nothing is met, since a run that goes on with what another has
/// begun is over sooner than a whole one.
const LIVES: u64 = 5;
/// Units and their states, without those that come and go with the machine's own life.
const UNITS: &str = "systemctl list-unit-files --no-legend --no-pager | sort; \
    systemctl list-units --type=service --state=active --no-legend --no-pager --plain | \
    grep -e etcd -e kube -e api-lb -e vip-daemon -e bootstrap-signer -e sternpost | cut -d ' ' -f 1 | sort";
/// What each cluster has of its own: data, keys and what is signed with them.
const DATA: [&str; 3] = ["var/lib/etcd", "var/lib/sternpost", "var/log/kubernetes"];
const SECRET: [&str; 5] = [
    "kubernetes/pki/",
    "kubernetes/encryption",
    "sternpost/vip-channel-key",
    "/05-join",
    ".conf",
];

/// Whom it meets.
#[derive(Clone, Copy, Debug)]
enum Side {
    Operator,
    Agent(&'static str),
}

/// How long a run takes that nothing breaks off, and what stands when it is over.
struct Whole {
    took: Duration,
    wanted: Standing,
}

#[expect(clippy::print_stdout, reason = "the moments belong to the result")]
pub(crate) fn at_any_moment() -> Result<(), Failed> {
    let kills = setting("STERNPOST_KILLS", KILLS)?;
    let seed = setting("STERNPOST_SEED", SEED)?;
    let mut moments = Moments::new(seed);
    println!("{kills} moments, STERNPOST_SEED={seed}");
    let rig = Rig::boot("installer-any-moment", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    let bare = leave::standing(&rig)?;
    let took = rig.apply(&[])?.ended(0)?.took;
    let wanted = standing(&rig)?;
    let whole = Whole { took, wanted };
    println!("a whole run: {took:.1?}");
    leave::gone(&rig, &bare)?;
    let mut struck = 0;
    // A moment may come when all is done; then it is another's turn.
    for _ in 0..=kills * LIVES {
        struck += life(&rig, &whole, &mut moments, kills - struck)?;
        converged(&rig, &whole.wanted)?;
        leave::gone(&rig, &bare)?;
        if struck == kills {
            return Ok(());
        }
    }
    Err(format!("killed {struck} times of {kills}").into())
}

/// Killed until a run comes to its end, at most `left` times: how often.
#[expect(clippy::print_stdout, reason = "the moments belong to the result")]
fn life(
    rig: &Rig,
    whole: &Whole,
    moments: &mut Moments,
    left: u64,
) -> Result<u64, Failed> {
    for struck in 0..left {
        let moment = moments.before(whole.took);
        let side = match moments.below(4) {
            0 => Side::Agent("m1"),
            1 => Side::Agent("m2"),
            _ => Side::Operator,
        };
        let run = killed(rig, moment, side)?;
        println!("{side:?} after {moment:.1?}: {:?}", run.code);
        checks::no_secret(&run)?;
        if run.code == Some(0) {
            return Ok(struck);
        }
    }
    rig.apply(&[])?.ended(0)?;
    Ok(left)
}

/// A run, one side of which is killed after a while, if it lasts so long.
fn killed(rig: &Rig, moment: Duration, side: Side) -> Result<Run, Failed> {
    let run = rig.begun()?;
    wait::pass(moment, || run.is_over());
    match side {
        Side::Operator => run.signal(Signal::SIGKILL),
        Side::Agent(host) => {
            // Its name is written so that this very shell has another; where none runs at that
            // moment nothing is killed, and the run ends by itself.
            rig.on(host, "pkill -KILL -f '^/[^ ]*/[s]ternpost-agent'; true")?;
        }
    }
    run.end()
}

/// A further run has nothing to do, all serves, and what stands is what stood after a run
/// that nothing has broken off.
fn converged(rig: &Rig, wanted: &Standing) -> Result<(), Failed> {
    let again = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&again, rig)?;
    checks::serving(rig)?;
    checks::one_holder(rig)?;
    checks::one_cluster(rig)?;
    checks::nothing_left(rig)?;
    for (host, here) in standing(rig)? {
        let wanted = wanted.get(&host).map_or("", String::as_str);
        leave::differ(wanted, &here).map_err(|odd| format!("{host}: {odd}"))?;
    }
    Ok(())
}

/// What stands on every host, but what each cluster has of its own.
fn standing(rig: &Rig) -> Result<Standing, Failed> {
    let mut all = leave::standing(rig)?;
    for machine in &rig.machines {
        let units = rig.on(machine.name(), UNITS)?;
        if let Some(text) = all.get_mut(machine.name()) {
            *text = format!("{}\n{units}", plain(text));
        }
    }
    Ok(all)
}

/// Without data, and of what is secret the name alone.
fn plain(text: &str) -> String {
    let own = |line: &&str| !DATA.iter().any(|folder| line.contains(folder));
    let named = |line: &str| match line.split_once("  ") {
        Some((_, path)) if SECRET.iter().any(|place| path.contains(place)) => {
            path.to_owned()
        }
        Some(_) | None => line.to_owned(),
    };
    let kept: Vec<_> = text.lines().filter(own).map(named).collect();
    kept.join("\n")
}
