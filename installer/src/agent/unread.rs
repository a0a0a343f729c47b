//! What units have not read yet: files that were written since a unit began anew. A run that is
//! broken off between a file and its unit is gone on from by that.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::Entry;

/// Of each of these units, the paths that have changed since it last read what it reads; all
/// that ever changed for one that has not been started by us.
pub(super) fn unread(
    entries: &[Entry],
    units: &[String],
) -> BTreeMap<String, BTreeSet<String>> {
    let mut changed = BTreeMap::new();
    let mut read = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Wrote {
                path,
                before,
                after,
            }
            | Entry::Linked {
                path,
                before,
                after,
            } => {
                if before.as_ref() != Some(after) {
                    changed.insert(path.as_str(), place);
                }
            }
            Entry::Gone { path } => drop(changed.remove(path.as_str())),
            Entry::Read { unit } => drop(read.insert(unit.as_str(), place)),
            Entry::Made { .. }
            | Entry::Kept { .. }
            | Entry::Unit { .. }
            | Entry::Opened { .. }
            | Entry::Closed { .. } => {}
        }
    }
    let of = |unit: &String| {
        let since = read.get(unit.as_str());
        let later = |place: &usize| since.is_none_or(|since| place > since);
        let paths = changed.iter().filter(|(_, place)| later(place));
        let paths: BTreeSet<_> = paths.map(|(path, _)| (*path).to_owned()).collect();
        (unit.clone(), paths)
    };
    let all = units.iter().map(of);
    all.filter(|(_, paths)| !paths.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_knows_what_was_there_when_it_began() {
        let wrote = |path: &str, before: Option<&str>, after: &str| Entry::Wrote {
            path: path.to_owned(),
            before: before.map(str::to_owned),
            after: after.to_owned(),
        };
        let read = |unit: &str| Entry::Read {
            unit: unit.to_owned(),
        };
        let mut entries = vec![wrote("/a", None, "1"), wrote("/b", None, "1")];
        let units = ["x".to_owned(), "y".to_owned()];
        let of = |entries: &[Entry], unit: &str| -> Vec<String> {
            let all = unread(entries, &units);
            all.get(unit).into_iter().flatten().cloned().collect()
        };
        assert_eq!(of(&entries, "x"), ["/a", "/b"]);
        entries.push(read("x"));
        assert!(of(&entries, "x").is_empty());
        assert_eq!(of(&entries, "y"), ["/a", "/b"]);
        // Its rights alone: nothing that a unit reads is another.
        entries.push(wrote("/a", Some("1"), "1"));
        assert!(of(&entries, "x").is_empty());
        entries.push(wrote("/a", Some("1"), "2"));
        entries.push(read("y"));
        assert_eq!(of(&entries, "x"), ["/a"]);
        assert!(of(&entries, "y").is_empty());
        let path = "/a".to_owned();
        entries.push(Entry::Gone { path });
        assert!(of(&entries, "x").is_empty());
    }
}
