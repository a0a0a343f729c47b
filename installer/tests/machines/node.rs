//! What must be so once hosts for Pods are there.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use lab::rig::Rig;
use lab::wait;
use libtest_mimic::Failed;
use pki::{Name, Profile};

use super::checks;

/// From the end of `apply` until what it has set going is there.
const SOON: Duration = Duration::from_secs(180);

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

/// A node that has lost its kubelet's certificate: `apply` says what stands in its way, and lets it
/// in again when it is told to.
#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn comes_back(rig: &Rig, name: &str) -> Result<(), Failed> {
    rig.on(
        name,
        "rm -r /var/lib/kubelet/pki && systemctl restart kubelet.service",
    )?;
    let refused = rig.apply(&[])?.ended(1)?;
    let reset = format!("If this host was {name}: \"sternpost reset --host {name}\"");
    for wanted in [
        format!("{name}: FAILED: not begun: "),
        format!("and the Node {name} stands"),
        reset,
    ] {
        checks::holds(&refused.printed, &wanted)?;
    }
    // A name that was given is kept for two minutes, which nobody who comes back has just had.
    kubectl(rig, "delete csr --all")?;
    let words = ["--host", name, "--confirm", "lab"];
    rig.asked("reset", &words)?.ended(0)?;
    let back = rig.apply(&["--replace", name])?.ended(0)?;
    ready(rig, &[name])?;
    println!("a node that comes back: {:.1?}", back.took);
    rig.on(
        name,
        "test -e /var/lib/kubelet/pki/kubelet-client-current.pem",
    )
    .map(drop)
}

/// A kubelet that is short of room leaves what was brought: no registry would give it again.
pub(crate) fn pinned(rig: &Rig, node: &str) -> Result<(), Failed> {
    let images = rig.on(node, "ctr --namespace k8s.io images list")?;
    let pinned = |line: &&str| line.contains("io.cri-containerd.pinned=pinned");
    let of = |name: &str| {
        let mut lines = images.lines().filter(|line| line.starts_with(name));
        lines.next().is_some_and(|line| pinned(&line))
    };
    match of("registry.k8s.io/coredns/coredns:") {
        true => Ok(()),
        false => Err(format!("not pinned on {node}:\n{images}").into()),
    }
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

/// A node with what its kubelet was known by in another cluster, and that is good for long.
pub(crate) fn of_another(rig: &Rig, node: &str, address: IpAddr) -> Result<(), Failed> {
    let now = SystemTime::now();
    let other = pki::Authority::new("kubernetes", now)?;
    let user = format!("system:node:{node}");
    let client = Profile::client(&user, &["system:nodes"]);
    let names = vec![Name::dns(node)?, Name::Address(address)];
    let serving = Profile {
        organizations: client.organizations.clone(),
        ..Profile::server(&user, names)
    };
    for (which, profile) in [("client", client), ("server", serving)] {
        let issued = other.issue(&profile, now)?;
        let pem = issued.certificate_pem + issued.key_pem.expose();
        let folder = "/var/lib/kubelet/pki";
        let dated = format!("{folder}/kubelet-{which}-2026-01-01-00-00-00.pem");
        let current = format!("{folder}/kubelet-{which}-current.pem");
        let script = format!(
            "mkdir -p {folder} && umask 077 && cat >{dated} <<'PEM' && ln -s {dated} {current}\n\
             {pem}PEM\n"
        );
        rig.on(node, &script)?;
    }
    Ok(())
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
