//! Addresses with a place of their own: on another interface, with a label, a scope and a
//! broadcast address.

use std::fs;
use std::time::{Duration, Instant};

use lab::holders::What;
use lab::host::Host;
use lab::segment::written;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, VIRTUAL, assert_is};
use crate::machine::{Machine, Measured, bounded};

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 3] = [
    ("an_address_goes_where_and_how_the_file_says", placed),
    (
        "another_label_is_put_by_a_reload_and_by_a_restart",
        relabelled,
    ),
    (
        "without_the_interface_of_an_address_the_router_steps_out",
        gone,
    ),
];

const BESIDE: &str = "10.55.1.100";
const LOCAL: &str = "10.55.2.100";
/// From the daemon's end on: four intervals of 100 ms, and what it takes to notice, to look and
/// to remove.
const CRASH: Duration = Duration::from_millis(500);

/// A second cable between the two hosts.
fn cabled(name: &str) -> Result<Lab, Failed> {
    let lab = Lab::new(name)?;
    let far = lab.segment.host("b")?.netns().name().to_owned();
    lab.ip(
        "a",
        &format!("link add eth1 type veth peer name eth1 netns {far}"),
    )?;
    for (host, last) in [("a", "11"), ("b", "12")] {
        lab.ip(host, &format!("address add 10.55.1.{last}/24 dev eth1"))?;
        lab.ip(host, "link set eth1 up")?;
    }
    // What is announced, b notes down, whether it has asked or not.
    let note = ["-q", "-w", "net.ipv4.conf.eth1.arp_accept=1"];
    lab.segment.host("b")?.output("sysctl", &note)?;
    Ok(lab)
}

fn more(label: &str) -> String {
    format!(
        "  excluded:\n  - {{address: {BESIDE}/32, device: eth1, label: \"{label}\", \
         scope: site, broadcast: 10.55.1.255}}\n  \
         - {{address: {LOCAL}, device: lo, scope: host}}\n"
    )
}

/// What `ip` says of an address, on whichever interface it is.
fn shown(lab: &Lab, address: &str) -> Result<Option<Value>, Failed> {
    let all: Value = serde_json::from_str(&lab.ip("a", "-j -4 address show")?)?;
    let links = all.as_array().ok_or("no list")?;
    for link in links {
        let addresses = link.pointer("/addr_info").and_then(Value::as_array);
        for it in addresses.into_iter().flatten() {
            if it.pointer("/local") == Some(&Value::from(address)) {
                let mut it = it.clone();
                if let (Some(map), Some(name)) = (it.as_object_mut(), link.get("ifname"))
                {
                    map.insert("device".to_owned(), name.clone());
                }
                return Ok(Some(it));
            }
        }
    }
    Ok(None)
}

fn field(lab: &Lab, address: &str, name: &str, wanted: &str) -> Result<(), Failed> {
    let it = shown(lab, address)?.ok_or_else(|| format!("{address} is not there"))?;
    assert_is(name, it.get(name), wanted)
}

/// The same after a time: addresses are put one after the other.
fn becomes(lab: &Lab, address: &str, name: &str, wanted: &str) -> Result<(), Failed> {
    wait::until(
        &format!("{name} of {address} is {wanted}"),
        PATIENCE,
        || field(lab, address, name, wanted).ok(),
    )?;
    Ok(())
}

fn placed() -> Result<(), Failed> {
    bounded("it stayed", CRASH, placed_and_gone)
}

fn placed_and_gone() -> Result<Measured, Failed> {
    let lab = cabled("placed")?;
    let mut daemon = lab.start("a", &lab.config("a", 200, &more("eth1:vip"))?)?;
    lab.held_by(&["a"])?;
    for (address, name, wanted) in [
        (BESIDE, "device", "eth1"),
        (BESIDE, "label", "eth1:vip"),
        (BESIDE, "scope", "site"),
        (BESIDE, "broadcast", "10.55.1.255"),
        (LOCAL, "device", "lo"),
        (LOCAL, "scope", "host"),
        (&VIRTUAL.to_string(), "device", "eth0"),
        (&VIRTUAL.to_string(), "label", "eth0"),
    ] {
        becomes(&lab, address, name, wanted)?;
    }
    let router = lab.router("a")?;
    assert_is("device", router.pointer("/places/1/device"), "eth1")?;
    assert_is("label", router.pointer("/places/1/label"), "eth1:vip")?;
    // Announced out of its own interface, with that one's hardware address.
    let own: Value = serde_json::from_str(&lab.ip("a", "-j link show dev eth1")?)?;
    let own = own.pointer("/0/address").and_then(Value::as_str);
    let own = own.ok_or("no hardware address")?.to_owned();
    wait::until("b has heard where it is", PATIENCE, || {
        let known = lab.ip("b", &format!("neigh show {BESIDE} dev eth1")).ok()?;
        known.contains(&own).then_some(())
    })?;
    assert_is("failing", router.pointer("/failing"), serde_json::json!({}))?;
    let eth0 = written(lab::host::mac(crate::hosts::A));
    if own == eth0 {
        return Err("both interfaces have one hardware address".into());
    }
    // Deleted by somebody: put back as it was.
    lab.ip("a", &format!("address delete {BESIDE}/32 dev eth1"))?;
    wait::until("it is back", PATIENCE, || {
        shown(&lab, BESIDE).ok()?.map(drop)
    })?;
    field(&lab, BESIDE, "label", "eth1:vip")?;
    // The guard looks after it there, too.
    let machine = Machine::watch(&lab)?;
    daemon.kill();
    let dead = Instant::now();
    lab.held_by(&[])?;
    let gone = lab.last(What::LetsGo).ok_or("no event")?;
    let held_up = machine.held_up();
    wait::until("the others are gone", PATIENCE, || {
        let gone = shown(&lab, BESIDE).ok()?.is_none();
        (gone && shown(&lab, LOCAL).ok()?.is_none()).then_some(())
    })?;
    let took = gone.saturating_duration_since(dead);
    Ok(Measured { took, held_up })
}

fn relabelled() -> Result<(), Failed> {
    let lab = cabled("relabelled")?;
    let path = lab.config("a", 200, &more("eth1:one"))?;
    let mut daemon = lab.start("a", &path)?;
    lab.held_by(&["a"])?;
    becomes(&lab, BESIDE, "label", "eth1:one")?;
    let relabel = |from: &str, to: &str| -> Result<(), Failed> {
        let text = fs::read_to_string(&path)?;
        Ok(fs::write(&path, text.replace(from, to))?)
    };
    let labelled = |wanted: &str| becomes(&lab, BESIDE, "label", wanted);
    relabel("eth1:one", "eth1:two")?;
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    labelled("eth1:two")?;
    // A crash, and a start that finds the address with the label from before.
    relabel("eth1:two", "eth1:three")?;
    daemon.kill();
    drop(daemon);
    let mut daemon = lab.start("a", &path)?;
    labelled("eth1:three")?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])?;
    wait::until("the other is gone", PATIENCE, || {
        shown(&lab, BESIDE).ok()?.is_none().then_some(())
    })?;
    Ok(())
}

fn gone() -> Result<(), Failed> {
    let lab = cabled("placed_gone")?;
    let mut daemon = lab.start("a", &lab.config("a", 200, &more("eth1:vip"))?)?;
    lab.held_by(&["a"])?;
    lab.ip("a", "link delete eth1")?;
    lab.held_by(&[])?;
    lab.ip("a", "link add eth1 type veth peer name far1")?;
    for command in ["link set far1 up", "link set eth1 up"] {
        lab.ip("a", command)?;
    }
    lab.held_by(&["a"])?;
    becomes(&lab, BESIDE, "device", "eth1")?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])
}
