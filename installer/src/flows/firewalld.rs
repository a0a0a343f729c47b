//! What a firewalld was told of packets that it hands on, by its own listings: a zone judges what
//! comes from its sources, or else over its interfaces, the default one all else; one with the
//! target ACCEPT lets it through wherever it goes, and so does a policy from one zone to others.

use ipnet::IpNet;

use super::Carrying;

/// A zone or a policy that lets all pass that nothing forbids.
const ACCEPT: &str = "ACCEPT";
/// What policies call every zone, and the host itself.
const ANY: &str = "ANY";
const HOST: &str = "HOST";

/// What becomes of packets of Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// They pass.
    Passes,
    /// They may: something was said of them that is not understood here.
    Perhaps,
    /// They are kept.
    Kept,
}

/// What it says of itself: now, or of its next start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing<'a> {
    /// Of `--list-all-zones`.
    pub zones: &'a str,
    /// Of `--list-all-policies`; nothing of one that has none, before 0.9.
    pub policies: &'a str,
    /// Of `--direct --get-all-rules`.
    pub direct: &'a str,
    /// Of `--get-default-zone`.
    pub default: &'a str,
}

impl Listing<'_> {
    /// What becomes of packets of one of the networks of Pods.
    #[must_use]
    pub fn judge(&self, net: &str, pods: &Carrying) -> Verdict {
        let zones = sections(self.zones);
        let sources: Vec<_> = zones.iter().filter(|zone| zone.has_source(net)).collect();
        let interfaces = pods.interfaces.iter().map(|interface| {
            let own = zones.iter().find(|zone| zone.has("interfaces", interface));
            (own.is_some(), own.or_else(|| self.default_of(&zones)))
        });
        let interfaces: Vec<_> = interfaces.collect();
        let (named, judging): (bool, Vec<_>) = match sources.is_empty() {
            false => (true, sources.into_iter().map(Some).collect()),
            true => (
                interfaces.iter().any(|(named, _)| *named),
                interfaces.into_iter().map(|(_, zone)| zone).collect(),
            ),
        };
        let policies = sections(self.policies);
        let policies: Vec<_> = policies.iter().filter(|one| !one.is_disabled()).collect();
        let passes = |zone: &Option<&Section<'_>>| {
            zone.is_some_and(|zone| {
                let led =
                    |to: &str| policies.iter().any(|one| one.accepts(zone.name, to));
                zone.accepts_all() || (led(ANY) && led(HOST))
            })
        };
        if !judging.is_empty() && judging.iter().all(passes) {
            return Verdict::Passes;
        }
        let refuses = judging.iter().flatten().any(|zone| zone.refuses());
        let led = judging.iter().flatten().any(|zone| {
            let mut policies = policies.iter();
            policies.any(|one| one.hands_on(zone.name) && !one.refuses())
        });
        // Sets of addresses, and parts of the network.
        let dark = zones.iter().any(|zone| zone.may_have_source(net));
        let direct = !self.direct.trim().is_empty();
        match (named && !refuses) || led || dark || direct {
            true => Verdict::Perhaps,
            false => Verdict::Kept,
        }
    }

    fn default_of<'s>(&self, zones: &'s [Section<'s>]) -> Option<&'s Section<'s>> {
        zones.iter().find(|zone| zone.name == self.default.trim())
    }
}

/// A zone or a policy: its name at the start of a line, what it has below it.
struct Section<'a> {
    name: &'a str,
    keys: Vec<(&'a str, &'a str)>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with([' ', '\t']) {
            // Behind it stands whether it is active, or the default.
            let name = line.split_whitespace().next().unwrap_or_default();
            let keys = Vec::new();
            all.push(Section { name, keys });
        } else if let (Some(section), Some((key, value))) =
            (all.last_mut(), line.trim().split_once(':'))
        {
            section.keys.push((key, value.trim()));
        }
    }
    all
}

impl Section<'_> {
    fn words(&self, key: &str) -> impl Iterator<Item = &str> {
        let own = self.keys.iter().find(|(name, _)| *name == key);
        own.into_iter()
            .flat_map(|(_, value)| value.split_whitespace())
    }

    fn has(&self, key: &str, word: &str) -> bool {
        self.words(key).any(|one| one == word)
    }

    fn accepts_all(&self) -> bool {
        self.has("target", ACCEPT)
    }

    /// REJECT and DROP; a zone's own word for the first is in percent signs.
    fn refuses(&self) -> bool {
        ["DROP", "REJECT", "%%REJECT%%"]
            .iter()
            .any(|target| self.has("target", target))
    }

    fn is_disabled(&self) -> bool {
        self.has("disable", "yes")
    }

    fn is_from(&self, zone: &str) -> bool {
        self.has("ingress-zones", zone) || self.has("ingress-zones", ANY)
    }

    fn accepts(&self, from: &str, to: &str) -> bool {
        self.accepts_all() && self.is_from(from) && self.has("egress-zones", to)
    }

    /// Whether a policy is about what goes from that zone through the host.
    fn hands_on(&self, from: &str) -> bool {
        self.is_from(from) && !self.has("egress-zones", HOST)
    }

    /// Whether one of its sources is the network, or one around it.
    fn has_source(&self, net: &str) -> bool {
        let mut sources = self.words("sources");
        sources.any(|source| holds(source, net))
    }

    /// Whether one of them may be of the network, or is a part of it.
    fn may_have_source(&self, net: &str) -> bool {
        let mut sources = self.words("sources");
        !self.refuses()
            && sources.any(|source| source.starts_with("ipset:") || holds(net, source))
    }
}

/// Whether a network is around another, or the same; either may be none at all.
pub(super) fn holds(outer: &str, inner: &str) -> bool {
    let nets = outer.parse::<IpNet>().ok().zip(inner.parse::<IpNet>().ok());
    nets.is_some_and(|(outer, inner)| outer.contains(&inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: &str = "10.244.0.0/16";
    /// What Debian 12's begins with, as it lists it; its own policy is about the host alone.
    const OWN: &str = "allow-host-ipv6 (active)\n  priority: -15000\n  target: CONTINUE\n  \
                       ingress-zones: ANY\n  egress-zones: HOST\n  rich rules: \n\t\
                       rule family=\"ipv6\" icmp-type name=\"redirect\" accept\n";

    fn zone(name: &str, target: &str, more: &str) -> String {
        format!(
            "{name} (active)\n  target: {target}\n  icmp-block-inversion: no\n{more}  \
             services: ssh\n  forward: yes\n  rich rules: \n\trule family=\"ipv4\" source \
             address=\"192.0.2.1\" port port=\"22\" protocol=\"tcp\" accept\n\n"
        )
    }

    fn policy(target: &str, ingress: &str, egress: &str) -> String {
        format!(
            "\npods (active)\n  priority: -1\n  target: {target}\n  ingress-zones: {ingress}\n  \
             egress-zones: {egress}\n"
        )
    }

    fn judged(zones: &str, policies: &str, direct: &str) -> Verdict {
        let public = zone("public", "default", "  interfaces: eth0\n  sources: \n");
        let listing = Listing {
            zones: &format!("{public}{zones}"),
            policies: &format!("{OWN}{policies}"),
            direct,
            default: "public\n",
        };
        let pods = Carrying {
            networks: vec![NET.to_owned()],
            interfaces: vec!["cni0".to_owned(), "flannel.1".to_owned()],
        };
        listing.judge(NET, &pods)
    }

    /// A host that works is kept from nothing; where it is not clear, it is asked after.
    #[test]
    fn each_way_by_which_pods_pass_is_known() {
        use Verdict::{Kept, Passes, Perhaps};
        let both = "  interfaces: cni0 flannel.1\n";
        let one = "  interfaces: cni0\n";
        let around = "  sources: 192.0.2.0/24 10.0.0.0/8\n";
        let part = "  sources: 10.244.1.0/24\n";
        let set = "  sources: ipset:pods\n";
        let other = "  sources: 192.0.2.0/24\n";
        for (zones, wanted) in [
            (String::new(), Kept),
            (zone("trusted", ACCEPT, around), Passes),
            (zone("pods", ACCEPT, around), Passes),
            (zone("pods", ACCEPT, both), Passes),
            (zone("pods", ACCEPT, one), Perhaps),
            (zone("pods", "default", both), Perhaps),
            (zone("pods", "default", around), Perhaps),
            (zone("pods", "DROP", around), Kept),
            (zone("pods", "%%REJECT%%", both), Kept),
            (zone("trusted", ACCEPT, part), Perhaps),
            (zone("trusted", ACCEPT, set), Perhaps),
            (zone("trusted", ACCEPT, other), Kept),
            // A source counts before an interface.
            (
                zone("a", "default", around) + &zone("b", ACCEPT, both),
                Perhaps,
            ),
        ] {
            assert_eq!(judged(&zones, "", ""), wanted, "{zones}");
        }
        let direct = "ipv4 filter FORWARD 0 -s 10.244.0.0/16 -j ACCEPT\n";
        assert_eq!(judged("", "", direct), Perhaps);
    }

    #[test]
    fn policies_lead_from_a_zone_to_others_and_to_the_host() {
        use Verdict::{Kept, Passes, Perhaps};
        let pods = zone("pods", "default", "  interfaces: cni0 flannel.1\n");
        let everywhere = policy(ACCEPT, "ANY", "ANY");
        let disabled = everywhere.replace("target", "disable: yes\n  target");
        for (zones, policies, wanted) in [
            (
                "",
                everywhere.clone() + &policy(ACCEPT, "public", "HOST"),
                Passes,
            ),
            (
                &pods,
                policy(ACCEPT, "pods", "ANY") + &policy(ACCEPT, "pods", "HOST"),
                Passes,
            ),
            ("", everywhere, Perhaps),
            ("", policy("CONTINUE", "public", "pods"), Perhaps),
            ("", policy("REJECT", "ANY", "ANY"), Kept),
            ("", policy(ACCEPT, "other", "ANY"), Kept),
            ("", policy(ACCEPT, "ANY", "HOST"), Kept),
            ("", disabled, Kept),
        ] {
            assert_eq!(judged(zones, &policies, ""), wanted, "{zones}{policies}");
        }
    }

    #[test]
    fn the_default_zone_judges_what_no_other_does() {
        let pods = Carrying {
            networks: vec![NET.to_owned()],
            interfaces: vec!["cni0".to_owned()],
        };
        let zones = zone("trusted", ACCEPT, "") + &zone("public", "default", "");
        let judged = |default| {
            let zones = zones.as_str();
            let listing = Listing {
                zones,
                default,
                ..Listing::default()
            };
            listing.judge(NET, &pods)
        };
        assert_eq!(judged("trusted\n"), Verdict::Passes);
        assert_eq!(judged("public\n"), Verdict::Kept);
        // Nothing was said at all.
        assert_eq!(judged(""), Verdict::Kept);
    }
}
