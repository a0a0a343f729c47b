//! What a node has in its kernel for its Pods, and which of it goes: only what carries the
//! name of a component that was laid down here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::containerd::Users;
use super::removal::below;
use super::{Inventory, Removal, Step};
use crate::layout::{BRIDGE, TUNNEL, TUNNEL_OF_V6};
use crate::render::NETWORK_NAME;

/// Interfaces of flannel and of CNI's bridge, and the one of kube-proxy's mode ipvs.
pub const INTERFACES: [&str; 4] = [TUNNEL, TUNNEL_OF_V6, BRIDGE, "kube-ipvs0"];
/// How the network namespaces of Pods are called.
pub const SPACE: &str = "cni-";
/// Tables of nftables, with the unit whose they are.
const TABLES: [(&str, &str); 5] = [
    ("kube-proxy.service", "kube-proxy"),
    ("flanneld.service", "flannel-ipv4"),
    ("flanneld.service", "flannel-ipv6"),
    ("flanneld.service", "cni_hostport"),
    ("flanneld.service", "cni_plugins_masquerade"),
];
/// How the chains of iptables begin that kubelet, kube-proxy and flannel make.
const CHAINS: [&str; 2] = ["KUBE-", "FLANNEL-"];
/// How those begin that CNI's programs make, for whoever runs them.
const CNI: &str = "CNI-";
/// Those of them that all networks share.
const SHARED: &str = "CNI-HOSTPORT-";
/// Where Pods and their containers have things mounted. Whoever mounts a disk of its own at a
/// folder above keeps it.
const MOUNTS: [&str; 4] = [
    "/run/containerd",
    "/var/lib/containerd",
    "/var/lib/kubelet/plugins",
    "/var/lib/kubelet/pods",
];
const KUBELET: &str = "kubelet.service";
const FLANNEL: &str = "flanneld.service";

/// What there is in a host's kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kernel {
    /// Sandboxes of Kubernetes that run.
    pub sandboxes: usize,
    /// Interfaces, of [`INTERFACES`].
    pub interfaces: Vec<String>,
    /// Network namespaces of Pods, which begin with [`SPACE`].
    pub spaces: Vec<String>,
    /// Routes over other hosts to networks of Pods.
    pub routes: Vec<Route>,
    /// All tables of nftables.
    pub tables: Vec<Table>,
    /// What `iptables-save` and `ip6tables-save` print of our chains: program and count.
    pub chains: Vec<(String, usize)>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Where to.
    pub to: String,
    /// Over whom.
    pub via: String,
}

/// A table of nftables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Its family.
    pub family: String,
    /// Its name.
    pub name: String,
}

impl Removal {
    /// Once, before what runs them ends.
    pub(super) fn containers(&mut self, inventory: &Inventory, laid: &BTreeSet<&str>) {
        let sandboxes = inventory.kernel.sandboxes;
        let step = Step::Containers { sandboxes };
        if sandboxes > 0 && laid.contains(KUBELET) && !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }

    /// What Pods have left: the deepest mounts first, then networks, then packet filters.
    pub(super) fn kernel(
        &mut self,
        inventory: &Inventory,
        laid: &BTreeSet<&str>,
        users: &Users,
    ) {
        let kernel = &inventory.kernel;
        if laid.contains(KUBELET) {
            let of_pods = |at: &&String| {
                MOUNTS.iter().any(|folder| below(at, folder)) && users.give_up(at)
            };
            let mut mounts: Vec<_> = inventory.mounts.iter().filter(of_pods).collect();
            mounts.sort_by(|one, other| other.cmp(one));
            let mounts = mounts.into_iter().cloned();
            self.steps.extend(mounts.map(|at| Step::Unmount { at }));
            let spaces = kernel.spaces.iter().cloned();
            self.steps.extend(spaces.map(|name| Step::Space { name }));
        }
        if laid.contains(FLANNEL) {
            let interfaces = kernel.interfaces.iter().cloned();
            self.steps
                .extend(interfaces.map(|name| Step::Interface { name }));
            self.steps
                .extend(kernel.routes.iter().cloned().map(Step::Route));
        }
        let ours = |table: &&Table| {
            let mut all = TABLES.iter();
            all.any(|(unit, name)| laid.contains(unit) && table.name == *name)
        };
        let tables = kernel.tables.iter().filter(ours).cloned();
        self.steps.extend(tables.map(Step::Table));
        if laid.contains(KUBELET) {
            let chains = kernel.chains.iter().cloned();
            self.steps
                .extend(chains.map(|(program, count)| Step::Chains { program, count }));
        }
    }
}

/// A table of iptables as `iptables-save` prints it.
#[derive(Default)]
struct Saved<'a> {
    name: &'a str,
    chains: Vec<&'a str>,
    rules: Vec<&'a str>,
}

impl<'a> Saved<'a> {
    /// The chains that are ours. CNI's carry no name of whom they are for: that is in the
    /// comment of the rule that leads to them. What all networks share goes with the last.
    fn ours(&self) -> BTreeSet<&'a str> {
        let network = format!(r#"name: \"{NETWORK_NAME}\""#);
        let leads = |rule: &&str, chain: &str| leads(rule, |to| to == chain);
        let is_ours = |chain: &&str| {
            let mut rules = self.rules.iter();
            match chain.starts_with(CNI) {
                true => rules.any(|rule| leads(rule, chain) && rule.contains(&network)),
                false => CHAINS.iter().any(|start| chain.starts_with(start)),
            }
        };
        let all = self.chains.iter().copied();
        let mut ours: BTreeSet<_> = all.filter(is_ours).collect();
        let of_cni = self.chains.iter().copied();
        let of_cni = of_cni.filter(|chain| chain.starts_with(CNI));
        let (shared, own): (Vec<_>, Vec<_>) =
            of_cni.partition(|chain| chain.starts_with(SHARED));
        if own.iter().all(|chain| ours.contains(chain)) {
            ours.extend(shared);
        }
        ours
    }

    /// What takes them out.
    fn without(&self, ours: &BTreeSet<&str>) -> String {
        let mut text = format!("*{}\n", self.name);
        let of_others = self.rules.iter().filter(|rule| {
            let within = rule.split(' ').next().unwrap_or_default();
            leads(rule, |to| ours.contains(to)) && !ours.contains(within)
        });
        text.extend(of_others.map(|rule| format!("-D {rule}\n")));
        text.extend(ours.iter().map(|name| format!("-F {name}\n")));
        text.extend(ours.iter().map(|name| format!("-X {name}\n")));
        text.push_str("COMMIT\n");
        text
    }
}

/// Whether a rule leads to a chain.
fn leads(rule: &str, to: impl Fn(&str) -> bool) -> bool {
    let words = rule.split(' ');
    let mut pairs = words.clone().zip(words.skip(1));
    pairs.any(|(flag, chain)| {
        matches!(flag, "-j" | "-g" | "--jump" | "--goto") && to(chain)
    })
}

/// What takes our chains out of what `iptables-save` prints, as `iptables-restore --noflush`
/// takes it, and how many there are; nothing without any.
#[must_use]
pub fn chains(saved: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut count = 0;
    let mut table = Saved::default();
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = Saved {
                name,
                ..Saved::default()
            };
        } else if let Some(chain) = line.strip_prefix(':') {
            table.chains.extend(chain.split(' ').next());
        } else if let Some(rule) = line.strip_prefix("-A ") {
            table.rules.push(rule);
        } else if line == "COMMIT" {
            let ours = table.ours();
            if !ours.is_empty() {
                count += ours.len();
                text.push_str(&table.without(&ours));
            }
        }
    }
    (count > 0).then_some((text, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules of others stay, also beside ours in one chain.
    #[test]
    fn our_chains_go_with_the_rules_that_lead_to_them() {
        let saved = "# Generated by iptables-save\n\
            *filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n:MINE - [0:0]\n\
            -A INPUT -m comment --comment \"ours -j KUBE-X\" -j KUBE-FIREWALL\n\
            -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
            -A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP\n\
            -A MINE -j ACCEPT\nCOMMIT\n\
            *nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n";
        let wanted = "*filter\n\
            -D INPUT -m comment --comment \"ours -j KUBE-X\" -j KUBE-FIREWALL\n\
            -F KUBE-FIREWALL\n-X KUBE-FIREWALL\nCOMMIT\n";
        assert_eq!(chains(saved), Some((wanted.to_owned(), 1)));
        assert_eq!(chains("*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"), None);
        assert_eq!(chains(""), None);
    }

    /// As CNI's portmap writes them for this network and for one of podman's.
    #[test]
    fn of_cni_only_what_is_for_our_network_goes() {
        let of = |network: &str, chain: &str| {
            let ports = format!(
                "-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment \"dnat name: \\\"{network}\\\" \
                 id: \\\"5\\\"\" -m multiport --dports 80 -j CNI-DN-{chain}\n"
            );
            format!(
                "-A POSTROUTING -s 10.0.0.5/32 -m comment --comment \"name: \\\"{network}\\\" \
                 id: \\\"5\\\"\" -j CNI-{chain}\n{ports}"
            )
        };
        let (ours, theirs) = (of("cbr0", "aa"), of("podman", "bb"));
        let head = "*nat\n:POSTROUTING ACCEPT [0:0]\n:CNI-HOSTPORT-DNAT - [0:0]\n";
        let names =
            |chain: &str| format!(":CNI-{chain} - [0:0]\n:CNI-DN-{chain} - [0:0]\n");
        let (aa, bb) = (names("aa"), names("bb"));
        let both = format!("{head}{aa}{bb}{ours}{theirs}COMMIT\n");
        let (text, count) = chains(&both).unwrap();
        assert_eq!(count, 2, "{text}");
        assert!(!text.contains("bb") && !text.contains("podman"), "{text}");
        // The shared chain stays, without the rule that leads to ours.
        assert!(!text.contains("-X CNI-HOSTPORT"), "{text}");
        assert!(text.contains("-D CNI-HOSTPORT-DNAT -p tcp"), "{text}");
        let alone = format!("{head}{aa}{ours}COMMIT\n");
        assert_eq!(chains(&alone).unwrap().1, 3);
        assert_eq!(chains(&format!("{head}{bb}{theirs}COMMIT\n")), None);
    }
}
