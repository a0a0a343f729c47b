//! Whose an address is where the kernel does not say so. `addressProtocol: 0` puts no mark on
//! addresses, and the kernel then shows them as one before 5.18 shows all of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::holders::What;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Test;
use crate::guard::{ended, guard, stayed};
use crate::hosts::{Lab, PATIENCE, assert_is};
use crate::machine::{Machine, Measured, bounded};

pub(crate) const TESTS: [(&str, Test); 6] = [
    ("without_marks_what_is_ours_is_written_down", written_down),
    ("with_marks_nothing_is_written_down_for_long", with_marks),
    ("without_marks_a_crash_costs_as_little", crash),
    (
        "m12_without_marks_the_next_run_keeps_what_it_finds",
        back_in_time,
    ),
    (
        "without_marks_a_virtual_mac_is_kept_too",
        back_to_virtual_mac,
    ),
    ("without_marks_nobody_else_s_is_touched", foreign),
];

/// From the daemon's end on: four intervals of 100 ms, and what it takes to notice, to look
/// and to remove.
const CRASH: Duration = Duration::from_millis(500);
/// With adverts every second the address stays for 650 ms at least: a daemon that is started
/// again in this time finds it.
const BACK: Duration = Duration::from_millis(500);
/// Adverts every second: the lifetime of the address comes first.
const SLOW: &str = "advertInterval: 1s";
/// What is put on addresses: nothing.
const UNMARKED: &str = "addressProtocol: 0\n";

fn file(lab: &Lab) -> Result<PathBuf, Failed> {
    Ok(lab.segment.host("a")?.file("vip.held"))
}

/// The file is there with the address in it, or is not there.
fn remembers(lab: &Lab, wanted: bool) -> Result<(), Failed> {
    let path = file(lab)?;
    wait::until(
        &format!("the file names the address: {wanted}"),
        PATIENCE,
        || {
            let named = match fs::read_to_string(&path) {
                Ok(text) => text.contains("10.55.0.100/24"),
                Err(_absent) => false,
            };
            (named == wanted && path.exists() == wanted).then_some(())
        },
    )?;
    Ok(())
}

fn written_down() -> Result<(), Failed> {
    let lab = Lab::new("ledger_written")?;
    let mut daemon = lab.start("a", &lab.config("a", 200, UNMARKED)?)?;
    lab.held_by(&["a"])?;
    remembers(&lab, true)?;
    let mode = fs::metadata(file(&lab)?)?.permissions().mode();
    if mode & 0o777 != 0o600 {
        return Err(format!("mode {mode:o}").into());
    }
    let status = lab.status("a")?;
    let fact = |name: &str| status.pointer(&format!("/addressMark/{name}")).cloned();
    assert_is("the kernel", fact("kernel").as_ref(), "lost")?;
    assert_is("remembered", fact("remembered").as_ref(), 1)?;
    assert_is("failing", fact("failing").as_ref(), Value::Null)?;
    // Its own renewals are not somebody else's doing.
    wait::pass(Duration::from_secs(1), || false);
    assert_is(
        "foreign",
        lab.router("a")?.pointer("/foreign"),
        Vec::<u8>::new(),
    )?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])?;
    remembers(&lab, false)
}

fn with_marks() -> Result<(), Failed> {
    let lab = Lab::new("ledger_marks")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    remembers(&lab, false)?;
    wait::until("the kernel shows the mark", PATIENCE, || {
        let status = lab.status("a").ok()?;
        (status.pointer("/addressMark/kernel")? == "kept").then_some(())
    })?;
    Ok(())
}

fn crash() -> Result<(), Failed> {
    bounded("the address stayed", CRASH, || {
        let lab = Lab::new("ledger_crash")?;
        let mut daemon = lab.start("a", &lab.config("a", 255, UNMARKED)?)?;
        lab.held_by(&["a"])?;
        let guard = guard(&lab)?;
        let machine = Machine::watch(&lab)?;
        // The guard hears of it when the address is there, and again with each renewal.
        wait::pass(Duration::from_millis(300), || false);
        daemon.kill();
        let dead = Instant::now();
        ended(guard)?;
        lab.held_by(&[])?;
        let gone = lab.last(What::LetsGo).ok_or("the address stayed")?;
        let took = gone.saturating_duration_since(dead);
        let held_up = machine.held_up();
        Ok(Measured { took, held_up })
    })
}

/// Started again while its address is still there, it knows it by the file alone.
fn back_in_time() -> Result<(), Failed> {
    stays("ledger_back", "")
}

/// The same where the interface that the address is on would be set down otherwise.
fn back_to_virtual_mac() -> Result<(), Failed> {
    stays("ledger_back_mac", "  virtualMac: {}\n")
}

fn stays(name: &str, more: &str) -> Result<(), Failed> {
    bounded("it was back after", BACK, || {
        let lab = Lab::new(name)?;
        let config = lab.config("a", 200, &format!("{more}{UNMARKED}"))?;
        let text = fs::read_to_string(&config)?;
        fs::write(&config, text.replace("advertInterval: 100ms", SLOW))?;
        let mut daemon = lab.start("a", &config)?;
        lab.held_by(&["a"])?;
        let machine = Machine::watch(&lab)?;
        let before = lab.timeline.events().len();
        let struck = Instant::now();
        daemon.kill();
        drop(daemon);
        let _daemon = lab.start("a", &config)?;
        let (took, held_up) = (struck.elapsed(), machine.held_up());
        lab.state("a", "active")?;
        // Of one that is late, nothing is said.
        if took <= BACK {
            stayed(&lab, before)?;
            let router = lab.router("a")?;
            assert_is("foreign", router.pointer("/foreign"), Vec::<u8>::new())?;
        }
        Ok(Measured { took, held_up })
    })
}

/// Somebody has configured the address, for good: it is there before us, in the place of one
/// that was ours, and when the file names it.
fn foreign() -> Result<(), Failed> {
    let lab = Lab::new("ledger_foreign")?;
    let there = |when: &str| -> Result<(), Failed> {
        let shown = lab.ip("a", "address show dev eth0")?;
        let forever = shown.split("10.55.0.100/24").nth(1).unwrap_or_default();
        match forever
            .split("inet")
            .next()
            .is_some_and(|it| it.contains("forever"))
        {
            true => Ok(()),
            false => Err(format!("{when}:\n{shown}").into()),
        }
    };
    let config = lab.config("a", 200, UNMARKED)?;
    lab.ip("a", "address add 10.55.0.100/24 dev eth0")?;
    let mut daemon = lab.start("a", &config)?;
    lab.state("a", "active")?;
    assert_is(
        "foreign",
        lab.router("a")?.pointer("/foreign/0"),
        "10.55.0.100/24",
    )?;
    let first = guard(&lab)?;
    daemon.kill();
    drop(daemon);
    ended(first)?;
    there("after a crash")?;

    lab.ip("a", "address del 10.55.0.100/24 dev eth0")?;
    let mut daemon = lab.start("a", &config)?;
    lab.state("a", "active")?;
    remembers(&lab, true)?;
    lab.ip(
        "a",
        "address replace 10.55.0.100/24 dev eth0 valid_lft forever preferred_lft forever",
    )?;
    wait::until("it is named as another's", PATIENCE, || {
        let router = lab.router("a").ok()?;
        (router.pointer("/foreign/0")? == "10.55.0.100/24").then_some(())
    })?;
    let second = guard(&lab)?;
    daemon.kill();
    drop(daemon);
    ended(second)?;
    there("in the place of ours, after a crash")?;

    let index = lab.ip("a", "-o link show dev eth0")?;
    let index = index.split(':').next().unwrap_or_default();
    let written = format!(
        "{{\"version\":1,\"addresses\":[{{\"interface\":{index},\
         \"address\":\"10.55.0.100/24\"}}]}}"
    );
    fs::write(file(&lab)?, written)?;
    let mut daemon = lab.start("a", &config)?;
    lab.state("a", "active")?;
    daemon.stop(PATIENCE)?;
    there("named by the file, after a stop")
}
