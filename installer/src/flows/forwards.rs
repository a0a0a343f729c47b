//! What chains of others that drop what is handed on are told, so that packets of Pods pass.

use super::firewall::{Chain, Words};

/// Where Docker leaves room for rules that are not its own.
const DOCKERS: &str = "DOCKER-USER";

impl Chain {
    /// Whether packets of a network come by it.
    #[must_use]
    pub fn sees(&self, net: &str) -> bool {
        match &*self.family {
            "inet" => true,
            family => (family == "ip6") == net.contains(':'),
        }
    }

    /// The command lines by which packets from and to a network pass, but those that the table's
    /// `rules`, as `nft list table` prints them, have already.
    #[must_use]
    pub fn hand_on(&self, net: &str, rules: &str) -> Vec<Words> {
        let family = if net.contains(':') { "ip6" } else { "ip" };
        let ways = [("saddr", "-s"), ("daddr", "-d")].into_iter();
        let missing = ways.filter(|(way, _)| {
            let rule = format!("{family} {way} {net} ");
            let takes = |line: &str| line.contains(&rule) && line.ends_with("accept");
            !rules.lines().any(|line| takes(line.trim()))
        });
        let words = |line: String| line.split(' ').map(str::to_owned).collect();
        let lines = missing.map(|(way, flag)| match self.is_of_iptables() {
            true => {
                let program = if family == "ip6" {
                    "ip6tables"
                } else {
                    "iptables"
                };
                let docker = rules.contains(&format!("chain {DOCKERS} "));
                let chain = if docker { DOCKERS } else { &self.name };
                words(format!("{program} -I {chain} {flag} {net} -j ACCEPT"))
            }
            false => {
                let (of, table, chain) = (&self.family, &self.table, &self.name);
                let rule = format!(
                    "insert rule {of} {table} {chain} {family} {way} {net} accept"
                );
                vec!["nft".to_owned(), rule]
            }
        });
        lines.collect()
    }

    /// Whether it is one that iptables keeps in nf_tables.
    fn is_of_iptables(&self) -> bool {
        self.table == "filter" && self.name == "FORWARD" && self.family != "inet"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::firewall::shell;

    fn chain(family: &str, table: &str, name: &str) -> Chain {
        Chain {
            family: family.to_owned(),
            table: table.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn each_chain_is_told_of_what_it_has_not_yet() {
        let net = "10.244.0.0/16";
        let said = |chain: &Chain, rules: &str| -> Vec<String> {
            chain
                .hand_on(net, rules)
                .iter()
                .map(|one| shell(one))
                .collect()
        };
        let mine = chain("inet", "mine", "fwd");
        let rule = |way: &str| {
            format!("nft 'insert rule inet mine fwd ip {way} 10.244.0.0/16 accept'")
        };
        assert_eq!(said(&mine, ""), [rule("saddr"), rule("daddr")]);
        let has =
            "chain fwd {\n\tip saddr 10.244.0.0/16 counter packets 1 bytes 2 accept\n}";
        assert_eq!(said(&mine, has), [rule("daddr")]);
        let forward = chain("ip", "filter", "FORWARD");
        let line = |chain: &str, flag: &str| {
            format!("iptables -I {chain} {flag} 10.244.0.0/16 -j ACCEPT")
        };
        assert_eq!(
            said(&forward, ""),
            [line("FORWARD", "-s"), line("FORWARD", "-d")]
        );
        let docker = "table ip filter {\n\tchain DOCKER-USER {\n\t}\n}";
        assert_eq!(
            said(&forward, docker),
            [line("DOCKER-USER", "-s"), line("DOCKER-USER", "-d")]
        );
    }

    #[test]
    fn a_chain_sees_its_family_alone() {
        for (family, net, sees) in [
            ("inet", "10.244.0.0/16", true),
            ("inet", "fd00::/48", true),
            ("ip", "10.244.0.0/16", true),
            ("ip", "fd00::/48", false),
            ("ip6", "10.244.0.0/16", false),
            ("ip6", "fd00::/48", true),
        ] {
            assert_eq!(chain(family, "t", "c").sees(net), sees, "{family} {net}");
        }
    }
}
