//! The control plane stands in the lab: three etcd members and three API servers, TLS on
//! every path, each asked over its own address.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::client::{Question, once};
use lab::control_plane::{ControlPlane, Kind, PORT};
use lab::host::Host;
use lab::requirement::{Requirement, trial};
use lab::segment::Segment;
use lab::{LabError, binaries, wait};
use libtest_mimic::{Arguments, Failed};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const HOSTS: [(&str, Ipv4Addr); 4] = [
    ("m1", Ipv4Addr::new(10, 77, 0, 11)),
    ("m2", Ipv4Addr::new(10, 77, 0, 12)),
    ("m3", Ipv4Addr::new(10, 77, 0, 13)),
    ("client", Ipv4Addr::new(10, 77, 0, 50)),
];

fn main() {
    lab::netns::sweep();
    let needs = [Requirement::Root, Requirement::Kubernetes];
    let real = trial("three_real_masters_become_ready", &needs, || {
        stand_up().map_err(|e| Failed::from(e.to_string()))
    });
    libtest_mimic::run(&Arguments::from_args(), vec![real]).exit();
}

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
fn stand_up() -> Result<(), LabError> {
    let logs = binaries::output("lab-logs").join("control-plane");
    let segment = Segment::new(&logs, &HOSTS)?;
    let [masters @ .., _] = segment.hosts() else {
        return Ok(());
    };
    let client = segment.host("client")?;
    let plane = ControlPlane::new(Kind::Real, segment.files(), &logs, VIP, masters)?;
    let started = Instant::now();
    let mut running = Vec::new();
    for host in masters {
        running.push(host.start(&plane.etcd(host.name()))?);
    }
    for process in &mut running {
        process.ready(Duration::from_secs(20))?;
    }
    println!("etcd: {:?}", started.elapsed());
    for host in masters {
        running.push(host.start(&plane.apiserver(host.name())?)?);
    }
    let tls = plane.client_tls()?;
    for host in masters {
        let target = (host.address(), PORT).into();
        let question = Question {
            target,
            tls: tls.clone(),
            path: "/readyz".into(),
        };
        let answered = || once(client, &question).ok()?.ok();
        wait::until("an API server", Duration::from_secs(60), answered)?;
        println!("{}: {:?}", host.name(), started.elapsed());
    }
    for process in &mut running {
        process.running()?;
    }
    Ok(())
}
