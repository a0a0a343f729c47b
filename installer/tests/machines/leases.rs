//! Networks of hosts that flannel takes by itself in etcd: Pods of two hosts reach each other, a
//! host has the same network after it was down, and the API gives out none.
//!
//! Leaves to `pods`: the rest of what Pods see.

use lab::rig::{self, Box, Rig};
use libtest_mimic::Failed;

use super::checks::{self, holds};
use super::{leave, node, pods};

/// Neither host of Pods has a member of etcd.
const BOXES: [Box; 3] = [
    Box::new("m1", 11, "etcd, controlPlane"),
    Box::new("n1", 21, "node"),
    Box::new("n2", 22, "node"),
];
const NODES: [&str; 2] = ["n1", "n2"];
/// As a member of etcd asks itself.
const ETCDCTL: &str = "cd /etc/kubernetes/pki/etcd && etcdctl --endpoints=https://127.0.0.1:2379 \
    --cacert=ca.crt --cert=healthcheck-client.crt --key=healthcheck-client.key";
const SUBNET: &str = ". /run/flannel/subnet.env && printf %s \"$FLANNEL_SUBNET\"";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn taken() -> Result<(), Failed> {
    let mut rig = Rig::boot("installer-leases", &BOXES)?;
    rig.programs()?;
    let settings = rig::settings()?.replace(
        "networks: {",
        "networks: {flannel: {store: etcd, prefix: /lab/network}, ",
    );
    rig.describe(&BOXES, &settings)?;
    let before = leave::standing(&rig)?;
    let first = rig.apply(&[])?.ended(0)?;
    let verified = pods::whole(&rig, &NODES, pods::THROUGH)?;
    println!("apply: {:.1?}, verify: {:.1?}", first.took, verified.took);
    checks::no_secret(&first)?;
    let second = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&second, &rig)?;
    let config = rig.on("m1", &format!("{ETCDCTL} get /lab/network/config"))?;
    holds(&config, "\"SubnetLen\": 24")?;
    let leases = rig.on(
        "m1",
        &format!("{ETCDCTL} get --prefix --keys-only /lab/network/subnets/"),
    )?;
    let networks = NODES.map(|node| rig.on(node, SUBNET));
    for (node, network) in NODES.into_iter().zip(networks) {
        let key = network?.replace(".1/24", ".0-24");
        holds(&leases, &format!("/lab/network/subnets/{key}"))
            .map_err(|error| format!("{node}: {error:?}"))?;
    }
    let given = node::kubectl(&rig, "get nodes -o jsonpath='{.items[*].spec.podCIDR}'")?;
    if !given.is_empty() {
        return Err(format!("the API gives out {given} as well").into());
    }
    // What it says of itself is gone with the power; its lease is not.
    let own = rig.on("n1", SUBNET)?;
    rig.boot_again(&BOXES[1])?;
    node::ready(&rig, &NODES)?;
    let again = rig.on("n1", SUBNET)?;
    if again != own {
        return Err(format!("n1 had {own}, and has {again}").into());
    }
    pods::whole(&rig, &NODES, pods::THROUGH)?;
    leave::gone(&rig, &before)
}
