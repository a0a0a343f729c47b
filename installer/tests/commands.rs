//! Commands that look at hosts, tried on this machine: it is none of the description's, and
//! each says so without touching anything.
//!
//! Leaves to others: machines that are.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spec/whole.yaml");

fn sternpost(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_sternpost");
    let command = arguments.first().unwrap();
    Command::new(program)
        .args([command, "--spec", SPEC, "--local", "m1", "--host", "m1"])
        .args(arguments.iter().skip(1))
        .output()
        .unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

#[test]
fn preflight_names_what_speaks_against_this_machine() {
    let output = sternpost(&["preflight"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let wanted = "m1: blocks: none of its interfaces has 192.168.220.100: it is another machine; \
                  correct hosts[].addresses or hosts[].ssh.host";
    assert!(said.lines().any(|line| line == wanted), "{said}");
    let output = sternpost(&["preflight", "--output", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = all.pointer("/findings/0").unwrap();
    assert_eq!(first.get("finding").unwrap(), "otherMachine");
}

#[test]
fn certs_says_of_each_that_there_is_none() {
    let output = sternpost(&["certs", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = all.pointer("/0/certificates").unwrap().as_array().unwrap();
    let names = lines.iter().filter_map(|line| line.get("name")?.as_str());
    let names: Vec<_> = names.collect();
    assert!(
        names.contains(&"apiserver") && names.contains(&"etcd/peer"),
        "{names:?}"
    );
}

#[test]
fn kubeconfig_has_nobody_to_ask() {
    let output = sternpost(&["kubeconfig"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.starts_with("no master gives the cluster's authorities; m1 has none"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_host_that_is_not_there_is_named_before_anything_is_asked() {
    let program = env!("CARGO_BIN_EXE_sternpost");
    let arguments = ["preflight", "--spec", SPEC, "--host", "m9"];
    let output = Command::new(program).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.starts_with("--host m9: is no host of"), "{said}");
}
