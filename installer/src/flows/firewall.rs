//! What filters a host's packets, and what lets one flow in: command lines that add to it and
//! never take away. Whoever made the rules keeps them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Way;
use super::zones::Zones;

const KEPT_IPTABLES: &str = "and keep that rule where yours are kept: /etc/iptables/rules.v4 and \
                             rules.v6 of netfilter-persistent, /etc/sysconfig/iptables and \
                             ip6tables";
const KEPT_NFTABLES: &str = "and write it into the file that nftables.service reads at boot \
                             (/etc/nftables.conf, /etc/sysconfig/nftables.conf of RHEL-likes), \
                             without a reload of it on a host that serves: that takes the \
                             cluster's own tables away too";

/// What was found to filter what comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Firewall {
    /// Nothing.
    #[default]
    None,
    /// firewalld runs.
    Firewalld(Zones),
    /// ufw is enabled.
    Ufw,
    /// One that knows no protocol but a few by name, as before 0.36.2: what it is to let in of
    /// others stands in a file of its.
    OldUfw,
    /// Rules of iptables.
    Iptables,
    /// Chains of `nf_tables` that see what comes in.
    Nftables(Vec<Chain>),
}

/// A chain of `nf_tables`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// `inet`, `ip` or `ip6`.
    pub family: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
}

/// What is to be let in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hole {
    /// How it comes.
    pub way: Way,
    /// The interface with the address that it comes to, where that is known.
    pub interface: Option<String>,
    /// From where, all of one family.
    pub from: BTreeSet<IpAddr>,
}

/// A command line, word by word.
pub type Words = Vec<String>;

impl Firewall {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Firewalld(_) => "firewalld",
            Self::Ufw | Self::OldUfw => "ufw",
            Self::Iptables => "iptables",
            Self::Nftables(_) => "nftables",
        }
    }

    /// Whether what [`Firewall::open`] says lasts over a boot and may be said twice. Rules of
    /// others' own files are theirs to write.
    #[must_use]
    pub fn is_ours_to_open(&self) -> bool {
        match self {
            Self::Firewalld(_) | Self::Ufw | Self::OldUfw => true,
            Self::None | Self::Iptables | Self::Nftables(_) => false,
        }
    }

    /// Whether that is so of this hole: a file of others is theirs to write.
    #[must_use]
    pub fn is_ours_to_make(&self, hole: &Hole) -> bool {
        let in_a_file = *self == Self::OldUfw && matches!(hole.way, Way::Protocol(_));
        self.is_ours_to_open() && !in_a_file
    }

    /// The command lines that let something in.
    #[must_use]
    pub fn open(&self, hole: &Hole) -> Vec<Words> {
        match self {
            Self::None => Vec::new(),
            Self::Firewalld(zones) => firewalld(zones, hole),
            Self::Ufw => hole.from.iter().map(|from| ufw(hole.way, *from)).collect(),
            Self::OldUfw => match hole.way {
                Way::Tcp(_) | Way::Udp(_) => Self::Ufw.open(hole),
                Way::Protocol(number) => old_ufw(hole, number),
            },
            Self::Iptables => iptables(hole),
            Self::Nftables(chains) => {
                let fits = |chain: &&Chain| chain.takes(hole);
                let chains = chains.iter().filter(fits);
                chains.map(|chain| chain.insert(hole)).collect()
            }
        }
    }

    /// How what was opened is kept for the next boot, where that is the operator's to do.
    #[must_use]
    pub fn keeping(&self) -> Option<&'static str> {
        match self {
            Self::None | Self::Firewalld(_) | Self::Ufw | Self::OldUfw => None,
            Self::Iptables => Some(KEPT_IPTABLES),
            Self::Nftables(_) => Some(KEPT_NFTABLES),
        }
    }
}

impl Hole {
    fn is_v4(&self) -> bool {
        self.from.iter().all(IpAddr::is_ipv4)
    }
}

fn words(text: &str) -> Words {
    text.split(' ').map(str::to_owned).collect()
}

/// A rule for each source, in the zone that judges it, for now and for every start.
fn firewalld(zones: &Zones, hole: &Hole) -> Vec<Words> {
    let family = if hole.is_v4() { "ipv4" } else { "ipv6" };
    let what = match hole.way {
        Way::Tcp(port) => format!("port port=\"{port}\" protocol=\"tcp\""),
        Way::Udp(port) => format!("port port=\"{port}\" protocol=\"udp\""),
        Way::Protocol(number) => format!("protocol value=\"{number}\""),
    };
    let rules = hole.from.iter().flat_map(|from| {
        let rule =
            format!("rule family=\"{family}\" source address=\"{from}\" {what} accept");
        let mut now = vec!["firewall-cmd".to_owned()];
        let zone = zones.of(*from, hole.interface.as_deref());
        now.extend(zone.map(|zone| format!("--zone={zone}")));
        now.push(format!("--add-rich-rule={rule}"));
        let mut kept = now.clone();
        kept.insert(1, "--permanent".to_owned());
        [kept, now]
    });
    rules.collect()
}

/// A line behind those that every file of these begins with (ufw-framework(8)).
fn old_ufw(hole: &Hole, number: u8) -> Vec<Words> {
    let (file, chain) = match hole.is_v4() {
        true => ("/etc/ufw/before.rules", "ufw-before-input"),
        false => ("/etc/ufw/before6.rules", "ufw6-before-input"),
    };
    let lines = hole.from.iter().map(|from| {
        let rule = format!("-A {chain} -s {from} -p {number} -j ACCEPT");
        let edit = format!("/^# End required lines/a {rule}");
        ["sed", "-i", &edit, file].map(str::to_owned).to_vec()
    });
    lines.chain([words("ufw reload")]).collect()
}

/// ufw knows `vrrp` by name, since 0.36.2, and no protocol by number.
fn ufw(way: Way, from: IpAddr) -> Words {
    words(&match way {
        Way::Tcp(port) => format!("ufw allow proto tcp from {from} to any port {port}"),
        Way::Udp(port) => format!("ufw allow proto udp from {from} to any port {port}"),
        Way::Protocol(super::VRRP) => format!("ufw allow proto vrrp from {from}"),
        Way::Protocol(number) => format!("ufw allow proto {number} from {from}"),
    })
}

/// What keeps out again what these words of firewalld's or ufw's have let in.
#[must_use]
pub fn closing(open: &[String]) -> Option<Words> {
    match open.split_first() {
        Some((program, rest)) if program == "ufw" => {
            let mut all: Words = rest.to_vec();
            // Behind the word that says what passes through.
            let routed = all.first().is_some_and(|word| word == "route");
            all.insert(usize::from(routed), "delete".to_owned());
            all.insert(0, program.clone());
            Some(all)
        }
        Some((program, _)) if program == "firewall-cmd" => {
            let close = |word: &String| word.replacen("--add-", "--remove-", 1);
            Some(open.iter().map(close).collect())
        }
        Some(_) | None => None,
    }
}

fn iptables(hole: &Hole) -> Vec<Words> {
    let program = if hole.is_v4() {
        "iptables"
    } else {
        "ip6tables"
    };
    let what = match hole.way {
        Way::Tcp(port) => format!("-p tcp --dport {port}"),
        Way::Udp(port) => format!("-p udp --dport {port}"),
        Way::Protocol(number) => format!("-p {number}"),
    };
    let sources = hole.from.iter();
    sources
        .map(|from| words(&format!("{program} -I INPUT -s {from} {what} -j ACCEPT")))
        .collect()
}

impl Chain {
    fn takes(&self, hole: &Hole) -> bool {
        match self.family.as_str() {
            "inet" => true,
            "ip" => hole.is_v4(),
            "ip6" => !hole.is_v4(),
            _ => false,
        }
    }

    /// At its front: a rule behind one that drops would never be met.
    fn insert(&self, hole: &Hole) -> Words {
        let family = if hole.is_v4() { "ip" } else { "ip6" };
        let from: Vec<_> = hole.from.iter().map(ToString::to_string).collect();
        let from = match from.as_slice() {
            [one] => one.clone(),
            all => format!("{{ {} }}", all.join(", ")),
        };
        let what = match hole.way {
            Way::Tcp(port) => format!("tcp dport {port}"),
            Way::Udp(port) => format!("udp dport {port}"),
            Way::Protocol(number) => format!("meta l4proto {number}"),
        };
        let Self {
            family: own,
            table,
            name,
        } = self;
        let rule = format!(
            "insert rule {own} {table} {name} {family} saddr {from} {what} accept"
        );
        vec!["nft".to_owned(), rule]
    }
}

/// A command line as a shell takes it.
#[must_use]
pub fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
    let quoted = words.iter().map(|word| match word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{word}'"),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole(way: Way, from: &[&str]) -> Hole {
        let from = from.iter().map(|one| one.parse().unwrap()).collect();
        let interface = Some("eth1".to_owned());
        Hole {
            way,
            interface,
            from,
        }
    }

    fn said(firewall: &Firewall, hole: &Hole) -> Vec<String> {
        firewall
            .open(hole)
            .iter()
            .map(|words| shell(words))
            .collect()
    }

    fn chain(family: &str, table: &str, name: &str) -> Chain {
        Chain {
            family: family.into(),
            table: table.into(),
            name: name.into(),
        }
    }

    #[test]
    fn each_firewall_is_told_in_its_own_words() {
        let peers = hole(Way::Tcp(2380), &["192.0.2.1", "192.0.2.3"]);
        let adverts = hole(Way::Protocol(112), &["2001:db8::1"]);
        let rule = "rule family=\"ipv4\" source address=\"192.0.2.1\" port port=\"8472\" \
                    protocol=\"udp\" accept";
        assert_eq!(
            said(
                &Firewall::Firewalld(Zones::default()),
                &hole(Way::Udp(8472), &["192.0.2.1"])
            ),
            [
                format!("firewall-cmd --permanent '--add-rich-rule={rule}'"),
                format!("firewall-cmd '--add-rich-rule={rule}'"),
            ]
        );
        let adverts_in = said(&Firewall::Firewalld(Zones::default()), &adverts).remove(0);
        assert!(
            adverts_in.contains(
                "family=\"ipv6\" source address=\"2001:db8::1\" protocol value=\"112\" accept"
            ),
            "{adverts_in}"
        );
        assert_eq!(
            said(&Firewall::Ufw, &peers),
            [
                "ufw allow proto tcp from 192.0.2.1 to any port 2380",
                "ufw allow proto tcp from 192.0.2.3 to any port 2380"
            ]
        );
        assert_eq!(
            said(&Firewall::Ufw, &adverts),
            ["ufw allow proto vrrp from 2001:db8::1"]
        );
        assert_eq!(
            said(&Firewall::OldUfw, &peers),
            said(&Firewall::Ufw, &peers)
        );
        let rule = "-A ufw6-before-input -s 2001:db8::1 -p 112 -j ACCEPT";
        assert_eq!(
            said(&Firewall::OldUfw, &adverts),
            [
                format!(
                    "sed -i '/^# End required lines/a {rule}' /etc/ufw/before6.rules"
                ),
                "ufw reload".to_owned(),
            ]
        );
        assert!(Firewall::OldUfw.is_ours_to_make(&peers));
        assert!(!Firewall::OldUfw.is_ours_to_make(&adverts));
        assert!(Firewall::Ufw.is_ours_to_make(&adverts));
        assert_eq!(
            said(&Firewall::Iptables, &adverts),
            ["ip6tables -I INPUT -s 2001:db8::1 -p 112 -j ACCEPT"]
        );
        assert_eq!(said(&Firewall::None, &adverts), [""; 0]);
    }

    #[test]
    fn every_chain_of_the_family_gets_the_rule_at_its_front() {
        let chains = vec![
            chain("inet", "filter", "input"),
            chain("ip6", "mine", "in"),
            chain("ip", "yours", "in"),
            chain("arp", "odd", "in"),
        ];
        let firewall = Firewall::Nftables(chains);
        let peers = hole(Way::Tcp(2380), &["192.0.2.1", "192.0.2.3"]);
        let rule = "ip saddr { 192.0.2.1, 192.0.2.3 } tcp dport 2380 accept";
        assert_eq!(
            said(&firewall, &peers),
            [
                format!("nft 'insert rule inet filter input {rule}'"),
                format!("nft 'insert rule ip yours in {rule}'")
            ]
        );
        let adverts = hole(Way::Protocol(112), &["2001:db8::1"]);
        let rule = "ip6 saddr 2001:db8::1 meta l4proto 112 accept";
        assert_eq!(
            said(&firewall, &adverts),
            [
                format!("nft 'insert rule inet filter input {rule}'"),
                format!("nft 'insert rule ip6 mine in {rule}'")
            ]
        );
    }

    #[test]
    fn only_what_lasts_is_done_by_ourselves() {
        let nftables = Firewall::Nftables(Vec::new());
        for (firewall, ours) in [
            (Firewall::None, false),
            (Firewall::Firewalld(Zones::default()), true),
            (Firewall::Ufw, true),
            (Firewall::OldUfw, true),
            (Firewall::Iptables, false),
            (nftables, false),
        ] {
            assert_eq!(firewall.is_ours_to_open(), ours, "{}", firewall.name());
            assert!(!(ours && firewall.keeping().is_some()));
        }
    }
}
