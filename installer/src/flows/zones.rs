//! firewalld's zones: which rules judge what comes in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What firewalld judges by what rules: packets from a source of a zone by that zone's, others
/// by those of their interface's, all others by the default zone's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zones {
    /// The zone of each interface that has one.
    pub interfaces: BTreeMap<String, String>,
    /// Networks and addresses with a zone of their own.
    pub sources: Vec<(String, String)>,
}

impl Zones {
    /// By what `firewall-cmd --get-active-zones` prints: a zone at the start of a line, what it
    /// is of below it.
    #[must_use]
    pub fn active(text: &str) -> Self {
        let mut zones = Self::default();
        let mut zone = String::new();
        for line in text.lines() {
            let Some(below) = line.strip_prefix([' ', '\t']) else {
                // Newer ones say "(default)" behind it.
                zone = line
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                continue;
            };
            let Some((what, names)) = below.trim().split_once(':') else {
                continue;
            };
            let names = names.split_whitespace();
            match what {
                "interfaces" => {
                    let pairs = names.map(|name| (name.to_owned(), zone.clone()));
                    zones.interfaces.extend(pairs);
                }
                "sources" => {
                    // Hardware addresses and sets are none that a host is known by here.
                    let nets = names.filter(|name| net(name).is_some());
                    let pairs = nets.map(|name| (name.to_owned(), zone.clone()));
                    zones.sources.extend(pairs);
                }
                _ => {}
            }
        }
        zones
    }

    /// The zone that judges what comes from there; nothing is the default one.
    pub(super) fn of(&self, from: IpAddr, interface: Option<&str>) -> Option<&str> {
        let mut sources = self.sources.iter();
        let source =
            sources.find(|(text, _)| net(text).is_some_and(|net| net.contains(&from)));
        let interface = || self.interfaces.get(interface?);
        let zone = source.map(|(_, zone)| zone).or_else(interface);
        zone.map(String::as_str)
    }
}

fn net(text: &str) -> Option<IpNet> {
    let host = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule in another zone than the one that judges the packets opens nothing.
    #[test]
    fn a_source_comes_before_an_interface_and_that_before_the_default() {
        let zones = Zones::active(
            "internal\n  interfaces: eth1 eth2\n  sources: 198.51.100.7 ipset:x 02:00:00:00:00:01\n\
             public (default)\n  interfaces: eth0\n\
             trusted\n  sources: 203.0.113.0/24 2001:db8::/64\n",
        );
        assert_eq!(zones.sources.len(), 3);
        for (from, interface, wanted) in [
            ("192.0.2.1", Some("eth1"), Some("internal")),
            ("192.0.2.1", Some("eth0"), Some("public")),
            ("192.0.2.1", Some("eth9"), None),
            ("192.0.2.1", None, None),
            ("198.51.100.7", Some("eth0"), Some("internal")),
            ("203.0.113.9", Some("eth0"), Some("trusted")),
            ("2001:db8::7", Some("eth0"), Some("trusted")),
        ] {
            let zone = zones.of(from.parse().unwrap(), interface);
            assert_eq!(zone, wanted, "{from} {interface:?}");
        }
    }
}
