//! What is left of a virtual hardware address by a crash, by a run with another configuration,
//! and by another's hand: nothing that answers, and nothing for good.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::holders::What;
use lab::wait;
use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, VIRTUAL, assert_is};
use crate::machine::{Machine, Measured, bounded};
use crate::virtual_mac::{NAME, config, is_up, link, reached, rules, virtual_address};

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 4] = [
    (
        "what_a_crash_leaves_of_a_virtual_mac_is_taken_over",
        crashed,
    ),
    (
        "a_virtual_mac_of_another_configuration_is_deleted",
        reconfigured,
    ),
    (
        "a_virtual_mac_that_keepalived_left_is_taken_over",
        keepalived_s,
    ),
    (
        "a_virtual_mac_that_is_set_up_on_a_backup_is_set_down",
        set_up,
    ),
];

/// From the daemon's end on: four intervals of 100 ms, and what it takes to notice, to look
/// and to remove.
const CRASH: Duration = Duration::from_millis(500);

fn crashed() -> Result<(), Failed> {
    bounded("it stayed", CRASH, || {
        let lab = Lab::new("virtual_mac_crash")?;
        let path = config(&lab, "a", 200, &virtual_address())?;
        let mut daemon = lab.start("a", &path)?;
        lab.held_by(&["a"])?;
        let before = link(&lab, "a")?.and_then(|it| it.get("ifindex").cloned());
        let machine = Machine::watch(&lab)?;
        daemon.kill();
        let dead = Instant::now();
        lab.held_by(&[])?;
        let gone = lab.last(What::LetsGo).ok_or("no event")?;
        let held_up = machine.held_up();
        // Nobody is Active here: the guard has set it down.
        down(&lab, "a")?;
        drop(daemon);
        let mut daemon = lab.start("a", &path)?;
        lab.held_by(&["a"])?;
        let after = link(&lab, "a")?.and_then(|it| it.get("ifindex").cloned());
        assert_is("number", after.as_ref(), before.ok_or("no interface")?)?;
        reached(&lab, "b", VIRTUAL.into())?;
        daemon.stop(PATIENCE)?;
        nothing_left(&lab)?;
        let took = gone.saturating_duration_since(dead);
        Ok(Measured { took, held_up })
    })
}

pub(crate) fn down(lab: &Lab, host: &str) -> Result<(), Failed> {
    wait::until(&format!("that of {host} is down"), PATIENCE, || {
        (!is_up(&link(lab, host).ok()??)).then_some(())
    })?;
    Ok(())
}

/// No such interface, and eth0 does with ARP what it did before the first start.
fn nothing_left(lab: &Lab) -> Result<(), Failed> {
    let left = lab.ip("a", "-o link show type macvlan")?;
    assert_is("left", Some(&left.trim().into()), "")?;
    assert_is("rules of eth0", Some(&rules(lab, "a")?.into()), "0 0")
}

/// Kills the daemon, and starts it with `from` written as `to` in its file.
fn killed_and_changed(
    lab: &Lab,
    mut daemon: lab::process::Process,
    path: &Path,
    (from, to): (&str, &str),
) -> Result<lab::process::Process, Failed> {
    daemon.kill();
    drop(daemon);
    lab.held_by(&[])?;
    let text = fs::read_to_string(path)?;
    if !text.contains(from) {
        return Err(format!("no {from:?} in:\n{text}").into());
    }
    fs::write(path, text.replace(from, to))?;
    let daemon = lab.start("a", path)?;
    lab.held_by(&["a"])?;
    Ok(daemon)
}

fn reconfigured() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac_reconfigured")?;
    let path = config(&lab, "a", 200, &virtual_address())?;
    let daemon = lab.start("a", &path)?;
    lab.held_by(&["a"])?;
    let daemon = killed_and_changed(&lab, daemon, &path, ("vrid: 51", "vrid: 52"))?;
    let left = lab.ip("a", "-o link show type macvlan")?;
    if left.contains(NAME) || !left.contains("vrrp.52") {
        return Err(format!("not that of VRID 52 alone:\n{left}").into());
    }
    assert_is("rules of eth0", Some(&rules(&lab, "a")?.into()), "1 2")?;
    let without = ("  virtualMac: {}\n", "");
    let mut daemon = killed_and_changed(&lab, daemon, &path, without)?;
    nothing_left(&lab)?;
    daemon.stop(PATIENCE)?;
    nothing_left(&lab)
}

/// Under the second of the names that it has for one.
fn keepalived_s() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac_keepalived_s")?;
    let made = "type macvlan mode private";
    let mac = "address 00:00:5e:00:01:33";
    lab.ip(
        "a",
        &format!("link add link eth0 name vrrp.51.1 {mac} {made}"),
    )?;
    lab.ip("a", "link set vrrp.51.1 up")?;
    let path = config(&lab, "a", 200, &virtual_address())?;
    let mut daemon = lab.start("a", &path)?;
    lab.held_by(&["a"])?;
    let left = lab.ip("a", "-o link show type macvlan")?;
    if left.contains("vrrp.51.1") {
        return Err(format!("two with one hardware address:\n{left}").into());
    }
    reached(&lab, "b", VIRTUAL.into())?;
    daemon.stop(PATIENCE)?;
    nothing_left(&lab)
}

fn set_up() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac_set_up")?;
    let address = virtual_address();
    let _a = lab.start("a", &config(&lab, "a", 200, &address)?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &config(&lab, "b", 100, &address)?)?;
    lab.state("b", "backup")?;
    down(&lab, "b")?;
    for _ in 0..2 {
        lab.ip("b", &format!("link set {NAME} up"))?;
        down(&lab, "b")?;
    }
    lab.held_by(&["a"])?;
    reached(&lab, "b", VIRTUAL.into())
}
