//! A removal as it is put together: each thing once, and never what is another's.

use std::collections::BTreeSet;
use std::path::Path;

use super::containerd::{KEEPS, RUNS, Users};
use super::ours::Ours;
use super::{
    CNI, CNI_NETWORKS, CNI_OURS, DATA, Data, Inventory, Kept, Removal, STATE, Step, There,
};
use crate::agent::Was;
use crate::layout;
use crate::render::{HOSTS, NETWORK_NAME};
use crate::swap::FSTAB;

/// Files of others that lines of ours stand in.
const EDITED: [&str; 2] = [HOSTS, FSTAB];

impl Removal {
    pub(super) fn data(
        &mut self,
        inventory: &Inventory,
        laid: &BTreeSet<&str>,
        users: &Users,
        data: Data,
    ) {
        for (unit, path) in DATA {
            let there = inventory.there.get(path);
            let Some(There::Folder { names }) = there else {
                continue;
            };
            if !laid.contains(unit) || (names.is_empty() && data == Data::Keep) {
                continue;
            }
            if let (Users::Others(names), Data::Remove, KEEPS) = (users, data, path) {
                self.ours_of(inventory, path, names);
                continue;
            }
            let path = path.to_owned();
            let mount = self.mount(inventory, &path);
            match (data, mount) {
                (Data::Keep, _) => self.kept.push(Kept::Data { path }),
                (Data::Remove, Some(at)) => self.kept.push(Kept::Mounted { path, at }),
                (Data::Remove, None) => self.steps.push(Step::Tree { path }),
            }
        }
    }

    /// What is mounted in a folder, and stays so.
    fn mount(&self, inventory: &Inventory, path: &str) -> Option<String> {
        let goes = |at: &String| {
            let step = Step::Unmount { at: at.clone() };
            self.steps.contains(&step)
        };
        let mut mounts = inventory.mounts.iter();
        mounts
            .find(|at| (**at == path || below(at, path)) && !goes(at))
            .cloned()
    }

    /// What components keep for themselves alone goes with them.
    pub(super) fn state(
        &mut self,
        inventory: &Inventory,
        laid: &BTreeSet<&str>,
        users: &Users,
    ) {
        for (units, path) in STATE {
            if !units.iter().any(|unit| laid.contains(unit)) {
                continue;
            }
            match (path, users) {
                (CNI, _) if shared(inventory) => {
                    CNI_OURS.iter().for_each(|path| self.tree(inventory, path));
                }
                (RUNS, Users::Others(names)) => self.ours_of(inventory, path, names),
                (_, _) => self.tree(inventory, path),
            }
        }
    }

    pub(super) fn tree(&mut self, inventory: &Inventory, path: &str) {
        if !matches!(inventory.there.get(path), Some(There::Folder { .. })) {
            return;
        }
        let mount = self.mount(inventory, path);
        let path = path.to_owned();
        match mount {
            Some(at) => self.kept.push(Kept::Mounted { path, at }),
            None => self.steps.push(Step::Tree { path }),
        }
    }

    /// What is no folder.
    pub(super) fn thing(
        &mut self,
        inventory: &Inventory,
        path: &str,
        one: &Ours,
        data: Data,
    ) {
        let Some(there) = inventory.there.get(path) else {
            return;
        };
        if self.gone(path) {
            return;
        }
        let path = path.to_owned();
        if EDITED.contains(&path.as_str()) {
            return self.edited(path, one, there);
        }
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
            (Ours::File { after, .. }, There::File { sha256, .. })
                if after.contains(sha256) =>
            {
                let sha256 = sha256.clone();
                self.steps.push(Step::File { path, sha256 });
            }
            (Ours::Link { to }, There::Link { to: there }) if to.contains(there) => {
                let to = there.clone();
                self.steps.push(Step::Link { path, to });
            }
            (Ours::File { .. } | Ours::Link { .. }, _) => {
                self.kept.push(Kept::Changed { path });
            }
        }
    }

    /// What stood there before comes back, over ours or where nothing stands any more.
    pub(super) fn back(
        &mut self,
        inventory: &Inventory,
        path: &str,
        one: &Ours,
        was: &Was,
    ) {
        let over = inventory.there.get(path);
        let is_ours = match (one, over) {
            (Ours::File { after, .. }, Some(There::File { sha256, .. })) => {
                after.contains(sha256)
            }
            (Ours::Link { to }, Some(There::Link { to: there })) => to.contains(there),
            (_, None) => true,
            (Ours::File { .. } | Ours::Link { .. } | Ours::Folder, Some(_)) => false,
        };
        let path = path.to_owned();
        match (over.is_some_and(|over| is(over, was)), is_ours) {
            // A run that was broken off, or somebody, has brought it back.
            (true, _) => {}
            (false, true) => self.steps.push(Step::Back {
                path,
                over: over.cloned(),
                was: was.clone(),
            }),
            (false, false) => self.kept.push(Kept::Changed { path }),
        }
    }

    /// What was taken away comes back, where nothing stands or what a component has written for
    /// itself since; but not into a folder that goes.
    pub(super) fn aside(&mut self, inventory: &Inventory, path: &str, was: &Was) {
        let over = inventory.there.get(path);
        if self.gone(path) || over.is_some_and(|over| is(over, was)) {
            return;
        }
        self.steps.push(Step::Back {
            path: path.to_owned(),
            over: over.cloned(),
            was: was.clone(),
        });
    }

    /// A file of others, in which lines are ours: it goes only when there was none before, and
    /// nothing else is in it. What somebody has taken out himself is out.
    fn edited(&mut self, path: String, one: &Ours, there: &There) {
        let There::File {
            sha256,
            block: true,
        } = there
        else {
            return;
        };
        match one {
            Ours::File {
                before: None,
                after,
                ..
            } if after.contains(sha256) => {
                let sha256 = sha256.clone();
                self.steps.push(Step::File { path, sha256 });
            }
            Ours::File { .. } => self.steps.push(Step::Strip { path }),
            Ours::Link { .. } | Ours::Folder => {}
        }
    }

    pub(super) fn folder(&mut self, path: &str, names: &[String]) {
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

    /// Whether a unit file of ours is gone, or goes, so that one of others by its name counts.
    pub(super) fn uncovers(&self, inventory: &Inventory, unit: &str) -> bool {
        let path = format!("{}/{unit}", layout::UNITS);
        !inventory.there.contains_key(&path) || self.gone(&path) || self.comes_back(&path)
    }

    /// Whether a step before this one puts a path back.
    pub(super) fn comes_back(&self, path: &str) -> bool {
        let back =
            |step: &Step| matches!(step, Step::Back { path: at, .. } if at == path);
        self.steps.iter().any(back)
    }

    /// Whether a step before this one removes a path.
    pub(super) fn gone(&self, path: &str) -> bool {
        self.steps.iter().any(|step| match step {
            Step::File { path: gone, .. }
            | Step::Link { path: gone, .. }
            | Step::Folder { path: gone } => gone == path,
            Step::Tree { path: gone } => gone == path || below(path, gone),
            Step::Stop { .. }
            | Step::Containers { .. }
            | Step::Images
            | Step::Unmount { .. }
            | Step::Space { .. }
            | Step::Interface { .. }
            | Step::Route(_)
            | Step::Table(_)
            | Step::Chains { .. }
            | Step::Strip { .. }
            | Step::Aside { .. }
            | Step::Back { .. }
            | Step::Close { .. }
            | Step::Reread
            | Step::Bring(_)
            | Step::Forget => false,
        })
    }
}

/// Whether CNI's programs work for others as well: podman has networks of its own.
fn shared(inventory: &Inventory) -> bool {
    match inventory.there.get(CNI_NETWORKS) {
        Some(There::Folder { names }) => names.iter().any(|name| name != NETWORK_NAME),
        Some(There::File { .. } | There::Link { .. } | There::Other) | None => false,
    }
}

/// Whether that stands there.
fn is(there: &There, was: &Was) -> bool {
    match (there, was) {
        (There::File { sha256, .. }, Was::File { sha256: before, .. }) => {
            sha256 == before
        }
        // As the agent names where a link leads.
        (There::Link { to }, Was::Link { to: before }) => {
            Path::new(to) == Path::new("/").join(before)
        }
        (
            There::File { .. } | There::Link { .. } | There::Folder { .. } | There::Other,
            Was::File { .. } | Was::Link { .. },
        ) => false,
    }
}

/// Whether a path lies in a folder.
pub(super) fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}
