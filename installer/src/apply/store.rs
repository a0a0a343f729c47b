//! Whether API servers are to keep their objects where those that stand keep theirs: a function of
//! the units of those, of the description, and of the members of etcd that stand. They are asked
//! in `cli/apply/membership.rs`.
//!
//! An API server that is led to another etcd finds it empty, and serves that: kubelets end every
//! Pod that it does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use super::Members;
use crate::layout;
use crate::render;
use crate::spec::{Cluster, Component, Etcd, Host, Role};

/// Below which key API servers keep everything, unless their flag of that name says another.
const PREFIX: (&str, &str) = ("etcd-prefix", "/registry");

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Store {
    /// Whether its members are hosts of the cluster.
    own: bool,
    /// `https://ADDRESS:PORT` of members.
    endpoints: BTreeSet<String>,
    /// Below which key.
    prefix: String,
}

/// Objects would be looked for where they are not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not begun: the API servers keep the cluster's objects in another etcd than the described \
     one, and apply brings none of them there: all would be gone for it, and kubelets would end \
     every Pod\n{}  described: {wanted}\ndescribe the one that stands again; where nobody \
     needs what is there, `sternpost reset` comes first; where the same \
     objects are behind the described one already, docs/troubleshooting.md says what is to be \
     done by hand first, and apply goes on",
    lines(.stand)
)]
pub struct Led {
    /// Where they are, each with the hosts that say so.
    stand: BTreeMap<Store, Vec<String>>,
    /// What is described.
    wanted: Store,
}

fn lines(stand: &BTreeMap<Store, Vec<String>>) -> String {
    let line = |(store, hosts): (&Store, &Vec<String>)| {
        format!("  on {}: {store}\n", hosts.join(", "))
    };
    stand.iter().map(line).collect()
}

/// The value of a flag in the text of a unit.
pub(super) fn flag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut words = text.split_whitespace();
    words.find_map(|word| {
        let word = word.trim_matches('"').strip_prefix("--")?;
        word.strip_prefix(name)?.strip_prefix('=')
    })
}

/// What is described for a flag that is an operator's to set.
pub(super) fn described<'a>(
    cluster: &'a Cluster,
    component: Component,
    name: &str,
) -> Option<&'a str> {
    let mut flags = cluster.extra_flags(component);
    flags
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

impl Store {
    /// That of a description.
    #[must_use]
    pub fn described(cluster: &Cluster) -> Self {
        let (own, endpoints) = match &cluster.etcd {
            Etcd::Hosts => (true, cluster.with(Role::Etcd).map(render::store).collect()),
            Etcd::External { endpoints, .. } => {
                (false, endpoints.iter().cloned().collect())
            }
        };
        let (name, usual) = PREFIX;
        let prefix = described(cluster, Component::Apiserver, name).unwrap_or(usual);
        Self {
            own,
            endpoints,
            prefix: prefix.to_owned(),
        }
    }

    /// That of the API server on `host`, by the text of its unit.
    #[must_use]
    pub fn of_unit(text: &str, host: &Host) -> Option<Self> {
        let own = flag(text, "etcd-cafile") == Some(&layout::certificate("etcd/ca"));
        let endpoints = flag(text, "etcd-servers")?.split(',').map(|url| {
            match own && url == render::store_beside(host) {
                true => render::store(host),
                false => url.to_owned(),
            }
        });
        let (name, usual) = PREFIX;
        Some(Self {
            own,
            endpoints: endpoints.collect(),
            prefix: flag(text, name).unwrap_or(usual).to_owned(),
        })
    }

    /// Whether an API server that keeps its objects here finds them where it is led to. `joined`
    /// are the members that those of the description have come to.
    fn leads(&self, wanted: &Self, joined: &BTreeSet<String>) -> bool {
        let place = |store: &Self| store.prefix.trim_matches('/').to_owned();
        let known = |url: &String| wanted.endpoints.contains(url) || joined.contains(url);
        self.own == wanted.own
            && place(self) == place(wanted)
            && self.endpoints.iter().any(known)
    }

    /// Holds those of API servers that stand, by their hosts, against what is described. What one
    /// of them has is there for all.
    ///
    /// # Errors
    /// Where none of them has its objects in what is described.
    pub fn unchanged(
        stand: &[(String, Self)],
        members: &[(String, Members)],
        cluster: &Cluster,
    ) -> Result<(), Led> {
        let wanted = Self::described(cluster);
        let described = |name: &String| {
            let mut hosts = cluster.with(Role::Etcd);
            hosts.any(|host| host.name == *name)
        };
        let joined = members.iter().filter(|(host, _)| described(host));
        let joined = joined.flat_map(|(_, members)| members.clients()).collect();
        let leads = |(_, one): &(String, Self)| one.leads(&wanted, &joined);
        if stand.is_empty() || stand.iter().any(leads) {
            return Ok(());
        }
        let mut others: BTreeMap<Self, Vec<String>> = BTreeMap::new();
        for (host, store) in stand {
            others.entry(store.clone()).or_default().push(host.clone());
        }
        Err(Led {
            stand: others,
            wanted,
        })
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.endpoints.iter().map(String::as_str).collect();
        let of = match self.own {
            true => "of the hosts",
            false => "etcd.external",
        };
        write!(f, "{} ({of}), below {}", endpoints.join(", "), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Known, Newcomers};
    use crate::resource::Resource;

    fn cluster(etcd: &str, roles: [&str; 2], prefix: &str) -> Cluster {
        let [m1, e1] = roles;
        let text = format!(
            "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {{version: 1.36.0}}\n\
             endpoint: {{name: api.example.org}}\nbalancer: {{mode: external}}\n{etcd}\n\
             flags: {{kube-apiserver: {{etcd-prefix: {prefix}}}}}\nhosts:\n\
             - {{name: m1, addresses: [\"192.0.2.11\"], roles: [{m1}]}}\n\
             - {{name: e1, addresses: [\"192.0.2.21\"], roles: [{e1}]}}\n"
        );
        crate::spec::parse("cluster.yaml", &text).unwrap().cluster
    }

    fn external(endpoints: [u8; 2]) -> Cluster {
        let [one, two] = endpoints.map(|at| format!("\"https://192.0.2.{at}:2379\""));
        let etcd = format!(
            "etcd: {{external: {{endpoints: [{one}, {two}], caFile: a, certFile: b, keyFile: c}}}}"
        );
        cluster(&etcd, ["controlPlane", "node"], "/registry")
    }

    /// On the first host, on the second.
    fn on_hosts(roles: [&str; 2], prefix: &str) -> Cluster {
        cluster("etcd: {}", roles, prefix)
    }

    /// What stands on the masters of a description that was applied.
    fn applied(cluster: &Cluster) -> Vec<(String, Store)> {
        let known = Known {
            interface: "lo".to_owned(),
            resolv_conf: None,
            newcomers: Newcomers::None,
            dials: None,
        };
        let masters = cluster.with(Role::ControlPlane).map(|host| {
            let all = render::host(cluster, host, &known);
            let mut files = all.iter().filter_map(Resource::file);
            let unit = files.find(|one| one.path.ends_with("/kube-apiserver.service"));
            let store = Store::of_unit(&unit.unwrap().content, host);
            (host.name.clone(), store.unwrap())
        });
        masters.collect()
    }

    fn members(host: &str, list: &str) -> (String, Members) {
        let unit = format!("--initial-cluster={list}");
        (host.to_owned(), Members::of_unit(&unit).unwrap())
    }

    #[test]
    fn objects_are_kept_where_they_stand() {
        let (here, there) = (["etcd, controlPlane", "node"], ["controlPlane", "etcd"]);
        let (usual, other) = ("/registry", "/lab");
        let m1 = "m1=https://192.0.2.11:2380";
        let e1 = "e1=https://192.0.2.21:2380";
        let both = format!("{m1},{e1}");
        let adopted = external([51, 52]);
        let beside = external([11, 12]);
        let of = |roles, prefix| on_hosts(roles, prefix);
        for (before, after, members, goes_on) in [
            (&adopted, &external([51, 52]), vec![], true),
            (&adopted, &external([52, 53]), vec![], true),
            (&adopted, &external([53, 54]), vec![], false),
            (&adopted, &of(here, usual), vec![], false),
            // Its members were on the hosts; ours would be others.
            (&beside, &of(here, usual), vec![], false),
            (&of(here, usual), &beside, vec![], false),
            (&of(here, usual), &of(here, "registry/"), vec![], true),
            (&of(here, usual), &of(here, other), vec![], false),
            (&of(here, other), &of(here, other), vec![], true),
            (&of(here, usual), &of(there, usual), vec![], false),
            // The one that is described came to the one that was.
            (
                &of(here, usual),
                &of(there, usual),
                vec![members("e1", &both)],
                true,
            ),
            (
                &of(here, usual),
                &of(there, usual),
                vec![members("e1", e1)],
                false,
            ),
            (
                &of(here, usual),
                &of(there, usual),
                vec![members("m1", m1)],
                false,
            ),
        ] {
            let stand = applied(before);
            let said = Store::unchanged(&stand, &members, after);
            assert_eq!(said.is_ok(), goes_on, "{stand:?} {:?}", after.etcd);
        }
        assert_eq!(Store::unchanged(&[], &[], &adopted), Ok(()));
    }

    #[test]
    fn what_stands_and_what_is_described_are_named() {
        let stand = applied(&on_hosts(["etcd, controlPlane", "node"], "/lab"));
        let led = Store::unchanged(&stand, &[], &external([51, 52])).unwrap_err();
        let said = led.to_string();
        for part in [
            "  on m1: https://192.0.2.11:2379 (of the hosts), below /lab\n",
            "  described: https://192.0.2.51:2379, https://192.0.2.52:2379 (etcd.external), below \
             /registry\n",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}
