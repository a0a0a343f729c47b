//! What is to go so that nothing of ours is left on a host, and everything of others: a
//! function of the host's journal and of what stands there.

mod containerd;
mod kernel;
mod ours;
mod removal;
mod show;
mod step;
mod superfluous;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::{Entry, LOCK, PREVIOUS};
use crate::layout;
use containerd::Users;

pub use containerd::NAMESPACE;
pub use kernel::{INTERFACES, Kernel, Route, SPACE, Table, chains};
use ours::{Ours, laid, may_have_written, opened, ours, theirs, units};
pub use ours::{has_units, kept, laid_at, turned, was_laid};
pub use show::{done, line, show, stays, store};
pub use step::{Kept, Step, Theirs};
pub use superfluous::{has_member, superfluous, unwanted};

/// What a host knows of what was laid down on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Its journal.
    pub entries: Vec<Entry>,
    /// What stands at each path of the journal, and at [`paths`]; nothing at one that is gone.
    pub there: BTreeMap<String, There>,
    /// Where something is mounted.
    pub mounts: Vec<String>,
    /// The namespaces of a containerd that was laid down here, while it runs.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// What Pods and their networks have left in the kernel.
    #[serde(default)]
    pub kernel: Kernel,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum There {
    /// A file.
    #[serde(rename_all = "camelCase")]
    File {
        /// SHA-256, in hexadecimal.
        sha256: String,
        /// Whether lines of ours stand in it among those of others.
        block: bool,
    },
    /// A link.
    Link {
        /// Where it leads.
        to: String,
    },
    /// A folder.
    Folder {
        /// What is in it, by name.
        names: Vec<String>,
    },
    /// Anything else.
    Other,
}

/// What becomes of the data that the components have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It stays, and the authorities with it: without their keys it could not be read.
    Keep,
    /// It goes.
    Remove,
}

/// What is to be done on a host, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// The steps.
    pub steps: Vec<Step>,
    /// What stays although it was touched.
    pub kept: Vec<Kept>,
}

/// Data of a component, which its unit has written: gone only when that is asked for.
const DATA: [(&str, &str); 5] = [
    ("etcd.service", layout::ETCD_DATA),
    ("kubelet.service", layout::KUBELET),
    ("kube-apiserver.service", layout::AUDIT_LOG),
    ("containerd.service", containerd::KEEPS),
    // What it has recorded of failures.
    ("api-lb.service", "/var/lib/sternpost/api-lb"),
];

const CONTAINERD: &str = "containerd.service";
/// Where CNI's programs keep what they know, and the part of it that is about networks.
const CNI: &str = "/var/lib/cni";
const CNI_NETWORKS: &str = "/var/lib/cni/networks";
/// What is ours where others use these programs too.
const CNI_OURS: [&str; 2] = ["/var/lib/cni/networks/cbr0", "/var/lib/cni/flannel"];
/// What components keep in memory, or of Pods that are gone: of no use without one of them.
const STATE: [(&[&str], &str); 4] = [
    (&["flanneld.service"], CNI),
    (&["containerd.service"], containerd::RUNS),
    (&["flanneld.service"], "/run/flannel"),
    (&["api-lb.service", "bootstrap-signer.service"], RUN),
];
/// Sockets of our daemons, and what they leave there for the next one. vip-daemon has api-lb
/// beside it.
const RUN: &str = "/run/sternpost";

/// Files that a component writes for itself beside ours.
const WRITTEN: [(&str, &str); 3] = [
    ("kubelet.service", "/etc/kubernetes/kubelet.conf"),
    (
        "kubelet.service",
        "/etc/systemd/logind.conf.d/99-kubelet.conf",
    ),
    ("flanneld.service", "/etc/cni/net.d/10-flannel.conflist"),
];

/// The unit that writes a file for itself.
#[must_use]
pub fn writer(path: &str) -> Option<&'static str> {
    let mut all = WRITTEN.iter();
    all.find(|(_, at)| *at == path).map(|(unit, _)| *unit)
}

/// Paths that are looked at beside those of the journal.
pub fn paths() -> impl Iterator<Item = &'static str> {
    let all = DATA.into_iter().chain(WRITTEN).map(|(_, path)| path);
    let all = all.chain(STATE.into_iter().map(|(_, path)| path));
    let all = all.chain(containerd::paths());
    all.chain(CNI_OURS).chain([CNI_NETWORKS, LOCK, PREVIOUS])
}

/// The removal of everything that the journal knows of.
#[must_use]
pub fn plan(inventory: &Inventory, data: Data) -> Removal {
    let ours = ours(&inventory.entries);
    let units = units(&ours);
    let mut removal = Removal::default();
    let laid = laid(&inventory.entries);
    let users = Users::of(inventory);
    for unit in &units {
        // Containers do not end with the one that runs them.
        if unit == CONTAINERD {
            removal.containers(inventory, &laid);
            removal.images(inventory, &users, data);
        }
        removal.steps.push(Step::Stop { unit: unit.clone() });
    }
    removal.containers(inventory, &laid);
    removal.kernel(inventory, &laid, &users);
    removal.data(inventory, &laid, &users, data);
    removal.state(inventory, &laid, &users);
    // Keys are among what units ran by before, and none is left that would get it back.
    if !inventory.entries.is_empty() && inventory.there.contains_key(PREVIOUS) {
        let path = PREVIOUS.to_owned();
        removal.steps.push(Step::Tree { path });
    }
    let before = kept(&inventory.entries);
    for (path, one) in &ours {
        match before.get(path) {
            Some(was) => removal.back(inventory, path, one, was),
            // Below: it may have been written anew since.
            None if writer(path).is_some_and(|unit| laid.contains(unit)) => {}
            None => removal.thing(inventory, path, one, data),
        }
    }
    for (path, was) in before.iter().filter(|(path, _)| !ours.contains_key(*path)) {
        removal.aside(inventory, path, was);
    }
    for (unit, path) in WRITTEN {
        let its_own = may_have_written(&inventory.entries, unit, path)
            && !removal.gone(path)
            && !removal.comes_back(path);
        if let (true, Some(There::File { sha256, .. })) =
            (its_own, inventory.there.get(path))
        {
            let (path, sha256) = (path.to_owned(), sha256.clone());
            removal.steps.push(Step::File { path, sha256 });
        }
    }
    // The deepest first: a folder is empty when those in it are gone.
    for (path, one) in ours.iter().rev() {
        if let (Ours::Folder, Some(There::Folder { names })) =
            (one, inventory.there.get(path))
        {
            removal.folder(path, names);
        }
    }
    // A unit that was masked is known as masked until then.
    let unmasked = removal.steps.iter().any(
        |step| matches!(step, Step::Link { path, .. } if path.starts_with(layout::UNITS)),
    );
    let mut theirs = theirs(&inventory.entries);
    theirs.retain(|one| removal.uncovers(inventory, &one.unit));
    if unmasked || !units.is_empty() || !theirs.is_empty() {
        removal.steps.push(Step::Reread);
    }
    removal.steps.extend(theirs.into_iter().map(Step::Bring));
    let opened = opened(&inventory.entries).into_iter();
    removal
        .steps
        .extend(opened.map(|words| Step::Close { words }));
    // A run that was broken off before its first step has left its lock.
    let begun = !inventory.entries.is_empty() || inventory.there.contains_key(LOCK);
    if begun && removal.kept.is_empty() {
        removal.steps.push(Step::Forget);
    }
    removal
}

#[cfg(test)]
mod tests;
