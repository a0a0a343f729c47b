//! The agent as a process of its own, killed (-9) in the middle of whatever it does: the next
//! one goes on, and ends in the same place. Every third is taken off again without going on,
//! which leaves nothing.
//!
//! systemd is played by a script that keeps a folder of units.

use std::fmt::Write as _;
use std::process::Command;
use std::thread;
use std::time::Instant;

use lab::moments::{Moments, setting};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sternpost::reset::{self, Data};

use super::process::Process;
use super::*;

/// Moments, unless `STERNPOST_MOMENTS` says another number.
const MOMENTS: u64 = 50;
/// Where they begin, unless `STERNPOST_SEED` says another number.
const SEED: u64 = 7;
/// Whole runs, the shortest of which counts: behind the end of a run nothing is cut off.
const RUNS: u32 = 3;

/// systemctl as far as the agent uses it, and nothing of the others.
const SYSTEMCTL: &str = r#"#!/bin/sh
units=UNITS
for unit; do :; done
# The system's own.
case "$unit" in systemd-*) exit 0 ;; esac
case "$1" in
show)
    state=inactive; [ ! -e "$units/$unit.active" ] || state=active
    enabled=disabled; [ ! -e "$units/$unit.enabled" ] || enabled=enabled
    echo "LoadState=loaded"; echo "UnitFileState=$enabled"; echo "ActiveState=$state"
    echo "SubState=x"; echo "NRestarts=0"; echo "Job="; echo "Result=success"
    echo "Type=simple"; echo "ActiveEnterTimestampMonotonic=1" ;;
start | restart) : >"$units/$unit.active" ;;
stop) rm -f "$units/$unit.active" ;;
enable) : >"$units/$unit.enabled" ;;
disable) rm -f "$units/$unit.enabled" ;;
esac
"#;

/// An agent that finds the script where others find systemd.
fn agent(world: &World) -> Tried<Process> {
    let programs = world.folder.path().join("system");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sternpost"));
    command.arg("agent").arg("--root").arg(world.root());
    Process::start(command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())))
}

/// A world whose systemd is the script.
fn world() -> Tried<World> {
    let world = World::new()?;
    let (system, units) = (
        world.folder.path().join("system"),
        world.folder.path().join("units"),
    );
    fs::create_dir_all(&system)?;
    fs::create_dir_all(&units)?;
    let script = SYSTEMCTL.replace("UNITS", &units.display().to_string());
    let programs = [
        ("systemctl", script.as_str()),
        ("systemd-sysusers", "#!/bin/sh\n"),
        ("systemd-tmpfiles", "#!/bin/sh\n"),
        ("sysctl", "#!/bin/sh\n"),
    ];
    for (name, script) in programs {
        let path = system.join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(world)
}

/// A whole run; the agent is killed after `moment`, if it lasts so long. What is left to do
/// when it began.
fn apply(
    world: &World,
    material: &Material,
    moment: Option<Duration>,
) -> Tried<Result<Plan, ApplyError>> {
    let target = Target {
        cluster: &world.cluster,
        host: "m1",
        wanted: &world.wanted,
        programs: &world.programs,
        now: world.now,
    };
    let mut process = agent(world)?;
    let pid = Pid::from_raw(i32::try_from(process.child.id())?);
    let killer = moment.map(|moment| {
        let at = Instant::now() + moment;
        thread::spawn(move || {
            while let Some(left) = at.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
            // It is waited for only after this: the number is still its own.
            let _ = kill(pid, Signal::SIGKILL);
        })
    });
    let mut run = || {
        process.ask(Order::Lock("somebody".to_owned()))?;
        let plan = target.plan(material, &mut process)?;
        target.apply(&plan, material, &mut process, |_| ControlFlow::Continue(()))?;
        Ok(plan)
    };
    let result = run();
    if let Some(killer) = killer {
        killer.join().map_err(|_| "the killer died")?;
    }
    Ok(result)
}

/// Everything of ours off again.
fn taken_off(world: &World) -> Tried {
    let mut process = agent(world)?;
    process.ask(Order::Lock("somebody".to_owned()))?;
    let Answer::Inventory(inventory) = process.ask(Order::Inventory)? else {
        return Err("no inventory".into());
    };
    for step in reset::plan(&inventory, Data::Remove).steps {
        let answer = process.ask(Order::Remove(step.clone()))?;
        if !matches!(answer, Answer::Done) {
            return Err(format!("{}: {answer:?}", reset::line(&step)).into());
        }
    }
    process.ended()
}

/// The files below the root, and the units that run and will.
fn standing(world: &World) -> Tried<BTreeSet<String>> {
    // Whose the lock was is another process each time.
    let lock = "var/lib/sternpost/lock";
    let plain = |line: String| match line.starts_with(lock) {
        true => lock.to_owned(),
        false => line,
    };
    let mut all: BTreeSet<_> = world.listing()?.into_iter().map(plain).collect();
    for unit in fs::read_dir(world.folder.path().join("units"))? {
        all.insert(unit?.file_name().to_string_lossy().into_owned());
    }
    Ok(all)
}

fn same(wanted: &BTreeSet<String>, here: &BTreeSet<String>, when: &str) -> Tried {
    let odd: Vec<_> = here.symmetric_difference(wanted).take(6).collect();
    match odd.is_empty() {
        true => Ok(()),
        false => Err(format!("{when}: {odd:#?}").into()),
    }
}

/// How long a whole run takes.
fn timed(world: &World, material: &Material) -> Tried<Duration> {
    let begun = Instant::now();
    apply(world, material, None)??;
    Ok(begun.elapsed())
}

#[expect(clippy::print_stdout, reason = "where it began belongs to the result")]
pub(super) fn at_any_moment() -> Tried {
    let count = setting("STERNPOST_MOMENTS", MOMENTS)?;
    let seed = setting("STERNPOST_SEED", SEED)?;
    println!("{count} moments, STERNPOST_SEED={seed}");
    let mut moments = Moments::new(seed);
    let whole = world()?;
    let bare = standing(&whole)?;
    let material = Material::new(whole.now)?;
    let mut took = timed(&whole, &material)?;
    for _ in 1..RUNS {
        took = took.min(timed(&world()?, &material)?);
    }
    let wanted = standing(&whole)?;
    let (mut cut, mut told) = (0, String::new());
    for number in 0..count {
        let moment = moments.before(took);
        let world = world()?;
        let when = format!("moment {number}, after {moment:.1?} of {took:.1?}");
        match apply(&world, &material, Some(moment))? {
            Err(_) => cut += 1,
            // It was over by then: as long a run takes no longer than that.
            Ok(_) => took = took.min(moment),
        }
        if number % 3 == 2 {
            taken_off(&world)?;
            same(&bare, &standing(&world)?, &format!("{when}, taken off"))?;
            continue;
        }
        let rest = apply(&world, &material, None)??;
        let last = apply(&world, &material, None)??;
        if !last.steps.is_empty() {
            return Err(format!("{when}: there remains\n{}", show(&last)).into());
        }
        same(&wanted, &standing(&world)?, &when)?;
        let _ = write!(told, "{} ", rest.steps.len());
    }
    println!("killed {cut} times; steps that were left: {told}");
    match cut >= count / 2 {
        true => Ok(()),
        false => Err(format!("killed only {cut} times of {count}").into()),
    }
}
