//! Packets of Pods: a host hands them on between its interfaces, where a firewalld or a ufw lets
//! nothing pass that it was not told of; and takes those for itself that its own Pods send it.
//! Rules of iptables or nf_tables by hand are their author's.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::firewall::{Firewall, Words};
use super::firewalld::holds;
use crate::layout::{BRIDGE, TUNNEL, TUNNEL_OF_V6};
use crate::spec::{BetweenPods, Cluster};

/// What a host hands on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carrying {
    /// The networks of Pods.
    pub networks: Vec<String>,
    /// The interfaces that their packets come from.
    pub interfaces: Vec<String>,
}

/// What a host of a cluster hands on, by the interface with its address: where Pods' own packets
/// travel between hosts, they come over that.
#[must_use]
pub fn carrying(cluster: &Cluster, interface: Option<&str>) -> Carrying {
    let pods = &cluster.networks.pods;
    let tunnels = pods.iter().map(|net| match net {
        IpNet::V4(_) => TUNNEL,
        IpNet::V6(_) => TUNNEL_OF_V6,
    });
    let between: Vec<_> = match cluster.networks.between_pods {
        BetweenPods::FlannelHostGw => interface.into_iter().collect(),
        BetweenPods::Flannel | BetweenPods::None => tunnels.collect(),
    };
    let interfaces = [BRIDGE].into_iter().chain(between);
    Carrying {
        networks: pods.iter().map(ToString::to_string).collect(),
        interfaces: interfaces.map(str::to_owned).collect(),
    }
}

/// What a firewall has yet to be told of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// Command lines without which it does not pass.
    pub unsaid: Vec<Words>,
    /// Those without which it may: what was said of it is not understood.
    pub doubtful: Vec<Words>,
}

impl Firewall {
    /// The command lines by which Pods of these networks are let through, each with its network;
    /// one that lasts over a boot beside each that does not.
    #[must_use]
    pub fn carry<'a>(&self, pods: &'a [String]) -> Vec<(&'a str, Words)> {
        let each = |of: fn(&str) -> Vec<String>| -> Vec<(&'a str, Words)> {
            let words = |line: String| line.split(' ').map(str::to_owned).collect();
            let nets = pods.iter().map(String::as_str);
            nets.flat_map(|net| of(net).into_iter().map(move |line| (net, words(line))))
                .collect()
        };
        match self {
            Self::Firewalld(_) => each(|net| {
                let add = format!("--zone=trusted --add-source={net}");
                vec![
                    format!("firewall-cmd --permanent {add}"),
                    format!("firewall-cmd {add}"),
                ]
            }),
            // Towards them, too: what comes in for a Service has a Pod's address by then.
            Self::Ufw | Self::OldUfw => each(|net| {
                vec![
                    format!("ufw route allow from {net}"),
                    format!("ufw route allow to {net}"),
                    format!("ufw allow from {net}"),
                ]
            }),
            Self::None | Self::Iptables | Self::Nftables(_) => Vec::new(),
        }
    }
}

/// What ufw does with that, by the rules that it was told (`show added`) and by those of its files
/// that are for whoever knows how.
#[must_use]
pub fn ufw(words: &Words, pods: &Carrying, added: &str, files: &str) -> Verdict {
    let (Some(net), Some((_, rule))) = (words.last(), words.split_last()) else {
        return Verdict::Kept;
    };
    let rule = rule.join(" ");
    let added = || added.lines().map(str::trim);
    let covers = |line: &str| {
        let outer = line.strip_prefix(&*rule);
        outer.is_some_and(|outer| outer.trim() == net || holds(outer.trim(), net))
    };
    if added().any(covers) {
        return Verdict::Passes;
    }
    let names = |line: &str| {
        let mut words = line.split_whitespace();
        words.any(|word| word == net || pods.interfaces.iter().any(|name| name == word))
    };
    // Of what passes through, and of the host itself.
    let same = |line: &&str| line.contains(" route ") == rule.contains(" route ");
    let mut rules = added().filter(same);
    let told = rules.any(|line| line.contains(" allow ") && names(line));
    let mut lines = files.lines().map(str::trim);
    match told || lines.any(|line| line.starts_with("-A ") && names(line)) {
        true => Verdict::Perhaps,
        false => Verdict::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::Zones;
    use crate::flows::firewall::{closing, shell};

    #[test]
    fn each_is_told_of_pods_in_its_own_words_and_of_their_end() {
        let pods = ["10.244.0.0/16".to_owned()];
        let said = |firewall: &Firewall| -> Vec<(String, String)> {
            let all = firewall.carry(&pods).into_iter();
            all.map(|(_, words)| (shell(&words), shell(&closing(&words).unwrap())))
                .collect()
        };
        let pair = |open: &str, close: &str| (open.to_owned(), close.to_owned());
        let zone = "--zone=trusted";
        assert_eq!(
            said(&Firewall::Firewalld(Zones::default())),
            [
                pair(
                    &format!(
                        "firewall-cmd --permanent {zone} --add-source=10.244.0.0/16"
                    ),
                    &format!(
                        "firewall-cmd --permanent {zone} --remove-source=10.244.0.0/16"
                    ),
                ),
                pair(
                    &format!("firewall-cmd {zone} --add-source=10.244.0.0/16"),
                    &format!("firewall-cmd {zone} --remove-source=10.244.0.0/16"),
                ),
            ]
        );
        let ufw = [
            pair(
                "ufw route allow from 10.244.0.0/16",
                "ufw route delete allow from 10.244.0.0/16",
            ),
            pair(
                "ufw route allow to 10.244.0.0/16",
                "ufw route delete allow to 10.244.0.0/16",
            ),
            pair(
                "ufw allow from 10.244.0.0/16",
                "ufw delete allow from 10.244.0.0/16",
            ),
        ];
        assert_eq!(said(&Firewall::Ufw), ufw);
        assert_eq!(said(&Firewall::OldUfw), ufw);
        assert_eq!(said(&Firewall::Nftables(Vec::new())), []);
    }

    #[test]
    fn what_was_said_is_known_again() {
        let of = |line: &str| line.split(' ').map(str::to_owned).collect::<Words>();
        let pods = Carrying {
            networks: vec!["10.244.0.0/16".to_owned()],
            interfaces: vec!["cni0".to_owned()],
        };
        let route = of("ufw route allow from 10.244.0.0/16");
        let host = of("ufw allow from 10.244.0.0/16");
        let judged = |words: &Words, added: &str, files: &str| {
            let added = format!(
                "Added user rules (see 'ufw status' for running firewall):\n{added}\n"
            );
            ufw(words, &pods, &added, files)
        };
        for (added, of_route, of_host) in [
            ("", Verdict::Kept, Verdict::Kept),
            (
                "ufw route allow from 10.244.0.0/16",
                Verdict::Passes,
                Verdict::Kept,
            ),
            (
                "ufw route allow from 10.0.0.0/8",
                Verdict::Passes,
                Verdict::Kept,
            ),
            (
                "ufw route allow from 10.244.1.0/24",
                Verdict::Kept,
                Verdict::Kept,
            ),
            (
                "ufw route allow in on cni0 out on eth0",
                Verdict::Perhaps,
                Verdict::Kept,
            ),
            ("ufw route deny in on cni0", Verdict::Kept, Verdict::Kept),
            ("ufw allow in on cni0", Verdict::Kept, Verdict::Perhaps),
            (
                "ufw allow from 10.244.0.0/16",
                Verdict::Kept,
                Verdict::Passes,
            ),
        ] {
            assert_eq!(judged(&route, added, ""), of_route, "{added}");
            assert_eq!(judged(&host, added, ""), of_host, "{added}");
        }
        let by_hand = "-A ufw-before-forward -s 10.244.0.0/16 -j ACCEPT\n";
        assert_eq!(judged(&route, "", by_hand), Verdict::Perhaps);
        let icmp = "-A ufw-before-forward -p icmp -j ACCEPT\n# -A x -i cni0\n";
        assert_eq!(judged(&route, "", icmp), Verdict::Kept);
    }
}
