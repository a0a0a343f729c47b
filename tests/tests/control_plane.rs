//! The control plane stands in the lab: three etcd members and three API servers, TLS on
//! every path, each asked over its own address; then through api-lb, whose checks leave no
//! trace with them, while one of them is killed, and while one goes and returns.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::client::{Client, body, runtime, sum};
use lab::control_plane::PORT;
use lab::daemons::{LbConfig, api_lb, lb_metrics, servers_up};
use lab::error::Doing;
use lab::host::{Host, NamespaceHost};
use lab::informer::{Informers, Known, create};
use lab::process::Process;
use lab::requirement::{Requirement, too_disturbed, trial};
use lab::stand::{STARTED, Stand, VIP};
use lab::{LabError, harness, wait};
use libtest_mimic::Failed;

/// Questions before and after the kill: two seconds of each at the client's pace.
const QUESTIONS: usize = 200;
/// Clients that watch: six on each of the two servers that are left, one more than they keep
/// when the third is back.
const INFORMERS: usize = 12;
/// Moves that are enough, and events after which it ends with fewer: who is moved may be
/// given back to the server that it comes from, and is moved again, or may not.
const MOVED: u64 = 4;
const EVENTS: usize = 12;
/// Until what comes by itself is there, on a machine that is busy with three masters.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two events while an API server comes up: by far less than the rest after which a
/// watch may be moved.
const BUSY: Duration = Duration::from_millis(250);

/// Of a look that a check spoils which runs into its time.
const TRIES: u32 = 5;
/// Checks of each server in which a race at the close of a connection would show.
const CHECKS: u64 = 25;

fn main() {
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
    harness::run(vec![real, returns]);
}

fn through_api_lb() -> Result<(), Failed> {
    let mut stand = Stand::new("control-plane")?;
    let mut balancer = balancer(&stand, "")?;
    checks_leave_no_trace(&stand)?;
    ask_while_one_dies(&mut stand)?;
    balancer.stop(Duration::from_secs(60))?;
    Ok(())
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
    start_again(&mut stand, &mut write)?;
    let socket = stand.segment.host("m1")?.file("api-lb.sock");
    for _ in 0..EVENTS {
        if moved(&socket)? >= MOVED {
            break;
        }
        write()?;
        // Quiet for long enough that some are moved; the next event comes upon them.
        wait::pass(Duration::from_millis(2500), || false);
    }
    if moved(&socket)? == 0 {
        return Err(format!("none was moved within {EVENTS} events").into());
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
    let asked = sum(&client.ended(begun, Instant::now())?, &[going..=gone]);
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

/// Starts the second API server again, and writes until it is up.
fn start_again(
    stand: &mut Stand,
    mut write: impl FnMut() -> Result<(), Failed>,
) -> Result<(), Failed> {
    let all = stand.masters().len();
    let owner = Arc::clone(stand.segment.host("m1")?);
    wait::until("m2 is known to be gone", PATIENCE, || {
        (servers_up(&owner)? < all).then_some(())
    })?;
    let m2 = stand.segment.host("m2")?;
    let back = m2.start(&stand.plane.apiserver("m2")?)?;
    stand.apiservers.insert(1, back);
    // It lists everything when it starts, and can let nobody go on from before that (410 Gone):
    // no watch comes to it quiet, which it would be moved for, before it has heard of an event
    // that is younger than that list.
    let started = Instant::now();
    while servers_up(&owner) != Some(all) {
        if started.elapsed() > STARTED {
            return Err(format!("m2 is not up after {STARTED:?}").into());
        }
        write()?;
        wait::pass(BUSY, || false);
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
        let asked = client.requests(from, Instant::now());
        let ended = asked.iter().filter(|request| request.ended.is_some());
        (ended.count() >= QUESTIONS).then_some(())
    };
    wait::until("questions", Duration::from_secs(60), || enough(begun))?;
    let killing = Instant::now();
    if let Some(second) = stand.apiservers.get_mut(1) {
        second.kill();
    }
    let killed = Instant::now();
    wait::until("questions", Duration::from_secs(60), || enough(killed))?;
    let sum = sum(&client.ended(begun, Instant::now())?, &[killing..=killed]);
    if sum.failed == 0 {
        return Ok(());
    }
    Err(format!("{} of {} failed: {:?}", sum.failed, sum.asked, sum.reasons).into())
}

/// A check is a whole handshake and request, closed properly: kube-apiserver counts none that
/// broke off, and does count one that did. One whose time is over breaks off, as it should.
fn checks_leave_no_trace(stand: &Stand) -> Result<(), Failed> {
    let balancer = stand.segment.host("m1")?;
    for _ in 0..TRIES {
        let failed = not_passed(balancer)?;
        let (before, begun) = (steady(stand)?, checks(balancer)?);
        wait::until("checks of every server", Duration::from_secs(60), || {
            (checks(balancer).ok()? >= begun + CHECKS).then_some(())
        })?;
        let after = broken(stand)?;
        if before == after {
            return is_counted(stand, &after);
        }
        if not_passed(balancer)? == failed {
            return Err(format!(
                "handshakes that broke off: {before:?}, then {after:?}, and every check passed"
            )
            .into());
        }
    }
    let why = format!("a check ran into its time in each of {TRIES} tries");
    Err(too_disturbed(&why))
}

/// One more at each of them shows.
fn is_counted(stand: &Stand, before: &[u64]) -> Result<(), Failed> {
    for host in stand.masters() {
        let at = SocketAddr::from((host.address(), PORT));
        stand.client()?.run(move || TcpStream::connect(at))??;
    }
    wait::until("them to be counted", Duration::from_secs(20), || {
        let now = broken(stand).ok()?;
        let mut both = now.iter().zip(before);
        both.all(|(now, before)| now > before).then_some(())
    })?;
    Ok(())
}

/// How many handshakes broke off once those of before are counted: the same twice, a second
/// apart.
fn steady(stand: &Stand) -> Result<Vec<u64>, Failed> {
    let mut last = broken(stand)?;
    wait::until("a second without one", PATIENCE, || {
        wait::pass(Duration::from_secs(1), || false);
        let now = broken(stand).ok()?;
        let same = now == last;
        last.clone_from(&now);
        same.then_some(now)
    })
    .map_err(Failed::from)
}

/// How many handshakes broke off, by each API server's own count.
fn broken(stand: &Stand) -> Result<Vec<u64>, LabError> {
    let counts = stand.masters().iter().map(|host| {
        let question = stand.question_at(host.address(), "/metrics")?;
        let text = body(stand.client()?, &question)?;
        number(&text, "apiserver_tls_handshake_errors_total ")
    });
    counts.collect()
}

/// How many checks have ended otherwise than passed, of all servers.
fn not_passed(balancer: &NamespaceHost) -> Result<u64, LabError> {
    let text = lb_metrics(balancer)?;
    let checks = text.lines().filter_map(|line| {
        let (labels, value) = line
            .strip_prefix("api_lb_server_checks_total{")?
            .split_once("} ")?;
        let passed = labels.contains("outcome=\"passed\"");
        (!passed).then(|| value.trim().parse::<u64>().ok())?
    });
    Ok(checks.sum())
}

/// How many checks of each of the three servers have passed, at least.
fn checks(balancer: &NamespaceHost) -> Result<u64, LabError> {
    let text = lb_metrics(balancer)?;
    let of = |server: &str| {
        let labels =
            format!("backend=\"k8s-api\",server=\"{server}\",outcome=\"passed\"");
        number(&text, &format!("api_lb_server_checks_total{{{labels}}} "))
    };
    Ok(of("m1")?.min(of("m2")?).min(of("m3")?))
}

/// The value of a metric that is there.
fn number(text: &str, metric: &str) -> Result<u64, LabError> {
    let value = text.lines().find_map(|line| line.strip_prefix(metric));
    let number = value.and_then(|value| value.trim().parse().ok());
    number.ok_or_else(|| LabError::Missing(format!("no {metric}in the metrics")))
}
