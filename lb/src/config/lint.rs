//! Warns of what is allowed and, in front of kube-apiservers, probably a mistake.

use std::time::Duration;

use config::{KeyPath, Period};

use super::meant::{Backend, Config, Server};
use super::reading::Reading;

/// kube-apiservers have listened here in clear text; none has since 1.20.
const INSECURE_PORT: u16 = 8080;

/// Watches and `kubectl logs -f` are quiet for longer than a shorter time.
const SHORT_IDLE: Duration = Duration::from_secs(60 * 60);

/// Each node holds a handful of connections for as long as it runs.
const FEW_CONNECTIONS: u32 = 1000;

/// Where kube-apiservers listen by default.
const APISERVER: u16 = 6443;

pub(super) fn warn(config: &Config, reading: &mut Reading<'_>) {
    admin(config, reading);
    same_port(config, reading);
    let backends = KeyPath::root().key("backends");
    for (i, backend) in config.backends.iter().enumerate() {
        let at = backends.index(i);
        idle(&at, backend, reading);
        check(&at, backend, reading);
        servers(&at, backend, reading);
    }
}

fn admin(config: &Config, reading: &mut Reading<'_>) {
    if !config.admin.ip().is_loopback() {
        reading.warn(
            &KeyPath::root().key("admin").key("address"),
            "shows the servers and how they are to everybody who reaches it, in clear text; write 127.0.0.1:9000, and admin.tls for others",
        );
    }
}

/// An apiserver that listens on all addresses, as it does by default, and a wildcard bind
/// cannot both have the port.
fn same_port(config: &Config, reading: &mut Reading<'_>) {
    let frontends = KeyPath::root().key("frontends");
    for (i, frontend) in config.frontends.iter().enumerate() {
        let backend = config.backends.iter().find(|b| b.name == frontend.backend);
        let servers = backend
            .map(|backend| &backend.servers[..])
            .unwrap_or_default();
        for (k, bind) in frontend.binds.iter().enumerate() {
            let has_port = servers.iter().any(|s| s.address.port() == bind.port());
            if bind.ip().is_unspecified() && has_port {
                let at = frontends.index(i).key("bind").index(k);
                reading.warn(&at, "takes the servers' own port on every address: an apiserver on this host cannot listen beside it; bind the virtual address alone, or another port");
            }
        }
    }
}

fn idle(at: &KeyPath, backend: &Backend, reading: &mut Reading<'_>) {
    if let Some(time) = backend.idle.filter(|time| *time < SHORT_IDLE) {
        let sentence = format!(
            "cuts what is quiet for {}: watches, `kubectl logs -f`, `exec` and `port-forward` among them; leave it out, or write 1h",
            Period(time)
        );
        reading.warn(&at.key("timeouts").key("idle"), &sentence);
    }
}

fn check(at: &KeyPath, backend: &Backend, reading: &mut Reading<'_>) {
    let is_bare = matches!(backend.check.probe, probe::Check::Tcp);
    let is_apiserver = |port: u16| port == APISERVER;
    let mut servers = backend.servers.iter();
    if is_bare && servers.any(|server| is_apiserver(server.address.port())) {
        reading.warn(
            &at.key("check"),
            "only asks whether a connection is accepted: a hung or unready apiserver passes, and each check leaves a TLS handshake error in its log; write {https: {path: /readyz, caFile: ...}}",
        );
    }
}

fn servers(at: &KeyPath, backend: &Backend, reading: &mut Reading<'_>) {
    let list = at.key("servers");
    for (k, server) in backend.servers.iter().enumerate() {
        if server.address.port() == INSECURE_PORT {
            reading.warn(
                &list.index(k).key("address"),
                "is the insecure port of apiservers before 1.20; none listens there today",
            );
        }
    }
    let few = |server: &Server| {
        server
            .max_connections
            .is_some_and(|most| most.get() < FEW_CONNECTIONS)
    };
    if let Some(k) = backend.servers.iter().position(few) {
        reading.warn(
            &list.index(k).key("maxConnections"),
            "is few for an apiserver: every node, controller and watch holds connections for as long as it runs, and who finds no place waits and is reset",
        );
    }
    let used = backend
        .servers
        .iter()
        .filter(|server| !server.disabled)
        .count();
    if used == 2 && backend.servers.len() == 2 && backend.discovery.is_none() {
        reading.warn(
            &list,
            "names two servers; control planes have one, three or five: is one missing?",
        );
    }
}
