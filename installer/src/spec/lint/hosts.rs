//! Hosts: who is what, and what its node may be called.

use config::KeyPath;

use super::family;
use crate::spec::file::{BetweenPods, Role};
use crate::spec::meant::{Balancer, Cluster, Etcd};
use crate::spec::reader::Reader;

/// Labels in Kubernetes' own domains that a kubelet may give its node; with another it does
/// not start (its admission, NodeRestriction).
const OWN_LABELS: [&str; 10] = [
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];
/// And all below these.
const OWN_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// Octets of a value, and of the last part of a name.
const PART: usize = 63;

pub(super) fn lint(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let hosts = at.key("hosts");
    members(cluster, reader, &hosts);
    masters(cluster, reader, at);
    for (position, host) in cluster.hosts.iter().enumerate() {
        let at = hosts.index(position);
        if host.is(Role::Node) {
            if host.name.len() > PART {
                let problem = format!(
                    "is longer than {PART} signs, and a kubelet labels its node with its name; \
                     shorten it"
                );
                reader.refuse::<()>(&at.key("name"), problem);
            }
            families(cluster, position, reader, &at);
        }
        for (key, value) in &host.labels {
            label(key, value, reader, &at.key("labels").key(key));
        }
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
        (Etcd::Hosts, members) if members % 2 == 0 && cluster.joins_members() => {
            let problem = format!(
                "holds {members} members of etcd, on the way to another number as \
                 initial-cluster-state says; go on with the next member soon"
            );
            reader.warn(at, problem);
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
    apart(cluster, reader, &hosts);
}

/// What leads to Pods is on nodes alone, and webhooks and aggregated APIs are most often Pods.
/// Manifests may bring such; whether anything else does is not to be seen here.
fn apart(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let mut all = cluster.hosts.iter();
    let apart = all.position(|host| host.is(Role::ControlPlane) && !host.is(Role::Node));
    let nodes = cluster.with(Role::Node).count();
    let (Some(position), 1..) = (apart, nodes) else {
        return;
    };
    let at = at.index(position).key("roles");
    let problem = |bring: &str| {
        format!(
            "is without node: from there the hosts' networks are reached and that of Pods is \
             not, so that its API server's calls of webhooks and aggregated APIs in Pods{bring} \
             time out; add node, whose Pods it still takes none of"
        )
    };
    match cluster.manifests {
        Some(_) => reader.warn(&at, problem(", should manifests bring any,")),
        None => reader.advise(&at, problem(" (metrics-server, cert-manager)")),
    }
}

/// Pods of a family find no way to the others' from a node that has no address of it.
fn families(cluster: &Cluster, position: usize, reader: &mut Reader<'_>, at: &KeyPath) {
    let Some(host) = cluster.hosts.get(position) else {
        return;
    };
    for net in &cluster.networks.pods {
        let of = net.addr();
        let mut addresses = host.addresses.iter();
        if addresses.any(|address| address.is_ipv4() == of.is_ipv4()) {
            continue;
        }
        let problem = format!(
            "holds no {} address, and networks.pods has {net}; write one, or take that network out",
            family(of)
        );
        match cluster.networks.between_pods {
            BetweenPods::Flannel | BetweenPods::FlannelHostGw => {
                reader.refuse::<()>(&at.key("addresses"), problem);
            }
            BetweenPods::None => reader.warn(&at.key("addresses"), problem),
        }
    }
}

fn label(key: &str, value: &str, reader: &mut Reader<'_>, at: &KeyPath) {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    if !is_part(name) || (!value.is_empty() && !is_part(value)) {
        let problem = "is not a label; name and value are letters, digits and inner dashes, \
                       underscores and dots, 63 at most";
        reader.refuse::<()>(at, problem);
        return;
    }
    let Some(domain) = domain else { return };
    let below = |of: &str| domain == of || domain.ends_with(&format!(".{of}"));
    let theirs = below("kubernetes.io") || below("k8s.io");
    let allowed = OWN_LABELS.contains(&key) || OWN_DOMAINS.iter().any(|own| below(own));
    if theirs && !allowed {
        let problem = "is in a domain of Kubernetes, in which a kubelet may not name its node, \
                       and would not start; choose another, or set it with kubectl label";
        reader.refuse::<()>(at, problem);
    }
}

fn is_part(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= PART
        && text.chars().all(plain)
        && ends(text.chars().next())
        && ends(text.chars().next_back())
}
