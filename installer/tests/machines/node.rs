//! What nodes take besides: programs, settings that only a machine of the lab needs, and what
//! must be so once they are there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use lab::requirement;
use lab::wait;
use libtest_mimic::Failed;

use crate::rig::Rig;

/// What a description with nodes says besides.
pub(crate) const NODES: &str = "networks: {proxy: nftables}\n\
    runtime: {containerd: 1}\n\
    binaries: {images: [coredns.tar, pause.tar]}\n\
    flags: {kubelet: {config-dir: /etc/lab/kubelet.d}}\n";

const KUBERNETES: [&str; 2] = ["kubelet", "kube-proxy"];
const RUNTIME: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];
const NETWORK: [&str; 7] = [
    "bridge",
    "coredns.tar",
    "flanneld",
    "host-local",
    "loopback",
    "pause.tar",
    "portmap",
];

/// The kernel may have control groups of the old kind, and the disk is everybody's.
const KUBELET: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\n\
    kind: KubeletConfiguration\n\
    failCgroupV1: false\n\
    evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, \
    imagefs.available: 0%, imagefs.inodesFree: 0%}\n";

/// Not every root may lower what the kernel kills first (CAP_SYS_RESOURCE): runc would fail.
const RUNC: &str = r#"#!/bin/sh
for word; do
    case ${last:-} in
    --bundle) sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$word/config.json" ;;
    --process) sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$word" ;;
    esac
    last=$word
done
exec /etc/lab/runc "$@"
"#;

/// From the end of `apply` until what it has set going is there.
const SOON: Duration = Duration::from_secs(60);

/// Puts on a machine's own disk what only the lab needs.
pub(crate) fn prepare(upper: &Path) -> Result<(), Failed> {
    let lab = upper.join("etc/lab");
    fs::create_dir_all(lab.join("kubelet.d"))?;
    fs::write(lab.join("kubelet.d/10-lab.conf"), KUBELET)?;
    for name in ["runc", "busybox"] {
        fs::copy(requirement::runtime().join(name), lab.join(name))?;
    }
    Ok(())
}

/// Puts a node's programs beside the others; their names.
pub(crate) fn programs(folder: &Path) -> Result<Vec<&'static str>, Failed> {
    for (from, names) in [
        (requirement::kubernetes(), KUBERNETES.as_slice()),
        (requirement::runtime(), &RUNTIME),
        (requirement::network(), &NETWORK),
    ] {
        for name in names {
            symlink(fs::canonicalize(from.join(name))?, folder.join(name))?;
        }
    }
    let runc = folder.join("runc");
    fs::write(&runc, RUNC)?;
    fs::set_permissions(&runc, fs::Permissions::from_mode(0o755))?;
    let all = KUBERNETES.iter().chain(&RUNTIME).chain(&NETWORK);
    Ok(all.chain(&["runc"]).copied().collect())
}

/// Every node of `names` is ready, and the cluster's DNS runs.
pub(crate) fn ready(rig: &Rig, names: &[&str]) -> Result<(), Failed> {
    let nodes = "get nodes -o jsonpath='{range .items[*]}{.metadata.name} \
                 {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}'";
    for name in names {
        settles(rig, nodes, &format!("{name} True"))?;
    }
    let dns = "-n kube-system get deployment coredns -o jsonpath='{.status.readyReplicas} \
               of {.spec.replicas}'";
    settles(rig, dns, "2 of 2")
}

/// The cluster's DNS answers a node through the address of its Service.
pub(crate) fn resolves(rig: &Rig, node: &str) -> Result<(), Failed> {
    let ask = "/etc/lab/busybox nslookup kubernetes.default.svc.cluster.local 10.96.0.10";
    let mut last = String::new();
    let what = format!("an answer of the cluster's DNS to {node}");
    let answered = wait::until(&what, SOON, || {
        last = rig
            .on(node, ask)
            .unwrap_or_else(|error| format!("{error:?}"));
        last.contains("Address: 10.96.0.1\n").then_some(())
    });
    answered.map_err(|error| format!("{error}: {last}").into())
}

/// Waits until kubectl on the first master prints `wanted`.
fn settles(rig: &Rig, arguments: &str, wanted: &str) -> Result<(), Failed> {
    let mut last = String::new();
    let what = format!("{wanted:?} of kubectl {arguments}");
    let seen = wait::until(&what, SOON, || {
        let said = kubectl(rig, arguments);
        last = said.unwrap_or_else(|error| format!("{error:?}"));
        last.contains(wanted).then_some(())
    });
    seen.map_err(|error| format!("{error}: {last}\n{}", told(rig)).into())
}

/// What the cluster says of its Pods, for whoever looks into a failure.
fn told(rig: &Rig) -> String {
    let asked = [
        "get pods --all-namespaces --output=wide",
        "get events --all-namespaces",
        "--namespace=kube-system logs --selector=k8s-app=kube-dns --tail=15",
    ];
    let said = asked.map(|what| match kubectl(rig, what) {
        Ok(text) => text,
        Err(error) => format!("{error:?}\n"),
    });
    said.concat()
}

/// What an administrator's kubectl prints on the first master.
pub(crate) fn kubectl(rig: &Rig, arguments: &str) -> Result<String, Failed> {
    let command = format!("kubectl --kubeconfig=/etc/kubernetes/admin.conf {arguments}");
    rig.on("m1", &command)
}
