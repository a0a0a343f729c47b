//! What was laid down, by the journal.

use std::collections::{BTreeMap, BTreeSet};

use super::Theirs;
use crate::agent::{Entry, Was};
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
            Entry::Kept { .. }
            | Entry::Unit { .. }
            | Entry::Read { .. }
            | Entry::Opened { .. }
            | Entry::Closed { .. } => {}
        }
    }
    all
}

/// The paths at which something of ours was laid down.
#[must_use]
pub fn laid_at(entries: &[Entry]) -> BTreeSet<String> {
    ours(entries).into_keys().collect()
}

/// What stood at paths before something of ours took its place, since there was last nothing of
/// ours.
#[must_use]
pub fn kept(entries: &[Entry]) -> BTreeMap<String, Was> {
    let mut all = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Kept { path, was } => drop(all.insert(path.clone(), was.clone())),
            Entry::Gone { path } => drop(all.remove(path)),
            Entry::Wrote { .. }
            | Entry::Linked { .. }
            | Entry::Made { .. }
            | Entry::Unit { .. }
            | Entry::Read { .. }
            | Entry::Opened { .. }
            | Entry::Closed { .. } => {}
        }
    }
    all
}

/// What was said to firewalls to let something in, and is not taken back.
pub(super) fn opened(entries: &[Entry]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Opened { words } if !all.contains(words) => all.push(words.clone()),
            Entry::Closed { words } => all.retain(|one| one != words),
            Entry::Opened { .. }
            | Entry::Wrote { .. }
            | Entry::Linked { .. }
            | Entry::Made { .. }
            | Entry::Kept { .. }
            | Entry::Unit { .. }
            | Entry::Read { .. }
            | Entry::Gone { .. } => {}
        }
    }
    all
}

/// Holds the sessions of clients until they are over, and goes after what those lead to: they are
/// over then, and no master waits while the others take a majority of etcd away from it.
const BALANCER: &str = "api-lb.service";

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
    units.sort_by_key(|(_, name)| name == BALANCER);
    units.into_iter().map(|(_, name)| name).collect()
}

/// Whether a unit that was laid down is one of ours still: a host that was reset keeps a journal
/// for as long as something was kept.
#[must_use]
pub fn has_units(entries: &[Entry]) -> bool {
    !units(&ours(entries)).is_empty()
}

/// Whether a unit was ever laid down, also one that is gone: what it has written is ours.
#[must_use]
pub fn was_laid(entries: &[Entry], unit: &str) -> bool {
    laid(entries).contains(unit)
}

/// The units that were ever started, or about to be, since there was last none of ours.
#[must_use]
pub fn turned(entries: &[Entry]) -> BTreeSet<&str> {
    let mut all = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Unit { name, .. } => drop(all.insert(name.as_str())),
            Entry::Gone { path } => {
                all.remove(unit_of(path).unwrap_or_default());
            }
            Entry::Wrote { .. }
            | Entry::Linked { .. }
            | Entry::Made { .. }
            | Entry::Kept { .. }
            | Entry::Read { .. }
            | Entry::Opened { .. }
            | Entry::Closed { .. } => {}
        }
    }
    all
}

/// The unit whose file that is.
fn unit_of(path: &str) -> Option<&str> {
    path.strip_prefix(layout::UNITS)?.strip_prefix('/')
}

/// Whether what stands at a path may be what a unit has written there: the unit was laid down since
/// the path was last given up, or given back.
pub(super) fn may_have_written(entries: &[Entry], unit: &str, path: &str) -> bool {
    let file = format!("{}/{unit}", layout::UNITS);
    entries.iter().fold(false, |may, entry| match entry {
        Entry::Wrote { path: at, .. } => may || *at == file,
        Entry::Gone { path: at } => may && at != path,
        Entry::Linked { .. }
        | Entry::Made { .. }
        | Entry::Kept { .. }
        | Entry::Unit { .. }
        | Entry::Read { .. }
        | Entry::Opened { .. }
        | Entry::Closed { .. } => may,
    })
}

/// Every unit that was ever laid down: what it has written may have outlasted it.
pub(super) fn laid(entries: &[Entry]) -> BTreeSet<&str> {
    let paths = entries.iter().filter_map(|entry| match entry {
        Entry::Wrote { path, .. } => Some(path.as_str()),
        Entry::Linked { .. }
        | Entry::Made { .. }
        | Entry::Kept { .. }
        | Entry::Unit { .. }
        | Entry::Read { .. }
        | Entry::Opened { .. }
        | Entry::Closed { .. }
        | Entry::Gone { .. } => None,
    });
    paths.filter_map(unit_of).collect()
}

/// What is known of a unit by one of our names, since its file was laid down.
#[derive(Default)]
struct Turns {
    /// How it was before it was turned for the first time.
    first: Option<(bool, bool)>,
    /// Its file is gone again.
    gone: bool,
    /// It was turned since, back to what it was.
    back: bool,
}

/// The units of others that ran, or were to at boot, before ours took their names, and that
/// nobody has brought back.
pub(super) fn theirs(entries: &[Entry]) -> Vec<Theirs> {
    let named = |path: &str| {
        let name = path.strip_prefix(layout::UNITS)?.strip_prefix('/')?;
        Some(name.to_owned())
    };
    let mut all: BTreeMap<String, Turns> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Wrote { path, .. } => {
                let Some(name) = named(path) else { continue };
                let turns = all.entry(name).or_default();
                if turns.gone {
                    *turns = Turns::default();
                }
            }
            Entry::Unit {
                name,
                enabled,
                active,
            } => {
                let turns = all.entry(name.clone()).or_default();
                turns.first.get_or_insert((*enabled, *active));
                turns.back |= turns.gone;
            }
            Entry::Gone { path } => {
                if let Some(turns) = named(path).and_then(|name| all.get_mut(&name)) {
                    turns.gone = true;
                }
            }
            Entry::Linked { .. }
            | Entry::Made { .. }
            | Entry::Kept { .. }
            | Entry::Read { .. }
            | Entry::Opened { .. }
            | Entry::Closed { .. } => {}
        }
    }
    let each = all.into_iter().filter_map(|(unit, turns)| {
        let (enabled, active) = turns.first.filter(|_| !turns.back)?;
        (enabled || active).then_some(Theirs {
            unit,
            enabled,
            active,
        })
    });
    each.collect()
}
