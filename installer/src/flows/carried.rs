//! Packets of Pods: a host hands them on between its interfaces, where a firewalld or a ufw lets
//! nothing pass that it was not told of; and takes those for itself that its own Pods send it.
//! Rules of iptables or nf_tables by hand are their author's.

use ipnet::IpNet;

use super::firewall::{Firewall, Words};

impl Firewall {
    /// The command lines by which Pods of these networks are let through, one that lasts over a
    /// boot beside each that does not.
    #[must_use]
    pub fn carry(&self, pods: &[String]) -> Vec<Words> {
        let each = |of: fn(&String) -> Vec<String>| -> Vec<Words> {
            let lines = pods.iter().flat_map(of);
            lines
                .map(|line| line.split(' ').map(str::to_owned).collect())
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

/// Whether it was said before: by its own list of rules, or of the sources of that zone.
#[must_use]
pub fn was_said(words: &Words, listed: &str) -> bool {
    let line = words.join(" ");
    let source = words
        .iter()
        .find_map(|word| word.strip_prefix("--add-source="));
    match source {
        Some(source) => listed.split_whitespace().any(|one| holds(one, source)),
        None => listed.lines().any(|one| one.trim() == line),
    }
}

/// Whether a source of a zone is that network, or one around it; it may be none at all.
fn holds(listed: &str, net: &str) -> bool {
    let nets = listed.parse::<IpNet>().ok().zip(net.parse::<IpNet>().ok());
    nets.is_some_and(|(outer, inner)| outer.contains(&inner))
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
            all.map(|words| (shell(&words), shell(&closing(&words).unwrap())))
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
        let ufw = of("ufw route allow from 10.244.0.0/16");
        let added = "Added user rules (see 'ufw status' for running firewall):\n";
        assert!(was_said(
            &ufw,
            &format!("{added}ufw route allow from 10.244.0.0/16\n")
        ));
        assert!(!was_said(
            &ufw,
            &format!("{added}ufw allow from 10.244.0.0/16\n")
        ));
        let source = of("firewall-cmd --zone=trusted --add-source=10.244.0.0/16");
        assert!(was_said(&source, "192.0.2.0/24 10.244.0.0/16\n"));
        assert!(was_said(&source, "ipset:x 10.0.0.0/8\n"));
        assert!(!was_said(
            &source,
            "ipset:x 02:00:00:00:00:01 10.244.1.0/24\n"
        ));
        assert!(!was_said(&source, "10.244.0.0/17\n"));
    }
}
