//! What is told to the running daemon: release, reload, and a check that fails.

use std::fs;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use lab::endpoint::Endpoint;
use lab::holders::{Event, What};
use lab::sniffer::{Frame, Sniffer};
use lab::wait;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::Test;
use crate::hosts::{A, Lab, PATIENCE, assert_is};
use crate::machine::{Machine, Measured, bounded};

pub(crate) const TESTS: [(&str, Test); 9] = [
    (
        "release_moves_the_address_and_resume_brings_it_back",
        released,
    ),
    (
        "release_of_a_lone_node_does_not_leave_it_nowhere",
        released_alone,
    ),
    ("reload_keeps_what_did_not_change", reload),
    (
        "a_reload_adds_and_removes_addresses_without_an_election",
        reload_addresses,
    ),
    ("a_reload_holds_up_no_other_router", reload_beside),
    ("a_broken_file_changes_nothing_and_is_named", reload_broken),
    ("a_router_that_cannot_start_changes_nothing", reload_unable),
    ("k3_a_tracked_endpoint_that_dies_moves_the_address", tracked),
    ("garbage_is_counted_and_changes_nothing", garbage),
];

fn released() -> Result<(), Failed> {
    let lab = Lab::new("released")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    lab.command("a", &["release"])?;
    lab.held_by(&["b"])?;
    assert_is("out", lab.router("a")?.pointer("/out"), "released")?;
    // Nothing brings it back but the command: three down intervals pass.
    wait::pass(Duration::from_millis(1200), || false);
    lab.held_by(&["b"])?;
    lab.command("a", &["release", "--resume"])?;
    lab.held_by(&["a"])
}

fn released_alone() -> Result<(), Failed> {
    let lab = Lab::new("released_alone")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.command("a", &["release"])?;
    lab.held_by(&["a"])?;
    assert_is("priority", lab.router("a")?.pointer("/priority"), 1)
}

fn reload() -> Result<(), Failed> {
    let lab = Lab::new("reload")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    let since = lab.router("a")?.pointer("/since").cloned();
    let before = lab.timeline.events();
    fs::write(
        &config,
        fs::read_to_string(&config)?.replace("priority: 200", "priority: 190"),
    )?;
    daemon.signal(Signal::SIGHUP);
    wait::until("priority 190", PATIENCE, || {
        let router = lab.router("a").ok()?;
        (router.pointer("/priority")? == 190).then_some(())
    })?;
    let events = lab.timeline.events();
    let new = events.get(before.len()..).unwrap_or_default();
    if new.iter().any(|event| event.what == What::LetsGo) {
        return Err("the address went away".into());
    }
    let now = lab.router("a")?.pointer("/since").cloned();
    let apart = time_of_day(since.as_ref())?.abs_diff(time_of_day(now.as_ref())?);
    if apart > Duration::from_millis(100) {
        return Err(format!("active since {since:?}, then since {now:?}").into());
    }
    Ok(())
}

/// And all that goes with them; two owners' lists differ while node by node is changed.
fn reload_addresses() -> Result<(), Failed> {
    let lab = Lab::new("reload_addresses")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    let since = lab.router("a")?.pointer("/since").cloned();
    let before = lab.timeline.events().len();
    let good = fs::read_to_string(&config)?;
    let more = "[\"10.55.0.101/24\", \"10.55.0.100/24\"]\n  excluded: [10.55.0.102]\n  \
                announce: {refresh: 1s}\n  preempt: false\n  misconfiguredPeer: ignore";
    let wider = good.replace("[\"10.55.0.100/24\"]", more);
    let wider = wider.replace("peers: [10.55.0.12]", "peers: [10.55.0.12, 10.55.0.13]");
    for (text, are_there) in [(wider, true), (good.clone(), false)] {
        fs::write(&config, text)?;
        daemon.signal(Signal::SIGHUP);
        for address in ["10.55.0.101/24", "10.55.0.102/32"] {
            let what = format!("{address} there: {are_there}");
            wait::until(&what, PATIENCE, || {
                let shown = lab.ip("a", "address show dev eth0").ok()?;
                (shown.contains(address) == are_there).then_some(())
            })?;
        }
        // Longer than the down interval of the other one, and than a lifetime.
        wait::pass(Duration::from_millis(1200), || false);
        let shown = lab.ip("a", "address show dev eth0")?;
        if shown.contains("10.55.0.102/32") != are_there {
            return Err(format!("not kept so:\n{shown}").into());
        }
    }
    let events = lab.timeline.events().split_off(before);
    let moved = |event: &&Event| event.host == "b" || event.what == What::LetsGo;
    if let Some(event) = events.iter().find(moved) {
        return Err(format!("the address did not stay: {event:?}").into());
    }
    lab.state("b", "backup")?;
    let now = lab.router("a")?.pointer("/since").cloned();
    let apart = time_of_day(since.as_ref())?.abs_diff(time_of_day(now.as_ref())?);
    if apart > Duration::from_millis(100) {
        return Err(format!("active since {since:?}, then since {now:?}").into());
    }
    Ok(())
}

/// The kernel gives a packet socket up only when no CPU can be about to use it: tens of
/// milliseconds for those that a change leaves behind, and other routers advertise meanwhile.
fn reload_beside() -> Result<(), Failed> {
    const FAST: &str = "- {name: fast, interface: eth0, vrid: 52, priority: 200, \
                        advertInterval: 10ms, addresses: [10.55.0.150/24]}\n";
    /// Peers at 10 ms wait for 30 ms and their skew.
    const SILENT: Duration = Duration::from_millis(25);
    let lab = Lab::new("reload_beside")?;
    let config = lab.config("a", 200, FAST)?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    let sniffer = Sniffer::start(&lab.segment)?;
    let good = fs::read_to_string(&config)?;
    let more = good.replace("[\"10.55.0.100/24\"]", "[10.55.0.100/24, 10.55.0.101/24]");
    let attempt = || {
        let machine = Machine::watch(&lab)?;
        let began = Instant::now();
        for (text, is_there) in [(&more, true), (&good, false)] {
            fs::write(&config, text)?;
            daemon.signal(Signal::SIGHUP);
            wait::until("the change", PATIENCE, || {
                let shown = lab.ip("a", "address show dev eth0").ok()?;
                (shown.contains("10.55.0.101/24") == is_there).then_some(())
            })?;
            // Whatever is closed after it.
            wait::pass(Duration::from_millis(300), || false);
        }
        let held_up = machine.held_up();
        let seen = sniffer.seen(began, Instant::now());
        let fast = |what: &Frame| matches!(what, Frame::Advert(advert) if advert.vrid.get() == 52);
        let adverts: Vec<_> = seen
            .iter()
            .filter(|frame| fast(&frame.what))
            .map(|frame| frame.at)
            .collect();
        let next = adverts.iter().skip(1);
        let gaps = adverts.iter().zip(next).map(|(one, next)| *next - *one);
        // There are 15 ms to be late by, and the machine takes as much now and then.
        let took = gaps.max().ok_or("no adverts")?.saturating_sub(held_up);
        Ok(Measured { took, held_up })
    };
    bounded("the other router was silent for", SILENT, attempt)
}

/// Of a timestamp: hours, minutes and seconds.
fn time_of_day(at: Option<&Value>) -> Result<Duration, Failed> {
    let text = at.and_then(Value::as_str).unwrap_or_default();
    let (_, time) = text.split_once('T').ok_or("no time of day")?;
    let mut parts = time.trim_end_matches('Z').split(':');
    parts.try_fold(Duration::ZERO, |sum, part| {
        Ok(sum * 60 + Duration::try_from_secs_f64(part.parse()?)?)
    })
}

fn reload_broken() -> Result<(), Failed> {
    let lab = Lab::new("reload_broken")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    fs::write(
        &config,
        fs::read_to_string(&config)?.replace("vrid: 51", "vrid: 300"),
    )?;
    daemon.signal(Signal::SIGHUP);
    let error = wait::until("the refusal in status", PATIENCE, || {
        let status = lab.status("a").ok()?;
        let refused = status
            .pointer("/config/refused/error")?
            .as_str()?
            .to_owned();
        Some(refused)
    })?;
    if !error.contains("vrid: \"300\" is out of range; allowed: 1 to 255") {
        return Err(format!("status says {error}").into());
    }
    lab.held_by(&["a"])?;
    lab.state("a", "active")
}

fn reload_unable() -> Result<(), Failed> {
    let lab = Lab::new("reload_unable")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    let before = lab.timeline.events().len();
    fs::write(
        &config,
        fs::read_to_string(&config)?.replace("interface: eth0", "interface: eth7"),
    )?;
    daemon.signal(Signal::SIGHUP);
    let error = wait::until("the refusal in status", PATIENCE, || {
        let status = lab.status("a").ok()?;
        Some(
            status
                .pointer("/config/refused/error")?
                .as_str()?
                .to_owned(),
        )
    })?;
    if !error.contains("there is no interface eth7") {
        return Err(format!("status says {error}").into());
    }
    wait::pass(Duration::from_millis(500), || false);
    let events = lab.timeline.events();
    let new = events.get(before..).unwrap_or_default();
    if new.iter().any(|event| event.what == What::LetsGo) {
        return Err("the address went away".into());
    }
    lab.state("a", "active")
}

fn tracked() -> Result<(), Failed> {
    let interval = Duration::from_millis(100);
    // interval x fall, a down interval, and a look.
    let bound = interval * 2 + Duration::from_millis(400);
    ["-150", "0"]
        .into_iter()
        .try_for_each(|weight| bounded("the move took", bound, || moved(weight)))
}

/// The address moves because the endpoint dies that its node tracks.
fn moved(weight: &str) -> Result<Measured, Failed> {
    let lab = Lab::new("tracked")?;
    let track = format!(
        "  track:\n  - {{http: {{url: \"http://127.0.0.1:9000/readyz\"}}, \
         weight: {weight}, interval: 100ms, fall: 2, rise: 2}}\n"
    );
    let endpoint = Endpoint::start(lab.segment.host("a")?)?;
    let _a = lab.start("a", &lab.config("a", 200, &track)?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    let machine = Machine::watch(&lab)?;
    let died = Instant::now();
    drop(endpoint);
    lab.held_by(&["b"])?;
    let moved = lab.last(What::Holds).ok_or("no event")?;
    Ok(Measured {
        took: moved.saturating_duration_since(died),
        held_up: machine.held_up(),
    })
}

fn garbage() -> Result<(), Failed> {
    let lab = Lab::new("garbage")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.segment.host("b")?.run(|| {
        let vrrp = Some(Protocol::from(112));
        let socket = Socket::new(Domain::IPV4, Type::RAW, vrrp)?;
        let to = SockAddr::from(SocketAddrV4::new(A, 0));
        for length in 0..200_u8 {
            let bytes: Vec<_> = (0..length).map(|byte| byte ^ 0x31).collect();
            socket.send_to(&bytes, &to)?;
        }
        std::io::Result::Ok(())
    })??;
    wait::until("200 refusals", PATIENCE, || {
        let router = lab.router("a").ok()?;
        let refused = router
            .pointer("/counts/advertsRefused")?
            .as_object()?
            .clone();
        let sum: u64 = refused.values().filter_map(Value::as_u64).sum();
        (sum == 200).then_some(())
    })?;
    let log = fs::read_to_string(lab.segment.logs().join("a-vip-daemon.log"))?;
    let lines = log
        .lines()
        .filter(|line| line.contains("advert refused"))
        .count();
    if !(1..=40).contains(&lines) {
        return Err(format!("{lines} lines about 200 datagrams").into());
    }
    lab.state("a", "active")
}
