//! What somebody else does to the interface and its addresses.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use lab::holders::{Event, What};
use lab::wait;
use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, assert_is};
use crate::machine::{Machine, Measured, bounded};

/// An address that somebody deleted is back.
const PUT_BACK: Duration = Duration::from_millis(50);

pub(crate) const TESTS: [(&str, Test); 8] = [
    ("m10_a_deleted_address_is_back_at_once", put_back),
    ("a_foreign_address_is_neither_renewed_nor_removed", foreign),
    (
        "a_foreign_address_behind_one_that_is_refused_stays",
        behind_refused,
    ),
    ("m11_link_down_is_fault_and_up_is_backup", link_down),
    ("m11_an_interface_made_anew_is_used_again", made_anew),
    ("m11_without_its_source_address_it_steps_out", source_gone),
    ("m11_a_renamed_interface_is_left", renamed),
    ("a_new_hardware_address_is_announced", new_mac),
];

fn put_back() -> Result<(), Failed> {
    let lab = Lab::new("put_back")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let lost = Cell::new(0);
    let attempt = || {
        let machine = Machine::watch(&lab)?;
        let before = lab.timeline.events().len();
        lab.ip("a", "address del 10.55.0.100/24 dev eth0")?;
        lost.set(lost.get() + 1);
        let took = wait::until("the address is gone and back", PATIENCE, || {
            let events = lab.timeline.events();
            let new = events.get(before..).unwrap_or_default();
            let gone = new.iter().find(|event| event.what == What::LetsGo)?.at;
            let back = |event: &&Event| event.what == What::Holds && event.at > gone;
            let back = new.iter().find(back)?.at;
            Some(back.saturating_duration_since(gone))
        })?;
        let held_up = machine.held_up();
        Ok(Measured { took, held_up })
    };
    (0..3).try_for_each(|_| bounded("the address was away", PUT_BACK, attempt))?;
    let router = lab.router("a")?;
    let counted = router.pointer("/counts/addressesLost");
    assert_is("addressesLost", counted, lost.get())?;
    assert_is("state", router.pointer("/state"), "active")
}

fn foreign() -> Result<(), Failed> {
    let lab = Lab::new("foreign")?;
    lab.ip("a", "address add 10.55.0.100/24 dev eth0")?;
    let mut daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.state("a", "active")?;
    // Longer than a renewal and than a lifetime.
    wait::pass(Duration::from_millis(1500), || false);
    let during = lab.ip("a", "address show dev eth0")?;
    let named = lab.router("a")?.pointer("/foreign/0").cloned();
    assert_is("foreign", named.as_ref(), "10.55.0.100/24")?;
    daemon.stop(PATIENCE)?;
    let after = lab.ip("a", "address show dev eth0")?;
    for (when, shown) in [("while active", during), ("after the end", after)] {
        let line = shown.lines().find(|line| line.contains("10.55.0.100/24"));
        let line = line.ok_or_else(|| format!("{when} it is gone:\n{shown}"))?;
        if line.contains("dynamic") {
            return Err(format!("{when} it has our lifetime: {line}").into());
        }
    }
    Ok(())
}

/// In a network that the interface has an address of, the kernel refuses another scope.
fn behind_refused() -> Result<(), Failed> {
    let lab = Lab::new("foreign_behind")?;
    lab.ip("a", "address add 10.55.0.101/24 dev eth0")?;
    let addresses = "[{address: 10.55.0.100/24, scope: host}, 10.55.0.101/24]";
    let config = lab.config("a", 200, "")?;
    let text = fs::read_to_string(&config)?;
    let text = text.replace("[\"10.55.0.100/24\"]", addresses);
    if !text.contains(addresses) {
        return Err(format!("the addresses are written otherwise:\n{text}").into());
    }
    fs::write(&config, text)?;
    let mut daemon = lab.start("a", &config)?;
    lab.state("a", "fault")?;
    let refused = || {
        let router = lab.router("a").ok()?;
        router.pointer("/failing/acquire").map(drop)
    };
    wait::until("an address is refused", PATIENCE, refused)?;
    daemon.stop(PATIENCE)?;
    let shown = lab.ip("a", "address show dev eth0")?;
    match shown.contains("10.55.0.101/24") {
        true => Ok(()),
        false => Err(format!("somebody else's address is gone:\n{shown}").into()),
    }
}

fn link_down() -> Result<(), Failed> {
    let lab = Lab::new("link_down")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.segment.cut("a")?;
    lab.state("a", "fault")?;
    lab.held_by(&[])?;
    lab.segment.heal("a")?;
    lab.held_by(&["a"])?;
    lab.state("a", "active")
}

fn made_anew() -> Result<(), Failed> {
    let lab = Lab::new("made_anew")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let bridge = lab.segment.bridge().name();
    let host = lab.segment.host("a")?;
    lab.ip("a", "link del eth0")?;
    lab.state("a", "fault")?;
    let peer = host.netns().name();
    let link = [
        "-n", bridge, "link", "add", "name", "a", "type", "veth", "peer",
    ];
    let to = ["name", "eth0", "netns", peer];
    lab::command::run("ip", &[&link[..], &to[..]].concat())?;
    let up = [
        "-n", bridge, "link", "set", "dev", "a", "master", "br0", "up",
    ];
    lab::command::run("ip", &up)?;
    lab.ip("a", "address add 10.55.0.11/24 dev eth0")?;
    lab.ip("a", "link set eth0 up")?;
    lab.held_by(&["a"])?;
    lab.state("a", "active")
}

fn source_gone() -> Result<(), Failed> {
    let lab = Lab::new("source_gone")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    let own = "10.55.0.11/24 broadcast + dev eth0";
    lab.ip("a", "address del 10.55.0.11/24 dev eth0")?;
    lab.held_by(&["b"])?;
    lab.state("a", "fault")?;
    lab.ip("a", &format!("address add {own}"))?;
    lab.held_by(&["a"])?;
    // The same happens to a Backup: deaf to its peer, it must not take the address.
    lab.ip("b", "address del 10.55.0.12/24 dev eth0")?;
    lab.state("b", "fault")?;
    wait::pass(Duration::from_millis(800), || false);
    lab.held_by(&["a"])?;
    lab.command("a", &["release"])?;
    let shown = lab.ip("a", "-oneline address show dev eth0")?;
    if !shown.contains("10.55.0.11/24") {
        return Err(format!("its own address went too: {shown}").into());
    }
    Ok(())
}

fn renamed() -> Result<(), Failed> {
    let lab = Lab::new("renamed")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.ip("a", "link set eth0 down")?;
    lab.ip("a", "link set eth0 name eth9")?;
    lab.ip("a", "link set eth9 up")?;
    wait::pass(Duration::from_millis(800), || false);
    lab.held_by(&[])?;
    lab.state("a", "fault")?;
    lab.ip("a", "link set eth9 down")?;
    lab.ip("a", "link set eth9 name eth0")?;
    lab.ip("a", "link set eth0 up")?;
    lab.held_by(&["a"])
}

fn new_mac() -> Result<(), Failed> {
    let lab = Lab::new("new_mac")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.ip(
        "b",
        "neighbour replace 10.55.0.100 lladdr 02:00:00:00:00:0b dev eth0 nud stale",
    )?;
    lab.ip("a", "link set eth0 address 02:00:00:00:00:99")?;
    wait::until("b has learnt it", PATIENCE, || {
        let known = lab.ip("b", "neighbour show 10.55.0.100 dev eth0").ok()?;
        known.contains("02:00:00:00:00:99").then_some(())
    })?;
    Ok(())
}
