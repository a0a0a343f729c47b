//! The life of a cluster with hosts for Pods, each command of it once: init, preflight, plan,
//! apply, verify with a Pod on every node, apply again, diagnose, another address, reset.
//!
//! Leaves to `pods`: what two nodes have with each other, and what goes wrong.

use std::fs;
use std::net::IpAddr;
use std::time::Instant;

use lab::rig::{self, Box, Rig, VIP};
use libtest_mimic::Failed;

use super::bounds::Bounds;
use super::kept::{self, Begun};
use super::record::{AGAIN, GREEN, GREEN_NODES, Green, Laid, SERVING};
use super::secrets::{CommandLines, Secrets};
use super::{checks, leave, manual, node, over, pods, served};

/// Hosts for Pods, unless `STERNPOST_NODES` says another number.
const NODES: u64 = 1;

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn life() -> Result<(), Failed> {
    let (mut bounds, begun) = (Bounds::begin()?, Begun::now()?);
    let boxes = rig::with_nodes(NODES)?;
    let nodes = boxes.iter().filter(|one| one.is_node());
    let nodes: Vec<_> = nodes.map(|one| one.name).collect();
    let rig = Rig::boot("installer-node", &boxes)?;
    rig.programs()?;
    let before = leave::standing(&rig)?;
    described_by_init(&rig, &boxes)?;
    let looked = passable(&rig, &[])?;
    println!("preflight: {looked}");
    let plan = rig.asked("plan", &[])?.ended(3)?;
    checks::holds(&plan.printed, "start kubelet.service")?;
    let bare = Instant::now();
    let mut lines = CommandLines::default();
    let served = served::applied(&rig, || lines.look())?;
    let (first, after) = (served.run, served.after);
    let verified = pods::whole(&rig, &nodes, pods::THROUGH)?;
    let green = bare.elapsed();
    if nodes.len() <= GREEN_NODES {
        bounds.hold("serving through the address", after, SERVING);
    }
    if nodes.len() == GREEN_NODES {
        bounds.hold("bare to verified", green, GREEN);
    }
    node::resolves(&rig, nodes.first().ok_or("no node")?)?;
    node::pinned(&rig, nodes.first().ok_or("no node")?)?;
    let second = rig.apply(&[])?.ended(0)?;
    let laid = Laid {
        nodes: nodes.len(),
        served: after.as_secs_f64(),
        applied: first.took.as_secs_f64(),
        green: Some(Green {
            verify: verified.took.as_secs_f64(),
            all: green.as_secs_f64(),
        }),
        again: second.took.as_secs_f64(),
        hosts: served.timeline.shares(first.took),
    };
    println!(
        "bare machines to a cluster with {} node(s):\n{laid}\n{}",
        laid.nodes, served.timeline
    );
    kept::keep(|record| record.nodes = Some(begun.measured(laid)))?;
    bounds.hold("a second time", second.took, AGAIN);
    checks::nothing_done(&second, &rig)?;
    checks::nothing_left(&rig)?;
    node::comes_back(&rig, nodes.first().ok_or("no node")?)?;
    leave::well(&rig)?;
    let found = rig.asked("diagnose", &["--to", "all.tar.gz"])?.ended(0)?;
    let of = format!("of {} host(s), secrets masked", boxes.len());
    checks::holds(&found.printed, &of)?;
    let secrets = Secrets::of(&rig)?;
    secrets.are_nowhere(&rig, &[&plan, &first, &verified, &second, &found])?;
    lines.are_without(&secrets)?;
    manual::works(&rig)?;
    over::moved(&rig)?;
    leave::gone(&rig, &before)?;
    bounds.kept()
}

/// What `init` writes, and what only machines of the lab need besides.
fn described_by_init(rig: &Rig, boxes: &[Box]) -> Result<(), Failed> {
    let address = format!("{VIP}/24");
    described(rig, &address, boxes, |one| one.address().into())
}

/// The same, where the virtual address and those of hosts are these.
pub(crate) fn described(
    rig: &Rig,
    address: &str,
    boxes: &[Box],
    of: impl Fn(&Box) -> IpAddr,
) -> Result<(), Failed> {
    let mut words = vec!["init".to_owned(), "--version".to_owned(), rig::version()?];
    words.extend(["--name", "lab", "--address", address].map(str::to_owned));
    for one in boxes {
        let flag = if one.is_node() { "--node" } else { "--master" };
        words.extend([flag.to_owned(), format!("{}={}", one.name, of(one))]);
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let run = rig.sternpost(&words)?.ended(0)?;
    checks::holds(&run.printed, "next: sternpost preflight")?;
    let path = rig.folder.join("cluster.yaml");
    let text = rig::completed(&fs::read_to_string(&path)?)?;
    fs::write(&path, text)?;
    Ok(())
}

/// Nothing speaks against the hosts but what all machines of a lab have from its kernel (swap,
/// and control groups of the old kind), and what is known `besides`.
pub(crate) fn passable(rig: &Rig, besides: &[&str]) -> Result<String, Failed> {
    let run = rig.asked("preflight", &[])?;
    let kernel = ["control groups are of version 1", "swap"];
    let known = [kernel.as_slice(), besides].concat();
    let kernel = |line: &&str| known.iter().any(|one| line.contains(one));
    for one in besides {
        checks::holds(&run.printed, one)?;
    }
    let blocks = run
        .printed
        .lines()
        .filter(|line| line.contains(": blocks: "));
    let (known, odd): (Vec<_>, Vec<_>) = blocks.partition(kernel);
    if !odd.is_empty() {
        return Err(format!("{odd:#?} in\n{}", run.printed).into());
    }
    let known = known.len();
    let run = run.ended(i32::from(known > 0))?;
    let row = |line: &&str| line.contains("tcp/10250") && line.contains("ok ");
    if run.printed.contains("CLOSED") || !run.printed.lines().any(|line| row(&line)) {
        return Err(format!("something does not pass:\n{}", run.printed).into());
    }
    let took = run.took;
    Ok(format!("{took:.1?}, {known} of the lab's kernel"))
}
