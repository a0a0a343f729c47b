//! Whether the networks of a cluster that stands, and its domain, are those of the description: a
//! function of what its components run by. They are asked in `cli/apply/membership.rs`.
//!
//! What is given out of them stays with whoever has it: nodes keep their part of Pods' network,
//! Services their addresses, Pods the domain that they look names up in.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::store::{described, flag};
use crate::spec::{BetweenPods, Cluster, Component};

/// In whose name API servers sign for service accounts: before the domain, unless the flag is set.
const ISSUER: (&str, &str) =
    ("service-account-issuer", "https://kubernetes.default.svc.");

/// What the first `apply` settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Settled {
    /// By an API server.
    Services,
    /// By kube-controller-manager.
    Pods,
    /// The same, where flannel takes networks of hosts in etcd.
    Leases,
    /// By an API server.
    Issuer,
    /// By kubelets.
    Domain,
}

impl Settled {
    fn key(self) -> &'static str {
        match self {
            Self::Services => "networks.services",
            Self::Pods | Self::Leases => "networks.pods",
            Self::Issuer | Self::Domain => "networks.domain",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Services => {
                "Services keep the addresses that they have, that of the API and of DNS among them"
            }
            Self::Pods => {
                "nodes keep the part that they were given, and kube-controller-manager does not \
                 start while one lies outside"
            }
            Self::Leases => {
                "Pods keep the addresses that they have, which nobody would route to"
            }
            Self::Issuer => {
                "the tokens that Pods have are signed in the name of the one that stands"
            }
            Self::Domain => "Pods that run look names up in the one that stands",
        }
    }
}

/// What a host runs by, each as its components write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(BTreeMap<Settled, Vec<String>>);

/// Networks, or a domain, that a cluster keeps are described otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not begun: a cluster keeps the networks and the domain that it was made with, and apply does \
     not change them\n{}describe those that stand again; other ones are another cluster: \
     `sternpost reset --data` comes first (docs/config/cluster.md, \"What cannot be changed later\")",
    .0.iter().map(ToString::to_string).collect::<String>()
)]
pub struct Renumbered(Vec<Other>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Other {
    what: Settled,
    stands: String,
    hosts: Vec<String>,
    wanted: String,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, why) = (self.what.key(), self.what.why());
        writeln!(
            f,
            "  {key}: {} on {}, described: {}: {why}",
            self.stands,
            self.hosts.join(", "),
            self.wanted
        )
    }
}

impl Networks {
    /// Those of a description.
    #[must_use]
    pub fn described(cluster: &Cluster) -> Self {
        let networks = &cluster.networks;
        let pods = texts(&networks.pods);
        let mut leases = pods.clone();
        leases.sort();
        Self(BTreeMap::from([
            (Settled::Services, texts(&networks.services)),
            (Settled::Pods, pods),
            (Settled::Leases, leases),
            (Settled::Issuer, vec![networks.domain.clone()]),
            (Settled::Domain, vec![networks.domain.clone()]),
        ]))
    }

    /// What an API server's unit says of them.
    pub fn server(&mut self, text: &str) {
        self.list(Settled::Services, flag(text, "service-cluster-ip-range"));
        let (name, before) = ISSUER;
        let domain = flag(text, name).and_then(|issuer| issuer.strip_prefix(before));
        self.list(Settled::Issuer, domain);
    }

    /// What kube-controller-manager's says.
    pub fn manager(&mut self, text: &str) {
        self.list(Settled::Pods, flag(text, "cluster-cidr"));
    }

    /// What flannel reads in etcd.
    pub fn leases(&mut self, text: &str) {
        let read: Value = serde_json::from_str(text).unwrap_or_default();
        let known = |name: &str| read.get(name).and_then(Value::as_str);
        let all = ["Network", "IPv6Network"].into_iter().filter_map(known);
        let mut all: Vec<_> = all.map(str::to_owned).collect();
        all.sort();
        if !all.is_empty() {
            self.0.insert(Settled::Leases, all);
        }
    }

    /// What a kubelet's configuration says.
    pub fn kubelet(&mut self, text: &str) {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Config {
            cluster_domain: Option<String>,
        }
        let read: Config = serde_saphyr::from_str(text).unwrap_or_default();
        self.list(Settled::Domain, read.cluster_domain.as_deref());
    }

    fn list(&mut self, what: Settled, list: Option<&str>) {
        let list = list.filter(|list| !list.is_empty());
        let all = list.map(|list| list.split(',').map(str::to_owned).collect());
        self.0.extend(all.map(|all| (what, all)));
    }

    /// Holds what hosts run by, by their names, against what is described.
    ///
    /// # Errors
    /// Where it is something else that a cluster does not come to.
    pub fn unchanged(
        stand: &[(String, Self)],
        cluster: &Cluster,
    ) -> Result<(), Renumbered> {
        let Self(mut wanted) = Self::described(cluster);
        if described(cluster, Component::Apiserver, ISSUER.0).is_some() {
            wanted.remove(&Settled::Issuer);
        }
        if described(cluster, Component::ControllerManager, "cluster-cidr").is_some() {
            wanted.remove(&Settled::Pods);
        }
        let mut others: Vec<Other> = Vec::new();
        for (what, wanted) in &wanted {
            for (host, Self(known)) in stand {
                let Some(stands) = known.get(what) else {
                    continue;
                };
                if stands == wanted || comes_to(*what, stands, wanted, cluster) {
                    continue;
                }
                let stands = stands.join(", ");
                let same = |one: &&mut Other| one.what == *what && one.stands == stands;
                if let Some(other) = others.iter_mut().find(same) {
                    other.hosts.push(host.clone());
                    continue;
                }
                others.push(Other {
                    what: *what,
                    stands,
                    hosts: vec![host.clone()],
                    wanted: wanted.join(", "),
                });
            }
        }
        match others.is_empty() {
            true => Ok(()),
            false => Err(Renumbered(others)),
        }
    }
}

/// A second family may come to the one that stands: API servers take it for Services from then on.
/// For Pods it may where flannel does not wait for each node to have a part of it: those that have
/// joined are given none.
fn comes_to(
    what: Settled,
    stands: &[String],
    wanted: &[String],
    cluster: &Cluster,
) -> bool {
    let more = stands.len() == 1 && wanted.len() == 2 && wanted.starts_with(stands);
    match what {
        Settled::Services => more,
        Settled::Pods => more && cluster.networks.between_pods == BetweenPods::None,
        Settled::Leases | Settled::Issuer | Settled::Domain => false,
    }
}

fn texts(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{self, Known, Newcomers};
    use crate::resource::Resource;

    const V4: [&str; 2] = ["10.96.0.0/16", "10.244.0.0/16"];
    const V6: [&str; 2] = ["fd00:96::/112", "fd00:244::/48"];

    fn cluster(services: &str, pods: &str, more: &str) -> Cluster {
        let text = format!(
            "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {{version: 1.36.0}}\n\
             endpoint: {{name: api.example.org}}\nbalancer: {{mode: external}}\n\
             networks: {{services: [{services}], pods: [{pods}], {more}}}\nhosts:\n\
             - {{name: m1, addresses: [\"192.0.2.11\", \"2001:db8::11\"], \
             roles: [etcd, controlPlane, node]}}\n"
        );
        crate::spec::parse("cluster.yaml", &text).unwrap().cluster
    }

    /// What stands where a description was applied.
    fn applied(cluster: &Cluster) -> Networks {
        let known = Known {
            interface: "lo".to_owned(),
            resolv_conf: None,
            newcomers: Newcomers::None,
            dials: None,
        };
        let all = render::host(cluster, &cluster.hosts[0], &known);
        let text = |end: &str| {
            let mut files = all.iter().filter_map(Resource::file);
            let file = files.find(|one| one.path.ends_with(end));
            file.map(|file| file.content.clone()).unwrap_or_default()
        };
        let mut networks = Networks::default();
        networks.server(&text("/kube-apiserver.service"));
        networks.manager(&text("/kube-controller-manager.service"));
        networks.leases(&text("/pod-network.json"));
        networks.kubelet(&text("/kubelet/config.yaml"));
        networks
    }

    fn both(first: &str, second: &str) -> String {
        format!("\"{first}\", \"{second}\"")
    }

    #[test]
    fn what_is_given_out_of_is_kept_and_a_second_family_comes_where_it_may() {
        let none = "betweenPods: none, domain: cluster.local";
        let leases = "flannel: {store: etcd}";
        let quoted = |at: usize| (format!("\"{}\"", V4[at]), both(V4[at], V6[at]));
        let ((services, more_services), (pods, more_pods)) = (quoted(0), quoted(1));
        let swapped = both(V6[1], V4[1]);
        let of = cluster;
        let plain = of(&services, &pods, "");
        let dual = of(&more_services, &more_pods, "");
        let in_etcd = of(&services, &pods, leases);
        let issuer = "domain: lab}\nflags: {kube-apiserver: {service-account-issuer: \
                      \"https://kubernetes.default.svc.cluster.local\"}";
        let other = "\"10.245.0.0/16\"";
        let (in_services, in_pods, in_domain) = (
            "networks.services: ",
            "networks.pods: ",
            "networks.domain: ",
        );
        for (before, after, wanted) in [
            (&plain, of(&services, &pods, ""), &[][..]),
            (&plain, of("\"10.97.0.0/16\"", &pods, ""), &[in_services]),
            (&plain, of("\"10.96.0.0/17\"", &pods, ""), &[in_services]),
            (&plain, of(&services, other, ""), &[in_pods]),
            (&plain, of(&services, &pods, "domain: lab"), &[in_domain]),
            (&plain, of(&more_services, &more_pods, ""), &[in_pods]),
            (&plain, of(&more_services, &more_pods, none), &[]),
            (&dual, of(&services, &pods, none), &[in_services, in_pods]),
            (&dual, of(&more_services, &swapped, none), &[in_pods]),
            (
                &of(&services, &pods, issuer),
                of(&services, &pods, issuer),
                &[],
            ),
            (&in_etcd, of(&services, &pods, leases), &[]),
            (&in_etcd, of(&services, other, leases), &[in_pods]),
        ] {
            let stand = [("m1".to_owned(), applied(before))];
            let said = Networks::unchanged(&stand, &after).map_err(|one| one.to_string());
            let said = said.err().unwrap_or_default();
            let all = [in_services, in_pods, in_domain];
            let named: Vec<_> =
                all.into_iter().filter(|key| said.contains(key)).collect();
            assert_eq!(named, wanted, "{said}");
        }
        assert_eq!(Networks::unchanged(&[], &plain), Ok(()));
    }

    #[test]
    fn what_stands_and_what_is_described_are_named() {
        let services = format!("\"{}\"", V4[0]);
        let plain = applied(&cluster(&services, &format!("\"{}\"", V4[1]), ""));
        let stand = ["m1", "m2"].map(|host| (host.to_owned(), plain.clone()));
        let after = cluster(&services, "\"10.245.0.0/16\"", "");
        let said = Networks::unchanged(&stand, &after).unwrap_err().to_string();
        let part = "\n  networks.pods: 10.244.0.0/16 on m1, m2, described: 10.245.0.0/16: nodes keep";
        assert!(said.contains(part), "{said}");
    }
}
