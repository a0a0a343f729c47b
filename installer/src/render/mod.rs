//! What a host is to hold: a function of the cluster, the host, and the little that must be
//! known of the machine. One file a component.

mod addons;
mod apiserver;
mod audit;
mod balancer;
mod containerd;
mod control;
mod coredns;
mod etcd;
mod flags;
mod flannel;
mod images;
mod kubeconfig;
mod kubelet;
mod leases;
mod machine;
mod proxy;
mod registries;
mod role;
mod signer;
mod tools;
mod unit;
mod yaml;

use crate::resource::Resource;
use crate::spec::{Balancer, BetweenPods, Cluster, Etcd, Host, ProxyMode, Role};

pub use apiserver::encryption;
pub(crate) use balancer::held;
pub use flags::Flags;
pub(crate) use flannel::{CONFLIST_NAME, NETWORK_NAME};
pub use kubelet::serving_names;
pub(crate) use machine::{HOSTS, SYSCTLS, kernel, modules, names, settings};
pub(crate) use signer::INVENTORY;
pub(crate) use tools::{tools, tracker};
pub use unit::Service;
pub(crate) use yaml::{documents, yaml};

/// What must be known of a machine before anything can be rendered for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The interface that has the host's first address.
    pub interface: String,
    /// Where the real name servers stand, when `/etc/resolv.conf` names a stub on this host
    /// (CoreDNS would ask itself for ever).
    pub resolv_conf: Option<String>,
    /// Whether a host of the cluster is still to become a node.
    pub newcomers: Newcomers,
    /// Where its kubelet looks for the API, once it has joined by a token.
    pub dials: Option<String>,
}

/// Whether kubelets are to ask for their first certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomers {
    /// At least one: the masters let it in with a token.
    Expected,
    /// None: there is no token.
    None,
}

/// All that a host is to hold, what is needed first at the front.
#[must_use]
pub fn host(cluster: &Cluster, host: &Host, known: &Known) -> Vec<Resource> {
    let mut all = machine::resources(cluster, host);
    if host.is(Role::Etcd) && cluster.etcd == Etcd::Hosts {
        all.extend(etcd::resources(cluster, host));
    }
    if host.is(Role::ControlPlane) {
        all.extend(apiserver::resources(cluster, host));
        all.extend(control::resources(cluster, host));
        all.extend(signer::resources(cluster, host));
        all.extend(addons::resources(cluster, host, known.newcomers));
    }
    all.extend(leases::network(cluster, host));
    match &cluster.balancer {
        Balancer::Own(router) if host.is(Role::ControlPlane) => {
            all.extend(balancer::load_balancer(cluster, host));
            all.extend(balancer::address(cluster, host, router, known));
        }
        Balancer::Local => all.extend(balancer::load_balancer(cluster, host)),
        Balancer::Own(_) | Balancer::External | Balancer::None => {}
    }
    if host.is(Role::Node) {
        all.extend(containerd::resources(cluster));
        all.extend(images::resources(cluster));
        all.extend(kubelet::resources(cluster, host, known));
        if host.is(Role::ControlPlane) {
            all.extend(role::resources(host));
        }
        if cluster.networks.proxy != ProxyMode::None {
            all.extend(proxy::resources(cluster, host));
        }
        if cluster.networks.between_pods != BetweenPods::None {
            all.extend(flannel::resources(cluster, host, known));
        }
    }
    all
}

/// `https://ADDRESS:PORT` for clients of the member of etcd on `host`.
#[must_use]
pub fn store(host: &Host) -> String {
    etcd::client(host)
}

/// The same, for who is beside it.
#[must_use]
pub fn store_beside(host: &Host) -> String {
    etcd::beside(host)
}

/// `https://ADDRESS:PORT` for the other members of etcd, of the one on `host`.
#[must_use]
pub fn peer(host: &Host) -> String {
    etcd::peer(host)
}

/// Where the kubelet of a host that has joined by a token looks for the API, when that is not where
/// it is to. It has written that down when it joined, and never does so again.
pub(crate) fn elsewhere<'a>(
    cluster: &Cluster,
    host: &Host,
    known: &'a Known,
) -> Option<&'a str> {
    let joins = host.is(Role::Node) && !host.is(Role::ControlPlane);
    let dials = known.dials.as_deref().filter(|_| joins)?;
    (dials != server(cluster, host)).then_some(dials)
}

/// Where the components of this host find the API: on a control-plane host the API server
/// beside them, elsewhere the endpoint.
pub(crate) fn server(cluster: &Cluster, host: &Host) -> String {
    if host.is(Role::ControlPlane) {
        let address =
            std::net::SocketAddr::new(host.address(), crate::spec::APISERVER_PORT);
        format!("https://{address}")
    } else {
        cluster.server()
    }
}
