//! Routers whose interface or source address is not there, at a start and at an upgrade: they
//! wait, are named, and take nothing away from the others.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::holders::{Event, What};
use lab::host::Host;
use lab::process::Process;
use lab::wait;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, assert_is};

pub(crate) const TESTS: [(&str, Test); 3] = [
    (
        "a_router_without_its_interface_waits_beside_the_others",
        beside,
    ),
    ("a_lone_router_waits_for_its_source_address", alone),
    (
        "an_upgrade_gives_nothing_up_for_a_router_that_is_not_there",
        upgraded,
    ),
];

const LATE: &str = "- {name: late, interface: eth7, vrid: 52, advertInterval: 100ms, \
                    addresses: [\"10.56.0.100/24\"]}\n";

/// A router on eth0, and one on an interface that `make` makes.
fn config(lab: &Lab) -> Result<PathBuf, Failed> {
    lab.config("a", 200, LATE)
}

fn make(lab: &Lab) -> Result<(), Failed> {
    lab.ip("a", "link add eth7 type veth peer name eth8")?;
    for interface in ["eth7", "eth8"] {
        lab.ip("a", &format!("link set {interface} up"))?;
    }
    lab.ip("a", "address add 10.56.0.1/24 dev eth7")?;
    Ok(())
}

fn late(lab: &Lab) -> Result<Value, Failed> {
    let status = lab.status("a")?;
    Ok(status.pointer("/routers/1").cloned().ok_or("no router")?)
}

fn becomes(lab: &Lab, state: &str) -> Result<(), Failed> {
    wait::until(&format!("the late one is {state}"), PATIENCE, || {
        (late(lab).ok()?.pointer("/state")? == state).then_some(())
    })?;
    Ok(())
}

fn waits(lab: &Lab) -> Result<(), Failed> {
    becomes(lab, "fault")?;
    let late = late(lab)?;
    let lacks = late.pointer("/lacks").and_then(Value::as_str);
    if !lacks.is_some_and(|lacks| lacks.contains("there is no interface eth7")) {
        return Err(format!("status does not name what is missing: {late}").into());
    }
    let shown = lab.command("a", &["status"])?;
    if !shown.contains("late: lacks: router late: there is no interface eth7") {
        return Err(format!("nor does it for people:\n{shown}").into());
    }
    Ok(())
}

fn beside() -> Result<(), Failed> {
    let lab = Lab::new("absent")?;
    let config = config(&lab)?;
    let mut daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    waits(&lab)?;
    let metrics = lab
        .segment
        .host("a")?
        .output("curl", &["-s", "http://127.0.0.1:9010/metrics"])?;
    for (router, lacks) in [("late", 1), ("api", 0)] {
        let line = format!("vip_daemon_lacks_interface{{router=\"{router}\"}} {lacks}\n");
        if !metrics.contains(&line) {
            return Err(format!("no {line} in:\n{metrics}").into());
        }
    }
    let log = fs::read_to_string(lab.segment.logs().join("a-vip-daemon.log"))?;
    if !log.contains("there is no interface eth7") {
        return Err(format!("the log does not say so:\n{log}").into());
    }
    make(&lab)?;
    becomes(&lab, "active")?;
    assert_is("lacks", late(&lab)?.pointer("/lacks"), Value::Null)?;
    // It goes again, and with it the daemon; the other router starts all the same.
    daemon.kill();
    drop(daemon);
    lab.ip("a", "link del eth7")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    waits(&lab)?;
    gone(&lab, &daemon, &config)
}

/// A file without the one that waits: whoever is told of routers is told of its end.
fn gone(lab: &Lab, daemon: &Process, config: &Path) -> Result<(), Failed> {
    fs::write(config, fs::read_to_string(config)?.replacen(LATE, "", 1))?;
    daemon.signal(Signal::SIGHUP);
    wait::until("it is told as stopped", PATIENCE, || {
        let told = lab.command("a", &["events", "--past"]).ok()?;
        let mut told = told.lines().filter(|line| line.contains("\"late\""));
        let last = told.next_back()?;
        let words = [
            "\"from\":\"fault\"",
            "\"to\":\"initialize\"",
            "\"reason\":\"stopped\"",
        ];
        words.iter().all(|word| last.contains(word)).then_some(())
    })?;
    lab.state("a", "active")
}

fn alone() -> Result<(), Failed> {
    let lab = Lab::new("absent_alone")?;
    make(&lab)?;
    lab.ip("a", "address flush dev eth7")?;
    let config = config(&lab)?;
    let text = fs::read_to_string(&config)?;
    let (head, _) = text.split_once("- name: api").ok_or("no router")?;
    let (_, tail) = text.split_once(LATE).ok_or("no late router")?;
    fs::write(&config, format!("{head}{LATE}{tail}"))?;
    let _daemon = lab.start("a", &config)?;
    let router = lab.router("a")?;
    assert_is("state", router.pointer("/state"), "fault")?;
    lab.ip("a", "address add 10.56.0.1/24 dev eth7")?;
    lab.state("a", "active")
}

fn upgraded() -> Result<(), Failed> {
    let lab = Lab::new("absent_upgrade")?;
    let config = config(&lab)?;
    let _daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    waits(&lab)?;
    let before = lab.timeline.events().len();
    lab.command("a", &["upgrade"])?;
    // Longer than a lifetime.
    wait::pass(Duration::from_millis(1200), || false);
    lab.state("a", "active")?;
    waits(&lab)?;
    // What nobody has loaded yet, and would take the address away.
    wrong(&config)?;
    let refused = format!("{:?}", lab.command("a", &["upgrade"]).err());
    if !refused.contains("there is no interface eth9") {
        return Err(format!("a wrong name was taken: {refused}").into());
    }
    lab.state("a", "active")?;
    // Nor is a port that somebody else has.
    taken(&lab, &config)?;
    lab.state("a", "active")?;
    let since = lab.timeline.events().split_off(before);
    let let_go = |event: &&Event| event.what == What::LetsGo;
    if let Some(event) = since.iter().find(let_go) {
        return Err(format!("the address did not stay: {event:?}").into());
    }
    Ok(())
}

fn taken(lab: &Lab, config: &Path) -> Result<(), Failed> {
    let host = lab.segment.host("a")?;
    let _listener = host.run(|| TcpListener::bind("127.0.0.1:9011"))??;
    let text = fs::read_to_string(config)?.replace("eth9", "eth0");
    fs::write(
        config,
        format!("{text}admin: {{address: \"127.0.0.1:9011\"}}\n"),
    )?;
    let refused = format!("{:?}", lab.command("a", &["upgrade"]).err());
    if !refused.contains("admin.address: cannot listen on 127.0.0.1:9011") {
        return Err(format!("a taken port was not seen: {refused}").into());
    }
    Ok(())
}

fn wrong(config: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(config)?;
    fs::write(config, text.replace("interface: eth0", "interface: eth9"))?;
    Ok(())
}
