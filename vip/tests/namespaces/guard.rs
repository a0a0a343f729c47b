//! An address cannot be left behind: the daemon, its guard, or both die or are frozen, on
//! hosts that are network namespaces, and the time for which the address stays is taken.

use std::fs;
use std::time::{Duration, Instant};

use lab::holders::What;
use lab::wait;
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::Test;
use crate::hosts::{Lab, PATIENCE};
use crate::machine::{Machine, Measured, between, bounded};

/// The bound for an address whose daemon is gone.
const DEAD_MAN: Duration = Duration::from_millis(1300);
/// The same beside an address with a lifetime of its own: the kernel looks at all of them
/// together, and later.
const DEAD_MAN_BESIDE: Duration = Duration::from_millis(2300);
/// Four intervals of 100 ms: before, it might be on no host.
const GRACE: Duration = Duration::from_millis(400);
/// From the daemon's end on: the grace, and what it takes to notice, to look and to remove.
const CRASH: Duration = Duration::from_millis(500);
/// A lifetime of 1 s less what has passed since the last renewal, and some lateness of it.
const LEFT: Duration = Duration::from_millis(650);
/// Below the grace: a daemon that is started again in this time finds its address.
const BACK: Duration = Duration::from_millis(300);
/// With the guard dead too, only the kernel's own lifetime is left. Its timer does not
/// wake an idle CPU: a lab that watches keeps it from sleeping for long, no more.
const KERNEL_ALONE: Duration = Duration::from_secs(5);

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 9] = [
    ("kill_9_leaves_the_address_for_four_intervals", crash),
    ("kill_9_leaves_the_address_for_1_3_s_at_most", slow_crash),
    (
        "beside_a_leased_address_kill_9_leaves_it_for_2_3_s_at_most",
        beside_leased,
    ),
    ("a_frozen_daemon_loses_the_address_within_1_3_s", frozen),
    (
        "a_daemon_that_is_back_in_time_keeps_the_address",
        back_in_time,
    ),
    (
        "a_guard_that_dies_is_replaced_and_the_address_stays",
        guard_dies,
    ),
    ("without_daemon_and_guard_the_kernel_removes_it", both_die),
    ("a_foreign_address_outlives_daemon_and_guard", foreign),
    ("the_signals_of_a_stop_leave_the_guard_alone", signalled),
];

fn crash() -> Result<(), Failed> {
    stays("crash", "100ms", GRACE, CRASH)
}

/// Peers wait for more than three seconds here: the lifetime comes first.
fn slow_crash() -> Result<(), Failed> {
    stays("slow_crash", "1s", LEFT, DEAD_MAN)
}

/// It stays for `least` after the daemon was struck, and for `most` after it was dead: how long
/// a machine with much to do takes to end a process is no part of the bound.
fn stays(
    name: &str,
    interval: &str,
    least: Duration,
    most: Duration,
) -> Result<(), Failed> {
    let attempt = || {
        let lab = Lab::new(name)?;
        let config = lab.config("a", 255, "")?;
        let text = fs::read_to_string(&config)?;
        let interval = format!("advertInterval: {interval}");
        fs::write(&config, text.replace("advertInterval: 100ms", &interval))?;
        let mut daemon = lab.start("a", &config)?;
        lab.held_by(&["a"])?;
        let guard = guard(&lab)?;
        let machine = Machine::watch(&lab)?;
        let struck = Instant::now();
        daemon.kill();
        let dead = Instant::now();
        lab.held_by(&[])?;
        let gone = lab.last(What::LetsGo).ok_or("no event")?;
        let held_up = machine.held_up();
        ended(guard)?;
        let stayed = gone.saturating_duration_since(struck);
        let took = gone.saturating_duration_since(dead);
        Ok((stayed, Measured { took, held_up }))
    };
    (0..3).try_for_each(|_| between("the address stayed", least..=most, attempt))
}

/// As a DHCP client would have put it there, for an hour.
fn beside_leased() -> Result<(), Failed> {
    const LEASED: &str = "10.55.0.77/24";
    let attempt = || {
        let lab = Lab::new("beside_leased")?;
        lab.ip(
            "a",
            &format!("address add {LEASED} dev eth0 valid_lft 3600 preferred_lft 3600"),
        )?;
        let config = lab.config("a", 255, "")?;
        let text = fs::read_to_string(&config)?;
        fs::write(
            &config,
            text.replace("advertInterval: 100ms", "advertInterval: 1s"),
        )?;
        let mut daemon = lab.start("a", &config)?;
        lab.held_by(&["a"])?;
        let guard = guard(&lab)?;
        let machine = Machine::watch(&lab)?;
        let struck = Instant::now();
        daemon.kill();
        let measured = gone(&lab, &machine, struck)?;
        ended(guard)?;
        let shown = lab.ip("a", "address show dev eth0")?;
        if !shown.contains(LEASED) {
            return Err(format!("the leased one went too:\n{shown}").into());
        }
        Ok(measured)
    };
    (0..3).try_for_each(|_| bounded("the address stayed", DEAD_MAN_BESIDE, attempt))
}

fn frozen() -> Result<(), Failed> {
    let attempt = || {
        let lab = Lab::new("frozen")?;
        let daemon = lab.start("a", &lab.config("a", 200, "")?)?;
        lab.held_by(&["a"])?;
        let machine = Machine::watch(&lab)?;
        let struck = Instant::now();
        daemon.pause();
        let measured = gone(&lab, &machine, struck)?;
        daemon.resume();
        lab.held_by(&["a"])?;
        lab.state("a", "active")?;
        Ok(measured)
    };
    (0..3).try_for_each(|_| bounded("the address stayed", DEAD_MAN, attempt))
}

/// Started again before another node can have taken over, it finds its address; the guard
/// of the daemon before must see that somebody renews it.
fn back_in_time() -> Result<(), Failed> {
    bounded("it was back after", BACK, || {
        let lab = Lab::new("back_in_time")?;
        let config = lab.config("a", 200, "")?;
        let mut daemon = lab.start("a", &config)?;
        lab.held_by(&["a"])?;
        let old = guard(&lab)?;
        let machine = Machine::watch(&lab)?;
        let before = lab.timeline.events().len();
        let struck = Instant::now();
        daemon.kill();
        drop(daemon);
        let _daemon = lab.start("a", &config)?;
        let (took, held_up) = (struck.elapsed(), machine.held_up());
        ended(old)?;
        lab.state("a", "active")?;
        // Of one that is late, nothing is said.
        if took <= BACK {
            stayed(&lab, before)?;
        }
        Ok(Measured { took, held_up })
    })
}

fn guard_dies() -> Result<(), Failed> {
    bounded("the address stayed", CRASH, || {
        let lab = Lab::new("guard_dies")?;
        let mut daemon = lab.start("a", &lab.config("a", 200, "")?)?;
        lab.held_by(&["a"])?;
        let before = lab.timeline.events().len();
        let first = guard(&lab)?;
        kill(first, Signal::SIGKILL)?;
        let second = wait::until("another guard", PATIENCE, || {
            guard(&lab).ok().filter(|pid| *pid != first)
        })?;
        // Longer than a lifetime.
        wait::pass(Duration::from_millis(1500), || false);
        stayed(&lab, before)?;
        // It has learnt what is held.
        let machine = Machine::watch(&lab)?;
        daemon.kill();
        let measured = gone(&lab, &machine, Instant::now())?;
        ended(second)?;
        Ok(measured)
    })
}

fn both_die() -> Result<(), Failed> {
    bounded("the address stayed", KERNEL_ALONE, || {
        let lab = Lab::new("both_die")?;
        let mut daemon = lab.start("a", &lab.config("a", 200, "")?)?;
        lab.held_by(&["a"])?;
        let guard = guard(&lab)?;
        let machine = Machine::watch(&lab)?;
        let struck = Instant::now();
        // First the one that the other would replace.
        daemon.pause();
        kill(guard, Signal::SIGKILL)?;
        daemon.kill();
        gone(&lab, &machine, struck)
    })
}

fn foreign() -> Result<(), Failed> {
    let lab = Lab::new("guard_foreign")?;
    lab.ip("a", "address add 10.55.0.100/24 dev eth0")?;
    let mut daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.state("a", "active")?;
    let guard = guard(&lab)?;
    daemon.kill();
    ended(guard)?;
    let shown = lab.ip("a", "address show dev eth0")?;
    if !shown.contains("10.55.0.100/24") {
        return Err(format!("it is gone:\n{shown}").into());
    }
    Ok(())
}

/// As systemd stops every process of a unit at once.
fn signalled() -> Result<(), Failed> {
    let lab = Lab::new("signalled")?;
    let mut daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let guard = guard(&lab)?;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(guard, signal)?;
    }
    // It would have been noticed and replaced.
    wait::pass(Duration::from_millis(300), || false);
    let now = self::guard(&lab)?;
    if now != guard {
        return Err(format!("the guard was {guard}, then {now}").into());
    }
    kill(guard, Signal::SIGTERM)?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])?;
    ended(guard)?;
    let log = fs::read_to_string(lab.segment.logs().join("a-vip-daemon.log"))?;
    let removed = log.lines().find(|line| line.contains("removed it"));
    match removed {
        Some(line) => Err(format!("the guard did the daemon's work: {line}").into()),
        None => Ok(()),
    }
}

/// Waits until the address is gone, for a bound from `struck` on.
fn gone(lab: &Lab, machine: &Machine, struck: Instant) -> Result<Measured, Failed> {
    lab.held_by(&[])?;
    let gone = lab.last(What::LetsGo).ok_or("no event")?;
    Ok(Measured {
        took: gone.saturating_duration_since(struck),
        held_up: machine.held_up(),
    })
}

/// The address did not go away after the first so many events.
pub(crate) fn stayed(lab: &Lab, before: usize) -> Result<(), Failed> {
    let events = lab.timeline.events();
    let mut new = events.iter().skip(before);
    match new.any(|event| event.what == What::LetsGo) {
        true => Err("the address went away".into()),
        false => Ok(()),
    }
}

/// The guard's process.
pub(crate) fn guard(lab: &Lab) -> Result<Pid, Failed> {
    let status = lab.status("a")?;
    let pid = status.pointer("/guard/pid").and_then(Value::as_i64);
    let pid = pid.ok_or_else(|| format!("no guard: {status}"))?;
    Ok(Pid::from_raw(i32::try_from(pid)?))
}

/// Nothing of it is left; what nobody has waited for yet has ended all the same.
pub(crate) fn ended(guard: Pid) -> Result<(), Failed> {
    wait::until(&format!("guard {guard} ends"), PATIENCE, || {
        let stat = fs::read_to_string(format!("/proc/{guard}/stat"));
        let Ok(stat) = stat else { return Some(()) };
        stat.contains(") Z ").then_some(())
    })?;
    Ok(())
}
