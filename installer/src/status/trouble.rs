//! What can be wrong with a cluster, in words.

use std::fmt;

use serde::Serialize;

/// Something that is not as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "trouble")]
pub enum Trouble {
    /// A host does not answer.
    Silent {
        /// Which.
        host: String,
        /// Why.
        error: String,
    },
    /// A unit does not run.
    Unit {
        /// Where.
        host: String,
        /// Which.
        unit: String,
        /// What systemd says of it.
        state: String,
    },
    /// A program does not say how it is.
    Mute {
        /// Where.
        host: String,
        /// Which.
        program: &'static str,
        /// Why.
        error: String,
    },
    /// Nobody holds a router's addresses.
    Nobody {
        /// Which.
        router: String,
    },
    /// More than one holds a router's addresses.
    Several {
        /// Which.
        router: String,
        /// They.
        hosts: Vec<String>,
    },
    /// A server of api-lb is not up.
    Server {
        /// Whose api-lb says so.
        host: String,
        /// Which.
        server: String,
        /// How it stands.
        state: String,
    },
    /// A node takes no Pods.
    Node {
        /// Which.
        host: String,
        /// Why, by its kubelet or the API.
        why: String,
    },
    /// A member of etcd knows of no leader.
    Leaderless {
        /// Which.
        host: String,
    },
    /// Members of etcd are of different clusters, which all take writes.
    Clusters {
        /// The hosts of each.
        clusters: Vec<Vec<String>>,
    },
    /// A master has no copy of the cluster's authorities.
    Keeper {
        /// Which.
        host: String,
    },
    /// A certificate will not do.
    Certificate {
        /// Where.
        host: String,
        /// Which.
        name: String,
        /// Why it will not do, with the way out.
        why: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { host, error } => {
                write!(f, "{host}: it does not answer: {error}")
            }
            Self::Unit { host, unit, state } => write!(f, "{host}: {unit}: {state}"),
            Self::Mute { host, error, .. } => write!(f, "{host}: {error}"),
            Self::Nobody { router } => {
                write!(f, "nobody that answers holds the addresses of {router}")
            }
            Self::Several { router, hosts } => {
                write!(f, "{} hold the addresses of {router}", hosts.join(" and "))
            }
            Self::Server {
                host,
                server,
                state,
            } => write!(f, "{host}: its api-lb has {server} {state}"),
            Self::Node { host, why } => write!(f, "{host}: its node is not ready: {why}"),
            Self::Leaderless { host } => write!(f, "{host}: its etcd has no leader"),
            Self::Clusters { clusters } => {
                let hosts = clusters.iter().map(|hosts| hosts.join(" and "));
                let hosts = hosts.collect::<Vec<_>>().join("; ");
                write!(f, "etcd is not one cluster, but one each on: {hosts}")
            }
            Self::Keeper { host } => write!(
                f,
                "{host}: its copy of the cluster's authorities is gone; apply brings another"
            ),
            Self::Certificate { host, name, why } => {
                write!(f, "{host}: certificate {name}: {why}")
            }
        }
    }
}
