//! A first description of a cluster, with a word about each choice: a function of what only
//! its operator can know.

use std::fmt::Write;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::versions::{NEWEST, Version};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// What the cluster is called.
    pub name: String,
    /// Which Kubernetes.
    pub version: Version,
    /// The virtual address with its prefix; none where a single master is dialled directly.
    pub address: Option<ipnet::IpNet>,
    /// Masters: etcd and the control plane.
    pub masters: Vec<Named>,
    /// What they are besides.
    pub besides: Besides,
    /// Hosts for Pods.
    pub nodes: Vec<Named>,
    /// Whom ssh logs in as; none: whom its own configuration says.
    pub user: Option<String>,
}

/// Whether masters are nodes as well, as kubeadm's are: with a kubelet, and a taint that keeps
/// Pods away which do not tolerate it. Said as `yes` and `no`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Besides {
    /// Nothing: a kubelet and a containerd less on each.
    #[default]
    Nothing,
    /// Their API servers reach webhooks and aggregated APIs in Pods.
    Nodes,
}

/// Why a text is neither.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("is neither yes nor no")]
pub struct BesidesError;

impl FromStr for Besides {
    type Err = BesidesError;

    fn from_str(text: &str) -> Result<Self, BesidesError> {
        match text.to_ascii_lowercase().as_str() {
            "yes" | "y" => Ok(Self::Nodes),
            "no" | "n" => Ok(Self::Nothing),
            _ => Err(BesidesError),
        }
    }
}

/// A host, as `NAME=ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
}

/// Why a text is no host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NamedError {
    /// There is no `=`.
    #[error("is not NAME=ADDRESS, such as m1=192.0.2.11")]
    Shape,
    /// What stands behind it is no address.
    #[error("has no address behind the =; write NAME=ADDRESS, such as m1=192.0.2.11")]
    Address,
}

impl FromStr for Named {
    type Err = NamedError;

    fn from_str(text: &str) -> Result<Self, NamedError> {
        let (name, address) = text.split_once('=').ok_or(NamedError::Shape)?;
        let address = address.parse().map_err(|_| NamedError::Address)?;
        Ok(Self {
            name: name.to_owned(),
            address,
        })
    }
}

/// The version that is meant when nobody says another: the newest minor version's first.
#[must_use]
pub fn version() -> Version {
    Version {
        minor: NEWEST,
        patch: 0,
    }
}

/// The description.
#[must_use]
pub fn description(answers: &Answers) -> String {
    let mut text = String::from(
        "# A cluster. Every key stands in docs/config/cluster.md; `sternpost check` says whether all\n\
         # is well, and connects to nothing.\n\
         apiVersion: sternpost/v1\nkind: Cluster\n",
    );
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "# What it is called: in kubeconfigs, in its journal, and by who takes it down.\n\
         name: {}\n\n\
         # All three numbers: that of the programs in the folder `binaries`.\n\
         kubernetes: {{version: {}}}\n\n",
        answers.name, answers.version
    );
    match &answers.address {
        Some(address) => {
            let _ = write!(
                text,
                "# Where clients find the API: an address of the masters' subnet that no host has. The\n\
                 # masters hand it on among themselves. `name` may be a DNS name for it.\n\
                 endpoint:\n  addresses: [\"{address}\"]\n  # name: k8s-api.example.org\n\n"
            );
        }
        None => text.push_str(
            "# One master, dialled directly. For three, begin with three, and with an address that they hand\n\
             # on among themselves (sternpost init --address): apply adds no member to the etcd of a cluster\n\
             # that stands but those that etcd has taken in by hand.\n\
             balancer: {mode: none}\n\n",
        ),
    }
    text.push_str(&networks(answers));
    let ssh = answers.user.as_ref().map_or_else(String::new, |user| {
        // A text of JSON is one of YAML, whatever is in it.
        format!(
            ", ssh: {{user: {}}}",
            serde_json::Value::from(user.as_str())
        )
    });
    let masters = match answers.besides {
        Besides::Nothing => "etcd, controlPlane",
        Besides::Nodes => "etcd, controlPlane, node",
    };
    for (hosts, roles) in [(&answers.masters, masters), (&answers.nodes, "node")] {
        for Named { name, address } in hosts {
            let _ = writeln!(
                text,
                "- {{name: {name}, addresses: [\"{address}\"], roles: [{roles}]{ssh}}}"
            );
        }
    }
    if answers.nodes.is_empty() {
        let _ = write!(
            text,
            "# None of them takes any Pod yet. A host that does is one more line, also later; then: sternpost apply.\n\
             # - {{name: n1, addresses: [\"192.0.2.21\"], roles: [node]{ssh}}}\n"
        );
    }
    text
}

fn networks(answers: &Answers) -> String {
    // Of the family that API servers listen on.
    let first = answers.masters.first();
    let (services, pods) = match first.is_some_and(|master| master.address.is_ipv6()) {
        true => ("fd00:10:96::/112", "fd00:10:244::/48"),
        false => ("10.96.0.0/16", "10.244.0.0/16"),
    };
    let proxy = match answers.version.features().nftables {
        true => {
            "  # By nft, which the systems have; iptables would be one package more on each node.\n  \
             proxy: nftables\n"
        }
        false => "",
    };
    let user = match answers.user {
        Some(_) => "ssh logs in as the user of each, whom sudo lets be root unasked.",
        None => {
            "ssh logs in as whom its own configuration says; with `ssh: {user: NAME}` on a host, as NAME."
        }
    };
    format!(
        "# Networks that exist inside the cluster alone; neither may overlap the other or the hosts.\n\
         networks:\n  services: [\"{services}\"]\n  pods: [\"{pods}\"]\n{proxy}\n\
         # Roles: etcd (an odd number), controlPlane, node. A host may have several. API servers reach\n\
         # webhooks and aggregated APIs in Pods (metrics-server, …) where their host is a node, too; of a\n\
         # control plane, it takes only Pods that tolerate its taint (`taints: []` on the host: all).\n\
         # {user}\nhosts:\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ProxyMode, Role};

    fn named(texts: &[&str]) -> Vec<Named> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// One master and no host for Pods.
    fn alone() -> Answers {
        Answers {
            name: "prod".to_owned(),
            version: version(),
            address: None,
            masters: named(&["m1=192.0.2.11"]),
            besides: Besides::Nothing,
            nodes: Vec::new(),
            user: None,
        }
    }

    #[test]
    fn what_is_written_is_good() {
        let three = Answers {
            address: Some("192.0.2.9/24".parse().unwrap()),
            masters: named(&["m1=192.0.2.11", "m2=192.0.2.12", "m3=192.0.2.13"]),
            nodes: named(&["n1=192.0.2.21"]),
            ..alone()
        };
        let one = Answers {
            address: None,
            masters: named(&["m1=192.0.2.11"]),
            ..three.clone()
        };
        let six = Answers {
            address: Some("2001:db8::9/64".parse().unwrap()),
            masters: named(&["m1=2001:db8::11", "m2=2001:db8::12", "m3=2001:db8::13"]),
            nodes: named(&["n1=2001:db8::21"]),
            ..three.clone()
        };
        for (answers, server) in [
            (three, "https://192.0.2.9:6443"),
            (one, "https://192.0.2.11:6443"),
            (six, "https://[2001:db8::9]:6443"),
        ] {
            let text = description(&answers);
            let spec = crate::spec::parse("cluster.yaml", &text).unwrap();
            assert_eq!(spec.warnings, Vec::<String>::new());
            assert_eq!(spec.cluster.server(), server);
            assert_eq!(spec.cluster.name, "prod");
            assert_eq!(spec.cluster.networks.proxy, ProxyMode::Nftables);
            let hosts = answers.masters.len() + answers.nodes.len();
            assert_eq!(spec.cluster.hosts.len(), hosts);
        }
    }

    #[test]
    fn a_version_without_nftables_is_left_with_its_own() {
        let old = Answers {
            version: "1.30.9".parse().unwrap(),
            ..alone()
        };
        let spec = crate::spec::parse("cluster.yaml", &description(&old)).unwrap();
        assert_eq!(spec.cluster.networks.proxy, ProxyMode::Iptables);
    }

    /// The line of a comment that shows a node is a good one.
    #[test]
    fn a_cluster_without_nodes_says_how_one_is_added() {
        let mut answers = Answers {
            user: Some("root".to_owned()),
            ..alone()
        };
        let hosts = |text: &str| {
            let hosts = crate::spec::parse("cluster.yaml", text)
                .unwrap()
                .cluster
                .hosts;
            let user = |host: crate::spec::Host| (host.name, host.ssh.user);
            hosts.into_iter().map(user).collect::<Vec<_>>()
        };
        let root = Some("root".to_owned());
        let text = description(&answers);
        assert_eq!(hosts(&text), [("m1".to_owned(), root.clone())]);
        let added = text.replace("# - {name: n1", "- {name: n1");
        let both = [("m1".to_owned(), root.clone()), ("n1".to_owned(), root)];
        assert_eq!(hosts(&added), both);
        answers.nodes = named(&["n1=192.0.2.21"]);
        assert!(!description(&answers).contains("# - {"));
        answers.user = Some("a\"b".to_owned());
        let odd = Some("a\"b".to_owned());
        assert_eq!(hosts(&description(&answers))[0].1, odd);
    }

    #[test]
    fn masters_may_be_nodes_as_well() {
        let mut answers = Answers {
            nodes: named(&["n1=192.0.2.21"]),
            ..alone()
        };
        for (besides, nodes) in [(Besides::Nothing, 1), (Besides::Nodes, 2)] {
            answers.besides = besides;
            let spec =
                crate::spec::parse("cluster.yaml", &description(&answers)).unwrap();
            assert_eq!(spec.cluster.with(Role::ControlPlane).count(), 1);
            assert_eq!(spec.cluster.with(Role::Etcd).count(), 1);
            assert_eq!(spec.cluster.with(Role::Node).count(), nodes);
            // Of the one without a way to Pods `check` says so.
            assert_eq!(spec.advice.is_empty(), besides == Besides::Nodes);
        }
    }

    #[test]
    fn what_masters_are_besides_is_yes_or_no() {
        for (text, wanted) in [
            ("yes", Ok(Besides::Nodes)),
            ("Y", Ok(Besides::Nodes)),
            ("no", Ok(Besides::Nothing)),
            ("n", Ok(Besides::Nothing)),
            ("", Err(BesidesError)),
            ("true", Err(BesidesError)),
        ] {
            assert_eq!(text.parse(), wanted, "{text}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_an_address() {
        for (text, wanted) in [
            ("m1", NamedError::Shape),
            ("m1=", NamedError::Address),
            ("m1=192.0.2", NamedError::Address),
        ] {
            assert_eq!(text.parse::<Named>(), Err(wanted), "{text}");
        }
        let v6 = "2001:db8::1".parse::<IpAddr>().unwrap();
        assert_eq!(named(&["m1=2001:db8::1"]).remove(0).address, v6);
    }
}
