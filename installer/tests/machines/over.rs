//! A cluster's address moves: its node goes over, and stays ready.

use std::fs;

use lab::host::Host;
use lab::rig::{Rig, VIP};
use lab::wait;
use libtest_mimic::Failed;

use super::checks::{self, PATIENCE, holds};
use super::shapes;

const NEW: &str = "10.79.0.101";
/// The far ends of the connections that kubelet has to the API.
const DIALS: &str = "ss -Htnp state established 'dport = :6443' | grep '\"kubelet\"' | \
                     awk '{ print $4 }' | sort -u";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn moved(rig: &Rig) -> Result<(), Failed> {
    let stood = shapes::since(rig)?;
    let path = rig.folder.join("cluster.yaml");
    let text = fs::read_to_string(&path)?;
    let (old, new) = (format!("{VIP}/24"), format!("{NEW}/24"));
    fs::write(&path, text.replace(&old, &new))?;
    let run = rig.apply(&[])?.ended(0)?;
    let conf = "/etc/kubernetes/kubelet.conf";
    let over = format!("n1: restart kubelet.service, since {conf} changed");
    holds(&run.said, &over)?;
    let holder = checks::held(rig, &[new])?;
    for machine in &rig.machines {
        let said = rig.on(machine.name(), "ip address show")?;
        if said.contains(&old) {
            return Err(format!("{} has {old} still:\n{said}", machine.name()).into());
        }
    }
    let before = shapes::renewed(rig)?;
    wait::until("the node's lease, renewed", PATIENCE, || {
        let now = shapes::renewed(rig).ok()?;
        (now != before).then_some(())
    })?;
    let mut last = String::new();
    let by_new = wait::until("kubelet at the new address alone", PATIENCE, || {
        last = rig.on("n1", DIALS).ok()?;
        (last.trim() == format!("{NEW}:6443")).then_some(())
    });
    by_new.map_err(|error| format!("{error}: {last}"))?;
    if shapes::since(rig)? != stood {
        return Err(format!("the node was not ready: {}", shapes::since(rig)?).into());
    }
    let again = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&again, rig)?;
    println!("another address: {:.1?}, held by {holder}", run.took);
    Ok(())
}
