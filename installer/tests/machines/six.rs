//! Clusters with IPv6: of both families with IPv6 first, and of IPv6 alone. Each address of the
//! API is asked for itself, Pods and Services have one of each family, and nothing is left.
//!
//! Leaves to `whole` and `pods`: what is the same whatever the addresses are.

use std::fs;
use std::time::Instant;

use lab::host::Host;
use lab::rig::{self, Box, Families, Rig, Run, VIP, VIP_SIX};
use lab::segment::written;
use lab::wait;
use libtest_mimic::Failed;

use super::checks::{self, holds};
use super::{leave, node, pods, whole};

/// The first master holds the addresses, and dies without taking the store with it; Pods are on
/// two hosts, so that packets between them are carried.
const BOXES: [Box; 3] = [
    Box::new("m1", 11, "controlPlane"),
    Box::new("m2", 12, "etcd, controlPlane, node"),
    Box::new("n1", 21, "node"),
];
const NODES: [&str; 2] = ["m2", "n1"];
/// One master, and a node that is reached through it.
const ALONE: [Box; 2] = [
    Box::new("m1", 11, "etcd, controlPlane"),
    Box::new("n1", 21, "node"),
];

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn both() -> Result<(), Failed> {
    let mut rig = Rig::boot("installer-six", &BOXES)?;
    rig.programs()?;
    let families = Families::SixFirst;
    rig.described(families, &BOXES, &rig::settings_of(families)?)?;
    let before = leave::standing(&rig)?;
    taken(&rig)?;
    let first = rig.apply(&[])?.ended(0)?;
    let verified = verified(&rig)?;
    println!(
        "bare machines to a cluster of both families: {:.1?}, verified in {:.1?}",
        first.took, verified.took
    );
    let owner = served(&rig)?;
    if owner != "m1" {
        return Err(format!("{owner} has the addresses, not m1").into());
    }
    let second = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&second, &rig)?;
    checks::nothing_left(&rig)?;
    drilled(&rig)?;
    died(&mut rig)?;
    leave::well(&rig)?;
    leave::gone(&rig, &before)
}

/// Somebody has the address of IPv6, and says so; nothing else speaks against the hosts, and what
/// they need of each other passes in both families.
#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
fn taken(rig: &Rig) -> Result<(), Failed> {
    let own = format!("{VIP_SIX}/64");
    let address = |verb| {
        let words = ["address", verb, &own, "dev", "eth0"];
        rig.operator.output("ip", &words)
    };
    address("add")?;
    let said = written(rig.operator.mac());
    let said = format!("{VIP_SIX} is taken: {said} answers for it");
    let looked = whole::passable(rig, &[&said])?;
    address("del")?;
    println!("preflight: {looked}");
    Ok(())
}

/// Every check is good by each address, for both families of Pods and Services.
fn verified(rig: &Rig) -> Result<Run, Failed> {
    node::ready(rig, &NODES)?;
    let run = rig.asked("verify", &[])?.ended(0)?;
    let through = [format!("[{VIP_SIX}]:6443"), format!("{VIP}:6443")];
    for master in ["m1", "m2"] {
        for by in &through {
            checks::told(&run, master, &format!("API through {by}"), "good: ready")?;
        }
    }
    for node in NODES {
        for by in &through {
            let greeting = "good: \"sternpost answers";
            checks::told(&run, node, &format!("logs through {by}"), greeting)?;
            checks::told(&run, node, &format!("exec through {by}"), "good: check-")?;
        }
        for (check, said) in [
            ("Pod address", "good: fd00:10:244:"),
            ("Pod address", ", 10.244."),
            (
                "DNS in its Pod",
                "good: 2 names by fd00:10:96::a and 10.96.0.10",
            ),
            (
                "DNS from the host",
                "good: 2 names by fd00:10:96::a and 10.96.0.10",
            ),
            ("Pod to Pod", "good: 2/2 answer"),
            ("Service from its Pod", "good: 2/2 answer"),
            ("Service from the host", "good: 2/2 answer"),
            ("port of every node", "good: 4/4 answer"),
        ] {
            checks::told(&run, node, check, said)?;
        }
    }
    pods::nothing_left(rig, &NODES)?;
    Ok(run)
}

fn addresses() -> [String; 2] {
    [format!("{VIP_SIX}/64"), format!("{VIP}/24")]
}

/// One master has both addresses, and the API answers masters and who is none by each; who has
/// them.
fn served(rig: &Rig) -> Result<String, Failed> {
    let owner = checks::held(rig, &addresses())?;
    for server in [format!("[{VIP_SIX}]:6443"), format!("{VIP}:6443")] {
        checks::answers_by(rig, "m2", &server)?;
        answered(rig, &server)?;
    }
    Ok(owner)
}

/// The API answers the operator's own machine.
fn answered(rig: &Rig, server: &str) -> Result<(), Failed> {
    let url = format!("https://{server}/readyz");
    let words = ["-skf", "--max-time", "1", &url];
    let what = format!("the API at {server}, from the operator");
    wait::until(&what, checks::PATIENCE, || {
        let said = rig.operator.output("curl", &words);
        said.is_ok_and(|said| said == "ok").then_some(())
    })?;
    Ok(())
}

/// What serves dies, and both addresses outlast it.
fn drilled(rig: &Rig) -> Result<(), Failed> {
    let run = rig.asked("verify", &["--no-pods", "--drill"])?.ended(0)?;
    for unit in ["kube-apiserver.service", "api-lb.service"] {
        let drill = format!("drill: {unit} dies");
        let mut lines = run.printed.lines();
        let line = lines.find(|line| line.contains(&drill)).unwrap_or_default();
        holds(line, &format!("good: [{VIP_SIX}]:6443: "))?;
        holds(line, &format!("; {VIP}:6443: "))?;
    }
    Ok(())
}

/// The host that has the addresses dies: both are at the other one. It comes back, and has them
/// again.
#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
fn died(rig: &mut Rig) -> Result<(), Failed> {
    let begun = Instant::now();
    // Its plug is pulled.
    rig.machines.retain(|machine| machine.name() != "m1");
    let owner = served(rig)?;
    println!(
        "its owner dead, both addresses answer after {:.1?}",
        begun.elapsed()
    );
    if owner != "m2" {
        return Err(format!("{owner} has the addresses, not m2").into());
    }
    let first = BOXES.first().ok_or("no m1")?;
    rig.boot_again(first)?;
    wait::until("m1 as the owner", checks::PATIENCE, || {
        let owner = checks::held(rig, &addresses()).ok()?;
        (owner == "m1").then_some(())
    })?;
    served(rig).map(drop)
}

/// IPv6 alone: no host has an address of IPv4, the operator neither.
#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn alone() -> Result<(), Failed> {
    let rig = Rig::boot("installer-six-alone", &ALONE)?;
    rig.programs()?;
    for one in &ALONE {
        rig.on(one.name, "ip -4 address flush dev host0")?;
    }
    rig.operator
        .output("ip", &["-4", "address", "flush", "dev", "eth0"])?;
    let before = leave::standing(&rig)?;
    let address = format!("{VIP_SIX}/64");
    whole::described(&rig, &address, &ALONE, |one| one.six().into())?;
    through_the_master(&rig)?;
    println!("preflight: {}", whole::passable(&rig, &[])?);
    let first = rig.apply(&[])?.ended(0)?;
    node::ready(&rig, &["n1"])?;
    let run = rig.asked("verify", &[])?.ended(0)?;
    println!(
        "bare machines to a cluster of IPv6 alone: {:.1?}, verified in {:.1?}",
        first.took, run.took
    );
    let by = format!("[{VIP_SIX}]:6443");
    for (check, said) in [
        ("Pod address", "good: fd00:10:244:"),
        ("DNS in its Pod", "good: 2 names by fd00:10:96::a"),
        ("Service from its Pod", "good: 1/1 answer"),
        ("Service from the host", "good: 1/1 answer"),
        ("port of every node", "good: 1/1 answer"),
        (&format!("exec through {by}"), "good: check-"),
        (&format!("logs through {by}"), "good: \"sternpost answers"),
    ] {
        checks::told(&run, "n1", check, said)?;
    }
    checks::held(&rig, &[address])?;
    answered(&rig, &by)?;
    for one in &ALONE {
        let said = rig.on(one.name, "ip -4 -o address show dev host0")?;
        if !said.trim().is_empty() {
            return Err(format!("{} has IPv4: {said}", one.name).into());
        }
    }
    let second = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&second, &rig)?;
    checks::nothing_left(&rig)?;
    leave::gone(&rig, &before)
}

/// The way to the node leads through the master.
fn through_the_master(rig: &Rig) -> Result<(), Failed> {
    let [master, node] = ALONE;
    let config = rig.folder.join("ssh_config");
    let direct = fs::read_to_string(&config)?;
    let jump = format!(
        "{direct}Host {}\n  ProxyJump root@[{}]\n",
        node.six(),
        master.six()
    );
    fs::write(&config, jump)?;
    Ok(())
}
