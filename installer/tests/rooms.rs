//! ARCHITECTURE.md says of each room which others it may use: as its Cargo.toml does.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

/// The members by the names that others import them by.
fn members() -> BTreeMap<String, String> {
    let text = read("Cargo.toml");
    let (_, list) = text.split_once("[workspace.dependencies]").unwrap();
    let lines = list
        .lines()
        .filter_map(|line| line.split_once(" = { path = \""));
    let members = lines.map(|(name, rest)| {
        let folder = rest.split('"').next().unwrap();
        (name.to_owned(), folder.to_owned())
    });
    members.collect()
}

/// The members that one imports outside of its tests.
fn imports(folder: &str, members: &BTreeMap<String, String>) -> BTreeSet<String> {
    let text = read(&format!("{folder}/Cargo.toml"));
    let (_, rest) = text.split_once("[dependencies]").unwrap();
    let list = rest.split("\n[").next().unwrap();
    let names = list
        .lines()
        .filter_map(|line| line.split(['.', ' ']).next());
    names
        .filter(|name| members.contains_key(*name))
        .map(str::to_owned)
        .collect()
}

/// The folders that are held to a list: the lab and the fuzz targets may use whatever they try,
/// and nobody imports the installer.
fn rooms(members: &BTreeMap<String, String>) -> BTreeSet<String> {
    let folders = members.values().filter(|folder| *folder != "tests");
    folders.cloned().chain(["installer".to_owned()]).collect()
}

#[test]
fn every_room_uses_what_it_may() {
    let members = members();
    let text = read("ARCHITECTURE.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut seen = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let folder = cells[0].trim_end_matches('`');
        if !rooms(&members).contains(folder) {
            continue;
        }
        let may = cells[2].trim_end_matches([' ', '|']);
        let may: BTreeSet<String> = match may {
            "nothing of ours" => BTreeSet::new(),
            list => list.split(", ").map(str::to_owned).collect(),
        };
        assert_eq!(imports(folder, &members), may, "{folder}");
        seen.insert(folder.to_owned());
    }
    assert_eq!(seen, rooms(&members));
}
