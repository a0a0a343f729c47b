//! An IPv6 address on the wire: announced, usable at once, gone in time, and nothing else
//! of the interface changed by it. Elections with a keepalived are the interop tests'.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lab::holders::What;
use lab::sniffer::{Frame, Sniffer};
use lab::wait;
use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::{Lab, PATIENCE};
use crate::machine::{Machine, Measured, bounded};

pub(crate) const VIRTUAL: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x100);
/// From the daemon's end on: four intervals of 100 ms, and what it takes to notice, to look and
/// to remove.
const CRASH: Duration = Duration::from_millis(500);

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 2] = [
    ("c15_ipv6_is_announced_and_usable_at_once", announced),
    ("ipv6_is_gone_after_kill_9_and_leaves_the_route", crash),
];

fn announced() -> Result<(), Failed> {
    let lab = with_ipv6("ipv6_announced")?;
    let sniffer = Sniffer::start(&lab.segment)?;
    let began = Instant::now();
    let mut daemon = lab.start("a", &config(&lab)?)?;
    lab.held_by(&["a"])?;
    let shown = lab.ip("a", "-6 -oneline address show dev eth0")?;
    let line = shown.lines().find(|line| line.contains("fd55::100/64"));
    let line = line.ok_or_else(|| format!("not there:\n{shown}"))?;
    if line.contains("tentative") || !line.contains("deprecated") {
        return Err(format!("tentative, or one to speak from: {line}").into());
    }
    let asked = lab.segment.host("b")?.run(|| {
        // Nobody listens there: the answer is a refusal, and it comes from the address.
        TcpStream::connect_timeout(&SocketAddr::from((VIRTUAL, 9)), PATIENCE)
    })?;
    let refused = asked.err().map(|error| error.kind());
    if refused != Some(ErrorKind::ConnectionRefused) {
        return Err(format!("asked for a connection, got {refused:?}").into());
    }
    wait::until("a burst of five from a", PATIENCE, || {
        let seen = sniffer.seen(began, Instant::now());
        let of_a = seen.iter().filter(|frame| {
            frame.from == "a" && frame.what == Frame::UnsolicitedNa(VIRTUAL)
        });
        (of_a.count() >= 5).then_some(())
    })?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])
}

fn crash() -> Result<(), Failed> {
    bounded("it stayed", CRASH, || {
        let lab = with_ipv6("ipv6_crash")?;
        let mut daemon = lab.start("a", &config(&lab)?)?;
        lab.held_by(&["a"])?;
        let machine = Machine::watch(&lab)?;
        daemon.kill();
        let dead = Instant::now();
        lab.held_by(&[])?;
        let gone = lab.last(What::LetsGo).ok_or("no event")?;
        let held_up = machine.held_up();
        let routes = lab.ip("a", "-6 route show fd55::/64 dev eth0")?;
        if routes.trim().is_empty() || routes.contains("expires") {
            return Err(format!("the network's route is now {routes:?}").into());
        }
        let took = gone.saturating_duration_since(dead);
        Ok(Measured { took, held_up })
    })
}

pub(crate) fn with_ipv6(name: &str) -> Result<Lab, Failed> {
    let lab = Lab::watching(name, VIRTUAL)?;
    for (host, last) in [("a", "11"), ("b", "12")] {
        // The kernel's own link-local address begins with a second of doubt.
        for network in ["fe80", "fd55"] {
            let add = format!("-6 address add {network}::{last}/64 dev eth0 nodad");
            lab.ip(host, &add)?;
        }
    }
    Ok(lab)
}

pub(crate) fn config(lab: &Lab) -> Result<std::path::PathBuf, Failed> {
    let path = lab.config("a", 200, "")?;
    let socket = lab.segment.host("a")?.file("vip.sock");
    let text = format!(
        "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n- name: api\n  \
         interface: eth0\n  vrid: 51\n  priority: 200\n  advertInterval: 100ms\n  \
         addresses: [\"{VIRTUAL}/64\"]\nsocket: {}\n",
        socket.display()
    );
    fs::write(&path, text)?;
    Ok(path)
}
