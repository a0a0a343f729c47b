//! What the unit says: as locked up as api-lb's, which runs beside it, and without a
//! capability; its commands are ones the binary has.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the unit has failed"
)]

use std::fs;
use std::process::Command;

const UNIT: &str = "../packaging/systemd/bootstrap-signer.service";
const BESIDE: &str = "../packaging/systemd/api-lb.service";

/// The lines that lock a service up, from `NoNewPrivileges` to the next section.
fn locks(path: &str) -> Vec<String> {
    let unit = fs::read_to_string(path).unwrap();
    unit.lines()
        .skip_while(|line| !line.starts_with("NoNewPrivileges="))
        .take_while(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn it_is_locked_up_like_its_neighbour() {
    let ours = locks(UNIT);
    for lock in locks(BESIDE) {
        assert!(ours.contains(&lock), "{lock}");
    }
}

#[test]
fn it_has_a_user_of_its_own_and_no_capability() {
    let unit = fs::read_to_string(UNIT).unwrap();
    let lines: Vec<&str> = unit.lines().collect();
    assert!(lines.contains(&"User=bootstrap-signer"));
    assert!(lines.contains(&"CapabilityBoundingSet="));
    assert!(!unit.contains("AmbientCapabilities"));
    let users =
        fs::read_to_string("../packaging/sysusers.d/bootstrap-signer.conf").unwrap();
    let user = users.lines().find(|line| line.starts_with("u "));
    let name = user.unwrap().split_whitespace().nth(1);
    assert_eq!(name, Some("bootstrap-signer"));
}

#[test]
fn its_commands_are_known() {
    let unit = fs::read_to_string(UNIT).unwrap();
    let own = unit.lines().filter_map(|line| {
        let (key, command) = line.split_once("=/usr/bin/bootstrap-signer ")?;
        key.starts_with("Exec").then_some(command)
    });
    let own: Vec<&str> = own.collect();
    assert_eq!(own.len(), 3, "{own:?}");
    for command in own.into_iter().filter(|line| line.starts_with("check ")) {
        let arguments = command.replace(
            "/etc/sternpost/bootstrap-signer.yaml",
            "tests/configs/smallest.yaml",
        );
        let output = Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}
