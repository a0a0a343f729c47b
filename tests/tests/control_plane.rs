//! The control plane stands in the lab: three etcd members and three API servers, TLS on
//! every path, each asked over its own address; then through api-lb, whose checks leave no
//! trace in their logs, while one of them is killed, and while one goes and returns.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::client::{Client, runtime, sum};
use lab::daemons::{LbConfig, api_lb, servers_up};
use lab::error::Doing;
use lab::host::Host;
use lab::informer::{Informers, Known, create};
use lab::process::Process;
use lab::requirement::{Requirement, trial};
use lab::stand::{STARTED, Stand, VIP};
use lab::{LabError, wait};
use libtest_mimic::{Arguments, Failed};

/// Questions before and after the kill: two seconds of each at the client's pace.
const QUESTIONS: usize = 200;
/// Clients that watch; of their connections so many are moved, within so many events.
const INFORMERS: usize = 12;
const MOVED: u64 = 4;
const EVENTS: usize = 24;
/// Until what comes by itself is there, on a machine that is busy with three masters.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two events while an API server comes up: by far less than the rest after which a
/// watch may be moved.
const BUSY: Duration = Duration::from_millis(250);

fn main() {
    lab::netns::sweep();
    let needs = [Requirement::Root, Requirement::Kubernetes];
    let real = trial(
        "real_masters_serve_through_api_lb_while_one_dies",
        &needs,
        through_api_lb,
    );
    let returns = trial(
        "a_real_master_returns_and_nobody_loses_anything",
        &needs,
        one_returns,
    );
    let mut arguments = Arguments::from_args();
    // Two control planes at once are slow to start.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, vec![real, returns]).exit();
}

fn through_api_lb() -> Result<(), Failed> {
    let mut stand = Stand::new("control-plane")?;
    let mut balancer = balancer(&stand, "")?;
    ask_while_one_dies(&mut stand)?;
    let logs: Vec<_> = stand
        .apiservers
        .iter()
        .map(|a| a.log().to_owned())
        .collect();
    // The API servers first: one whose etcd has gone does not end.
    balancer.stop(Duration::from_secs(60))?;
    drop(stand);
    nothing_about_handshakes(&logs)
}

/// An API server is restarted in order; its share of the connections comes back to it. From
/// its return on no request of a client that never tries again is lost, and informers hear of
/// every object once.
fn one_returns() -> Result<(), Failed> {
    let mut stand = Stand::new("returns")?;
    let more = "  rebalance: {mode: gentle, quiet: 1s}\n";
    let mut balancer = balancer(&stand, more)?;
    let host = Arc::clone(stand.client()?);
    let question = stand.question("/version")?;
    let informers = Informers::start(&host, &question, INFORMERS)?;
    wait::until("informers", PATIENCE, || {
        (informers.watching() == INFORMERS).then_some(())
    })?;
    let client = Client::start(&host, question.clone())?;
    let begun = Instant::now();
    let mut written = Vec::new();
    let mut write = || -> Result<(), Failed> {
        let name = format!("event-{}", written.len());
        create(&host, &question, &name)?
            .map_err(|why| format!("{name} was not written: {why}"))?;
        written.push(name);
        Ok(())
    };
    write()?;
    let going = Instant::now();
    stand.apiservers.remove(1).stop(Duration::from_secs(90))?;
    let gone = Instant::now();
    write()?;
    let m2 = stand.segment.host("m2")?;
    let back = m2.start(&stand.plane.apiserver("m2")?)?;
    stand.apiservers.insert(1, back);
    let owner = stand.segment.host("m1")?;
    // It lists everything when it starts, and can let nobody go on from before that (410 Gone):
    // no watch comes to it quiet, which it would be moved for, before it has heard of an event
    // that is younger than that list.
    let started = Instant::now();
    while servers_up(owner) != Some(stand.masters().len()) {
        if started.elapsed() > STARTED {
            return Err(format!("m2 is not up after {STARTED:?}").into());
        }
        write()?;
        wait::pass(BUSY, || false);
    }
    let socket = owner.file("api-lb.sock");
    let mut count = 0;
    while moved(&socket)? < MOVED {
        count += 1;
        if count > EVENTS {
            return Err(format!("{} moved after {EVENTS} events", moved(&socket)?).into());
        }
        write()?;
        // Quiet for long enough that some are moved; the next event comes upon them.
        wait::pass(Duration::from_millis(2500), || false);
    }
    write()?;
    let all = || {
        informers
            .known()
            .iter()
            .all(|k| k.added.len() >= written.len())
    };
    let heard = wait::until("all events", PATIENCE, || all().then_some(()));
    for known in informers.known() {
        if known.added != written || !known.lost.is_empty() {
            return Err(unlike(&written, &known).into());
        }
    }
    heard?;
    let asked = sum(&client.requests(begun, Instant::now()), &[going..=gone]);
    drop((client, informers));
    balancer.stop(Duration::from_secs(60))?;
    if asked.failed > 0 || asked.asked < QUESTIONS {
        let reasons = asked.reasons;
        return Err(
            format!("{} of {} lost: {reasons:?}", asked.failed, asked.asked).into(),
        );
    }
    Ok(())
}

/// How what an informer has heard differs from what was written.
fn unlike(written: &[String], known: &Known) -> String {
    let missing = written.iter().filter(|name| !known.added.contains(name));
    let missing: Vec<_> = missing.collect();
    let first = written
        .iter()
        .zip(&known.added)
        .find(|(one, two)| one != two);
    format!(
        "an informer heard {} of {} events\nit was told: {:?}\nmissing: {missing:?}\n\
         the first that is not in order: {first:?}",
        known.added.len(),
        written.len(),
        known.lost
    )
}

/// Connections that were moved so far.
fn moved(socket: &Path) -> Result<u64, LabError> {
    let status = runtime()?.block_on(daemon::client::get(socket, "/status"));
    let status = status.map_err(|error| LabError::Missing(error.to_string()))?;
    let moved = status.pointer("/frontends/0/ends/rebalanced");
    Ok(moved.and_then(serde_json::Value::as_u64).unwrap_or(0))
}

/// An api-lb on the first master, with the virtual address put there by hand; its backend has
/// these keys, too.
fn balancer(stand: &Stand, more: &str) -> Result<Process, LabError> {
    let owner = stand.owner()?;
    let servers = stand.masters().iter();
    let config = LbConfig {
        vip: VIP,
        servers: servers
            .map(|host| (host.name().to_owned(), host.address()))
            .collect(),
        ca_file: stand.plane.ca_file("m1"),
        check_interval: "200ms",
        socket: owner.file("api-lb.sock"),
    };
    let file = owner.file("api-lb.yaml");
    let program = api_lb(&config, &file, stand.segment.logs())?;
    let text = config
        .yaml()
        .replacen("  servers:\n", &format!("{more}  servers:\n"), 1);
    fs::write(&file, text).doing(format!("write {}", file.display()))?;
    let mut balancer = owner.start(&program)?;
    balancer.ready(PATIENCE)?;
    stand.answers(VIP, PATIENCE)?;
    Ok(balancer)
}

/// A new connection every 10 ms; in the middle the second API server is killed.
fn ask_while_one_dies(stand: &mut Stand) -> Result<(), Failed> {
    let client = Client::start(stand.client()?, stand.question("/version")?)?;
    let begun = Instant::now();
    let enough = |from: Instant| {
        let asked = sum(&client.requests(from, Instant::now()), &[]).asked;
        (asked >= QUESTIONS).then_some(())
    };
    wait::until("questions", Duration::from_secs(60), || enough(begun))?;
    let killing = Instant::now();
    if let Some(second) = stand.apiservers.get_mut(1) {
        second.kill();
    }
    let killed = Instant::now();
    wait::until("questions", Duration::from_secs(60), || enough(killed))?;
    let sum = sum(&client.requests(begun, Instant::now()), &[killing..=killed]);
    if sum.failed == 0 {
        return Ok(());
    }
    Err(format!("{} of {} failed: {:?}", sum.failed, sum.asked, sum.reasons).into())
}

/// A check is a whole handshake and request, closed properly: kube-apiserver has nothing
/// to say about it.
fn nothing_about_handshakes(logs: &[PathBuf]) -> Result<(), Failed> {
    for log in logs {
        let text = fs::read_to_string(log).unwrap_or_default();
        if let Some(line) = text
            .lines()
            .find(|line| line.contains("TLS handshake error"))
        {
            return Err(format!("{}: {line}", log.display()).into());
        }
    }
    Ok(())
}
