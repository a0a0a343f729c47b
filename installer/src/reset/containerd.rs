//! What goes of a containerd that works for others as well: Docker, nerdctl and BuildKit have
//! namespaces of their own in it, and Kubernetes has one.

use std::collections::BTreeSet;

use super::removal::below;
use super::{CONTAINERD, Data, Inventory, Kept, Removal, Step, There};
use crate::agent::Entry;
use crate::layout;

/// What it keeps in memory: sockets, and what its containers run by.
pub(super) const RUNS: &str = "/run/containerd";
/// What it keeps on disk: images, and the files of containers.
pub(super) const KEEPS: &str = "/var/lib/containerd";
/// The namespace of Kubernetes.
pub const NAMESPACE: &str = "k8s.io";
/// Folders of tasks, a folder for each namespace.
const TASKS: [&str; 2] = [
    "/run/containerd/io.containerd.runtime.v2.task",
    "/var/lib/containerd/io.containerd.runtime.v2.task",
];
/// What is of Kubernetes alone: its tasks, and what the part keeps that kubelet speaks with.
const OURS: [(&str, &str); 4] = [
    (RUNS, "/run/containerd/io.containerd.grpc.v1.cri"),
    (RUNS, "/run/containerd/io.containerd.runtime.v2.task/k8s.io"),
    (KEEPS, "/var/lib/containerd/io.containerd.grpc.v1.cri"),
    (
        KEEPS,
        "/var/lib/containerd/io.containerd.runtime.v2.task/k8s.io",
    ),
];

/// Paths that are looked at.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    TASKS.into_iter().chain(OURS.map(|(_, path)| path))
}

/// Whose a containerd is that was laid down here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// Kubernetes'.
    Kubernetes,
    /// That of others too, who have these namespaces in it, as far as they are known.
    Others(Vec<String>),
}

impl Users {
    /// By what is there, and by what ran before by the name of ours.
    pub(super) fn of(inventory: &Inventory) -> Self {
        let folders = TASKS.iter().filter_map(|path| inventory.there.get(*path));
        let folders = folders.flat_map(|there| match there {
            There::Folder { names } => names.as_slice(),
            There::File { .. } | There::Link { .. } | There::Other => &[],
        });
        let all: BTreeSet<_> = folders.chain(&inventory.namespaces).collect();
        let others = all.into_iter().filter(|name| *name != NAMESPACE);
        let others: Vec<_> = others.cloned().collect();
        match others.is_empty() && !stood(&inventory.entries) {
            true => Self::Kubernetes,
            false => Self::Others(others),
        }
    }

    /// Whether something that is mounted there goes with what Pods have.
    pub(super) fn give_up(&self, at: &str) -> bool {
        let inside = |folder: &&str| below(at, folder);
        match self {
            Self::Kubernetes => true,
            Self::Others(_) if [RUNS, KEEPS].iter().any(inside) => {
                OURS.iter().any(|(_, path)| inside(path))
            }
            Self::Others(_) => true,
        }
    }
}

impl Removal {
    /// What is of Kubernetes in a folder goes; the folder is of others.
    pub(super) fn ours_of(&mut self, inventory: &Inventory, folder: &str, by: &[String]) {
        let ours = OURS.iter().filter(|(of, _)| *of == folder);
        ours.for_each(|(_, path)| self.tree(inventory, path));
        let Some(There::Folder { names }) = inventory.there.get(folder) else {
            return;
        };
        let names = if by.is_empty() { names.as_slice() } else { by };
        self.kept.push(Kept::Others {
            path: folder.to_owned(),
            names: names.to_vec(),
        });
    }

    /// Images of Kubernetes, while the one that has them runs, which is asked for that alone.
    pub(super) fn images(&mut self, inventory: &Inventory, users: &Users, data: Data) {
        let runs = inventory.namespaces.iter().any(|name| name == NAMESPACE);
        if runs && data == Data::Remove && *users != Users::Kubernetes {
            self.steps.push(Step::Images);
        }
    }
}

/// Whether a containerd of others ran, or was to at boot, when ours took its name: what is in its
/// folders may be from then.
fn stood(entries: &[Entry]) -> bool {
    let file = format!("{}/{CONTAINERD}", layout::UNITS);
    let mut first = true;
    entries.iter().any(|entry| match entry {
        Entry::Unit {
            name,
            enabled,
            active,
        } if name == CONTAINERD => {
            let first = std::mem::take(&mut first);
            first && (*enabled || *active)
        }
        Entry::Gone { path } => {
            first |= *path == file;
            false
        }
        Entry::Wrote { .. }
        | Entry::Linked { .. }
        | Entry::Made { .. }
        | Entry::Kept { .. }
        | Entry::Unit { .. }
        | Entry::Read { .. }
        | Entry::Opened { .. }
        | Entry::Closed { .. } => false,
    })
}
