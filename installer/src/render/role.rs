//! What a control-plane host's node is: one of the control plane. A kubelet may not say so of
//! itself (its admission, `NodeRestriction`); a unit says so for it, as kubeadm does.

use super::addons::kubectl;
use super::flags::Flags;
use super::unit::{ONCE, Service};
use crate::layout;
use crate::resource::{File, OnChange, Resource, Stage, Unit};
use crate::spec::Host;

const UNIT: &str = "sternpost-role.service";
/// The role, by which manifests choose such nodes, and what keeps a cloud's balancers from
/// sending clients of Services there.
const LABELS: &str = "node-role.kubernetes.io/control-plane= \
                      node.kubernetes.io/exclude-from-external-load-balancers=";

/// For a control-plane host that is a node.
pub(super) fn resources(host: &Host) -> Vec<Resource> {
    let unit = format!("{}/{UNIT}", layout::UNITS);
    vec![
        File::public(unit.clone(), service(host).text()).into(),
        Unit {
            name: UNIT.into(),
            after: Stage::Nodes,
            reads: vec![unit],
            on_change: OnChange::Restart,
        }
        .into(),
    ]
}

/// At each boot: a node that was deleted comes back without it.
fn service(host: &Host) -> Service {
    let label = format!(
        "{} label --overwrite node/{} {LABELS}",
        kubectl("/run/sternpost-role"),
        host.name
    );
    let script = format!("until {label} >/dev/null; do sleep 1; done");
    Service::new(
        "What this host's node is to Kubernetes",
        "/bin/sh",
        &Flags::default(),
    )
    .told("-c")
    .told(&script)
    .unit("Documentation", "https://kubernetes.io/docs/")
    .unit("After", "kube-apiserver.service kubelet.service")
    .with(&[
        ("Type", ONCE),
        ("RemainAfterExit", "yes"),
        ("Restart", "on-failure"),
        ("RestartSec", "1s"),
        // Until its kubelet has its certificate and has made the node.
        ("TimeoutStartSec", "5min"),
        ("RuntimeDirectory", "sternpost-role"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
    ])
    .shut_in()
}
