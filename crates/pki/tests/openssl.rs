//! What is issued, as OpenSSL sees it. Skipped, and said so, where it is not installed.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::time::SystemTime;

use libtest_mimic::{Arguments, Failed, Trial};
use pki::{ControlPlane, Node, write};

/// Authority, certificate, the purpose it must serve, whether it does.
const CHAINS: &[(&str, &str, &str, bool)] = &[
    ("ca.crt", "apiserver.crt", "sslserver", true),
    ("ca.crt", "apiserver.crt", "sslclient", false),
    ("ca.crt", "apiserver-kubelet-client.crt", "sslclient", true),
    ("ca.crt", "apiserver-kubelet-client.crt", "sslserver", false),
    ("ca.crt", "etcd/server.crt", "sslserver", false),
    ("etcd/ca.crt", "etcd/server.crt", "sslserver", true),
    ("etcd/ca.crt", "etcd/peer.crt", "sslserver", true),
    ("etcd/ca.crt", "etcd/peer.crt", "sslclient", true),
    (
        "etcd/ca.crt",
        "apiserver-etcd-client.crt",
        "sslclient",
        true,
    ),
    (
        "front-proxy-ca.crt",
        "front-proxy-client.crt",
        "sslclient",
        true,
    ),
];

#[expect(
    clippy::print_stderr,
    reason = "the test runner reads the line of a skip"
)]
fn main() -> ExitCode {
    let missing = Command::new("openssl").arg("version").output().is_err();
    let required = std::env::var("STERNPOST_REQUIRE").unwrap_or_default();
    let required = required.split(',').any(|name| name == "openssl");
    let skip = missing && !required;
    if skip {
        // The line the test runner reads; see `Requirement` of the lab.
        eprintln!("SKIPPED openssl_agrees (needs: openssl): no openssl in PATH");
    }
    let trial = Trial::test("openssl_agrees", openssl_agrees);
    let trial = trial.with_ignored_flag(skip);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn openssl_agrees() -> Result<(), Failed> {
    let spec = ControlPlane {
        cluster: "kubernetes".to_owned(),
        endpoint: "192.0.2.224:6443".parse()?,
        masters: vec![Node {
            name: "m1".to_owned(),
            addresses: vec![IpAddr::from([192, 0, 2, 100])],
        }],
        apiserver_port: 6443,
        service_networks: vec!["10.96.0.0/12".parse()?],
        cluster_domain: "cluster.local".to_owned(),
        extra_names: Vec::new(),
    };
    let folder = tempfile::tempdir()?;
    // OpenSSL has a clock of its own, so these are issued for the machine's time.
    let set = spec.issue(SystemTime::now())?;
    let node = set.nodes.first().ok_or("no node")?;
    write(folder.path(), &set.files(node))?;
    let pki = folder.path().join("pki");
    for (ca, certificate, purpose, expected) in CHAINS {
        let arguments = [
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            ca,
            certificate,
        ];
        let said = openssl(&pki, &arguments)?;
        if said.status.success() != *expected {
            return Err(format!("{certificate} as {purpose} under {ca}: {said:?}").into());
        }
    }
    let derived = openssl(&pki, &["pkey", "-in", "sa.key", "-pubout"])?;
    if derived.stdout != set.service_account.public_pem.as_bytes() {
        return Err("sa.pub is not the public half of sa.key".into());
    }
    Ok(())
}

fn openssl(folder: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .output()
}
