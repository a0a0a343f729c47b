//! api-lb and vip-daemon on the same hosts: each api-lb shows who has the address, and goes on
//! when the vip-daemon beside it is gone.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use lab::daemons::{VipConfig, vip_daemon};
use lab::host::Host;
use lab::process::{Process, Program};
use lab::requirement::{Requirement, trial};
use lab::segment::Segment;
use lab::{binaries, netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed};
use serde_json::Value;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const MASTERS: [(&str, Ipv4Addr, u8); 2] = [
    ("a", Ipv4Addr::new(10, 77, 0, 11), 200),
    ("b", Ipv4Addr::new(10, 77, 0, 12), 100),
];
/// Above two looks of api-lb (2 s each) and an election.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let arguments = Arguments::from_args();
    let name = "beside::every_api_lb_shows_who_has_the_address";
    let shown = trial(name, &[Requirement::Root], shown);
    libtest_mimic::run(&arguments, vec![shown]).exit();
}

fn shown() -> Result<(), Failed> {
    let logs = binaries::logs("beside");
    let segment = Segment::new(&logs, &MASTERS.map(|(name, at, _)| (name, at)))?;
    let mut balancers = Vec::new();
    for (name, ..) in MASTERS {
        balancers.push(balancer(&segment, name)?);
    }
    owner(&segment, "a", None)?;
    let first = holder(&segment, MASTERS[0])?;
    let _second = holder(&segment, MASTERS[1])?;
    owner(&segment, "a", Some("is here (k8s-api: active)"))?;
    owner(&segment, "b", Some("is at 10.77.0.11 (k8s-api: backup)"))?;
    drop(first);
    owner(&segment, "b", Some("is here (k8s-api: active)"))?;
    owner(&segment, "a", None)?;
    balancers.iter_mut().try_for_each(Process::running)?;
    Ok(())
}

/// What that host's api-lb says of the address, in its table and in JSON; nothing, when there
/// is nothing to say.
fn owner(segment: &Segment, host: &str, expected: Option<&str>) -> Result<(), Failed> {
    let host = segment.host(host)?;
    let binary = binaries::own("api-lb")?.display().to_string();
    let socket = host.file("lb.sock").display().to_string();
    let what = format!("{} shows {expected:?}", host.name());
    wait::until(&what, PATIENCE, || {
        let table = host
            .output(&binary, &["status", "--socket", &socket])
            .ok()?;
        let mut lines = table.lines();
        let said = lines.find_map(|line| line.strip_prefix("10.77.0.100/24 "));
        (said == expected).then_some(())
    })?;
    let said = host.output(&binary, &["status", "--json", "--socket", &socket])?;
    let status: Value = serde_json::from_str(&said)?;
    let routers = status.pointer("/routers").ok_or("no key routers")?;
    if routers.is_null() == expected.is_some() {
        return Err(format!("routers: {routers}").into());
    }
    Ok(())
}

fn balancer(segment: &Segment, name: &str) -> Result<Process, Failed> {
    let host = segment.host(name)?;
    let (file, socket) = (host.file("lb.yaml"), host.file("lb.sock"));
    let mut text = format!(
        "apiVersion: sternpost/v1\nkind: ApiLb\nsocket: {}\nflightRecorder: {{directory: off}}\n",
        socket.display()
    );
    let _ = write!(
        text,
        "frontends:\n- {{name: k8s-api, bind: [\"{VIP}:6443\"], backend: k8s-api}}\n\
         backends:\n- name: k8s-api\n  check: {{tcp: {{}}}}\n  servers:\n"
    );
    for (name, at, _) in MASTERS {
        let _ = writeln!(text, "  - {{name: {name}, address: \"{at}:6443\"}}");
    }
    fs::write(&file, text)?;
    let program = Program::new("api-lb", &binaries::own("api-lb")?, segment.logs());
    let config = file.display().to_string();
    let mut process = host.start(&program.args(["run", "--config", &config]))?;
    process.ready(PATIENCE)?;
    Ok(process)
}

fn holder(
    segment: &Segment,
    (name, source, priority): (&str, Ipv4Addr, u8),
) -> Result<Process, Failed> {
    let host = segment.host(name)?;
    let peers = MASTERS
        .iter()
        .map(|(_, at, _)| *at)
        .filter(|at| *at != source);
    let config = VipConfig {
        vip: VIP,
        source,
        peers: peers.collect(),
        priority,
        version: 3,
        interval: "100ms".to_owned(),
        preempt: true,
        tracked: None,
        socket: host.file("vip.sock"),
    };
    let program = vip_daemon(&config, &host.file("vip.yaml"), segment.logs())?;
    let mut process = host.start(&program)?;
    process.ready(PATIENCE)?;
    Ok(process)
}
