//! Refuses what cannot work together: listeners that take each other's address, a server
//! that is the balancer itself, names that lead nowhere.

use std::net::SocketAddr;

use config::KeyPath;

use super::here;
use super::meant::{Config, Frontend};
use super::reading::Reading;

const LACKS_ZONE: &str =
    "is link-local without its interface; write such as \"[fe80::1%2]:6443\"";

pub(super) fn refuse(config: &Config, reading: &mut Reading<'_>) {
    listeners(config, reading);
    servers(config, reading);
    memories(config, reading);
    references(config, reading);
}

fn listeners(config: &Config, reading: &mut Reading<'_>) {
    let admin = KeyPath::root().key("admin").key("address");
    let mut known = vec![(admin, config.admin)];
    let tls = KeyPath::root().key("admin").key("tls").key("address");
    let tls = config
        .admin_tls
        .as_ref()
        .map(|secure| (tls, secure.address));
    for (at, bind) in tls.into_iter().chain(binds(config)) {
        if lacks_zone(bind) {
            reading.refuse(&at, LACKS_ZONE);
        } else if let Some(four) = in_six(bind) {
            reading.refuse(
                &at,
                format!("is an IPv4 address within IPv6; write \"{four}\""),
            );
        } else if is_for_many(bind) {
            reading.refuse(&at, "is not an address that TCP can listen on");
        }
        if let Some((other, address)) = known.iter().find(|(_, a)| overlap(*a, bind)) {
            let problem = format!(
                "collides with {other} ({address}) on one host; write another address or port"
            );
            reading.refuse(&at, problem);
        }
        known.push((at, bind));
    }
}

fn binds(config: &Config) -> Vec<(KeyPath, SocketAddr)> {
    let frontends = KeyPath::root().key("frontends");
    let each = config.frontends.iter().enumerate();
    each.flat_map(|(i, frontend)| {
        let at = frontends.index(i).key("bind");
        let binds = frontend.binds.iter().enumerate();
        binds.map(move |(k, &bind)| (at.index(k), bind))
    })
    .collect()
}

/// Whether two listeners of one host take the same connections. IPv6 binds are IPv6 only.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port()
        && a.is_ipv4() == b.is_ipv4()
        && (a == b || a.ip().is_unspecified() || b.ip().is_unspecified())
}

fn servers(config: &Config, reading: &mut Reading<'_>) {
    let binds = binds(config);
    for (i, backend) in config.backends.iter().enumerate() {
        let list = KeyPath::root().key("backends").index(i).key("servers");
        let mut seen = Vec::new();
        for (k, server) in backend.servers.iter().enumerate() {
            let at = list.index(k).key("address");
            if lacks_zone(server.address) {
                reading.refuse(&at, LACKS_ZONE);
            } else if let Some(four) = in_six(server.address) {
                reading.refuse(
                    &at,
                    format!("is an IPv4 address within IPv6; write \"{four}\""),
                );
            } else if server.address.ip().is_unspecified() || is_for_many(server.address)
            {
                reading.refuse(&at, "is not the address of a server");
            } else if let Some((bind, _)) =
                binds.iter().find(|(_, b)| is_ourselves(*b, server.address))
            {
                reading.refuse(&at, format!("is what {bind} listens on: the balancer would connect to itself; write the apiserver's own address"));
            } else if seen.contains(&server.address) {
                reading.refuse(
                    &at,
                    format!("stands twice in {list}; write a weight instead"),
                );
            }
            seen.push(server.address);
        }
    }
}

/// Whether an address that was found cannot be that of a server: it is none, or leads back
/// to one of these binds.
pub(crate) fn is_unfit(server: SocketAddr, binds: &[SocketAddr]) -> bool {
    lacks_zone(server)
        || in_six(server).is_some()
        || server.ip().is_unspecified()
        || is_for_many(server)
        || server.port() == 0
        || binds.iter().any(|bind| is_ourselves(*bind, server))
}

/// A link-local address says nothing without the number of its interface.
fn lacks_zone(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(six) => six.ip().is_unicast_link_local() && six.scope_id() == 0,
    }
}

/// The same address as IPv4, which is another one to TCP.
fn in_six(address: SocketAddr) -> Option<SocketAddr> {
    match address {
        SocketAddr::V4(_) => None,
        SocketAddr::V6(six) => {
            let four = six.ip().to_ipv4_mapped()?;
            Some(SocketAddr::from((four, six.port())))
        }
    }
}

/// Whether it is one that packets for several hosts carry.
fn is_for_many(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(four) => four.ip().is_multicast() || four.ip().is_broadcast(),
        SocketAddr::V6(six) => six.ip().is_multicast(),
    }
}

/// Whether what is sent to the server comes back in at the bind, and goes to the server
/// again, until no descriptor is left.
fn is_ourselves(bind: SocketAddr, server: SocketAddr) -> bool {
    bind == server || (overlap(bind, server) && here::is_ours(server.ip()))
}

/// Two backends that keep their servers in one file would each start with the other's.
fn memories(config: &Config, reading: &mut Reading<'_>) {
    let mut seen = Vec::new();
    for (i, backend) in config.backends.iter().enumerate() {
        let file = backend
            .discovery
            .as_ref()
            .and_then(|found| found.file.as_ref());
        let Some(file) = file else { continue };
        if seen.contains(&file) {
            let at = KeyPath::root().key("backends").index(i).key("discovery");
            reading.refuse(
                &at.key("file"),
                "is another backend's as well; write one for each",
            );
        }
        seen.push(file);
    }
}

fn references(config: &Config, reading: &mut Reading<'_>) {
    let names: Vec<&str> = config
        .backends
        .iter()
        .map(|backend| &*backend.name)
        .collect();
    for (i, frontend) in config.frontends.iter().enumerate() {
        let at = KeyPath::root().key("frontends").index(i);
        let routes = frontend.routes.iter().enumerate();
        let routes = routes.map(|(k, name)| (at.key("routes").index(k), name));
        let all = std::iter::once((at.clone(), &frontend.backend)).chain(routes);
        for (at, _) in all.filter(|(_, name)| !names.contains(&&***name)) {
            reading.refuse(
                &at.key("backend"),
                format!("is not a backend; there is {}", names.join(", ")),
            );
        }
    }
    for (i, name) in names.iter().enumerate() {
        let uses = |frontend: &Frontend| {
            &*frontend.backend == *name || frontend.routes.iter().any(|r| &**r == *name)
        };
        if !config.frontends.iter().any(uses) {
            let at = KeyPath::root().key("backends").index(i).key("name");
            reading.refuse(&at, "is used by no frontend; remove the backend");
        }
    }
}
