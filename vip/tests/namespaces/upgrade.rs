//! The program is replaced in place.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::holders::{Event, What};
use lab::host::Host;
use lab::process::Program;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, assert_is, copy_program};
use crate::scene::{INTERVALS, KEY, Scene, sound};
use crate::virtual_mac::several;

pub(crate) const TESTS: [(&str, Test); 5] = [
    ("upgrade_keeps_the_address_and_makes_no_election", upgraded),
    (
        "an_upgrade_to_what_does_not_run_changes_nothing",
        not_upgraded,
    ),
    (
        "a_program_that_does_not_come_up_goes_back_to_the_one_before",
        gone_back,
    ),
    (
        "a_program_whose_router_cannot_start_goes_back_with_those_that_have",
        gone_back_from_a_router,
    ),
    (
        "an_upgrade_of_a_dozen_virtual_macs_makes_no_election",
        a_dozen,
    ),
];

/// With a virtual hardware address each, which takes a while to be made or found.
const DOZEN: u8 = 12;

/// Each is silent for less than the others wait for it: the last one as well.
fn a_dozen() -> Result<(), Failed> {
    let lab = Lab::new("upgrade_dozen")?;
    let _a = lab.start("a", &several(&lab, "a", 200, DOZEN)?)?;
    all_are(&lab, "a", "active")?;
    let _b = lab.start("b", &several(&lab, "b", 100, DOZEN)?)?;
    all_are(&lab, "b", "backup")?;
    for round in 0..3 {
        lab.command("a", &["upgrade"])?;
        // Longer than a lifetime, and than any of b would wait.
        wait::pass(Duration::from_millis(1200), || false);
        all_are(&lab, "a", "active")?;
        let told = lab.command("b", &["events", "--past"])?;
        // Each began as a Backup.
        if told.lines().count() != usize::from(DOZEN) {
            return Err(format!("round {round}, b told of:\n{told}").into());
        }
    }
    Ok(())
}

fn all_are(lab: &Lab, host: &str, wanted: &str) -> Result<(), Failed> {
    wait::until(&format!("all of {host} are {wanted}"), PATIENCE, || {
        let status = lab.status(host).ok()?;
        let all = status.pointer("/routers")?.as_array()?;
        let is = |router: &Value| router.pointer("/state") == Some(&wanted.into());
        (all.len() == usize::from(DOZEN) && all.iter().all(is)).then_some(())
    })?;
    Ok(())
}

/// Its file has a router whose interface is somebody else's, behind one that starts.
fn gone_back_from_a_router() -> Result<(), Failed> {
    let lab = Lab::new("gone-back-from-a-router")?;
    let host = lab.segment.host("a")?;
    let (program, own) = (host.file("vip-daemon"), host.file("own"));
    copy_program(&program)?;
    copy_program(&own)?;
    lab.ip("a", "link add vrrp.52 type veth peer name far52")?;
    let other = host.file("other.yaml");
    fs::copy(several(&lab, "a", 200, 2)?, &other)?;
    let config = several(&lab, "a", 200, 1)?.display().to_string();
    let run = Program::new("vip-daemon", &program, lab.segment.logs());
    let mut daemon = host.start(&run.args(["run", "--config", &config]))?;
    daemon.ready(PATIENCE)?;
    lab.held_by(&["a"])?;
    let events = lab.timeline.events().len();
    runs_with(&program, &own, &other)?;
    let said = format!("{:?}", lab.command("a", &["upgrade"]).err());
    if !said.contains("there is an interface vrrp.52 that is not ours") {
        return Err(said.into());
    }
    wait::pass(Duration::from_millis(1200), || false);
    stayed(&lab, events)?;
    assert_is("reason", lab.router("a")?.pointer("/reason"), "handedOver")
}

/// A program that passes the trial and then runs with another file.
fn runs_with(program: &Path, own: &Path, other: &Path) -> Result<(), Failed> {
    fs::remove_file(program)?;
    let (own, other) = (own.display(), other.display());
    let script = format!(
        "#!/bin/sh\ncase $1 in\nrun) exec {own} run --config {other};;\n\
         *) exec {own} \"$@\";;\nesac\n"
    );
    fs::write(program, script)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Nobody has let go of the address after the first so many events.
fn stayed(lab: &Lab, events: usize) -> Result<(), Failed> {
    let after = lab.timeline.events();
    let mut new = after.get(events..).unwrap_or_default().iter();
    match new.find(|event| event.what == What::LetsGo) {
        Some(event) => Err(format!("the address did not stay: {event:?}").into()),
        None => Ok(()),
    }
}

fn upgraded() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("upgrade")?;
    let track =
        "  track: [{tcp: {address: \"10.55.0.11:1\"}, weight: 50, interval: 1s}]\n";
    let _a = scene.start("a", 200, interval, KEY, track)?;
    scene.settled("a")?;
    let _b = scene.start("b", 100, interval, KEY, "")?;
    scene.acquainted("a")?;
    sound("upgrade", 3, || {
        let events = scene.lab.timeline.events().len();
        let begun = Instant::now();
        scene.lab.command("a", &["upgrade"])?;
        // Longer than the grace of the old guard, and than a lifetime.
        wait::pass(Duration::from_millis(1200), || false);
        scene.settled("a")?;
        let Some(seen) = scene.seen(begun) else {
            return Ok(None);
        };
        let after = scene.lab.timeline.events();
        let new = after.get(events..).unwrap_or_default();
        let moved = |event: &&Event| event.host == "b" || event.what == What::LetsGo;
        if let Some(event) = new.iter().find(moved) {
            return Err(format!("the address did not stay: {event:?}").into());
        }
        // Nobody is told of a state that stays.
        for host in ["a", "b"] {
            let told = scene.lab.command(host, &["events", "--past"])?;
            let expected = if host == "a" { 0 } else { 1 };
            if told.lines().count() != expected {
                return Err(format!("{host} told of:\n{told}").into());
            }
        }
        let router = scene.lab.router("a")?;
        assert_is("reason", router.pointer("/reason"), "handedOver")?;
        assert_is("priority", router.pointer("/priority"), 200)?;
        Ok(Some(seen))
    })
}

/// Passes the trial, and then fails, or waits for ever: for what nobody writes into a pipe.
fn gone_back() -> Result<(), Failed> {
    let lab = Lab::new("gone-back")?;
    let host = lab.segment.host("a")?;
    let (program, own) = (host.file("vip-daemon"), host.file("own"));
    copy_program(&program)?;
    copy_program(&own)?;
    let config = lab.config("a", 200, "")?.display().to_string();
    let run = Program::new("vip-daemon", &program, lab.segment.logs());
    let mut daemon = host.start(&run.args(["run", "--config", &config]))?;
    daemon.ready(PATIENCE)?;
    lab.held_by(&["a"])?;
    let other = host.file("other.yaml");
    runs_with(&program, &own, &other)?;
    let events = lab.timeline.events().len();
    let said = format!("{:?}", lab.command("a", &["upgrade"]).err());
    if !said.contains("the old program goes on") || !said.contains("other.yaml") {
        return Err(said.into());
    }
    stayed(&lab, events)?;
    assert_is("reason", lab.router("a")?.pointer("/reason"), "handedOver")?;
    host.output("mkfifo", &[&other.display().to_string()])?;
    let said = format!("{:?}", lab.command("a", &["upgrade"]).err());
    if !said.contains("it was not ready within 5 s") {
        return Err(said.into());
    }
    lab.held_by(&["a"])?;
    // After 5 s its addresses may have been another's.
    let reason = lab.router("a")?.pointer("/reason").cloned();
    if reason.is_none_or(|reason| reason == "handedOver") {
        return Err("it took the addresses as if nobody else could have them".into());
    }
    // Whoever goes forward after that has come by itself.
    fs::remove_file(&program)?;
    copy_program(&program)?;
    lab.command("a", &["upgrade"])?;
    lab.held_by(&["a"])?;
    let left = lab.status("a")?.pointer("/wentBack").cloned();
    assert_is("wentBack", left.as_ref(), serde_json::Value::Null)?;
    let parent = daemon.pid().to_string();
    wait::until("the guards of all programs are buried", PATIENCE, || {
        let states = host.output("ps", &["-o", "stat=", "--ppid", &parent]);
        let states = states.ok()?;
        let buried = states.lines().all(|state| !state.starts_with('Z'));
        buried.then_some(())
    })?;
    Ok(())
}

fn not_upgraded() -> Result<(), Failed> {
    let lab = Lab::new("not-upgraded")?;
    let host = lab.segment.host("a")?;
    let program = host.file("vip-daemon");
    copy_program(&program)?;
    let config = lab.config("a", 200, "")?.display().to_string();
    let run = Program::new("vip-daemon", &program, lab.segment.logs());
    let mut daemon = host.start(&run.args(["run", "--config", &config]))?;
    daemon.ready(PATIENCE)?;
    lab.held_by(&["a"])?;
    let since = lab.status("a")?.pointer("/since").cloned();
    fs::remove_file(&program)?;
    fs::write(&program, "#!/bin/sh\necho no >&2\nexit 2\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let refused = format!("{:?}", lab.command("a", &["upgrade"]).err());
    if !refused.contains("the old program goes on") {
        return Err(refused.into());
    }
    lab.held_by(&["a"])?;
    let after = lab.status("a")?.pointer("/since").cloned();
    if after != since {
        return Err(format!("it started anew: {since:?}, {after:?}").into());
    }
    Ok(())
}
