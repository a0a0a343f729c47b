//! `networks`: what addresses live inside the cluster.

use std::net::IpAddr;

use config::KeyPath;
use ipnet::IpNet;

use super::file::{self, BetweenPods, FlannelStore};
use super::meant::{Leases, Networks};
use super::reader::Reader;

const SERVICES: &str = "10.96.0.0/16";
const PODS: &str = "10.244.0.0/16";
const DOMAIN: &str = "cluster.local";
/// flannel's own default.
const LEASES: &str = "/coreos.com/network";
/// Where API servers keep everything.
const REGISTRY: &str = "/registry";
const NODE_PORTS: (u16, u16) = (30000, 32767);
/// kubeadm's choice of the cluster's DNS in the first service network.
const DNS_HOST: u32 = 10;
/// kube-apiserver refuses more service addresses than 20 bits can number.
const SERVICE_BITS: u8 = 20;

impl Reader<'_> {
    pub(super) fn networks(
        &mut self,
        file: &file::Networks,
        at: &KeyPath,
    ) -> Option<Networks> {
        let services = self.pair(&file.services, SERVICES, &at.key("services"));
        let pods = self.pair(&file.pods, PODS, &at.key("pods"));
        for network in &services {
            let host_bits = network.max_prefix_len() - network.prefix_len();
            if host_bits > SERVICE_BITS {
                let least = network.max_prefix_len() - SERVICE_BITS;
                self.refuse::<()>(
                    &at.key("services"),
                    format!("is larger than kube-apiserver allows; the prefix is at least /{least}"),
                );
            }
        }
        let domain = match &file.domain {
            None => Some(DOMAIN.to_owned()),
            Some(domain) => self.dns_name(domain, &at.key("domain")),
        };
        let dns = self.dns(&file.dns, &services, &pods, &at.key("dns"));
        let leases = self.leases(file, &pods, &at.key("flannel"));
        let ports = self.ports(file.node_ports.as_deref(), &at.key("nodePorts"));
        Some(Networks {
            services,
            pods,
            node_ports: ports?,
            domain: domain?,
            dns,
            between_pods: file.between_pods,
            leases: leases?,
            proxy: file.proxy,
        })
    }

    /// One network, or one of each family.
    fn pair(&mut self, texts: &[String], default: &str, at: &KeyPath) -> Vec<IpNet> {
        if texts.is_empty() {
            return default.parse().into_iter().collect();
        }
        let networks = self.each(texts, at, Self::network);
        let v4 = |network: &&IpNet| matches!(network, IpNet::V4(_));
        let count = networks.iter().filter(v4).count();
        if count > 1 || networks.len() - count > 1 {
            self.refuse::<()>(at, "holds two networks of one family; keep one of each");
        }
        networks
    }

    fn dns(
        &mut self,
        texts: &[String],
        services: &[IpNet],
        pods: &[IpNet],
        at: &KeyPath,
    ) -> Vec<IpAddr> {
        if texts.is_empty() {
            return services.iter().filter_map(dns_of).collect();
        }
        let addresses = self.each(texts, at, |reader, text, at| {
            let address = reader.ip(text, at)?;
            let Some(network) = services.iter().find(|net| net.contains(&address)) else {
                let swapped = pods.iter().any(|net| net.contains(&address));
                return reader.refuse(at, outside(services, swapped));
            };
            let own = network.network();
            let api = nth(network, 1);
            if address == own {
                return reader.refuse(
                    at,
                    "is the network's own address, which nobody can answer; write another",
                );
            }
            if Some(address) == api {
                return reader.refuse(
                    at,
                    "is the first address, which the Service \"kubernetes\" takes; write another",
                );
            }
            Some(address)
        });
        let count = addresses.iter().filter(|one| one.is_ipv4()).count();
        if count > 1 || addresses.len() - count > 1 {
            self.refuse::<()>(
                at,
                "holds two addresses of one family, and a Service has one of each; keep one",
            );
        }
        addresses
    }

    /// Where flannel asks for the networks of hosts.
    fn leases(
        &mut self,
        file: &file::Networks,
        pods: &[IpNet],
        at: &KeyPath,
    ) -> Option<Leases> {
        let prefix = file.flannel.prefix.as_deref();
        let (store, named) = (at.key("store"), at.key("prefix"));
        match (file.flannel.store, prefix) {
            (FlannelStore::Kubernetes, None) => return Some(Leases::Kubernetes),
            (FlannelStore::Kubernetes, Some(_)) => {
                let problem = "is a key of etcd, which nothing is kept in; write \
                               networks.flannel.store: etcd, or leave it out";
                return self.refuse(&named, problem);
            }
            (FlannelStore::Etcd, _) => {}
        }
        if file.between_pods == BetweenPods::None {
            let problem = "is flannel's, and networks.betweenPods is none; leave it out";
            return self.refuse(&store, problem);
        }
        if !pods.iter().any(|net| matches!(net, IpNet::V4(_))) {
            let problem = "cannot be etcd: flannel gives out no networks of IPv6 alone there; \
                           write kubernetes, or a network of IPv4 to networks.pods";
            return self.refuse(&store, problem);
        }
        let prefix = prefix.unwrap_or(LEASES);
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let odd = !prefix.starts_with('/')
            || prefix.ends_with('/')
            || prefix.contains("//")
            || !prefix.chars().all(plain);
        if odd {
            let problem = format!(
                "is no path of letters, digits, \".\", \"_\" and \"-\" like \"{LEASES}\""
            );
            return self.refuse(&named, problem);
        }
        if prefix == REGISTRY || prefix.starts_with(&format!("{REGISTRY}/")) {
            let problem =
                "is where API servers keep the cluster's objects; choose another";
            return self.refuse(&named, problem);
        }
        let prefix = prefix.to_owned();
        Some(Leases::Etcd { prefix })
    }

    fn ports(&mut self, text: Option<&str>, at: &KeyPath) -> Option<(u16, u16)> {
        let Some(text) = text else {
            return Some(NODE_PORTS);
        };
        let ports = text.split_once('-').and_then(|(first, last)| {
            Some((first.parse::<u16>().ok()?, last.parse::<u16>().ok()?))
        });
        match ports {
            Some((first, last)) if first > 0 && first < last => {
                if first <= 10250 {
                    self.warn(at, "reaches ports that components listen on (2379–10259)");
                }
                Some((first, last))
            }
            Some(_) | None => {
                self.refuse(at, "is not a range of ports; write it like \"30000-32767\"")
            }
        }
    }
}

fn outside(services: &[IpNet], swapped: bool) -> String {
    let all: Vec<_> = services.iter().map(ToString::to_string).collect();
    let all = all.join(", ");
    if swapped {
        format!(
            "lies in networks.pods, not in networks.services ({all}); are the two swapped?"
        )
    } else {
        format!("lies outside networks.services ({all}); write an address in there")
    }
}

/// The address of the cluster's DNS that kubeadm would choose, or the second one of a
/// network that is too small for it.
fn dns_of(network: &IpNet) -> Option<IpAddr> {
    nth(network, DNS_HOST).or_else(|| nth(network, 2))
}

/// The address `number` of a network, unless the network is too small.
pub(super) fn nth(network: &IpNet, number: u32) -> Option<IpAddr> {
    let address = match network.network() {
        IpAddr::V4(base) => IpAddr::V4((base.to_bits().checked_add(number)?).into()),
        IpAddr::V6(base) => {
            IpAddr::V6((base.to_bits().checked_add(u128::from(number))?).into())
        }
    };
    network.contains(&address).then_some(address)
}
