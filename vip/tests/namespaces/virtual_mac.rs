//! A virtual hardware address on the wire and in the kernel: who has it when, and that
//! nothing of it is left behind. With a keepalived in the group it is an interop test.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::holders::What;
use lab::host::Host;
use lab::sniffer::{Frame, Seen, Sniffer};
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, VIRTUAL, assert_is};
use crate::ipv6;
use crate::left::down;

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 7] = [
    ("a_virtual_mac_is_where_the_address_is", moved),
    (
        "an_ipv6_address_with_a_virtual_mac_answers_at_once",
        over_ipv6,
    ),
    (
        "switches_follow_a_virtual_mac_that_moves_over_ipv6",
        followed,
    ),
    ("an_upgrade_keeps_the_virtual_mac", upgraded),
    ("a_virtual_mac_taken_down_or_away_is_put_back", disturbed),
    ("an_interface_that_is_not_ours_is_left_alone", taken),
    (
        "the_last_of_several_virtual_macs_puts_arp_back",
        several_on_one,
    ),
];

/// Over IPv6 an interface goes 15 ms after its addresses, the kernel needs some 20 ms, and a
/// machine with much to do holds both up; over IPv4 it goes after half a second.
const LOWERED: Duration = Duration::from_millis(450);

/// Of VRID 51 (RFC 9568 section 7.3).
const MAC: &str = "00:00:5e:00:01:33";
const OCTETS: [u8; 6] = [0, 0, 0x5e, 0, 1, 0x33];
pub(crate) const NAME: &str = "vrrp.51";

pub(crate) fn config(
    lab: &Lab,
    host: &str,
    priority: u8,
    address: &str,
) -> Result<PathBuf, Failed> {
    let host = lab.segment.host(host)?;
    let (path, socket) = (host.file("vip.yaml"), host.file("vip.sock"));
    let text = format!(
        "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n- name: api\n  \
         interface: eth0\n  vrid: 51\n  priority: {priority}\n  \
         advertInterval: 100ms\n  addresses: [\"{address}\"]\n  \
         virtualMac: {{}}\nsocket: {}\n",
        socket.display()
    );
    fs::write(&path, text)?;
    Ok(path)
}

pub(crate) fn virtual_address() -> String {
    format!("{VIRTUAL}/24")
}

/// The interface as `ip` shows it.
pub(crate) fn link(lab: &Lab, host: &str) -> Result<Option<Value>, Failed> {
    let all: Value = serde_json::from_str(&lab.ip(host, "-j -d link show")?)?;
    let all = all.as_array().ok_or("no list")?;
    let is_it = |it: &&Value| it.get("ifname") == Some(&Value::from(NAME));
    Ok(all.iter().find(is_it).cloned())
}

pub(crate) fn is_up(link: &Value) -> bool {
    let flags = link.get("flags").and_then(Value::as_array);
    flags.is_some_and(|flags| flags.contains(&Value::from("UP")))
}

/// `arp_ignore` and `arp_announce` of eth0.
pub(crate) fn rules(lab: &Lab, host: &str) -> Result<String, Failed> {
    let names = ["arp_ignore", "arp_announce"];
    let names = names.map(|name| format!("net.ipv4.conf.eth0.{name}"));
    let host = lab.segment.host(host)?;
    let said = host.output("sysctl", &["-n", &names[0], &names[1]])?;
    Ok(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Asks for a connection that nobody takes: the answer comes from the address.
pub(crate) fn reached(lab: &Lab, from: &str, address: IpAddr) -> Result<(), Failed> {
    let asked = lab.segment.host(from)?.run(move || {
        TcpStream::connect_timeout(&SocketAddr::new(address, 9), PATIENCE)
    })?;
    let said = asked.err().map(|error| error.kind());
    if said != Some(ErrorKind::ConnectionRefused) {
        return Err(format!("asked for a connection, got {said:?}").into());
    }
    Ok(())
}

/// Where `host` takes the address to be.
fn known(lab: &Lab, host: &str) -> Result<String, Failed> {
    lab.ip(host, &format!("neigh show {VIRTUAL} dev eth0"))
}

fn sources(seen: &[Seen], of: impl Fn(&Frame) -> bool) -> Vec<Vec<u8>> {
    let of = seen.iter().filter(|seen| of(&seen.what));
    of.filter_map(|seen| seen.octets.get(6..12).map(<[u8]>::to_vec))
        .collect()
}

fn moved() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac")?;
    let sniffer = Sniffer::start(&lab.segment)?;
    let began = Instant::now();
    let address = virtual_address();
    let mut a = lab.start("a", &config(&lab, "a", 200, &address)?)?;
    lab.held_by(&["a"])?;
    let there = link(&lab, "a")?.ok_or("no interface")?;
    for (at, wanted) in [
        ("/address", MAC),
        ("/linkinfo/info_kind", "macvlan"),
        ("/linkinfo/info_data/mode", "private"),
        ("/link", "eth0"),
    ] {
        assert_is(at, there.pointer(at), wanted)?;
    }
    assert_is("rules of eth0", Some(&rules(&lab, "a")?.into()), "1 2")?;
    let shown = lab.ip("a", "-o -4 address show dev vrrp.51")?;
    if !shown.contains(&address) || !shown.contains("noprefixroute") {
        return Err(format!("not as it should be: {shown}").into());
    }
    let router = lab.router("a")?;
    assert_is("address", router.pointer("/virtualMac/address"), MAC)?;
    assert_is("device", router.pointer("/places/0/device"), NAME)?;
    // The other one has the interface too, and it is down.
    let _b = lab.start("b", &config(&lab, "b", 100, &address)?)?;
    lab.state("b", "backup")?;
    down(&lab, "b")?;
    reached(&lab, "b", VIRTUAL.into())?;
    // The answers leave by eth0, which asks where b is in its own name.
    lab.ip("a", "neigh flush dev eth0")?;
    reached(&lab, "b", VIRTUAL.into())?;
    let entry = known(&lab, "b")?;
    if !entry.contains(MAC) {
        return Err(format!("b has learned {entry}").into());
    }
    let seen = sniffer.seen(began, Instant::now());
    let adverts = sources(&seen, |what| matches!(what, Frame::Advert(_)));
    let arps = sources(&seen, |what| {
        *what == Frame::GratuitousArp(VIRTUAL) || *what == Frame::ArpReply(VIRTUAL)
    });
    for (what, frames) in [("adverts", &adverts), ("announcements", &arps)] {
        if frames.is_empty() || frames.iter().any(|from| *from != OCTETS) {
            return Err(format!("{what} come from {frames:x?}").into());
        }
    }
    a.stop(PATIENCE)?;
    drop(a);
    lab.held_by(&["b"])?;
    assert_is("left", Some(&link(&lab, "a")?.is_some().into()), false)?;
    assert_is("rules of eth0", Some(&rules(&lab, "a")?.into()), "0 0")?;
    assert_is(
        "up",
        Some(&is_up(&link(&lab, "b")?.ok_or("none")?).into()),
        true,
    )?;
    // Given away, it goes down a while later.
    let _a = lab.start("a", &config(&lab, "a", 200, &address)?)?;
    lab.held_by(&["a"])?;
    down(&lab, "b")?;
    lab.held_by(&["a"])?;
    reached(&lab, "b", VIRTUAL.into())
}

fn over_ipv6() -> Result<(), Failed> {
    let lab = ipv6::with_ipv6("virtual_mac_ipv6")?;
    let address = format!("{}/64", ipv6::VIRTUAL);
    let path = config(&lab, "a", 200, &address)?;
    let mut daemon = lab.start("a", &path)?;
    lab.held_by(&["a"])?;
    reached(&lab, "b", ipv6::VIRTUAL.into())?;
    let entry = lab.ip("b", &format!("neigh show {} dev eth0", ipv6::VIRTUAL))?;
    if !entry.contains("00:00:5e:00:02:33") {
        return Err(format!("b has learned {entry}").into());
    }
    // No address but ours: one made from that hardware address would be on every node.
    let shown = lab.ip("a", "-o -6 address show dev vrrp6.51")?;
    if shown.lines().count() != 1 {
        return Err(format!("more than ours: {shown}").into());
    }
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])
}

/// An interface that leaves a multicast group says so again and again, and from the virtual
/// hardware address: the switch must find that at the new owner all the same.
fn followed() -> Result<(), Failed> {
    let lab = ipv6::with_ipv6("virtual_mac_switch")?;
    let address = format!("{}/64", ipv6::VIRTUAL);
    let _a = lab.start("a", &config(&lab, "a", 200, &address)?)?;
    lab.held_by(&["a"])?;
    at_port(&lab, "a")?;
    for _ in 0..3 {
        let mut b = lab.start("b", &config(&lab, "b", 250, &address)?)?;
        lab.held_by(&["b"])?;
        wait::pass(LOWERED, || false);
        let shown = lab.ip("a", "-o link show dev vrrp6.51")?;
        if shown.contains(",UP") {
            return Err(format!("it is not down after {LOWERED:?}: {shown}").into());
        }
        // Reports of a group that was left are sent for up to a second each (RFC 3810
        // sections 9.1 and 9.11); one that still comes, the next advert of b corrects.
        wait::pass(Duration::from_millis(2200), || false);
        at_port(&lab, "b")?;
        reached(&lab, "a", ipv6::VIRTUAL.into())?;
        b.stop(PATIENCE)?;
        lab.held_by(&["a"])?;
    }
    Ok(())
}

/// The switch has the virtual hardware address at the port of `host`, and at no other.
fn at_port(lab: &Lab, host: &str) -> Result<(), Failed> {
    let bridge = lab.segment.bridge().name();
    let table = lab::command::run("bridge", &["-n", bridge, "fdb", "show"])?;
    let of = |line: &&str| line.starts_with("00:00:5e:00:02:33 ");
    let lines: Vec<_> = table.lines().filter(of).collect();
    let wanted = format!(" dev {host} ");
    match lines.as_slice() {
        [line] if line.contains(&wanted) => Ok(()),
        other => Err(format!("not at the port of {host} alone: {other:?}").into()),
    }
}

fn upgraded() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac_upgrade")?;
    let path = config(&lab, "a", 200, &virtual_address())?;
    let _daemon = lab.start("a", &path)?;
    lab.held_by(&["a"])?;
    let before = link(&lab, "a")?.and_then(|it| it.get("ifindex").cloned());
    let events = lab.timeline.events().len();
    lab.command("a", &["upgrade"])?;
    // Longer than a lifetime.
    wait::pass(Duration::from_millis(1200), || false);
    lab.held_by(&["a"])?;
    let new = lab.timeline.events();
    let mut new = new.iter().skip(events);
    if let Some(event) = new.find(|event| event.what == What::LetsGo) {
        return Err(format!("the address did not stay: {event:?}").into());
    }
    let after = link(&lab, "a")?.and_then(|it| it.get("ifindex").cloned());
    assert_is("number", after.as_ref(), before.ok_or("no interface")?)?;
    reached(&lab, "b", VIRTUAL.into())
}

fn disturbed() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac_disturbed")?;
    let path = config(&lab, "a", 200, &virtual_address())?;
    let mut daemon = lab.start("a", &path)?;
    lab.held_by(&["a"])?;
    lab.ip("a", "link set vrrp.51 down")?;
    wait::until("it is up again", PATIENCE, || {
        is_up(&link(&lab, "a").ok()??).then_some(())
    })?;
    reached(&lab, "b", VIRTUAL.into())?;
    assert_is("state", lab.router("a")?.pointer("/state"), "active")?;
    lab.ip("a", "link delete vrrp.51")?;
    wait::until("it is there again", PATIENCE, || {
        is_up(&link(&lab, "a").ok()??).then_some(())
    })?;
    lab.held_by(&["a"])?;
    reached(&lab, "b", VIRTUAL.into())?;
    daemon.stop(PATIENCE)?;
    assert_is("rules of eth0", Some(&rules(&lab, "a")?.into()), "0 0")
}

/// How many stand on eth0 at once.
const SEVERAL: u8 = 4;
/// How often they go: whoever looks too early goes wrong in one of four.
const ROUNDS: u32 = 8;

/// So many routers, each with a virtual hardware address of its own on eth0; the first has
/// [`VIRTUAL`].
pub(crate) fn several(
    lab: &Lab,
    host: &str,
    priority: u8,
    count: u8,
) -> Result<PathBuf, Failed> {
    let host = lab.segment.host(host)?;
    let (path, socket) = (host.file("vip.yaml"), host.file("vip.sock"));
    let routers: String = (0..count)
        .map(|each| {
            format!(
                "- name: api{each}\n  interface: eth0\n  vrid: {}\n  \
                 priority: {priority}\n  advertInterval: 100ms\n  \
                 addresses: [\"10.55.0.{}/24\"]\n  virtualMac: {{}}\n",
                51 + each,
                100 + each
            )
        })
        .collect();
    let text = format!(
        "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n{routers}socket: {}\n",
        socket.display()
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// They go at the same time, each on a thread of its own.
fn several_on_one() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac_several")?;
    let path = several(&lab, "a", 200, SEVERAL)?;
    for _ in 0..ROUNDS {
        let mut daemon = lab.start("a", &path)?;
        lab.held_by(&["a"])?;
        assert_is("rules of eth0", Some(&rules(&lab, "a")?.into()), "1 2")?;
        daemon.stop(PATIENCE)?;
        let left = lab.ip("a", "-o link show type macvlan")?;
        assert_is("left", Some(&left.trim().into()), "")?;
        assert_is("rules of eth0", Some(&rules(&lab, "a")?.into()), "0 0")?;
    }
    Ok(())
}

/// The daemon does not start, and says that the interface is not ours.
fn refused(lab: &Lab, path: &Path) -> Result<(), Failed> {
    let log = lab.segment.logs().join("a-vip-daemon.log");
    // What an earlier start said would do for this one; there may be none.
    drop(fs::remove_file(&log));
    let Err(refused) = lab.start("a", path) else {
        return Err("it has taken somebody's interface".into());
    };
    let log = fs::read_to_string(log)?;
    if !log.contains("there is an interface vrrp.51 that is not ours") {
        return Err(format!("said: {refused:?}\n{log}").into());
    }
    Ok(())
}

fn taken() -> Result<(), Failed> {
    let lab = Lab::new("virtual_mac_taken")?;
    lab.ip("a", "link add vrrp.51 type veth peer name far51")?;
    let path = config(&lab, "a", 200, &virtual_address())?;
    refused(&lab, &path)?;
    let there = link(&lab, "a")?.ok_or("it is gone")?;
    assert_is("kind", there.pointer("/linkinfo/info_kind"), "veth")?;
    // One that somebody has made by hand for another router's sake, with that very address.
    lab.ip("a", "link delete vrrp.51")?;
    let by_hand = format!("address {MAC} type macvlan mode bridge");
    lab.ip("a", &format!("link add link eth0 name vrrp.51 {by_hand}"))?;
    refused(&lab, &path)?;
    let there = link(&lab, "a")?.ok_or("it is gone")?;
    assert_is("mode", there.pointer("/linkinfo/info_data/mode"), "bridge")
}
