//! api-lb finds the apiservers that the cluster names itself: three real masters, of which its
//! file knows one. It follows when that one dies, lets one go that ends in order, and knows
//! the rest at a start at which none of them answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lab::daemons::{LbConfig, api_lb};
use lab::error::Doing;
use lab::host::Host;
use lab::process::{Process, Program};
use lab::requirement::{Requirement, trial};
use lab::stand::{STARTED, Stand, VIP};
use lab::{LabError, harness, wait};
use libtest_mimic::Failed;
use serde_json::Value;

/// An apiserver that was killed stands in the slice until its lease of 15 s has run out and
/// another one has looked, which each does every 10 s.
const LEASE: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(90);

fn main() {
    let needs = [Requirement::Root, Requirement::Kubernetes];
    let real = trial(
        "real_masters_are_found_and_let_go",
        &needs,
        found_and_let_go,
    );
    harness::run(vec![real]);
}

fn found_and_let_go() -> Result<(), Failed> {
    let mut stand = Stand::new("discovery")?;
    let program = balancer(&stand)?;
    let owner = Arc::clone(stand.segment.host("m1")?);
    let socket = owner.file("api-lb.sock");
    let start = || -> Result<Process, LabError> {
        let mut process = owner.start(&program)?;
        process.ready(Duration::from_secs(60))?;
        Ok(process)
    };
    let mut process = start()?;

    // The file knows m1 alone; the cluster names all three.
    until(&socket, "three servers", SOON, |b| {
        known(b).len() == 3 && up(b).len() == 3
    })?;
    // The one that the file knows dies; what comes after is told by another.
    stand.apiservers.remove(0).kill();
    until(&socket, "m1 left the slice", LEASE, |b| known(b).len() == 2)?;
    stand.answers(VIP, SOON)?;
    // m3 ends in order, and takes itself out of the slice.
    stand.apiservers.remove(1).stop(Duration::from_secs(120))?;
    until(&socket, "m3 left the slice", LEASE, |b| {
        known(b) == ["10.77.0.12:6443"]
    })?;
    stand.answers(VIP, SOON)?;

    // Nobody answers, and the process is another: it still knows m2, and asks it.
    stand.apiservers.remove(0).kill();
    process.stop(Duration::from_secs(60))?;
    drop(process);
    let mut process = start()?;
    until(&socket, "what is remembered", SOON, |b| {
        word(b, "from") == Some("memory") && known(b) == ["10.77.0.12:6443"]
    })?;
    let m2 = stand.segment.host("m2")?;
    let _back = m2.start(&stand.plane.apiserver("m2")?)?;
    stand.answers(VIP, STARTED)?;
    until(&socket, "the cluster's own word", LEASE, |b| {
        word(b, "from") == Some("source") && word(b, "failure").is_none()
    })?;
    process.stop(Duration::from_secs(60))?;
    Ok(())
}

/// An api-lb on the first master that knows of this master alone.
fn balancer(stand: &Stand) -> Result<Program, LabError> {
    let owner = stand.owner()?;
    let config = LbConfig {
        vip: VIP,
        servers: vec![("m1".to_owned(), owner.address())],
        ca_file: stand.plane.ca_file("m1"),
        check_interval: "200ms",
        socket: owner.file("api-lb.sock"),
    };
    let file = owner.file("api-lb.yaml");
    let program = api_lb(&config, &file, stand.segment.logs())?;
    let discovery = format!(
        "  discovery: {{kubernetes: {{kubeconfig: {}}}, file: {}}}\n  servers:\n",
        stand.plane.admin_kubeconfig().display(),
        owner.file("servers.json").display()
    );
    let text = config.yaml().replacen("  servers:\n", &discovery, 1);
    std::fs::write(&file, text).doing(format!("write {}", file.display()))?;
    Ok(program)
}

fn until(
    socket: &Path,
    what: &str,
    within: Duration,
    is_so: impl Fn(&Value) -> bool,
) -> Result<(), LabError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("begin a runtime")?;
    wait::until(what, within, || {
        let status = runtime.block_on(daemon::client::get(socket, "/status"));
        is_so(status.ok()?.pointer("/backends/0")?).then_some(())
    })
}

/// A text of what is said of discovery.
fn word<'a>(backend: &'a Value, key: &str) -> Option<&'a str> {
    backend.get("discovery")?.get(key)?.as_str()
}

fn known(backend: &Value) -> Vec<&str> {
    let list = backend
        .pointer("/discovery/servers")
        .and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn up(backend: &Value) -> Vec<&Value> {
    let list = backend.get("servers").and_then(Value::as_array);
    let is_up = |server: &&Value| server.get("state").is_some_and(|s| s == "up");
    list.into_iter().flatten().filter(is_up).collect()
}
