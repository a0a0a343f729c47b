//! A cluster of another shape: etcd on a host of its own, api-lb on the loopback address of
//! every host, a master that is a node and one that is none, routes between Pods, add-ons of the
//! operator's, and what API servers call; and a node that goes on when the master that it uses
//! is gone.
//!
//! Leaves to `adopted`: an etcd of others, and a master without a balancer.

use std::fs;
use std::time::Instant;

use lab::host::Host;
use lab::requirement;
use lab::rig::{self, Box, Rig};
use lab::wait;
use libtest_mimic::Failed;

use super::checks::{self, PATIENCE, holds};
use super::{called, leave, mirror, node, pods, whole};

const BOXES: [Box; 4] = [
    Box::new("e1", 31, "etcd"),
    Box::new("m1", 11, "controlPlane, node"),
    Box::new("m2", 12, "controlPlane"),
    Box::new("n1", 21, "node"),
];
const NODES: [&str; 2] = ["m1", "n1"];
/// Where every host finds the API.
const LOCAL: &str = "127.0.0.1:6443";
/// Add-ons in the order of their names: the second is of a kind and in a namespace that the
/// first brings.
const SHELF: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: library}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: books.lab.example.org}
spec:
  group: lab.example.org
  names: {kind: Book, plural: books, singular: book}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, properties: {title: {type: string}}}
"#;
const BOOKS: &str = r#"
apiVersion: lab.example.org/v1
kind: Book
metadata: {name: first, namespace: library}
title: "TITLE"
"#;
const FIRST: &str = "The Voyage Out";
const SECOND: &str = "Night and Day";
/// Is in a Secret, and nowhere on etcd's disk.
const PLANTED: &str = "Hunter2Hunter2";
/// What etcd's own tool says, as who looks after it.
const ETCDCTL: &str = "cd /etc/kubernetes/pki/etcd && etcdctl --endpoints=https://127.0.0.1:2379 \
    --cacert=ca.crt --cert=healthcheck-client.crt --key=healthcheck-client.key";
/// Of each unit that there may be, the number of its process.
const RUNNING: &str = "systemctl show --property=Id,MainPID,NRestarts etcd kube-apiserver \
    kube-controller-manager kube-scheduler bootstrap-signer api-lb containerd kubelet kube-proxy \
    flanneld";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn apart() -> Result<(), Failed> {
    let mut rig = Rig::boot("installer-shapes", &BOXES)?;
    rig.programs()?;
    let networks = mirror::beside(&rig::settings()?)
        .replace("networks: {", "networks: {betweenPods: flannel-host-gw, ");
    described(
        &rig,
        &BOXES,
        &format!("balancer: {{mode: local}}\nmanifests: add-ons\n{networks}"),
    )?;
    written(&rig, FIRST)?;
    let before = leave::standing(&rig)?;
    println!("preflight: {}", whole::passable(&rig, &[])?);
    // A worker of another cluster until then.
    let [_, _, _, n1] = &BOXES;
    node::of_another(&rig, n1.name, n1.address().into())?;
    let first = rig.apply(&["--no-preflight"])?.ended(0)?;
    for which in ["client", "server"] {
        let away = format!("take /var/lib/kubelet/pki/kubelet-{which}-current.pem away");
        holds(&first.said, &away)?;
    }
    let verified = pods::whole(&rig, &NODES, LOCAL)?;
    holds(&verified.printed, "good: 1/1 take a write")?;
    leave::well(&rig)?;
    println!("apply: {:.1?}, verify: {:.1?}", first.took, verified.took);
    added(&rig, FIRST)?;
    mirror::pulled(&rig)?;
    routed(&rig)?;
    sealed(&rig)?;
    let second = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&second, &rig)?;
    changed(&rig)?;
    called(&rig)?;
    outlived(&mut rig)?;
    leave::gone(&rig, &before)
}

/// Writes the description of a cluster on `boxes` that has no address of its own, with `more`
/// at its end.
pub(crate) fn described(rig: &Rig, boxes: &[Box], more: &str) -> Result<(), Failed> {
    rig.describe(boxes, more)?;
    let path = rig.folder.join("cluster.yaml");
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().filter(|line| !line.starts_with("endpoint: "));
    let lines: Vec<_> = lines.collect();
    fs::write(&path, lines.join("\n") + "\n")?;
    Ok(())
}

/// The operator's add-ons.
fn written(rig: &Rig, title: &str) -> Result<(), Failed> {
    let folder = rig.folder.join("add-ons");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("10-shelf.yaml"), SHELF)?;
    fs::write(folder.join("20-books.yaml"), BOOKS.replace("TITLE", title))?;
    Ok(())
}

/// The API has them, in this version.
fn added(rig: &Rig, title: &str) -> Result<(), Failed> {
    let asked = "-n library get book first -o jsonpath='{.title}'";
    match node::kubectl(rig, asked)? {
        said if said == title => Ok(()),
        said => Err(format!("the first book is {said:?}, not {title:?}").into()),
    }
}

/// Nothing is packed between nodes.
fn routed(rig: &Rig) -> Result<(), Failed> {
    let conf = rig.on(
        "n1",
        "cat /etc/kube-flannel/net-conf.json; ls /sys/class/net",
    )?;
    holds(&conf, "\"host-gw\"")?;
    match conf.contains("flannel.1") {
        true => Err("there is a VXLAN".into()),
        false => Ok(()),
    }
}

/// A Secret is sealed where etcd keeps it, and what is none is as it was written.
fn sealed(rig: &Rig) -> Result<(), Failed> {
    let create = format!("create secret generic planted --from-literal=a={PLANTED}");
    node::kubectl(rig, &create)?;
    let get = "get /registry/secrets/default/planted --print-value-only | head -c 25";
    let said = rig.on("e1", &format!("{ETCDCTL} {get}"))?;
    holds(&said, "k8s:enc:secretbox:v1:key1")?;
    let open = rig.on("e1", &format!("grep -rlaF '{FIRST}' /var/lib/etcd"))?;
    holds(&open, "/var/lib/etcd/member/")?;
    let found = rig.on("e1", &format!("grep -rlaF {PLANTED} /var/lib/etcd; true"))?;
    match found.trim().is_empty() {
        true => Ok(()),
        false => Err(format!("the Secret can be read in {found}").into()),
    }
}

/// An add-on that has changed is applied by every master, and nothing else is done.
fn changed(rig: &Rig) -> Result<(), Failed> {
    let before = running(rig)?;
    written(rig, SECOND)?;
    let run = rig.apply(&[])?.ended(0)?;
    for (host, steps) in [("e1", 0), ("m1", 2), ("m2", 2), ("n1", 0)] {
        holds(&run.printed, &format!("{host}: {steps} step(s) done"))?;
    }
    for host in ["m1", "m2"] {
        for step in ["further/20-books.yaml", "reload sternpost-addons.service"] {
            let line = |line: &str| {
                line.starts_with(&format!("{host}: ")) && line.contains(step)
            };
            if !run.said.lines().any(line) {
                return Err(format!("{host}: no {step} in\n{}", run.said).into());
            }
        }
    }
    added(rig, SECOND)?;
    let after = running(rig)?;
    leave::differ(&before, &after).map_err(|odd| format!("started anew: {odd}").into())
}

fn running(rig: &Rig) -> Result<String, Failed> {
    let hosts = BOXES.iter().map(|one| rig.on(one.name, RUNNING));
    Ok(hosts.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Webhooks and aggregated APIs are called by both kinds of masters.
#[expect(clippy::print_stdout, reason = "how long belongs to the result")]
fn called(rig: &Rig) -> Result<(), Failed> {
    let begun = Instant::now();
    let [_, m1, m2, n1] = &BOXES;
    called::answered(rig, n1, &[*m1, *m2])?;
    println!(
        "an aggregated API and a webhook in a Pod, and in the hosts' network, called by both \
         masters: {:.1?}",
        begun.elapsed()
    );
    Ok(())
}

/// The master that the node's own balancer has led it to dies: the node goes on by the other
/// one, and so does whoever asks there.
#[expect(clippy::print_stdout, reason = "how long belongs to the result")]
fn outlived(rig: &mut Rig) -> Result<(), Failed> {
    let kubeconfig = rig.asked("kubeconfig", &[])?.ended(0)?;
    let file = rig.folder.join("kubeconfig");
    fs::write(&file, kubeconfig.printed)?;
    let stood = since(rig)?;
    led_to(rig, "m2", "m1")?;
    rig.machine("m2")?.kill_all();
    let dead = Instant::now();
    let before = renewed(rig)?;
    let network = rig.machine("n1")?.network()?;
    let kubectl = requirement::kubernetes()
        .join("kubectl")
        .display()
        .to_string();
    let (file, server) = (file.display().to_string(), format!("https://{LOCAL}"));
    let words = [
        "--kubeconfig",
        &file,
        "--server",
        &server,
        "get",
        "--raw=/readyz",
    ];
    let asked = wait::until("the API by the node's balancer", PATIENCE, || {
        let said = network.output(&kubectl, &words).ok()?;
        (said.trim() == "ok").then(|| dead.elapsed())
    })?;
    wait::until("the node's lease, renewed", PATIENCE, || {
        let now = renewed(rig).ok()?;
        (now != before).then_some(())
    })?;
    println!(
        "a master dies: the API answers by the node's balancer after {asked:.1?}, its kubelet \
         has renewed its lease after {:.1?}",
        dead.elapsed()
    );
    if since(rig)? != stood {
        return Err(format!("the node was not ready meanwhile: {}", since(rig)?).into());
    }
    drop(network);
    let [_, _, m2, _] = &BOXES;
    rig.boot_again(m2)?;
    let up = Instant::now();
    leave::well(rig)?;
    println!(
        "all is well again {:.1?} after it was booted anew",
        up.elapsed()
    );
    Ok(())
}

/// Has everything on the node use one master and not the other, as it may have come to by
/// itself; then both may be used.
fn led_to(rig: &Rig, one: &str, other: &str) -> Result<(), Failed> {
    rig.on("n1", &format!("api-lb disable {other}"))?;
    let ids = format!("api-lb connections --server {other} | awk 'NR > 1 {{print $1}}'");
    rig.on("n1", &format!("{ids} | xargs -r api-lb kill"))?;
    let uses = |wanted: &str| -> Result<bool, Failed> {
        let clients =
            format!("api-lb connections --server {wanted} | awk 'NR > 1 {{print $2}}'");
        let clients = rig.on("n1", &clients)?;
        let kubelet = "ss -Htnp state established 'dport = :6443' | grep '\"kubelet\"'";
        let kubelet = rig.on("n1", kubelet)?;
        // From whom, and to whom, behind what waits to be read and to be sent.
        let ends = kubelet.lines().map(|line| line.split_whitespace().skip(2));
        let mut ends = ends.map(|mut ends| (ends.next(), ends.next()));
        Ok(ends.any(|(from, to)| {
            let is_one = |client| from == Some(client);
            to == Some(LOCAL) && clients.lines().any(is_one)
        }))
    };
    let what = format!("kubelet at {one} by its own balancer");
    wait::until(&what, PATIENCE, || uses(one).ok()?.then_some(()))?;
    rig.on("n1", &format!("api-lb enable {other}"))?;
    wait::until(
        &format!("{other} up at the node's balancer"),
        PATIENCE,
        || {
            let said = rig.on("n1", "api-lb status --json").ok()?;
            let said: serde_json::Value = serde_json::from_str(&said).ok()?;
            let mut servers = said.pointer("/backends/0/servers")?.as_array()?.iter();
            let server = servers.find(|server| server["name"] == other)?;
            (server["state"] == "up").then_some(())
        },
    )?;
    match uses(one)? {
        true => Ok(()),
        false => Err(format!("kubelet has left {one} by itself").into()),
    }
}

/// When its kubelet has last renewed the node's lease.
pub(crate) fn renewed(rig: &Rig) -> Result<String, Failed> {
    let asked = "-n kube-node-lease get lease n1 -o jsonpath='{.spec.renewTime}'";
    node::kubectl(rig, asked)
}

/// Whether the node is ready, and since when.
pub(crate) fn since(rig: &Rig) -> Result<String, Failed> {
    let ready = "{.status.conditions[?(@.type==\"Ready\")]";
    let asked = format!(
        "get node n1 -o jsonpath='{ready}.status}} {ready}.lastTransitionTime}}'"
    );
    let said = node::kubectl(rig, &asked)?;
    match said.starts_with("True ") {
        true => Ok(said),
        false => Err(format!("the node is not ready: {said}").into()),
    }
}
