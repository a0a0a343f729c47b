//! The control plane stands in the lab: three etcd members and three API servers, TLS on
//! every path, each asked over its own address; then through api-lb, whose checks leave no
//! trace in their logs, and while one of them is killed.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::client::{Client, Question, once, sum};
use lab::command::run;
use lab::control_plane::{ControlPlane, Kind, PORT};
use lab::daemons::{LbConfig, api_lb};
use lab::host::{Host, NamespaceHost};
use lab::process::Process;
use lab::requirement::{Requirement, trial};
use lab::segment::Segment;
use lab::{LabError, binaries, wait};
use libtest_mimic::{Arguments, Failed};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// Questions before and after the kill: two seconds of each at the client's pace.
const QUESTIONS: usize = 200;
const HOSTS: [(&str, Ipv4Addr); 4] = [
    ("m1", Ipv4Addr::new(10, 77, 0, 11)),
    ("m2", Ipv4Addr::new(10, 77, 0, 12)),
    ("m3", Ipv4Addr::new(10, 77, 0, 13)),
    ("client", Ipv4Addr::new(10, 77, 0, 50)),
];

fn main() {
    lab::netns::sweep();
    let needs = [Requirement::Root, Requirement::Kubernetes];
    let real = trial(
        "real_masters_serve_through_api_lb_while_one_dies",
        &needs,
        through_api_lb,
    );
    libtest_mimic::run(&Arguments::from_args(), vec![real]).exit();
}

fn through_api_lb() -> Result<(), Failed> {
    let logs = binaries::output("lab-logs").join("control-plane");
    let segment = Segment::new(&logs, &HOSTS)?;
    let [masters @ .., _] = segment.hosts() else {
        return Ok(());
    };
    let plane = ControlPlane::new(Kind::Real, segment.files(), &logs, VIP, masters)?;
    let etcd = masters
        .iter()
        .map(|host| host.start(&plane.etcd(host.name())));
    let mut etcd = etcd.collect::<Result<Vec<_>, _>>()?;
    for member in &mut etcd {
        member.ready(Duration::from_secs(20))?;
    }
    let mut apiservers = Vec::new();
    for host in masters {
        apiservers.push(host.start(&plane.apiserver(host.name())?)?);
    }
    for host in masters {
        answers(&segment, &plane, host.address(), Duration::from_secs(90))?;
    }
    let mut balancer = balancer(&segment, &plane, masters)?;
    ask_while_one_dies(&segment, &plane, &mut apiservers)?;
    let logs: Vec<_> = apiservers.iter().map(|a| a.log().to_owned()).collect();
    // The API servers first: one whose etcd has gone does not end.
    balancer.stop(Duration::from_secs(60))?;
    drop(apiservers);
    drop(etcd);
    nothing_about_handshakes(&logs)
}

/// An api-lb on the first master, with the virtual address put there by hand.
fn balancer(
    segment: &Segment,
    plane: &ControlPlane,
    masters: &[Arc<NamespaceHost>],
) -> Result<Process, LabError> {
    let owner = segment.host("m1")?;
    let address = format!("{VIP}/24");
    owner.run(move || run("ip", &["address", "add", &address, "dev", "eth0"]))??;
    let config = LbConfig {
        vip: VIP,
        servers: masters
            .iter()
            .map(|host| (host.name().to_owned(), host.address()))
            .collect(),
        ca_file: plane.ca_file("m1"),
        check_interval: "200ms",
        socket: owner.file("api-lb.sock"),
    };
    let program = api_lb(&config, &owner.file("api-lb.yaml"), segment.logs())?;
    let mut balancer = owner.start(&program)?;
    balancer.ready(Duration::from_secs(10))?;
    answers(segment, plane, VIP, Duration::from_secs(10))?;
    Ok(balancer)
}

/// Waits for the first good answer to `/readyz`.
fn answers(
    segment: &Segment,
    plane: &ControlPlane,
    at: Ipv4Addr,
    within: Duration,
) -> Result<(), LabError> {
    let question = Question {
        target: (at, PORT).into(),
        tls: plane.client_tls()?,
        path: "/readyz".into(),
    };
    let client = segment.host("client")?;
    let answered = || once(client, &question).ok()?.ok();
    wait::until("an answer to /readyz", within, answered).map(drop)
}

/// A new connection every 10 ms; in the middle the second API server is killed.
fn ask_while_one_dies(
    segment: &Segment,
    plane: &ControlPlane,
    apiservers: &mut [Process],
) -> Result<(), Failed> {
    let question = Question {
        target: (VIP, PORT).into(),
        tls: plane.client_tls()?,
        path: "/version".into(),
    };
    let client = Client::start(segment.host("client")?, question)?;
    let begun = Instant::now();
    let enough = |from: Instant| {
        let asked = sum(&client.requests(from, Instant::now()), &[]).asked;
        (asked >= QUESTIONS).then_some(())
    };
    wait::until("questions", Duration::from_secs(60), || enough(begun))?;
    let killing = Instant::now();
    if let Some(second) = apiservers.get_mut(1) {
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
