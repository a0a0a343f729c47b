//! A booted machine on a segment: up, reachable, able to run a command, shut down.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use lab::host::Host;
use lab::machine::Machine;
use lab::requirement::{Requirement, trial};
use lab::segment::Segment;
use lab::{LabError, binaries, harness, wait};
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};

const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 11);
const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 77, 0, 50));

fn main() {
    let smoke = trial(
        "a_machine_boots_and_shuts_down",
        &[Requirement::Machine],
        || smoke().map_err(|error| Failed::from(error.to_string())),
    );
    let killed = trial(
        "a_machine_goes_with_the_lab_that_booted_it",
        &[Requirement::Machine],
        || killed().map_err(|error| Failed::from(error.to_string())),
    );
    harness::run(vec![smoke, killed]);
}

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
fn smoke() -> Result<(), LabError> {
    let logs = binaries::logs("machine");
    let segment = Segment::new(&logs, &[CLIENT])?;
    let started = Instant::now();
    let machine = Machine::boot(&segment, "m1", MACHINE)?;
    println!("booted in {:.1?}", started.elapsed());
    let state = machine.output("systemctl", &["is-system-running"])?;
    assert_eq!(state.trim(), "running");
    assert_eq!(machine.output("hostname", &[])?.trim(), "m1");
    let client = segment.host("client")?.clone();
    let greeting = wait::until("sshd's greeting", Duration::from_secs(60), || {
        client.run(greeting).ok()?
    })?;
    assert_eq!(&greeting, b"SSH-2.0-");
    machine.shut_down()?;
    println!("gone after {:.1?}", started.elapsed());
    Ok(())
}

/// What kills a lab kills its children at most; a machine is none of them.
fn killed() -> Result<(), LabError> {
    let segment = Segment::new(&binaries::logs("machine-killed"), &[CLIENT])?;
    let machine = Machine::boot(&segment, "m1", MACHINE)?;
    machine.output("systemd-run", &["--quiet", "sleep", "3600"])?;
    let [wrapper, leader] = machine.processes();
    let mut all = machine.network()?.netns().processes();
    assert!(all.len() > 3 && all.contains(&leader), "{all:?}");
    let _ = kill(wrapper, Signal::SIGKILL);
    wait::until("the machine's end", Duration::from_secs(60), || {
        all.retain(|process| Path::new(&format!("/proc/{process}")).exists());
        all.is_empty().then_some(())
    })
}

fn greeting() -> Option<[u8; 8]> {
    let at = SocketAddr::from((MACHINE, 22));
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1)).ok()?;
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting).ok()?;
    Some(greeting)
}
