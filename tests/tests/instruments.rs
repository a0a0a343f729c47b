//! The instruments against plain `ip addr` moves: what they say must be true before they may
//! judge a daemon.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a test says what it measured, and fails by panicking"
)]

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::group::{Fault, Group};
use lab::holders::{self, What};
use lab::host::Host;
use lab::prober::{self, Prober};
use lab::process::Program;
use lab::requirement::{Requirement, trial};
use lab::segment::Segment;
use lab::stalls::Stalls;
use lab::timeline::Timeline;
use lab::{LabError, fault, harness, netns, wait};
use libtest_mimic::Failed;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const HOSTS: [(&str, Ipv4Addr); 3] = [
    ("a", Ipv4Addr::new(10, 77, 0, 11)),
    ("b", Ipv4Addr::new(10, 77, 0, 12)),
    ("client", Ipv4Addr::new(10, 77, 0, 50)),
];

/// Far above anything awaited with it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Until a notice of the kernel's is read, where a machine has other things to do.
const NOTICE: Duration = Duration::from_millis(30);

type Test = fn() -> Result<(), LabError>;

const TESTS: [(&str, Test); 8] = [
    ("a_segment_stands_and_leaves_nothing", stands),
    ("a_move_with_a_hole_is_an_outage_of_that_length", moves),
    ("a_cut_a_one_way_loss_and_their_healing", cuts),
    ("a_process_is_killed_with_its_children", killed),
    (
        "a_fault_of_the_address_counts_from_the_kernel_s_notice",
        notice,
    ),
    ("a_dead_host_keeps_no_address_of_a_daemon", dead),
    ("what_a_killed_run_left_is_swept", swept),
    ("a_core_that_is_kept_stands_still", kept),
];

fn main() {
    let trials = TESTS.map(|(name, test)| {
        trial(name, &[Requirement::Root], move || {
            test().map_err(|error| Failed::from(error.to_string()))
        })
    });
    harness::run(trials.into());
}

fn segment(test: &str) -> Result<Segment, LabError> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    Segment::new(&logs, &HOSTS)
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn stands() -> Result<(), LabError> {
    let started = Instant::now();
    let segment = segment("segment")?;
    let took = started.elapsed();
    println!("a segment of 3 hosts: {took:?}");
    let path = segment.bridge().path().to_owned();
    assert!(path.exists());
    drop(segment);
    assert!(!path.exists());
    Ok(())
}

fn moves() -> Result<(), LabError> {
    let segment = segment("hole")?;
    let [a, b, client] = segment.hosts() else {
        panic!("three hosts")
    };
    let timeline = Timeline::watch(VIP, segment.hosts())?;
    a.output("ip", &["addr", "add", "10.77.0.100/24", "dev", "eth0"])?;
    let prober = Prober::start(VIP, client, &[a.clone(), b.clone()])?;
    wait::until("the first answer", PATIENCE, || prober.last())?;
    let from = Instant::now();
    a.output("ip", &["addr", "del", "10.77.0.100/24", "dev", "eth0"])?;
    let deleted = Instant::now();
    wait::pass(ms(50), || false);
    let add = Instant::now();
    b.output("ip", &["addr", "add", "10.77.0.100/24", "dev", "eth0"])?;
    let added = Instant::now();
    // No gratuitous ARP here: the client is told by hand.
    client.output("ip", &["neigh", "flush", "dev", "eth0"])?;
    let answers = || {
        prober
            .last()
            .filter(|p| p.answered.is_some_and(|(_, who)| who == 1))
    };
    wait::until("b's answer", PATIENCE, answers)?;
    wait::pass(ms(30), || false);
    let probes = prober.probes(from, Instant::now());
    let (outage, late) = (prober::outage(&probes), prober::lateness(&probes));
    let events = timeline.events();
    let gone = events.iter().find(|e| e.what == What::LetsGo).map(|e| e.at);
    let held = holders::sole_since(&events, "b");
    let (Some(gone), Some(held)) = (gone, held) else {
        panic!("events: {events:?}")
    };
    let hole = held - gone;
    println!("outage {outage:?}, hole by netlink {hole:?}, prober late {late:?}");
    assert!(outage + late + ms(2) >= hole, "{outage:?} < {hole:?}");
    // The kernel's notice is read a little later than it is given.
    let (least, most) = (add - deleted, added - from);
    assert!(hole + NOTICE >= least && hole <= most + NOTICE, "{hole:?}");
    assert_eq!(
        holders::overlap(&events, from, Instant::now()),
        Duration::ZERO
    );
    Ok(())
}

fn cuts() -> Result<(), LabError> {
    let segment = segment("cut")?;
    let [a, b, client] = segment.hosts() else {
        panic!("three hosts")
    };
    let prober = Prober::start(b.address(), client, &[a.clone(), b.clone()])?;
    let heard = || prober.last().and_then(|p| p.answered);
    let silent = || heard().is_none().then_some(());
    wait::until("an answer", PATIENCE, heard)?;
    segment.cut("b")?;
    wait::until("silence after the cut", PATIENCE, silent)?;
    segment.heal("b")?;
    wait::until("an answer after healing", PATIENCE, heard)?;
    segment.isolate("b")?;
    wait::until("silence behind a closed port", PATIENCE, silent)?;
    segment.heal("b")?;
    wait::until("an answer after opening", PATIENCE, heard)?;
    fault::deafen(b, client.address(), fault::Lost::Vrrp)?;
    let since = Instant::now();
    wait::until("UDP goes on where VRRP alone is lost", PATIENCE, || {
        prober.last().filter(|probe| probe.sent > since)
    })?;
    fault::undeafen(b)?;
    fault::deafen(b, client.address(), fault::Lost::All)?;
    wait::until("silence one way", PATIENCE, silent)?;
    fault::undeafen(b)?;
    wait::until("an answer after undeafen", PATIENCE, heard)?;
    Ok(())
}

fn killed() -> Result<(), LabError> {
    let segment = segment("process")?;
    let host = segment.host("a")?;
    let shell = Program::new("sh", Path::new("/bin/sh"), segment.logs())
        .args(["-c", "echo hello; sleep 600 & sleep 600"]);
    let mut process = host.start(&shell)?;
    let both = || (host.netns().processes().len() == 3).then_some(());
    wait::until("the shell and its children", PATIENCE, both)?;
    assert!(process.alive());
    process.kill();
    let none = || host.netns().processes().is_empty().then_some(());
    wait::until("their end", PATIENCE, none)?;
    Ok(())
}

fn notice() -> Result<(), LabError> {
    let segment = segment("notice")?;
    let mut group = Group::new(segment, VIP, &["a", "b"])?;
    let put = ["addr", "add", "10.77.0.100/24", "dev", "eth0"];
    group.segment().host("a")?.output("ip", &put)?;
    let struck = group.strike(&Fault::DeleteAddress("a".into()))?;
    let events = group.timeline().events();
    let gone = events.iter().find(|e| e.what == What::LetsGo).map(|e| e.at);
    assert_eq!(Some(struck.begun), gone);
    Ok(())
}

fn dead() -> Result<(), LabError> {
    let segment = segment("dead")?;
    let mut group = Group::new(segment, VIP, &["a", "b"])?;
    let host = group.segment().host("a")?.clone();
    for prefix in ["24", "32"] {
        let address = format!("{VIP}/{prefix}");
        host.output("ip", &["addr", "add", &address, "dev", "eth0"])?;
    }
    group.strike(&Fault::KillHost("a".into()))?;
    let left = host.output("ip", &["-oneline", "addr", "show", "dev", "eth0"])?;
    assert!(!left.contains("10.77.0.100"), "{left}");
    assert!(left.contains("10.77.0.11/24"), "{left}");
    Ok(())
}

fn swept() -> Result<(), LabError> {
    // A pid above pid_max: nobody's.
    let name = "sp-99999999-0-left";
    lab::command::run("ip", &["netns", "add", name])?;
    netns::sweep();
    assert!(!Path::new("/run/netns").join(name).exists());
    Ok(())
}

/// By a program that goes before those who look, for 100 ms and more.
fn kept() -> Result<(), LabError> {
    const BUSY: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let own = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Where this one runs, any program may: the 39th field.
    let core = own.rsplit(' ').nth(52 - 39).unwrap_or("0").to_owned();
    let stalls = Stalls::begin()?;
    let begun = Instant::now();
    let keeps = ["--fifo", "99", "taskset", "-c", &core, "sh", "-c", BUSY];
    lab::command::run("chrt", &keeps)?;
    let (took, stood) = (begun.elapsed(), stalls.since(begun));
    println!("a program of {took:?} kept a core for {stood:?}");
    assert!(stood > took / 2, "{stood:?} of {took:?}");
    Ok(())
}
