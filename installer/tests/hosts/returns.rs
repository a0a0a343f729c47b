//! A host that has lost its kubelet's certificate while its Node stands.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::hosts::Hosts;
use super::{Tried, holds};

const N1: &str = "192.0.2.21";
const STANDS: &str = "n1: FAILED: not begun: it has no certificate of this cluster that holds, and \
                      the Node n1 stands (ready): no token is given a name that is taken. If this \
                      host was n1: ";
const RESET: [&str; 5] = ["reset", "--host", "n1", "--confirm", "prod"];

/// What a kubelet of n1 was refused while the Node stood, as a PEM in base64 (RFC 2986).
fn denied() -> Tried<String> {
    let profile = pki::Profile::client("system:node:n1", &["system:nodes"]);
    let key = pki::PrivatePem::generate(pki::KeyKind::P256)?;
    let pem = pki::request(&profile, key.expose())?;
    let item = json!({
        "metadata": {"name": "node-csr-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"username": "system:bootstrap:abcdef", "request": STANDARD.encode(pem)},
        "status": {"conditions": [{"type": "Denied", "status": "True", "reason": "NodeTaken"}]},
    });
    Ok(json!({"items": [item]}).to_string())
}

fn untouched(hosts: &Hosts) -> Tried {
    let nodes = hosts.shared("nodes").join(N1);
    let log = hosts.log()?;
    match log.iter().find(|line| line.contains(N1)) {
        None if nodes.exists() => Ok(()),
        None => Err("the Node is gone".into()),
        Some(line) => Err(format!("{line}, although n1 was not begun").into()),
    }
}

pub(super) fn comes_back() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let replace = ["apply", "--replace", "n1"];
    // Whoever has joined is none that comes back.
    hosts.run(&replace)?.ended(0)?;
    hosts.log()?;
    let pki = hosts.root(N1).join("var/lib/kubelet/pki");
    fs::remove_dir_all(&pki)?;
    for words in [
        &["plan"][..],
        &["apply"],
        &replace,
        &["apply", "--host", "n1"],
    ] {
        let said = hosts.run(words)?.ended(1)?;
        holds(&said, &format!("{STANDS}\"sternpost reset --host n1\""))?;
        untouched(&hosts)?;
    }
    hosts.run(&RESET)?.ended(0)?;
    hosts.log()?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, &format!("{STANDS}apply with --replace n1"))?;
    untouched(&hosts)?;
    hosts
        .run(&[&replace[..], &["--dry-run"]].concat())?
        .ended(3)?;
    untouched(&hosts)?;
    let other = hosts.run(&["apply", "--host", "m1", "--replace", "n1"])?;
    holds(&other.ended(2)?, "n1 is left out by --host: add --host n1")?;
    // Another machine runs by its name.
    let node = hosts.shared("nodes").join(N1);
    fs::write(&node, "192.0.2.99")?;
    let said = hosts.run(&replace)?.ended(1)?;
    holds(
        &said,
        "n1: FAILED: not begun: the Node n1 is ready at 192.0.2.99",
    )?;
    untouched(&hosts)?;
    fs::write(&node, N1)?;
    fs::write(hosts.shared("requests"), denied()?)?;
    let said = hosts.run(&replace)?.ended(0)?;
    holds(&said, "n1: have the cluster forget the Node of that name")?;
    let deleted = fs::read_to_string(hosts.shared("deleted"))?;
    holds(&deleted, "/certificatesigningrequests/node-csr-1")?;
    if !pki.exists() || !node.exists() {
        return Err("n1 has not come in".into());
    }
    hosts.run(&["apply"])?.ended(0)?;
    // By hand it is the same.
    hosts.run(&RESET)?.ended(0)?;
    fs::remove_dir_all(&pki)?;
    fs::remove_file(&node)?;
    hosts.run(&["apply"])?.ended(0)?;
    holds(&format!("{}", pki.exists()), "true")
}
