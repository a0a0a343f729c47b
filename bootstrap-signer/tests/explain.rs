//! The binary: `explain` and `check`, with files as an operator has them.
//!
//! Leaves to the crate `policy` and to `csr-cases`: what is decided.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use serde_json::Value;
use tempfile::TempDir;

const CONTEXT: &str = r#"
apiVersion: sternpost/v1
kind: ExplainContext
now: "2026-01-31T12:00:00Z"
nodes:
- {name: node-a, ready: true, renewed: 5s, addresses: ["node-a", "10.0.0.11"]}
granted: [nodeclient, selfnodeclient]
keyUsedBy: []
ahead: 0
"#;

/// A serving request of node-a for `address`, as kubectl prints it.
fn request(address: &str) -> String {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, "system:node:node-a");
    params.distinguished_name = subject;
    params.subject_alt_names = vec![SanType::IpAddress(address.parse().unwrap())];
    let key = KeyPair::generate().unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    format!(
        r#"
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: csr-abcde
  creationTimestamp: "2026-01-31T11:59:50Z"
  uid: 5c9d6b1e-0000-4000-8000-000000000000
  managedFields:
  - {{manager: kubelet, operation: Update}}
spec:
  groups: ["system:nodes", "system:authenticated"]
  request: {}
  signerName: kubernetes.io/kubelet-serving
  usages: [digital signature, server auth]
  username: system:node:node-a
status: {{}}
"#,
        STANDARD.encode(pem)
    )
}

fn folder(address: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("csr.yaml", &request(address));
    write("context.yaml", CONTEXT);
    write(
        "config.yaml",
        &fs::read_to_string("tests/configs/smallest.yaml").unwrap(),
    );
    folder
}

fn run(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const EXPLAIN: &str = "explain --config config.yaml --file csr.yaml";

#[test]
fn every_rule_is_shown_and_the_verdict_last() {
    for (address, verdict) in [
        ("10.0.0.11", "approve: Serving: "),
        ("10.0.0.51", "wait: SanNotOnNodeYet: "),
        ("10.96.0.1", "deny: SanReserved: "),
    ] {
        let folder = folder(address);
        let output = run(folder.path(), &format!("{EXPLAIN} --context context.yaml"));
        let page = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{page}");
        let last = page.lines().last().unwrap();
        assert!(last.starts_with(verdict), "{page}");
        for rule in policy::RULES {
            let line = format!("\n{:<20}", rule.name);
            assert!(page.contains(&line), "{}: {page}", rule.name);
        }
    }
}

#[test]
fn without_a_context_nothing_is_known_and_bad_is_bad() {
    let good = folder("10.0.0.11");
    let page = text(&run(good.path(), EXPLAIN).stdout);
    assert!(page.contains("wait: FactsUnknown: "), "{page}");
}

#[test]
fn programs_read_the_same() {
    let folder = folder("10.0.0.51");
    let arguments = format!("{EXPLAIN} --context context.yaml --json");
    let output = run(folder.path(), &arguments);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        value["rules"].as_array().unwrap().len(),
        policy::RULES.len()
    );
    assert_eq!(value["rules"][0]["rule"], "signer");
    assert_eq!(value["rules"][0]["result"], "pass");
    assert_eq!(value["verdict"]["decision"], "wait");
    assert_eq!(value["verdict"]["reason"], "SanNotOnNodeYet");
    let again = value["verdict"]["again"].as_str().unwrap();
    assert!(again.starts_with("2026-01-31T12:01:50"), "{again}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = folder("10.0.0.11");
    let path = folder.path();
    fs::write(path.join("node.yaml"), "apiVersion: v1\nkind: Node\n").unwrap();
    fs::write(
        path.join("half.yaml"),
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {}\n",
    )
    .unwrap();
    fs::write(
        path.join("bad.yaml"),
        "apiVersion: sternpost/v1\nkind: BootstrapSigner\n",
    )
    .unwrap();
    for (arguments, said) in [
        (
            "explain --config config.yaml --file not-there.yaml",
            "not-there.yaml cannot be read",
        ),
        (
            "explain --config config.yaml --file node.yaml",
            "is no CertificateSigningRequest",
        ),
        (
            "explain --config config.yaml --file half.yaml",
            "is not whole; take it from",
        ),
        (
            "explain --config bad.yaml --file csr.yaml",
            "bad.yaml:1: cluster: is missing",
        ),
        (
            "explain --config config.yaml --file csr.yaml --context config.yaml",
            "kind: \"BootstrapSigner\"",
        ),
        ("check --config bad.yaml", "bad.yaml:1: cluster: is missing"),
        ("run --config bad.yaml", "bad.yaml:1: cluster: is missing"),
    ] {
        let output = run(path, arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert!(error.contains(said), "{arguments}: {error}");
    }
}

#[test]
fn a_good_file_is_said_to_be_good() {
    let folder = folder("10.0.0.11");
    let output = run(folder.path(), "check --config config.yaml");
    assert_eq!(output.status.code(), Some(0));
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(said, "config.yaml: good, 0 node(s) in the inventory\n");
    assert!(
        warned.starts_with("warning: controlPlane.endpoints is empty"),
        "{warned}"
    );
}
