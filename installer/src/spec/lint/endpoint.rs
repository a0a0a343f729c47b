//! The endpoint: that its address can be found, and its port is nobody else's.

use std::net::IpAddr;

use config::KeyPath;

use super::{family, owner};
use crate::spec::endpoint::APISERVER_PORT;
use crate::spec::file::Role;
use crate::spec::meant::{Balancer, Cluster, VirtualRouter};
use crate::spec::reader::Reader;

/// What components listen on besides the API server: etcd, our daemons' own pages, kubelet,
/// kube-proxy, the controller manager, the scheduler.
const COMPONENTS: [u16; 12] = [
    2379, 2380, 2381, 9000, 9010, 9020, 10248, 10249, 10250, 10256, 10257, 10259,
];

pub(super) fn lint(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let endpoint = at.key("endpoint");
    let addresses = endpoint.key("addresses");
    match &cluster.balancer {
        Balancer::Own(router) => {
            virtual_addresses(cluster, router, reader, &addresses);
            port(cluster, reader, &endpoint.key("port"));
        }
        Balancer::Local => port(cluster, reader, &endpoint.key("port")),
        Balancer::External => bypassed(cluster, reader, &addresses),
        Balancer::None => {}
    }
}

/// A balancer of ours listens on the hosts, where others do too.
fn port(cluster: &Cluster, reader: &mut Reader<'_>, at: &KeyPath) {
    let port = cluster.endpoint.port;
    let (first, last) = cluster.networks.node_ports;
    if COMPONENTS.contains(&port) {
        let problem = format!(
            "is {port}, which a component of these hosts listens on; write another"
        );
        reader.refuse::<()>(at, problem);
    } else if (first..=last).contains(&port) {
        let problem = format!(
            "is {port}, which lies in networks.nodePorts ({first}-{last}): a Service may take it; write another"
        );
        reader.refuse::<()>(at, problem);
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
        let mut masters = cluster.with(Role::ControlPlane);
        if let Some(host) = masters.find(|host| !host.addresses.iter().any(|a| same(&a)))
        {
            let family = family(net.addr());
            let problem = format!(
                "is an {family} address, and {} has none to take part with; write one of its in \
                 hosts[].addresses",
                host.name
            );
            reader.refuse::<()>(&at, problem);
        }
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
