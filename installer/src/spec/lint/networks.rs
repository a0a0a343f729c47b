//! Networks: that none is in another's way, and each has room.

use std::net::IpAddr;

use config::KeyPath;
use ipnet::IpNet;

use super::family;
use crate::spec::file::{BetweenPods, ProxyMode, Role};
use crate::spec::meant::{Balancer, Cluster, Host};
use crate::spec::reader::Reader;

/// Bits that tell nodes' networks of IPv6 apart, at most: it does not start with more.
const NODE_BITS: u8 = 16;
/// Pods' addresses that each node gets: kube-controller-manager's default.
const NODE_PREFIX: (u8, u8) = (24, 64);

pub(super) fn lint(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let networks = at.key("networks");
    overlaps(cluster, reader, at);
    segment(cluster, reader, &networks);
    services(cluster, reader, &networks.key("services"));
    pods(cluster, reader, &networks);
    proxy(cluster, reader, &networks.key("proxy"));
    leases(cluster, reader, &networks.key("flannel").key("store"));
}

/// etcd has no rights within itself: what takes a network there may take Secrets as well.
fn leases(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let apart = |host: &&Host| !host.is(Role::Etcd) && !host.is(Role::ControlPlane);
    let node = cluster.with(Role::Node).find(apart);
    if let (Some(_), Some(node)) = (cluster.networks.leases_in_etcd(), node) {
        let problem = format!(
            "gives every node a certificate for all of etcd, Secrets too: root on {} is root on \
             all hosts; with kubernetes it is not",
            node.name
        );
        reader.warn(at, problem);
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

/// The hosts' own network is the one that a virtual address shows with its prefix; other
/// machines live there, whether they are named or not.
fn segment(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let Balancer::Own(router) = &cluster.balancer else {
        return;
    };
    let all = [
        ("services", &cluster.networks.services),
        ("pods", &cluster.networks.pods),
    ];
    for (key, nets) in all {
        for (position, net) in nets.iter().enumerate() {
            let mut segments = router.addresses.iter().map(IpNet::trunc);
            if let Some(segment) = segments.find(|segment| overlap(segment, net)) {
                let problem = format!(
                    "overlaps {segment}, the hosts' own network (endpoint.addresses); choose another"
                );
                reader.refuse::<()>(&at.key(key).index(position), problem);
            }
        }
    }
}

fn services(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    for (position, net) in cluster.networks.services.iter().enumerate() {
        if !is_private(net) {
            let problem = "is public: its real owners cannot be reached from any host of the cluster";
            reader.warn(&at.index(position), problem);
        }
    }
    // kube-apiserver does not start otherwise.
    let first = cluster.networks.services.first().map(IpNet::addr);
    let own = |host: &&crate::spec::Host| {
        first.is_some_and(|first: IpAddr| first.is_ipv4() != host.address().is_ipv4())
    };
    if let Some(host) = cluster.with(Role::ControlPlane).find(own) {
        let problem = format!(
            "is not of the family of {} ({}), which an API server's first network of Services \
             has to be; write the {} one first",
            host.name,
            host.address(),
            family(host.address())
        );
        reader.refuse::<()>(&at.index(0), problem);
    }
}

/// flannel gives the first network of those in etcd to nobody, and wants room for four.
fn too_small(cluster: &Cluster, net: &IpNet, per_node: u8) -> Option<String> {
    let least = per_node.saturating_sub(2);
    let leases = cluster.networks.leases_in_etcd().is_some();
    (leases && net.prefix_len() > least).then(|| {
        format!(
            "has too little room for flannel's networks in etcd; /{least} is the least"
        )
    })
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
        if let Some(problem) = too_small(cluster, net, per_node) {
            reader.refuse::<()>(&at, problem);
            continue;
        }
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
        } else if matches!(net, IpNet::V6(_)) && bits > Some(NODE_BITS) {
            let least = per_node.saturating_sub(NODE_BITS);
            reader.refuse::<()>(
                &at,
                format!(
                    "is larger than kube-controller-manager takes, which gives each node a \
                     /{per_node}; the prefix is at least /{least}"
                ),
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
