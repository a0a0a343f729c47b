//! One screen for a whole cluster: a function of what its hosts said.

mod screen;
mod told;
mod trouble;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::certs;
use crate::facts::Unit;

pub use screen::screen;
pub use told::{clusters, down, holds};
pub use trouble::Trouble;

/// Whoever has it is to be a node.
const KUBELET: &str = "kubelet.service";

/// What a program said when it was asked, or why it did not.
pub type Said = Result<Value, String>;

/// What a host said.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Each unit that it is to have; nothing of one that systemd does not know.
    pub units: BTreeMap<String, Option<Unit>>,
    /// vip-daemon, where it is to run.
    pub address: Option<Said>,
    /// api-lb, where it is to run.
    pub balancer: Option<Said>,
    /// The member of etcd, where it is to run.
    pub member: Option<Said>,
    /// The API server, about the nodes: on a control-plane host.
    pub nodes: Option<Said>,
    /// Whether it keeps the cluster's authorities: on a control-plane host.
    pub keeps: Option<bool>,
    /// Its certificates.
    pub certificates: Vec<certs::Line>,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Each virtual router, and the hosts that hold its addresses.
    pub holders: BTreeMap<String, Vec<String>>,
    /// The hosts that answered.
    pub hosts: Vec<Line>,
    /// What is not as it is to be.
    pub troubles: Vec<Trouble>,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Its name.
    pub host: String,
    /// Units that run.
    pub units: Count,
    /// Whether it holds an address; nothing where no vip-daemon is to run.
    pub holds: Option<bool>,
    /// Servers of api-lb that are up.
    pub servers: Option<Count>,
    /// What its member of etcd is.
    pub member: Option<Member>,
    /// What its node is; nothing where no kubelet is to run.
    pub node: Option<Node>,
    /// Whole days that the first of its certificates to end has left.
    pub days: Option<i64>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Node {
    /// It takes Pods.
    Ready,
    /// It is known, and takes none.
    NotReady,
    /// The API does not know it.
    Missing,
    /// No API server that was asked has answered.
    Unknown,
}

impl Node {
    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not ready",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// As they are to be.
    pub good: usize,
    /// All of them.
    pub of: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.good, self.of)
    }
}

/// What a member of etcd is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Member {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It follows and has no vote yet.
    Learner,
    /// It knows of no leader.
    Leaderless,
}

impl Member {
    fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Learner => "learner",
            Self::Leaderless => "no leader",
        }
    }
}

/// What a cluster is, by what its hosts said.
#[must_use]
pub fn status(seen: &BTreeMap<String, Result<Seen, String>>) -> Status {
    let mut all = Status {
        holders: BTreeMap::new(),
        hosts: Vec::new(),
        troubles: Vec::new(),
    };
    let nodes = all.nodes(seen);
    for (host, seen) in seen {
        match seen {
            Ok(seen) => {
                let line = all.line(host, seen, nodes.as_ref());
                all.hosts.push(line);
            }
            Err(error) => all.troubles.push(Trouble::Silent {
                host: host.clone(),
                error: error.clone(),
            }),
        }
    }
    all.stores(seen);
    for (router, hosts) in &all.holders {
        let router = router.clone();
        match hosts.as_slice() {
            [_] => {}
            [] => all.troubles.push(Trouble::Nobody { router }),
            several => all.troubles.push(Trouble::Several {
                router,
                hosts: several.to_vec(),
            }),
        }
    }
    all
}

impl Status {
    /// The nodes, as the first API server says them; those that say nothing are named.
    fn nodes(
        &mut self,
        seen: &BTreeMap<String, Result<Seen, String>>,
    ) -> Option<BTreeMap<String, told::Ready>> {
        let mut first = None;
        for (host, seen) in seen {
            let said = seen.as_ref().ok().and_then(|seen| seen.nodes.as_ref());
            if let Some(said) = said {
                let heard = self.heard(host, "kube-apiserver", said, told::nodes);
                first = first.or(heard);
            }
        }
        first
    }

    /// Whether all members of etcd are of one cluster; one that says nothing is named elsewhere.
    fn stores(&mut self, seen: &BTreeMap<String, Result<Seen, String>>) {
        let mut clusters: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (host, seen) in seen {
            let said = seen.as_ref().ok().and_then(|seen| seen.member.as_ref());
            let said = said.and_then(|said| told::clusters(said.as_ref().ok()?));
            for id in said.unwrap_or_default().into_keys() {
                clusters.entry(id).or_default().push(host.clone());
            }
        }
        if clusters.len() > 1 {
            let clusters = clusters.into_values().collect();
            self.troubles.push(Trouble::Clusters { clusters });
        }
    }

    fn line(
        &mut self,
        host: &str,
        seen: &Seen,
        nodes: Option<&BTreeMap<String, told::Ready>>,
    ) -> Line {
        for line in &seen.certificates {
            if let Some(why) = line.trouble() {
                self.troubles.push(Trouble::Certificate {
                    host: host.to_owned(),
                    name: line.name.clone(),
                    why,
                });
            }
        }
        if seen.keeps == Some(false) {
            let host = host.to_owned();
            self.troubles.push(Trouble::Keeper { host });
        }
        Line {
            host: host.to_owned(),
            units: self.units(host, &seen.units),
            holds: self.holds(host, seen.address.as_ref()),
            servers: self.servers(host, seen.balancer.as_ref()),
            member: self.member(host, seen.member.as_ref()),
            node: self.node(host, seen, nodes),
            days: seen.certificates.iter().filter_map(|line| line.days).min(),
        }
    }

    fn units(&mut self, host: &str, units: &BTreeMap<String, Option<Unit>>) -> Count {
        let mut good = 0;
        for (name, unit) in units {
            let state = match unit {
                Some(unit) if unit.active => {
                    good += 1;
                    continue;
                }
                Some(unit) => unit.state.clone(),
                None => "there is none".to_owned(),
            };
            self.troubles.push(Trouble::Unit {
                host: host.to_owned(),
                unit: name.clone(),
                state,
            });
        }
        let of = units.len();
        Count { good, of }
    }

    fn holds(&mut self, host: &str, said: Option<&Said>) -> Option<bool> {
        let routers = self.heard(host, "vip-daemon", said?, told::routers)?;
        let mut any = false;
        for router in routers {
            let holders = self.holders.entry(router.name).or_default();
            if router.holding {
                holders.push(host.to_owned());
                any = true;
            }
        }
        Some(any)
    }

    fn servers(&mut self, host: &str, said: Option<&Said>) -> Option<Count> {
        let servers = self.heard(host, "api-lb", said?, told::servers)?;
        let of = servers.len();
        let down = servers
            .into_iter()
            .filter(|server| server.state != told::UP);
        let before = self.troubles.len();
        self.troubles.extend(down.map(|server| Trouble::Server {
            host: host.to_owned(),
            server: server.name,
            state: server.state,
        }));
        let good = of.saturating_sub(self.troubles.len().saturating_sub(before));
        Some(Count { good, of })
    }

    fn member(&mut self, host: &str, said: Option<&Said>) -> Option<Member> {
        let member = self.heard(host, "etcd", said?, told::member)?;
        if member == Member::Leaderless {
            let host = host.to_owned();
            self.troubles.push(Trouble::Leaderless { host });
        }
        Some(member)
    }

    fn node(
        &mut self,
        host: &str,
        seen: &Seen,
        nodes: Option<&BTreeMap<String, told::Ready>>,
    ) -> Option<Node> {
        seen.units.get(KUBELET)?;
        let Some(nodes) = nodes else {
            return Some(Node::Unknown);
        };
        let (node, why) = match nodes.get(host) {
            Some(told::Ready::Yes) => return Some(Node::Ready),
            Some(told::Ready::No(why)) => (Node::NotReady, why.clone()),
            None => (Node::Missing, "the API knows no such node".to_owned()),
        };
        let host = host.to_owned();
        self.troubles.push(Trouble::Node { host, why });
        Some(node)
    }

    fn heard<T>(
        &mut self,
        host: &str,
        program: &'static str,
        said: &Said,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let other =
            || format!("{program} says something that this version does not know");
        let heard = said.as_ref().map_err(String::clone);
        let error = match heard.and_then(|value| read(value).ok_or_else(other)) {
            Ok(heard) => return Some(heard),
            Err(error) => error,
        };
        self.troubles.push(Trouble::Mute {
            host: host.to_owned(),
            program,
            error,
        });
        None
    }
}

#[cfg(test)]
mod tests;
