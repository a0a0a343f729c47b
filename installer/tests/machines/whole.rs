//! The life of a cluster with hosts for Pods, each command of it once: init, preflight, plan,
//! apply, verify with a Pod on every node, apply again, diagnose, another address, reset.
//!
//! Leaves to `pods`: what two nodes have with each other, and what goes wrong.

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lab::rig::{self, Box, Rig, VIP};
use libtest_mimic::Failed;

use super::bounds::Bounds;
use super::secrets::{CommandLines, Secrets};
use super::timeline::Timeline;
use super::{checks, leave, node, over, pods, shares};

/// Hosts for Pods, unless `STERNPOST_NODES` says another number.
const NODES: u64 = 1;
/// From bare machines until all is verified, with so many nodes.
const GREEN: Duration = Duration::from_secs(60);
const GREEN_NODES: usize = 2;
/// Until the API answers through the address, with no more nodes than that.
const SERVING: Duration = Duration::from_secs(20);
/// A run that finds nothing to do.
const AGAIN: Duration = Duration::from_secs(5);

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn life() -> Result<(), Failed> {
    let mut bounds = Bounds::begin()?;
    let boxes = rig::with_nodes(NODES)?;
    let nodes = boxes.iter().filter(|one| one.is_node());
    let nodes: Vec<_> = nodes.map(|one| one.name).collect();
    let rig = Rig::boot("installer-node", &boxes)?;
    rig.programs()?;
    let before = leave::standing(&rig)?;
    begun(&rig, &boxes)?;
    let looked = passable(&rig, &[])?;
    println!("preflight: {looked}");
    let plan = rig.asked("plan", &[])?.ended(3)?;
    checks::holds(&plan.printed, "start kubelet.service")?;
    let bare = Instant::now();
    let (mut timeline, mut lines) = (Timeline::begin(), CommandLines::default());
    let (first, served) = shares::served(&rig, || {
        rig.watched(|line, _| {
            timeline.note(line);
            lines.look();
        })
    })?;
    let first = first.ended(0)?;
    let served = served.ok_or("the API never answered through the address")?;
    let verified = pods::whole(&rig, &nodes, pods::THROUGH)?;
    let green = bare.elapsed();
    println!(
        "bare machines to a cluster with {} node(s): {:.1?}, and to a green verify, which takes \
         {:.1?}: {green:.1?}",
        nodes.len(),
        first.took,
        verified.took
    );
    println!("the API through the address after {served:.1?}\n{timeline}");
    if nodes.len() <= GREEN_NODES {
        bounds.hold("serving through the address", served, SERVING);
    }
    if nodes.len() == GREEN_NODES {
        bounds.hold("bare to verified", green, GREEN);
    }
    node::resolves(&rig, nodes.first().ok_or("no node")?)?;
    node::pinned(&rig, nodes.first().ok_or("no node")?)?;
    let second = rig.apply(&[])?.ended(0)?;
    println!("again: {:.1?}", second.took);
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
    over::moved(&rig)?;
    leave::gone(&rig, &before)?;
    bounds.kept()
}

/// What `init` writes, and what only machines of the lab need besides.
fn begun(rig: &Rig, boxes: &[Box]) -> Result<(), Failed> {
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
