//! What must pass between the hosts of a cluster, and whether it does.
//!
//! ```text
//! Cluster ──needed──▶ Flow… ──▶ ears on every host ──▶ calls from every host ──▶ Passage…
//!                                    └── agents: agent/ears.rs ──┴── agent/dial.rs
//! ```
//!
//! Everything here is a function of values. A flow that does not pass becomes a finding of
//! [`crate::preflight`], with what opens it by [`firewall`].

mod carried;
pub mod firewall;
mod firewalld;
mod forwards;
mod passage;
mod table;
mod zones;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::layout;
use crate::spec::{APISERVER_PORT, Balancer, BetweenPods, Cluster, Etcd, Host, Role};

pub use carried::{Carried, Carrying, carrying, ufw};
pub use firewalld::{Listing, Verdict};
pub use passage::{Ear, Passage, Reply, Saw, Standing, passage};
pub use table::table;
pub use zones::Zones;

/// VRRP's number among the protocols of IP (RFC 9568 section 5.1.1.4).
const VRRP: u8 = 112;
/// What the kernel's VXLAN uses unless it is told otherwise, which flannel does not.
const VXLAN: u16 = 8472;
/// kubelet's API: logs, exec, metrics.
const KUBELET: u16 = 10250;

/// How something travels.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// A connection to a port.
    Tcp(u16),
    /// Datagrams to a port.
    Udp(u16),
    /// Packets of a protocol of IP without ports, by its number.
    Protocol(u8),
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Members of etcd among themselves.
    Members,
    /// API servers, and flannel where it asks there, to etcd.
    Store,
    /// Balancers, hosts without one, and Pods, to API servers.
    Api,
    /// Hosts to the virtual address, which any master may hold.
    Address,
    /// API servers, and Pods by their nodes, to kubelets.
    Kubelet,
    /// Pods of one host to those of another.
    Pods,
    /// Masters that hand the address on among themselves.
    Adverts,
    /// vip-daemons that tell a successor before they give the address away.
    Channel,
}

/// One direction from host to host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// What for.
    pub purpose: Purpose,
    /// How.
    pub way: Way,
    /// The host it comes from.
    pub from: String,
    /// The host it goes to.
    pub to: String,
    /// That host's address.
    pub address: IpAddr,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Udp(port) => write!(f, "udp/{port}"),
            Self::Protocol(number) => write!(f, "protocol {number}"),
        }
    }
}

impl Way {
    /// Whether whoever listens for it keeps others from doing so.
    #[must_use]
    pub fn takes_a_port(self) -> bool {
        match self {
            Self::Tcp(_) | Self::Udp(_) => true,
            Self::Protocol(_) => false,
        }
    }
}

impl Purpose {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Members => "etcd members",
            Self::Store => "etcd clients",
            Self::Api => "API servers",
            Self::Address => "virtual address",
            Self::Kubelet => "kubelets",
            Self::Pods => "Pods (VXLAN)",
            Self::Adverts => "VRRP adverts",
            Self::Channel => "vip-daemons",
        }
    }
}

/// Every flow that the cluster needs, each once, by purpose.
#[must_use]
pub fn needed(cluster: &Cluster) -> Vec<Flow> {
    let mut all = BTreeSet::new();
    let mut add = |purpose, way, from: &Host, to: &Host, address: IpAddr| {
        if from.name != to.name {
            all.insert(Flow {
                purpose,
                way,
                from: from.name.clone(),
                to: to.name.clone(),
                address,
            });
        }
    };
    for from in &cluster.hosts {
        for to in &cluster.hosts {
            for (purpose, way) in between(cluster, from, to) {
                add(purpose, way, from, to, to.address());
            }
            for address in virtually(cluster, to) {
                let way = Way::Tcp(cluster.endpoint.port);
                add(Purpose::Address, way, from, to, address);
            }
            for address in carried(cluster, from, to) {
                add(Purpose::Pods, Way::Udp(VXLAN), from, to, address);
            }
            for address in advertised(cluster, from, to) {
                add(Purpose::Adverts, Way::Protocol(VRRP), from, to, address);
            }
        }
    }
    all.into_iter().collect()
}

/// What goes to a host's first address, the one that its components listen on.
fn between(cluster: &Cluster, from: &Host, to: &Host) -> Vec<(Purpose, Way)> {
    let mut ways = Vec::new();
    let (from_master, to_master) =
        (from.is(Role::ControlPlane), to.is(Role::ControlPlane));
    if cluster.etcd == Etcd::Hosts && to.is(Role::Etcd) {
        if from.is(Role::Etcd) {
            ways.push((Purpose::Members, Way::Tcp(layout::ETCD_PEER_PORT)));
        }
        // flannel, where it asks etcd for the networks of hosts.
        let asks = from.is(Role::Node) && cluster.networks.leases_in_etcd().is_some();
        // Whether all members take a write is asked on a host that has one.
        if from_master || from.is(Role::Etcd) || asks {
            ways.push((Purpose::Store, Way::Tcp(layout::ETCD_PORT)));
        }
    }
    if to_master {
        let api = (Purpose::Api, Way::Tcp(APISERVER_PORT));
        // Pods dial the Service of the API, and kube-proxy leads them to a server's own port.
        let pods = from.is(Role::Node);
        match cluster.balancer {
            Balancer::Own(_) => {
                let port = cluster.endpoint.port;
                if from_master || (pods && port != APISERVER_PORT) {
                    ways.push(api);
                }
                if from_master {
                    ways.push((Purpose::Channel, Way::Udp(layout::CHANNEL_PORT)));
                }
            }
            Balancer::Local | Balancer::None => ways.push(api),
            // Its own packets cannot be sent from here.
            Balancer::External if pods => ways.push(api),
            Balancer::External => {}
        }
    }
    // A Pod that measures nodes asks the kubelets of others as its own node.
    if (from_master || from.is(Role::Node)) && to.is(Role::Node) {
        ways.push((Purpose::Kubelet, Way::Tcp(KUBELET)));
    }
    ways
}

/// The addresses of whoever may hold the virtual ones: one of each family of these.
fn virtually(cluster: &Cluster, to: &Host) -> Vec<IpAddr> {
    match &cluster.balancer {
        Balancer::Own(router) if to.is(Role::ControlPlane) => {
            families(router.addresses.iter().map(ipnet::IpNet::addr), to)
        }
        Balancer::Own(_) | Balancer::Local | Balancer::External | Balancer::None => {
            Vec::new()
        }
    }
}

/// The addresses that flannel carries packets between Pods to: one of each family that Pods
/// have.
fn carried(cluster: &Cluster, from: &Host, to: &Host) -> Vec<IpAddr> {
    let nodes = from.is(Role::Node) && to.is(Role::Node);
    match cluster.networks.between_pods {
        BetweenPods::Flannel if nodes => {
            let pods = cluster.networks.pods.iter();
            families(pods.map(ipnet::IpNet::addr), to)
        }
        // Routes carry Pods' own packets: nothing of the hosts' that could be tried.
        BetweenPods::Flannel | BetweenPods::FlannelHostGw | BetweenPods::None => {
            Vec::new()
        }
    }
}

/// The addresses that adverts go to: one of each family of the virtual addresses.
fn advertised(cluster: &Cluster, from: &Host, to: &Host) -> Vec<IpAddr> {
    match from.is(Role::ControlPlane) {
        true => virtually(cluster, to),
        false => Vec::new(),
    }
}

/// The addresses of a host that are of one of these families.
fn families(of: impl Iterator<Item = IpAddr>, host: &Host) -> Vec<IpAddr> {
    let wanted: BTreeSet<bool> = of.map(|address| address.is_ipv4()).collect();
    let fits = |address: &&IpAddr| wanted.contains(&address.is_ipv4());
    host.addresses.iter().filter(fits).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(text: &str) -> BTreeMap<(String, String), Vec<String>> {
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for flow in needed(&cluster) {
            let way = format!("{:?} {} {}", flow.purpose, flow.way, flow.address);
            all.entry((flow.from, flow.to)).or_default().push(way);
        }
        all
    }

    fn pair<'a>(
        all: &'a BTreeMap<(String, String), Vec<String>>,
        from: &str,
        to: &str,
    ) -> Vec<&'a str> {
        let key = (from.to_owned(), to.to_owned());
        let ways = all.get(&key).into_iter().flatten();
        ways.map(String::as_str).collect()
    }

    #[test]
    fn masters_and_nodes_need_what_they_do() {
        let all = of(include_str!("../../tests/spec/whole.yaml"));
        assert_eq!(
            pair(&all, "m1", "m2"),
            [
                "Members tcp/2380 192.168.220.101",
                "Store tcp/2379 192.168.220.101",
                "Api tcp/6443 192.168.220.101",
                "Address tcp/6443 192.168.220.101",
                "Adverts protocol 112 192.168.220.101",
                "Channel udp/8112 192.168.220.101",
            ]
        );
        assert_eq!(pair(&all, "n1", "m3"), ["Address tcp/6443 192.168.220.102"]);
        assert_eq!(
            pair(&all, "m3", "n1"),
            ["Kubelet tcp/10250 192.168.220.200"]
        );
        assert_eq!(pair(&all, "m1", "m1"), [""; 0]);
        let leases = of(include_str!("../../tests/spec/leases.yaml"));
        let asks = ["Store tcp/2379 192.0.2.10"];
        assert_eq!(pair(&leases, "n1", "e1"), asks);
        assert_eq!(pair(&leases, "m1", "e1"), asks);
    }

    #[test]
    fn a_local_balancer_has_no_adverts_and_vxlan_has_each_family_of_pods() {
        let dual = include_str!("../../tests/spec/dual.yaml");
        let all = of(&dual.replace("  betweenPods: flannel-host-gw\n", ""));
        assert_eq!(
            pair(&all, "m1", "n1"),
            [
                "Kubelet tcp/10250 192.0.2.31",
                "Pods udp/8472 192.0.2.31",
                "Pods udp/8472 2001:db8::31",
            ]
        );
        assert_eq!(
            pair(&all, "n1", "m1"),
            [
                "Api tcp/6443 192.0.2.21",
                "Kubelet tcp/10250 192.0.2.21",
                "Pods udp/8472 192.0.2.21",
                "Pods udp/8472 2001:db8::21",
            ]
        );
        assert_eq!(pair(&all, "m1", "e1"), ["Store tcp/2379 192.0.2.11"]);
        assert_eq!(pair(&all, "n1", "e1"), [""; 0]);
        assert_eq!(pair(&all, "e1", "m1"), ["Api tcp/6443 192.0.2.21"]);
        let routed = of(dual);
        assert_eq!(pair(&routed, "m1", "n1"), ["Kubelet tcp/10250 192.0.2.31"]);
    }

    #[test]
    fn members_on_hosts_of_their_own_reach_each_other_as_clients_too() {
        let more = |name: &str, last: u8| {
            format!(
                "- {{name: {name}, addresses: [\"192.0.2.{last}\"], roles: [etcd]}}\n"
            )
        };
        let hosts = format!("hosts:\n{}{}", more("e2", 12), more("e3", 13));
        let dual = include_str!("../../tests/spec/dual.yaml");
        let all = of(&dual.replace("hosts:\n", &hosts));
        assert_eq!(
            pair(&all, "e1", "e3"),
            ["Members tcp/2380 192.0.2.13", "Store tcp/2379 192.0.2.13"]
        );
    }

    /// Whoever holds the virtual addresses is called at its own of each family of theirs.
    #[test]
    fn a_virtual_address_of_each_family_has_ways_of_both() {
        let all = of(include_str!("../../tests/spec/six.yaml"));
        assert_eq!(
            pair(&all, "m1", "m2"),
            [
                "Api tcp/6443 2001:db8::22",
                "Address tcp/6443 192.0.2.22",
                "Address tcp/6443 2001:db8::22",
                "Adverts protocol 112 192.0.2.22",
                "Adverts protocol 112 2001:db8::22",
                "Channel udp/8112 2001:db8::22",
            ]
        );
        assert_eq!(
            pair(&all, "n1", "m1"),
            [
                "Address tcp/6443 192.0.2.21",
                "Address tcp/6443 2001:db8::21"
            ]
        );
        assert_eq!(pair(&all, "m1", "n1"), ["Kubelet tcp/10250 2001:db8::31"]);
    }

    /// They are led past the balancer, whatever port it has.
    #[test]
    fn pods_reach_the_api_servers_themselves() {
        let whole = include_str!("../../tests/spec/whole.yaml");
        let all = of(&whole.replace("  name: k8s", "  port: 8443\n  name: k8s"));
        assert_eq!(
            pair(&all, "n1", "m3"),
            [
                "Api tcp/6443 192.168.220.102",
                "Address tcp/8443 192.168.220.102",
            ]
        );
        let all = of(include_str!("../../tests/spec/external.yaml"));
        assert_eq!(pair(&all, "n1", "m1"), ["Api tcp/6443 192.0.2.21"]);
    }

    #[test]
    fn an_external_balancer_and_etcd_leave_their_own_ways_out() {
        let all = of(include_str!("../../tests/spec/external.yaml"));
        assert_eq!(pair(&all, "m1", "n1"), ["Kubelet tcp/10250 192.0.2.31"]);
    }
}
