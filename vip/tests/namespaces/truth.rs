//! Somebody else says on the wire to have the address: heard, counted, named, and
//! contradicted.

use std::fs;
use std::time::Instant;

use lab::sniffer::{Frame, Sniffer};
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;
use vip_daemon::linux::{Netlink, Role, Wire, gratuitous, unsolicited};

use crate::Test;
use crate::hosts::{Lab, PATIENCE, VIRTUAL, assert_is};
use crate::ipv6::{self, with_ipv6};

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 3] = [
    (
        "another_host_that_announces_the_address_is_contradicted",
        contradicted,
    ),
    (
        "another_host_that_advertises_an_ipv6_address_is_contradicted",
        contradicted_v6,
    ),
    (
        "a_backup_s_questions_are_answered_in_both_families",
        answered,
    ),
];

/// Two questions without an answer would be an alarm. What becomes of one is tried on a
/// paused clock; here, that hosts answer the questions as they are sent.
fn answered() -> Result<(), Failed> {
    let lab = with_ipv6("answered")?;
    let both = |host: &str, priority: u8| -> Result<std::path::PathBuf, Failed> {
        let path = lab.config(host, priority, "")?;
        let second = format!(
            "- {{name: six, interface: eth0, vrid: 51, priority: {priority}, \
             advertInterval: 100ms, addresses: [\"{}/64\"]}}\nsocket:",
            ipv6::VIRTUAL
        );
        let text = fs::read_to_string(&path)?.replace("socket:", &second);
        fs::write(&path, text)?;
        Ok(path)
    };
    let _a = lab.start("a", &both("a", 200)?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &both("b", 100)?)?;
    lab.state("b", "backup")?;
    // Asked 10 s and 21 s after the start, looked at a second later.
    wait::pass(std::time::Duration::from_secs(23), || false);
    let status = lab.status("b")?;
    for router in ["/routers/0", "/routers/1"] {
        let of = |key: &str| status.pointer(&format!("{router}/{key}"));
        assert_is("state", of("state"), "backup")?;
        assert_is("unanswered", of("unanswered"), Vec::<Value>::new())?;
        assert_is("conflicts", of("counts/conflicts"), 0)?;
    }
    Ok(())
}

fn contradicted_v6() -> Result<(), Failed> {
    let lab = with_ipv6("contradicted_v6")?;
    let _daemon = lab.start("a", &ipv6::config(&lab)?)?;
    lab.held_by(&["a"])?;
    // Past the announcements of the election; ours are none of another.
    wait::pass(std::time::Duration::from_millis(300), || false);
    assert_is(
        "conflicts",
        lab.router("a")?.pointer("/counts/conflicts"),
        0,
    )?;
    lab.segment.host("b")?.run(|| -> Result<(), String> {
        let failed = |error: &dyn std::error::Error| error.to_string();
        let mut netlink = Netlink::open().map_err(|error| failed(&error))?;
        let link = netlink.link("eth0").map_err(|error| failed(&error))?;
        let wire = Wire::open(link.ok_or("no eth0")?.index);
        let wire = wire.map_err(|error| failed(&error))?;
        let mac = [2, 0, 0, 0, 0, 0x66];
        let frame = unsolicited(mac, ipv6::VIRTUAL, Role::Host);
        wire.send(&frame).map_err(|error| failed(&error))
    })??;
    wait::until("a conflict", PATIENCE, || {
        let router = lab.router("a").ok()?;
        let what = router.pointer("/conflict/what")?.as_str()?.to_owned();
        what.contains("02:00:00:00:00:66").then_some(())
    })?;
    assert_is("state", lab.router("a")?.pointer("/state"), "active")
}

fn contradicted() -> Result<(), Failed> {
    let lab = Lab::new("contradicted")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    // Past the announcements of the election.
    wait::pass(std::time::Duration::from_millis(300), || false);
    assert_is(
        "conflicts",
        lab.router("a")?.pointer("/counts/conflicts"),
        0,
    )?;
    let sniffer = Sniffer::start(&lab.segment)?;
    let struck = Instant::now();
    lab.segment.host("b")?.run(|| -> Result<(), String> {
        let failed = |error: &dyn std::error::Error| error.to_string();
        let mut netlink = Netlink::open().map_err(|error| failed(&error))?;
        let link = netlink.link("eth0").map_err(|error| failed(&error))?;
        let link = link.ok_or("no eth0")?;
        let wire = Wire::open(link.index).map_err(|error| failed(&error))?;
        let frame = gratuitous([2, 0, 0, 0, 0, 0x66], VIRTUAL);
        wire.send(&frame).map_err(|error| failed(&error))
    })??;
    wait::until("a burst of five from a", PATIENCE, || {
        let seen = sniffer.seen(struck, Instant::now());
        let of_a = seen.iter().filter(|frame| {
            frame.from == "a" && frame.what == Frame::GratuitousArp(VIRTUAL)
        });
        (of_a.count() >= 5).then_some(())
    })?;
    let router = lab.router("a")?;
    assert_is("conflicts", router.pointer("/counts/conflicts"), 1)?;
    let what = router.pointer("/conflict/what").and_then(Value::as_str);
    if !what.is_some_and(|what| what.contains("02:00:00:00:00:66")) {
        return Err(format!("the conflict is named {what:?}").into());
    }
    let log = fs::read_to_string(lab.segment.logs().join("a-vip-daemon.log"))?;
    if !log.contains("another host has our address") {
        return Err("nothing is said about it".into());
    }
    assert_is("state", router.pointer("/state"), "active")
}
