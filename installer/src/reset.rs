//! What is to go so that nothing of ours is left on a host, and everything of others: a
//! function of the host's journal and of what stands there.

mod show;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::agent::Entry;
use crate::layout;

pub use show::{line, show};

/// What a host knows of what was laid down on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Its journal.
    pub entries: Vec<Entry>,
    /// What stands at each path of the journal, and at [`paths`]; nothing at one that is gone.
    pub there: BTreeMap<String, There>,
    /// Where something is mounted.
    pub mounts: Vec<String>,
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

/// One thing to do. The agent does it only while what it says is still so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum Step {
    /// End a unit, for this boot and the next.
    Stop {
        /// Which.
        unit: String,
    },
    /// Take our lines out of a file that others write to as well.
    Strip {
        /// Which.
        path: String,
    },
    /// Remove a file.
    File {
        /// Which.
        path: String,
        /// Its SHA-256.
        sha256: String,
    },
    /// Remove a link.
    Link {
        /// Which.
        path: String,
        /// Where it leads.
        to: String,
    },
    /// Remove a folder with all that is in it.
    Tree {
        /// Which.
        path: String,
    },
    /// Remove an empty folder.
    Folder {
        /// Which.
        path: String,
    },
    /// Have systemd forget the units that are gone.
    Reread,
    /// Remove the journal, which has nothing left to tell.
    Forget,
}

/// Something that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kept")]
pub enum Kept {
    /// It is not what was laid down.
    Changed {
        /// Which.
        path: String,
    },
    /// Something else stood there before; all that is known of it is its checksum.
    Replaced {
        /// Which.
        path: String,
    },
    /// A folder has things of others in it.
    Others {
        /// Which.
        path: String,
        /// What is in it.
        names: Vec<String>,
    },
    /// Data, which was not to be removed.
    Data {
        /// Where.
        path: String,
    },
    /// Something is mounted below data that was to be removed.
    Mounted {
        /// Where the data is.
        path: String,
        /// Where it is mounted.
        at: String,
    },
}

impl Kept {
    /// What stays.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Changed { path }
            | Self::Replaced { path }
            | Self::Others { path, .. }
            | Self::Data { path }
            | Self::Mounted { path, .. } => path,
        }
    }
}

/// What was laid down at a path, by the last that the journal says of it.
#[derive(Clone, Debug)]
enum Ours {
    File {
        first: usize,
        before: Option<String>,
        after: String,
    },
    Link {
        to: String,
    },
    Folder,
}

/// Data of a component, which its unit has written: gone only when that is asked for.
const DATA: [(&str, &str); 5] = [
    ("etcd.service", layout::ETCD_DATA),
    ("kubelet.service", layout::KUBELET),
    ("kube-apiserver.service", layout::AUDIT_LOG),
    ("containerd.service", "/var/lib/containerd"),
    // What it has recorded of failures.
    ("api-lb.service", "/var/lib/sternpost/api-lb"),
];

/// Files that a component writes for itself beside ours.
const WRITTEN: [(&str, &str); 2] = [
    ("kubelet.service", "/etc/kubernetes/kubelet.conf"),
    ("flanneld.service", "/etc/cni/net.d/10-flannel.conflist"),
];

/// Paths that are looked at beside those of the journal.
pub fn paths() -> impl Iterator<Item = &'static str> {
    DATA.into_iter().chain(WRITTEN).map(|(_, path)| path)
}

/// The removal of everything that the journal knows of.
#[must_use]
pub fn plan(inventory: &Inventory, data: Data) -> Removal {
    let ours = ours(&inventory.entries);
    let units = units(&ours);
    let mut removal = Removal::default();
    let stops = units.iter().map(|unit| Step::Stop { unit: unit.clone() });
    removal.steps.extend(stops);
    let laid = laid(&inventory.entries);
    removal.data(inventory, &laid, data);
    for (path, one) in &ours {
        removal.thing(inventory, path, one, data);
    }
    for (unit, path) in WRITTEN {
        if let (true, Some(There::File { sha256, .. })) =
            (laid.contains(unit), inventory.there.get(path))
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
    if !units.is_empty() {
        removal.steps.push(Step::Reread);
    }
    if !inventory.entries.is_empty() && removal.kept.is_empty() {
        removal.steps.push(Step::Forget);
    }
    removal
}

fn ours(entries: &[Entry]) -> BTreeMap<String, Ours> {
    let mut all = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Wrote {
                path,
                before,
                after,
            } => {
                let (first, before) = match all.get(path) {
                    Some(Ours::File { first, before, .. }) => (*first, before.clone()),
                    Some(Ours::Link { .. } | Ours::Folder) | None => {
                        (place, before.clone())
                    }
                };
                let after = after.clone();
                all.insert(
                    path.clone(),
                    Ours::File {
                        first,
                        before,
                        after,
                    },
                );
            }
            Entry::Linked { path, after, .. } => {
                let to = after.clone();
                all.insert(path.clone(), Ours::Link { to });
            }
            Entry::Made { path } => {
                all.insert(path.clone(), Ours::Folder);
            }
            Entry::Gone { path } => {
                all.remove(path);
            }
        }
    }
    all
}

/// Our units, those that were laid down last first: what needs others goes before them.
fn units(ours: &BTreeMap<String, Ours>) -> Vec<String> {
    let mut units: Vec<_> = ours
        .iter()
        .filter_map(|(path, one)| {
            let (folder, name) = path.rsplit_once('/')?;
            let Ours::File { first, .. } = one else {
                return None;
            };
            let unit = folder == layout::UNITS && name.ends_with(".service");
            unit.then(|| (*first, name.to_owned()))
        })
        .collect();
    units.sort_by(|one, other| other.cmp(one));
    units.into_iter().map(|(_, name)| name).collect()
}

/// Every unit that was ever laid down: what it has written may have outlasted it.
fn laid(entries: &[Entry]) -> BTreeSet<&str> {
    let paths = entries.iter().filter_map(|entry| match entry {
        Entry::Wrote { path, .. } => Some(path.as_str()),
        Entry::Linked { .. } | Entry::Made { .. } | Entry::Gone { .. } => None,
    });
    let units =
        paths.filter_map(|path| path.strip_prefix(layout::UNITS)?.strip_prefix('/'));
    units.collect()
}

impl Removal {
    fn data(&mut self, inventory: &Inventory, laid: &BTreeSet<&str>, data: Data) {
        for (unit, path) in DATA {
            let there = inventory.there.get(path);
            let Some(There::Folder { names }) = there else {
                continue;
            };
            if !laid.contains(unit) || (names.is_empty() && data == Data::Keep) {
                continue;
            }
            let path = path.to_owned();
            let mut mounts = inventory.mounts.iter();
            let mount = mounts.find(|at| **at == path || below(at, &path));
            match (data, mount) {
                (Data::Keep, _) => self.kept.push(Kept::Data { path }),
                (Data::Remove, Some(at)) => {
                    let at = at.clone();
                    self.kept.push(Kept::Mounted { path, at });
                }
                (Data::Remove, None) => self.steps.push(Step::Tree { path }),
            }
        }
    }

    /// What is no folder.
    fn thing(&mut self, inventory: &Inventory, path: &str, one: &Ours, data: Data) {
        let Some(there) = inventory.there.get(path) else {
            return;
        };
        if self.gone(path) {
            return;
        }
        let path = path.to_owned();
        match (one, there) {
            (Ours::Folder, _) => {}
            (Ours::File { .. }, There::File { .. })
                if data == Data::Keep && path == crate::apply::PLACE =>
            {
                self.kept.push(Kept::Data { path });
            }
            (
                Ours::File {
                    before: Some(_), ..
                },
                There::File { block: true, .. },
            ) => self.steps.push(Step::Strip { path }),
            (
                Ours::File {
                    before: Some(before),
                    ..
                },
                There::File { sha256, .. },
            ) => {
                // Somebody may have brought back what stood there.
                if before != sha256 {
                    self.kept.push(Kept::Replaced { path });
                }
            }
            (Ours::File { after, .. }, There::File { sha256, .. }) if after == sha256 => {
                let sha256 = sha256.clone();
                self.steps.push(Step::File { path, sha256 });
            }
            (Ours::Link { to }, There::Link { to: there }) if to == there => {
                let to = to.clone();
                self.steps.push(Step::Link { path, to });
            }
            (Ours::File { .. } | Ours::Link { .. }, _) => {
                self.kept.push(Kept::Changed { path });
            }
        }
    }

    fn folder(&mut self, path: &str, names: &[String]) {
        if self.gone(path) {
            return;
        }
        let stay = names
            .iter()
            .filter(|name| !self.gone(&format!("{path}/{name}")));
        let stay: Vec<_> = stay.cloned().collect();
        let path = path.to_owned();
        if stay.is_empty() {
            self.steps.push(Step::Folder { path });
            return;
        }
        // What stays by name is reason enough for the folders above it.
        let kept = |name: &String| {
            let inside = format!("{path}/{name}");
            let mut all = self.kept.iter().map(Kept::path);
            all.any(|kept| kept == inside || below(kept, &inside))
        };
        let names: Vec<_> = stay.into_iter().filter(|name| !kept(name)).collect();
        let known = self.kept.iter().any(|kept| kept.path() == path);
        if !names.is_empty() && !known {
            self.kept.push(Kept::Others { path, names });
        }
    }

    /// Whether a step before this one removes a path.
    fn gone(&self, path: &str) -> bool {
        self.steps.iter().any(|step| match step {
            Step::File { path: gone, .. }
            | Step::Link { path: gone, .. }
            | Step::Folder { path: gone } => gone == path,
            Step::Tree { path: gone } => gone == path || below(path, gone),
            Step::Stop { .. } | Step::Strip { .. } | Step::Reread | Step::Forget => false,
        })
    }
}

/// Whether a path lies in a folder.
fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
