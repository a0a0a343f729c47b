//! The configuration with the servers that were found. Decides; finds nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Backend, Config, Discovery, Origin, Server};
use crate::pool::Rank;

/// The same configuration, its backends with what `found` knows for them. A server that the
/// file names stands as the file has it.
pub(super) fn merged<'a>(
    config: &Config,
    found: impl Fn(&str) -> Option<&'a BTreeSet<SocketAddr>>,
) -> Config {
    let mut config = config.clone();
    for backend in &mut config.backends {
        if let (Some(found), Some(discovery)) =
            (found(&backend.name), backend.discovery.clone())
        {
            add(backend, &discovery, found);
        }
    }
    config
}

fn add(backend: &mut Backend, discovery: &Discovery, found: &BTreeSet<SocketAddr>) {
    for &address in found {
        if backend.servers.iter().any(|s| s.address == address) {
            continue;
        }
        let mut name = name_of(address);
        while backend.servers.iter().any(|s| *s.name == *name) {
            name.push('+');
        }
        backend.servers.push(Server {
            name: Arc::from(name),
            address,
            weight: discovery.weight,
            rank: Rank::Regular,
            max_connections: discovery.max_connections,
            disabled: false,
            origin: Origin::Found,
        });
    }
}

/// The address in the letters of a name: `192.0.2.1-6443`, `2001-db8--1-6443`.
fn name_of(address: SocketAddr) -> String {
    let ip = address.ip().to_string().replace(':', "-");
    format!("{ip}-{}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_stands_beside_what_is_written() {
        let text = "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {name: f, bind: [\"192.0.2.99:6443\"], backend: b}\nbackends:\n- name: b\n  discovery: {dns: {names: [\"masters.example.com:6443\"]}, weight: 7, maxConnections: 5000, file: off}\n  servers:\n  - {name: m1, address: \"192.0.2.1:6443\", weight: 3}\n  - {name: 192.0.2.2-6443, address: \"192.0.2.3:6443\"}\n";
        let config = crate::config::parse("test", text).unwrap();
        let addresses = ["192.0.2.1:6443", "192.0.2.2:6443", "[2001:db8::1]:6443"];
        let found = addresses.map(|text| text.parse().unwrap());
        let found = BTreeSet::from(found);
        let merged = merged(&config, |name| (name == "b").then_some(&found));
        let servers = merged.backends[0].servers.iter();
        let servers: Vec<(&str, u16, Origin)> =
            servers.map(|s| (&*s.name, s.weight, s.origin)).collect();
        let expected = [
            ("m1", 3, Origin::File),
            ("192.0.2.2-6443", 1, Origin::File),
            ("192.0.2.2-6443+", 7, Origin::Found),
            ("2001-db8--1-6443", 7, Origin::Found),
        ];
        assert_eq!(servers, expected);
        assert_eq!(
            merged.backends[0].servers[2].max_connections.unwrap().get(),
            5000
        );
    }
}
