//! What `make deps` fetches starts nothing: the fetching runs once more into an empty
//! folder, under the watch that `make deps` itself runs under, and that watch is shown
//! to see a program that stays.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot start has nothing to clean up"
)]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lab::host::Host as _;
use lab::machine::Machine;
use lab::requirement::{Requirement, peers, trial};
use lab::segment::Segment;
use lab::{binaries, harness};
use libtest_mimic::Failed;

const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 11);

fn main() {
    let root = &[Requirement::Root];
    let trials = vec![
        trial("a_command_that_ends_passes_with_its_own_exit", root, ends),
        trial("a_program_that_stays_is_named", root, stays),
        trial(
            "unpacking_the_peers_leaves_nothing_running",
            &[Requirement::Root, Requirement::Peers],
            peers_unpacked,
        ),
        trial(
            "a_service_that_came_with_the_command_is_named_and_no_other",
            &[Requirement::Machine],
            services,
        ),
    ];
    harness::run(trials);
}

fn ends() -> Result<(), Failed> {
    for code in [0, 7] {
        let output = watched(&["sh", "-c", &format!("exit {code}")]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
    Ok(())
}

fn stays() -> Result<(), Failed> {
    let output = watched(&["setsid", "--fork", "sleep", "3600"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("left running:\n  sleep 3600"), "{said}");
    Ok(())
}

fn peers_unpacked() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let script = scripts().join("peers.sh");
    let output = watched(&[&script.to_string_lossy(), &folder.path().to_string_lossy()]);
    assert!(output.status.success(), "{}", said(&output));
    for entry in std::fs::read_dir(peers().join("bin"))? {
        let name = entry?.file_name();
        let program = folder.path().join("bin").join(&name);
        assert!(
            program.is_file(),
            "no {} in a folder made anew",
            name.display()
        );
    }
    Ok(())
}

/// On a machine of its own, which a service may stay on.
fn services() -> Result<(), Failed> {
    let segment = Segment::new(&binaries::logs("deps-quiet"), &[])?;
    let folder = segment.files().join("machine-m1/upper/usr/local/bin");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(scripts().join("quiet.sh"), folder.join("quiet.sh"))?;
    let machine = Machine::boot(&segment, "m1", MACHINE)?;
    let run = |what: &str| machine.output("/bin/bash", &["-c", &watched_start(what)]);
    // It has been there all along: a timer or a person may have started it.
    run(":")?;
    let brings = "printf \"[Service]\\nExecStart=/bin/sleep 3600\\n\" \
                  >/etc/systemd/system/brought.service";
    let said = match run(brings) {
        Ok(_) => return Err("a service stayed, and nothing was said".into()),
        Err(error) => error.to_string(),
    };
    if said.contains("started:\n  brought.service") && !said.contains("  ssh.service") {
        return Ok(());
    }
    Err(said.into())
}

/// A script in which ssh, and `brought` where there is one, are started while a command is
/// watched that does `what`: by the system, since systemd hears nobody who is in a process
/// namespace of his own.
fn watched_start(what: &str) -> String {
    format!(
        "systemctl stop ssh && rm -f /run/go /run/done && mkfifo /run/go /run/done || exit 2\n\
         {{ read -r _ </run/go; systemctl start ssh; systemctl start brought; \
            echo >/run/done; }} 2>/dev/null &\n\
         quiet.sh sh -c '{what}; echo >/run/go; read -r _ </run/done'"
    )
}

fn watched(command: &[&str]) -> Output {
    Command::new(scripts().join("quiet.sh"))
        .args(command)
        .env("STERNPOST_QUIET_PATIENCE", "2")
        .output()
        .expect("quiet.sh starts")
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deps")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
