//! Keys held against each other: each trap that a description can show, with its line.

mod endpoint;
mod hosts;
mod networks;

use std::net::IpAddr;

use config::KeyPath;

use super::meant::{Cluster, Generation, Host};
use super::reader::Reader;

/// Passwords and tokens that well-known documents print; who copies them shares them with
/// every reader.
const KNOWN_SECRETS: [&str; 3] = [
    "Admin:Password",
    "f3be89d17cf7d80847f3bc8b8ea58250",
    "07401b.f395accd246ae52d",
];

pub(super) fn lint(cluster: &Cluster, reader: &mut Reader<'_>) {
    let at = KeyPath::root();
    hosts::lint(cluster, reader, &at);
    networks::lint(cluster, reader, &at);
    endpoint::lint(cluster, reader, &at);
    runtime(cluster, reader, &at.key("runtime").key("containerd"));
    flags(cluster, reader, &at.key("flags"));
}

fn runtime(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let version = cluster.version;
    let needs = version.features().needs_containerd_2;
    if needs && cluster.containerd == Generation::One {
        let problem =
            format!("is too old for Kubernetes {version}, which is released with 2");
        reader.warn(at, problem);
    }
}

fn flags(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    for (component, flags) in &cluster.flags {
        for (flag, value) in flags {
            if KNOWN_SECRETS.iter().any(|known| value.contains(known)) {
                let at = at.key(component.name()).key(flag);
                let problem = "is printed in a well-known document, so everybody has it; make your own";
                reader.refuse::<()>(&at, problem);
            }
        }
    }
}

fn owner(cluster: &Cluster, address: IpAddr) -> Option<&Host> {
    cluster
        .hosts
        .iter()
        .find(|host| host.addresses.contains(&address))
}

/// The name of an address's family.
fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}
