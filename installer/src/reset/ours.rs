//! What was laid down, by the journal.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::Entry;
use crate::layout;

/// What was laid down at a path since there was last nothing of ours. The journal notes what
/// is about to be done, so that any of it may be what is there.
#[derive(Clone, Debug)]
pub(super) enum Ours {
    File {
        first: usize,
        before: Option<String>,
        after: BTreeSet<String>,
    },
    Link {
        to: BTreeSet<String>,
    },
    Folder,
}

/// What was laid down at each path.
pub(super) fn ours(entries: &[Entry]) -> BTreeMap<String, Ours> {
    let mut all = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Wrote {
                path,
                before,
                after,
            } => {
                let (first, before, mut known) = match all.remove(path) {
                    Some(Ours::File {
                        first,
                        before,
                        after,
                    }) => (first, before, after),
                    Some(Ours::Link { .. } | Ours::Folder) | None => {
                        (place, before.clone(), BTreeSet::new())
                    }
                };
                known.insert(after.clone());
                let file = Ours::File {
                    first,
                    before,
                    after: known,
                };
                all.insert(path.clone(), file);
            }
            Entry::Linked { path, after, .. } => {
                let mut to = match all.remove(path) {
                    Some(Ours::Link { to }) => to,
                    Some(Ours::File { .. } | Ours::Folder) | None => BTreeSet::new(),
                };
                to.insert(after.clone());
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
pub(super) fn units(ours: &BTreeMap<String, Ours>) -> Vec<String> {
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

/// Whether a unit that was laid down is one of ours still: a host that was reset keeps a journal
/// for as long as something was kept.
#[must_use]
pub fn has_units(entries: &[Entry]) -> bool {
    !units(&ours(entries)).is_empty()
}

/// Every unit that was ever laid down: what it has written may have outlasted it.
pub(super) fn laid(entries: &[Entry]) -> BTreeSet<&str> {
    let paths = entries.iter().filter_map(|entry| match entry {
        Entry::Wrote { path, .. } => Some(path.as_str()),
        Entry::Linked { .. } | Entry::Made { .. } | Entry::Gone { .. } => None,
    });
    let units =
        paths.filter_map(|path| path.strip_prefix(layout::UNITS)?.strip_prefix('/'));
    units.collect()
}
