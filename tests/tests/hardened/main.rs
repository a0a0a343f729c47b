//! api-lb under its unit, on a booted machine: every feature that hardening could take away is
//! used, and programs follow each other in place while clients go on and systemd watches.
//!
//! Leaves to `lb/tests/daemon`: load, and each way in which a program may not do.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

mod booted;
mod features;
mod streams;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lab::host::Host as _;
use lab::requirement::{Requirement, trial};
use lab::segment::Segment;
use lab::{binaries, harness, wait};
use libtest_mimic::Failed;

use booted::{ADDRESS, Booted, CONFIG, PASSWORD};
use streams::Clients;

const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 76, 0, 50));
const SERVERS: (&str, Ipv4Addr) = ("servers", Ipv4Addr::new(10, 76, 0, 60));
const PORTS: [u16; 2] = [6443, 6444];
/// The frontend, at a port that takes CAP_NET_BIND_SERVICE.
const FRONTEND: (Ipv4Addr, u16) = (ADDRESS, 443);
/// In tenths, as systemd scores it.
const EXPOSURE: u32 = 15;
/// `LimitNOFILE` of the unit.
const DESCRIPTORS: &str = "1048576";
/// Bytes that have to come back between two upgrades.
const ENOUGH: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Passes the trial, and cannot start in the place of the other.
const BROKEN: &str = "#!/bin/sh\n\
    [ \"$1\" = adopt ] && exec /usr/bin/api-lb.good \"$@\"\n\
    exec /usr/bin/api-lb.good run --config /no/such/file.yaml\n";
/// Passes the trial, and waits for somebody to write its file.
const HANGS: &str = "#!/bin/sh\n\
    [ \"$1\" = adopt ] && exec /usr/bin/api-lb.good \"$@\"\n\
    exec /usr/bin/api-lb.good run --config /etc/sternpost/never\n";

fn main() {
    harness::run(vec![trial(
        "hardened::every_feature_works_and_upgrades_lose_nothing",
        &[Requirement::Machine],
        works,
    )]);
}

fn works() -> Result<(), Failed> {
    let logs = binaries::logs("hardened");
    let segment = Segment::new(&logs, &[CLIENT, SERVERS])?;
    streams::echo(segment.host(SERVERS.0)?, &PORTS)?;
    let machine = Booted::new(&segment)?;
    machine.run(&format!(
        "printf '{PASSWORD}\\n' | api-lb password anna && \
         cd /etc/sternpost && chown api-lb api-lb.passwords admin.key && \
         chmod 600 api-lb.passwords admin.key && \
         echo '{} servers.example' >> /etc/hosts",
        SERVERS.1
    ))?;
    // What does not start is told by what follows, with the journal.
    drop(machine.run("systemctl start api-lb"));
    machine.until("systemctl is-active api-lb", "active\n")?;
    machine.until("api-lb status --json", "\"ready\": true")?;
    is_locked_up(&machine)?;
    let clients = Clients::begin(segment.host(CLIENT.0)?, FRONTEND.into())?;
    upgrades(&machine, &clients)?;
    goes_back(&machine, &clients)?;
    obeys(&machine)?;
    features::are_used(&machine, segment.host(CLIENT.0)?)?;
    reloads(&machine, &segment)?;
    features::syslog_is_written(&machine, segment.host(CLIENT.0)?)?;
    machine.is_fed(2)?;
    let came = clients.end()?;
    println_of(&machine, &came)?;
    same(&machine, "NRestarts", "0")?;
    hangs(&machine)?;
    machine.run("systemctl stop api-lb")?;
    same(&machine, "Result", "success")?;
    machine.0.shut_down()?;
    Ok(())
}

/// As systemd scores it, and as the kernel sees it: its user, one capability, no more to be had;
/// and as many descriptors as the unit says.
fn is_locked_up(machine: &Booted) -> Result<(), Failed> {
    let exposure = machine.0.exposure("api-lb")?;
    if exposure > EXPOSURE {
        return Err(format!("exposure: {exposure} tenths, at most {EXPOSURE}").into());
    }
    let process = machine.unit("MainPID")?;
    let status = machine.run(&format!("cat /proc/{process}/status"))?;
    let own = machine.run("id -u api-lb")?;
    let has = |key: &str, value: &str| {
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        lines.any(|(name, words)| {
            name == key && words.split_whitespace().all(|word| word == value)
        })
    };
    // CAP_NET_BIND_SERVICE of capability.h.
    let bind = "0000000000000400";
    let locked = has("Uid", own.trim())
        && ["CapEff", "CapPrm", "CapBnd", "CapAmb"]
            .iter()
            .all(|set| has(set, bind))
        && has("NoNewPrivs", "1")
        && has("Seccomp", "2");
    if !locked {
        return Err(format!("it is not locked up:\n{status}").into());
    }
    same(machine, "LimitNOFILE", DESCRIPTORS)?;
    // proc(5): three words, soft limit, hard limit. A machine within another may be granted less
    // than the unit asks for; what it is granted is used up.
    let limits = machine.run(&format!("grep 'Max open files' /proc/{process}/limits"))?;
    let limits: Vec<&str> = limits.split_whitespace().collect();
    match limits[..] {
        [_, _, _, soft, hard, ..] if soft == hard => Ok(()),
        _ => Err(format!("not as many descriptors as may be: {limits:?}").into()),
    }
}

/// The same program, and another file of it, each in the place of the one before.
fn upgrades(machine: &Booted, clients: &Clients) -> Result<(), Failed> {
    let another = "cp /usr/bin/api-lb /usr/bin/api-lb.new && mv /usr/bin/api-lb.new /usr/bin/api-lb";
    for (n, before) in [(1, "true"), (2, another), (3, another)] {
        machine.run(before)?;
        carries(clients)?;
        let process = machine.unit("MainPID")?;
        let (done, said) = machine.upgrade()?;
        if !done {
            return Err(format!("{said}\n{}", machine.journal()).into());
        }
        stands(machine, &process)?;
        let upgrades = &machine.status()?["upgrades"];
        if upgrades["done"] != n {
            return Err(format!("upgrade {n}: {upgrades}").into());
        }
    }
    is_locked_up(machine)?;
    // A chance to miss a beat, and to be ended for it.
    machine.is_fed(3)?;
    carries(clients)
}

/// One that passes the trial and cannot start, or hangs, gives everything back.
fn goes_back(machine: &Booted, clients: &Clients) -> Result<(), Failed> {
    machine.run(
        "cp /usr/bin/api-lb /usr/bin/api-lb.good && mkfifo -m 644 /etc/sternpost/never",
    )?;
    for (n, program) in [(1, BROKEN), (2, HANGS), (3, BROKEN)] {
        machine.run(&format!(
            "cat > /usr/bin/api-lb.new <<'END'\n{program}END\n\
             chmod 755 /usr/bin/api-lb.new && mv /usr/bin/api-lb.new /usr/bin/api-lb"
        ))?;
        let process = machine.unit("MainPID")?;
        // The command itself is the good one.
        let said = machine.run("/usr/bin/api-lb.good upgrade 2>&1; true")?;
        if !said.contains("the old program is back") {
            return Err(format!("{said}\n{}", machine.journal()).into());
        }
        stands(machine, &process)?;
        let status = machine.run("/usr/bin/api-lb.good status --json")?;
        if !status.contains(&format!("\"failed\": {n}")) {
            return Err(format!("it has not failed {n} times: {status}").into());
        }
        carries(clients)?;
    }
    machine.run("mv /usr/bin/api-lb.good /usr/bin/api-lb")?;
    Ok(())
}

/// What is asked over the socket, and what is written where the unit lets it.
fn obeys(machine: &Booted) -> Result<(), Failed> {
    for (command, wanted) in [
        ("api-lb drain s2", "s2"),
        ("api-lb status", "draining"),
        ("api-lb enable s2", "s2"),
        ("api-lb weight s1 2", "weight 2"),
        ("api-lb weight s1 file", "weight"),
        ("api-lb connections", "10.76.0.50:"),
        ("api-lb explain s1", "api/s1"),
        ("ls $(api-lb dump)", "/var/lib/sternpost/api-lb/flight-"),
        (
            "api-lb who $(api-lb connections --json | \
             grep -m 1 '\"source\": \"' | cut -d '\"' -f 4)",
            "10.76.0.50:",
        ),
        (
            "journalctl -b --no-pager -o json _SYSTEMD_UNIT=api-lb.service",
            "\"_TRANSPORT\":\"journal\"",
        ),
        ("stat -c %a /run/sternpost/api-lb.sock", "660"),
    ] {
        machine.until(command, wanted)?;
    }
    Ok(())
}

/// Another privileged port, by the rights that went through every exec; and a file that is no
/// good is refused.
fn reloads(machine: &Booted, segment: &Segment) -> Result<(), Failed> {
    let process = machine.unit("MainPID")?;
    let more = CONFIG.replace(
        "\"10.76.0.11:443\"",
        "\"10.76.0.11:443\", \"10.76.0.11:444\"",
    );
    let write = |text: &str| {
        machine.run(&format!(
            "cat > /etc/sternpost/api-lb.yaml <<'END'\n{text}END\n"
        ))
    };
    write(&more)?;
    machine.run("systemctl reload api-lb")?;
    let client = segment.host(CLIENT.0)?.clone();
    wait::until("the new port to serve", PATIENCE, || {
        streams::ask(&client, SocketAddr::from((ADDRESS, 444))).ok()
    })?;
    write(&more.replace("backend: api", "backend: nobody"))?;
    if machine.run("systemctl reload api-lb").is_ok() {
        return Err("a broken file was taken".into());
    }
    write(&more)?;
    machine.run("systemctl reload api-lb")?;
    stands(machine, &process)?;
    // The admin listener with the key that only its user may read.
    let asks = "printf 'GET /readyz HTTP/1.1\\r\\nHost: m1\\r\\nConnection: close\\r\\n\\r\\n' | \
                openssl s_client -quiet -connect 10.76.0.11:9443 2>/dev/null; true";
    let answer = client.output("/bin/sh", &["-c", asks])?;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(format!("/readyz over TLS: {answer:?}").into());
    }
    Ok(())
}

/// The watchdog ends and starts one that hangs.
fn hangs(machine: &Booted) -> Result<(), Failed> {
    machine.run("kill -STOP $(systemctl show -P MainPID api-lb)")?;
    machine.until("systemctl show -P NRestarts api-lb", "1")?;
    machine.until("api-lb status --json", "\"ready\": true")?;
    Ok(())
}

/// The unit is active with the same process, and systemd has never started another.
fn stands(machine: &Booted, process: &str) -> Result<(), Failed> {
    machine.until("systemctl show -P SubState api-lb", "running")?;
    same(machine, "MainPID", process)?;
    same(machine, "ActiveState", "active")?;
    same(machine, "NRestarts", "0")
}

fn same(machine: &Booted, property: &str, wanted: &str) -> Result<(), Failed> {
    let is = machine.unit(property)?;
    if is == wanted {
        return Ok(());
    }
    Err(format!("{property}: {is}, not {wanted}\n{}", machine.journal()).into())
}

/// The clients go on.
fn carries(clients: &Clients) -> Result<(), Failed> {
    let before = clients.moved();
    Ok(wait::until("bytes to come back", PATIENCE, || {
        (clients.moved() > before + ENOUGH).then_some(())
    })?)
}

#[expect(clippy::print_stdout, reason = "what was measured")]
fn println_of(machine: &Booted, came: &streams::Came) -> Result<(), Failed> {
    let pause = &machine.status()?["upgrades"]["last"]["pauseSeconds"];
    let streams::Came { whole, bytes, new } = came;
    println!(
        "{whole} streams whole, {bytes} bytes, {new} new connections answered; \
         the last upgrade's pause: {pause} s"
    );
    Ok(())
}
