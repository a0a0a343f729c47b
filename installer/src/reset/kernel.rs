//! What a node has in its kernel for its Pods, and which of it goes: only what carries the
//! name of a component that was laid down here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::removal::below;
use super::{Inventory, Removal, Step};

/// Interfaces of flannel and of CNI's bridge, and the one of kube-proxy's mode ipvs.
pub const INTERFACES: [&str; 4] = ["flannel.1", "flannel-v6.1", "cni0", "kube-ipvs0"];
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
/// How the chains of iptables begin that kubelet, kube-proxy, flannel and CNI make.
const CHAINS: [&str; 3] = ["KUBE-", "FLANNEL-", "CNI-"];
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
    /// Network namespaces that begin with [`SPACE`].
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
    pub(super) fn kernel(&mut self, inventory: &Inventory, laid: &BTreeSet<&str>) {
        let kernel = &inventory.kernel;
        if laid.contains(KUBELET) {
            let of_pods = |at: &&String| MOUNTS.iter().any(|folder| below(at, folder));
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

/// What takes our chains out of what `iptables-save` prints, as `iptables-restore --noflush`
/// takes it, and how many there are; nothing without any.
#[must_use]
pub fn chains(saved: &str) -> Option<(String, usize)> {
    let ours = |name: &str| CHAINS.iter().any(|start| name.starts_with(start));
    let mut text = String::new();
    let mut count = 0;
    let (mut names, mut rules) = (Vec::new(), Vec::new());
    let mut table = "";
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':') {
            let name = chain.split(' ').next().unwrap_or_default();
            names.extend(ours(name).then_some(name));
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let mut words = rule.split(' ');
            let within = words.next().unwrap_or_default();
            let leads = words.clone().zip(words.skip(1)).any(|(flag, to)| {
                matches!(flag, "-j" | "-g" | "--jump" | "--goto") && ours(to)
            });
            rules.extend((leads && !ours(within)).then_some(rule));
        } else if line == "COMMIT" && !names.is_empty() {
            count += names.len();
            text.push_str(&format!("*{table}\n"));
            let rules = rules.drain(..).map(|rule| format!("-D {rule}\n"));
            text.extend(rules);
            text.extend(names.iter().map(|name| format!("-F {name}\n")));
            text.extend(names.drain(..).map(|name| format!("-X {name}\n")));
            text.push_str("COMMIT\n");
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
}
