//! What units have not read yet: files that are others than when a unit began anew. A run that is
//! broken off between a file and its unit is gone on from by that; what was put back is the same.

use std::collections::{BTreeMap, BTreeSet};

use super::before::Was;
use super::journal::Entry;

/// Of each of these units, the paths that have become others since it last read what it reads; all
/// that was ever laid down for one that has not been started by us. `doubted` is what stands at a
/// path where that may be another than what was noted last: a note comes before its file.
pub(super) fn unread(
    entries: &[Entry],
    units: &[String],
    doubted: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, BTreeSet<String>> {
    // What is in a path since which place.
    let mut laid: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
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
                let all = laid.entry(path).or_default();
                let known = all.last().map(|(_, content)| *content);
                // Others have changed it, and a unit may have begun by theirs.
                if known.is_some() && known != before.as_deref() {
                    all.clear();
                }
                if known.is_some() || before.as_ref() != Some(after) {
                    all.push((place, after));
                }
            }
            // It is about to be taken away, or its place to be taken.
            Entry::Kept { path, was } => {
                let (Was::File { sha256: kept, .. } | Was::Link { to: kept }) = was;
                laid.entry(path).or_default().push((place, kept));
            }
            Entry::Gone { path } => drop(laid.remove(path.as_str())),
            Entry::Read { unit } => drop(read.insert(unit.as_str(), place)),
            Entry::Made { .. }
            | Entry::Unit { .. }
            | Entry::Opened { .. }
            | Entry::Closed { .. } => {}
        }
    }
    let of = |unit: &String| {
        let since = read.get(unit.as_str());
        let other = |path: &str, all: &[(usize, &str)]| {
            let seen = all.iter().rev().find(|(place, _)| Some(place) < since);
            let last = all.last().map(|(_, content)| *content);
            let stands = doubted(path);
            seen.map(|(_, content)| *content) != stands.as_deref().or(last)
        };
        let paths = laid.iter().filter(|(path, all)| other(path, all));
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
            let all = unread(entries, &units, |_| None);
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
        // It is back as the one has read it, and the other has not.
        entries.push(wrote("/a", Some("2"), "1"));
        assert!(of(&entries, "x").is_empty());
        assert_eq!(of(&entries, "y"), ["/a"]);
        // It was to be put back, and was not: neither has read what stands there.
        let but = |stands: &str| {
            unread(&entries, &units, |path| {
                (path == "/a").then(|| stands.to_owned())
            })
        };
        let all = but("3");
        assert!(units.iter().all(|unit| all.contains_key(unit)), "{all:?}");
        let all = but("2");
        assert!(all.contains_key("x") && !all.contains_key("y"), "{all:?}");
        // Others have changed it meanwhile.
        entries.push(wrote("/a", Some("3"), "1"));
        assert_eq!(of(&entries, "x"), ["/a"]);
        let path = "/a".to_owned();
        entries.push(Entry::Gone { path });
        assert!(of(&entries, "x").is_empty());
        // What others had there is taken away.
        let (path, to) = ("/c".to_owned(), "/d".to_owned());
        let was = Was::Link { to };
        entries.push(Entry::Kept { path, was });
        assert_eq!(of(&entries, "x"), ["/c"]);
        entries.push(read("x"));
        assert!(of(&entries, "x").is_empty());
    }
}
