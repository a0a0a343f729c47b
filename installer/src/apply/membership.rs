//! Whether the members of etcd are those that the description names: a function of what the hosts
//! that have data of one were started with, and of what etcd itself says. They are asked in
//! `cli/apply/membership.rs`.
//!
//! A member that finds no data founds a cluster with all that its unit names, and one that has
//! data never reads that list again: members that were only described anew would be two clusters
//! that both serve.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::store::flag;
use crate::layout;
use crate::render;
use crate::spec::{Cluster, Role};

/// The flag of etcd that lists them.
const FLAG: &str = "initial-cluster";

/// Members, each as `NAME=URL`; one that has not been started yet has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Members(BTreeSet<(String, String)>);

/// Members are not those of the description.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not begun: the members of etcd are not those of the description, and apply neither adds nor \
     removes nor moves one: two clusters would come of it\n{}  described: {wanted}\ndescribe those \
     that stand again; or have etcd itself take the change first, one member at a time (\"etcdctl \
     member\" on {}; docs/troubleshooting.md, \"Other members of etcd\", has every command): apply \
     goes on when etcd's own list is the described one",
    lines(.stand), hosts(.stand)
)]
pub struct Changed {
    /// What stands, each with the hosts that say so.
    stand: BTreeMap<Members, Vec<String>>,
    /// What is described.
    wanted: Members,
}

fn lines(stand: &BTreeMap<Members, Vec<String>>) -> String {
    let line = |(members, hosts): (&Members, &Vec<String>)| {
        format!("  on {}: {members}\n", hosts.join(", "))
    };
    stand.iter().map(line).collect()
}

fn hosts(stand: &BTreeMap<Members, Vec<String>>) -> String {
    let all: BTreeSet<_> = stand.values().flatten().map(String::as_str).collect();
    all.into_iter().collect::<Vec<_>>().join(" or ")
}

impl Members {
    /// Those of a description.
    #[must_use]
    pub fn described(cluster: &Cluster) -> Self {
        let members = cluster.with(Role::Etcd);
        Self(
            members
                .map(|host| (host.name.clone(), render::peer(host)))
                .collect(),
        )
    }

    /// Those that a member was founded with, by the text of its unit.
    #[must_use]
    pub fn of_unit(text: &str) -> Option<Self> {
        let pairs = flag(text, FLAG)?.split(',').map(|one| one.split_once('='));
        let owned = |pair: Option<(&str, &str)>| {
            let (name, url) = pair?;
            Some((name.to_owned(), url.to_owned()))
        };
        pairs.map(owned).collect::<Option<_>>().map(Self)
    }

    /// `https://ADDRESS:PORT` for clients of each, where they are as ours are.
    pub(super) fn clients(&self) -> impl Iterator<Item = String> {
        let [peers, clients] = [layout::ETCD_PEER_PORT, layout::ETCD_PORT];
        self.0.iter().filter_map(move |(_, url)| {
            let address = url.strip_suffix(&format!(":{peers}"))?;
            Some(format!("{address}:{clients}"))
        })
    }

    /// Those of an answer of `etcdctl member list`.
    #[must_use]
    pub fn listed(said: &Value) -> Option<Self> {
        let mut all = BTreeSet::new();
        for member in said.get("members")?.as_array()? {
            let name = member.get("name").and_then(Value::as_str);
            for url in member.get("peerURLs")?.as_array()? {
                let name = name.unwrap_or_default().to_owned();
                all.insert((name, url.as_str()?.to_owned()));
            }
        }
        Some(Self(all))
    }

    /// Whether these are those that are wanted; one without a name is whoever is wanted there.
    #[must_use]
    pub fn are(&self, wanted: &Self) -> bool {
        let is = |(name, url): &(String, String)| {
            let same = self.0.contains(&(name.clone(), url.clone()));
            same || self.0.contains(&(String::new(), url.clone()))
        };
        self.0.len() == wanted.0.len() && wanted.0.iter().all(is)
    }

    /// Holds those that hosts stand with, by their names, against what is wanted.
    ///
    /// # Errors
    /// Where they are others.
    pub fn unchanged(stand: &[(String, Self)], wanted: &Self) -> Result<(), Changed> {
        let mut others: BTreeMap<Self, Vec<String>> = BTreeMap::new();
        for (host, members) in stand.iter().filter(|(_, one)| !one.are(wanted)) {
            others
                .entry(members.clone())
                .or_default()
                .push(host.clone());
        }
        match others.is_empty() {
            true => Ok(()),
            false => Err(Changed {
                stand: others,
                wanted: wanted.clone(),
            }),
        }
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter().map(|(name, url)| match name.is_empty() {
            true => format!("(not started)={url}"),
            false => format!("{name}={url}"),
        });
        match self.0.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&all.collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::Resource;

    fn members(list: &str) -> Members {
        Members::of_unit(&format!("etcd \\\n  --{FLAG}={list} \\\n  --x=y\n")).unwrap()
    }

    #[test]
    fn what_stands_is_read_of_a_unit_and_of_etcd_itself() {
        let text = include_str!("../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let wanted = Members::described(&cluster);
        let list = "m1=https://192.168.220.100:2380,m2=https://192.168.220.101:2380,\
                    m3=https://192.168.220.102:2380";
        assert_eq!(members(list), wanted);
        assert_eq!(Members::of_unit("etcd --name=m1"), None);
        assert_eq!(Members::of_unit("etcd --initial-cluster=m1"), None);
        let one = |name: Option<&str>, at: u8| {
            let mut one =
                json!({"ID": 1, "peerURLs": [format!("https://192.168.220.{at}:2380")]});
            if let Some(name) = name {
                one["name"] = json!(name);
            }
            one
        };
        let listed = |all: &[Value]| Members::listed(&json!({"members": all})).unwrap();
        let (m1, m2) = (one(Some("m1"), 100), one(Some("m2"), 101));
        let rows = [
            (one(Some("m3"), 102), true),
            // It was added, and has not begun.
            (one(None, 102), true),
            (one(Some("a3"), 102), false),
            (one(Some("m3"), 103), false),
        ];
        for (third, are) in rows {
            let all = listed(&[m1.clone(), m2.clone(), third]);
            assert_eq!(all.are(&wanted), are, "{all}");
        }
        assert!(!listed(&[m1.clone(), m2.clone()]).are(&wanted));
        let more = [m1, m2, one(Some("m3"), 102), one(Some("m4"), 103)];
        assert!(!listed(&more).are(&wanted));
        assert_eq!(Members::listed(&json!("x")), None);
    }

    #[test]
    fn every_unit_of_ours_is_understood() {
        let six = include_str!("../../tests/spec/six.yaml");
        let whole = include_str!("../../tests/spec/whole.yaml");
        for text in [six, whole] {
            let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
            let host = cluster.with(Role::Etcd).next().unwrap();
            let known = render::Known {
                interface: String::new(),
                resolv_conf: None,
                newcomers: render::Newcomers::None,
                dials: None,
            };
            let all = render::host(&cluster, host, &known);
            let files = all.iter().filter_map(Resource::file);
            let units = files.filter(|file| file.path.ends_with("/etcd.service"));
            let units = units.filter_map(|file| Members::of_unit(&file.content));
            assert_eq!(units.collect::<Vec<_>>(), [Members::described(&cluster)]);
        }
    }

    #[test]
    fn a_change_names_what_stands_and_what_is_wanted() {
        let (one, three) = (
            members("m1=https://1:2380"),
            members("m1=https://1:2380,m2=https://2:2380,m3=https://3:2380"),
        );
        let at = |host: &str, members: &Members| (host.to_owned(), members.clone());
        for (stand, wanted, changed) in [
            (vec![], &three, None),
            (vec![at("m1", &three)], &three, None),
            (
                vec![at("m1", &one)],
                &three,
                Some("  on m1: m1=https://1:2380\n"),
            ),
            (
                vec![at("m1", &three), at("m2", &three)],
                &one,
                Some("  on m1, m2: m1="),
            ),
            // Broken off between the two.
            (
                vec![at("m1", &one), at("m2", &three)],
                &three,
                Some("  on m1: "),
            ),
        ] {
            let said = Members::unchanged(&stand, wanted).map_err(|one| one.to_string());
            match (said, changed) {
                (Ok(()), None) => {}
                (Err(said), Some(part)) => {
                    assert!(said.contains(part), "{said}");
                    assert!(said.contains(&format!("  described: {wanted}\n")), "{said}");
                }
                (said, _) => panic!("{said:?}"),
            }
        }
    }
}
