//! What is written to the API: what an administrator has changed and what a newer `apply` has
//! written outlast a boot of any master, what is missing comes back, and `apply` alone changes
//! what is there.

use lab::rig::{MASTERS, Rig};
use libtest_mimic::Failed;

use super::checks::holds;
use super::node::kubectl;

const UNIT: &str = "sternpost-addons.service";
const DNS: &str = "/etc/kubernetes/addons/10-coredns.yaml";

pub(crate) fn kept(rig: &Rig) -> Result<(), Failed> {
    let edit =
        r#"patch configmap coredns --type=merge --patch='{"data":{"Corefile":"mine"}}'"#;
    for words in [
        "scale deployment coredns --replicas=5",
        edit,
        "delete service kube-dns",
    ] {
        kubectl(rig, &format!("--namespace=kube-system {words}"))?;
    }
    // One that was away for an apply.
    rig.on(
        "m3",
        &format!("sed -i 's/cpu: 100m/cpu: 1m/' {DNS}; grep -q 'cpu: 1m' {DNS}"),
    )?;
    // As a boot does.
    for master in &MASTERS {
        rig.on(master.name, &format!("systemctl restart {UNIT}"))?;
    }
    said(rig, "deployment coredns", "{.spec.replicas}", "5")?;
    let cpu = "{.spec.template.spec.containers[0].resources.requests.cpu}";
    said(rig, "deployment coredns", cpu, "100m")?;
    said(rig, "configmap coredns", "{.data.Corefile}", "mine")?;
    said(rig, "service kube-dns", "{.spec.clusterIP}", "10.96.0.10")?;
    // Its file is put right: that is an apply of it, as the plan says.
    let plan = rig.asked("plan", &[])?.ended(3)?;
    holds(
        &plan.printed,
        &format!("reload {UNIT}, since {DNS} changed"),
    )?;
    holds(&plan.printed, "cpu: 1m\n")?;
    rig.apply(&[])?.ended(0)?;
    said(rig, "deployment coredns", "{.spec.replicas}", "2")?;
    said(rig, "deployment coredns", cpu, "100m")
}

fn said(rig: &Rig, object: &str, path: &str, wanted: &str) -> Result<(), Failed> {
    let words =
        format!("--namespace=kube-system get {object} --output=jsonpath='{path}'");
    let found = kubectl(rig, &words)?;
    match found.trim() == wanted {
        true => Ok(()),
        false => Err(format!("{object} {path}: {found:?}, not {wanted:?}").into()),
    }
}
