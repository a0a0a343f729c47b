//! What `make deps` fetches starts nothing: the fetching runs once more into an empty
//! folder, under the watch that `make deps` itself runs under, and that watch is shown
//! to see a program that stays.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot start has nothing to clean up"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use lab::requirement::{Requirement, peers, trial};
use libtest_mimic::{Arguments, Failed};

fn main() -> ExitCode {
    let root = &[Requirement::Root];
    let trials = vec![
        trial("a_command_that_ends_passes_with_its_own_exit", root, ends),
        trial("a_program_that_stays_is_named", root, stays),
        trial(
            "unpacking_the_peers_leaves_nothing_running",
            &[Requirement::Root, Requirement::Peers],
            peers_unpacked,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
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
