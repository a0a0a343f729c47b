//! Keys held against each other: each trap that a description can show, with its line.

use std::net::IpAddr;

use config::KeyPath;
use ipnet::IpNet;

use super::endpoint::APISERVER_PORT;
use super::file::{BetweenPods, ProxyMode, Role};
use super::meant::{Balancer, Cluster, Etcd, Host, VirtualRouter};
use super::reader::Reader;

/// Pods' addresses that each node gets: kube-controller-manager's default.
const NODE_PREFIX: (u8, u8) = (24, 64);
/// Passwords and tokens that well-known documents print; who copies them shares them with
/// every reader.
const KNOWN_SECRETS: [&str; 3] = [
    "Admin:Password",
    "f3be89d17cf7d80847f3bc8b8ea58250",
    "07401b.f395accd246ae52d",
];

pub(super) fn lint(cluster: &Cluster, reader: &mut Reader<'_>) {
    let at = KeyPath::root();
    members(cluster, reader, &at.key("hosts"));
    masters(cluster, reader, &at);
    overlaps(cluster, reader, &at);
    pods(cluster, reader, &at.key("networks"));
    proxy(cluster, reader, &at.key("networks").key("proxy"));
    flags(cluster, reader, &at.key("flags"));
    if let Balancer::Own(router) = &cluster.balancer {
        virtual_addresses(
            cluster,
            router,
            reader,
            &at.key("endpoint").key("addresses"),
        );
    }
    if cluster.balancer == Balancer::External {
        bypassed(cluster, reader, &at.key("endpoint").key("addresses"));
    }
}

/// An even number of members survives no more failures than one less, and needs one more
/// to agree.
fn members(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let members = cluster.with(Role::Etcd).count();
    match (&cluster.etcd, members) {
        (Etcd::Hosts, 0) => {
            let problem = "holds no host with the role etcd; give it to 1, 3 or 5, or write etcd.external";
            reader.refuse::<()>(at, problem);
        }
        (Etcd::Hosts, members) if members % 2 == 0 => {
            let less = members - 1;
            reader.refuse::<()>(
                at,
                format!(
                    "holds {members} members of etcd: an even number survives no more \
                     failures than {less}; make them {less} or {}",
                    members + 1
                ),
            );
        }
        (Etcd::External { .. }, 1..) => {
            let problem =
                "has the role etcd, but etcd.external names another cluster; keep one";
            let first = cluster.hosts.iter().position(|host| host.is(Role::Etcd));
            reader.refuse::<()>(&at.index(first.unwrap_or(0)).key("roles"), problem);
        }
        (Etcd::Hosts | Etcd::External { .. }, _) => {}
    }
    if members > 7 {
        reader.warn(
            at,
            "holds more than 7 members of etcd: each write waits for more of them",
        );
    }
}

fn masters(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let masters = cluster.with(Role::ControlPlane).count();
    let hosts = at.key("hosts");
    if masters == 0 {
        reader.refuse::<()>(&hosts, "holds no host with the role controlPlane");
    }
    if cluster.balancer == Balancer::None && masters > 1 {
        reader.refuse::<()>(
            &at.key("balancer").key("mode"),
            "leaves all but the first control-plane host without clients; write own, local or external",
        );
    }
    if masters == 2 {
        let problem = "holds two control-plane hosts; three keep the API served while one is being repaired";
        reader.warn(&hosts, problem);
    }
}

/// No two networks may share an address, and no host's may lie in one of the cluster's.
fn overlaps(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let networks = at.key("networks");
    let all = [
        ("services", &cluster.networks.services),
        ("pods", &cluster.networks.pods),
    ];
    for service in &cluster.networks.services {
        for (position, pod) in cluster.networks.pods.iter().enumerate() {
            if overlap(service, pod) {
                reader.refuse::<()>(
                    &networks.key("pods").index(position),
                    format!("overlaps networks.services ({service}); choose another"),
                );
            }
        }
    }
    for (position, host) in cluster.hosts.iter().enumerate() {
        for (inner, address) in host.addresses.iter().enumerate() {
            for (key, nets) in all {
                if let Some(net) = nets.iter().find(|net| net.contains(address)) {
                    let at = at
                        .key("hosts")
                        .index(position)
                        .key("addresses")
                        .index(inner);
                    reader.refuse::<()>(
                        &at,
                        format!(
                            "lies in networks.{key} ({net}); choose another network there"
                        ),
                    );
                }
            }
        }
    }
}

fn pods(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let nodes = cluster.with(Role::Node).count();
    for (position, net) in cluster.networks.pods.iter().enumerate() {
        let at = at.key("pods").index(position);
        if !is_private(net) {
            reader.refuse::<()>(
                &at,
                "is public: Pods could not reach its real owners; choose one within \
                 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fd00::/8",
            );
        }
        let per_node = if matches!(net, IpNet::V4(_)) {
            NODE_PREFIX.0
        } else {
            NODE_PREFIX.1
        };
        let bits = per_node.checked_sub(net.prefix_len());
        let room = bits.map_or(0, |bits| {
            1_usize.checked_shl(bits.into()).unwrap_or(usize::MAX)
        });
        if room == 0 {
            let swapped = cluster.networks.services.iter();
            let swapped = swapped
                .clone()
                .any(|service| service.prefix_len() < net.prefix_len());
            let hint = if swapped {
                "; are services and pods swapped?"
            } else {
                ""
            };
            reader.refuse::<()>(
                &at,
                format!("has no room for one node, which takes a /{per_node}{hint}"),
            );
        } else if room < nodes {
            reader.refuse::<()>(
                &at,
                format!(
                    "has room for {room} nodes (a /{per_node} each); there are {nodes}"
                ),
            );
        }
    }
    let families = |nets: &[IpNet]| {
        let v4 = nets.iter().any(|net| matches!(net, IpNet::V4(_)));
        (v4, nets.iter().any(|net| matches!(net, IpNet::V6(_))))
    };
    let (services, pods) = (&cluster.networks.services, &cluster.networks.pods);
    if families(services) != families(pods) {
        let problem = "has other families than networks.services; write one network of each in both";
        reader.refuse::<()>(&at.key("pods"), problem);
    }
    if cluster.networks.between_pods == BetweenPods::None && cluster.manifests.is_none() {
        let problem = "is none and there are no manifests: nodes stay NotReady until something lays a network";
        reader.warn(&at.key("betweenPods"), problem);
    }
}

fn proxy(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let version = cluster.version;
    let features = version.features();
    match cluster.networks.proxy {
        ProxyMode::Nftables if !features.nftables => {
            let problem = format!("needs Kubernetes 1.31; {version} has iptables");
            reader.refuse::<()>(at, problem);
        }
        ProxyMode::Ipvs if features.ipvs_deprecated => {
            reader.warn(
                at,
                "is deprecated since Kubernetes 1.35; nftables does its work",
            );
        }
        ProxyMode::Nftables | ProxyMode::Ipvs | ProxyMode::Iptables | ProxyMode::None => {
        }
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

fn virtual_addresses(
    cluster: &Cluster,
    router: &VirtualRouter,
    reader: &mut Reader<'_>,
    at: &KeyPath,
) {
    for (position, net) in router.addresses.iter().enumerate() {
        let at = at.index(position);
        if let Some(host) = owner(cluster, net.addr()) {
            let problem =
                format!("is the address of the host {}; write a free one", host.name);
            reader.refuse::<()>(&at, problem);
        }
        let inside = [&cluster.networks.services, &cluster.networks.pods];
        if inside
            .iter()
            .any(|nets| nets.iter().any(|net2| net2.contains(&net.addr())))
        {
            let problem = "lies in a network of the cluster itself; write one of the hosts' network";
            reader.refuse::<()>(&at, problem);
        }
        let same = |address: &&IpAddr| address.is_ipv4() == net.addr().is_ipv4();
        for host in cluster.with(Role::ControlPlane) {
            let outside = host
                .addresses
                .iter()
                .find(same)
                .filter(|a| !net.contains(*a));
            if let Some(address) = outside {
                reader.refuse::<()>(
                    &at,
                    format!(
                        "is outside the subnet of {} ({address}), so nobody there would ask \
                         for it; write an address of that subnet, with its prefix",
                        host.name
                    ),
                );
                break;
            }
        }
    }
}

/// A balancer's address that is a control-plane host's own is no balancer, unless it
/// listens on another port.
fn bypassed(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    for (position, address) in cluster.endpoint.addresses.iter().enumerate() {
        let Some(host) = owner(cluster, *address) else {
            continue;
        };
        if host.is(Role::ControlPlane) && cluster.endpoint.port == APISERVER_PORT {
            let name = &host.name;
            reader.refuse::<()>(
                &at.index(position),
                format!("is the API server of {name} itself: nothing is balanced; write the balancer's address"),
            );
        }
    }
}

fn owner(cluster: &Cluster, address: IpAddr) -> Option<&Host> {
    cluster
        .hosts
        .iter()
        .find(|host| host.addresses.contains(&address))
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

fn is_private(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => {
            let [a, b, ..] = net.addr().octets();
            let shared = a == 100 && (64..128).contains(&b) && net.prefix_len() >= 10;
            let ten = a == 10 && net.prefix_len() >= 8;
            let seventeen = a == 172 && (16..32).contains(&b) && net.prefix_len() >= 12;
            let home = a == 192 && b == 168 && net.prefix_len() >= 16;
            shared || ten || seventeen || home
        }
        IpNet::V6(net) => {
            let [first, ..] = net.addr().octets();
            first & 0xfe == 0xfc && net.prefix_len() >= 7
        }
    }
}
