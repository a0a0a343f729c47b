//! What a host has of ours that it is not to hold: a removal of that alone, in which the data of
//! components stays.

use std::collections::BTreeSet;

use super::ours::ours;
use super::removal::below;
use super::{Data, Inventory, Step, There, plan};
use crate::agent::{Entry, PREVIOUS};
use crate::layout;
use crate::render::HOSTS;
use crate::swap::{FSTAB, FSTAB_BEFORE};

/// The member of etcd, whose data outlasts it.
const MEMBER: &str = "member";

/// Of what was laid down at these paths, what is not among what is wanted. Folders that something
/// wanted lies in are no more than its way; and what is not of the description goes with `reset`
/// alone: the authorities, what `preflight --fix` has done, versions of programs that no link
/// names.
#[must_use]
pub fn unwanted(laid: &BTreeSet<String>, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    let way = |path: &str| {
        let stays = [layout::STORE, crate::apply::PLACE];
        let all = wanted.iter().map(String::as_str).chain(stays);
        all.into_iter().any(|one| below(one, path))
    };
    let of_others = |path: &str| {
        let unit = path.starts_with(layout::UNITS);
        path.starts_with(layout::STORE)
            || [crate::apply::PLACE, HOSTS, FSTAB, FSTAB_BEFORE].contains(&path)
            // A swap that is masked.
            || (unit && !path.ends_with(".service"))
    };
    let all = laid.iter().filter(|path| !wanted.contains(*path));
    all.filter(|path| !way(path) && !of_others(path))
        .cloned()
        .collect()
}

/// Whether a member of etcd would go with that: as long as its data is there, the others count it.
#[must_use]
pub fn has_member(inventory: &Inventory, unwanted: &BTreeSet<String>) -> bool {
    let data = inventory.there.get(layout::ETCD_DATA);
    let member = |names: &Vec<String>| names.iter().any(|name| name == MEMBER);
    unwanted.contains(&unit_file("etcd.service"))
        && matches!(data, Some(There::Folder { names }) if member(names))
}

/// The steps that take off what is unwanted: units and what they have left first, the files of
/// units last, so that a run that is broken off before is gone on with. What has become
/// another's stays, and a unit whose file has is not ours to stop.
#[must_use]
pub fn superfluous(inventory: &Inventory, unwanted: &BTreeSet<String>) -> Vec<Step> {
    let all = steps(inventory, unwanted);
    let goes = |path: &str| all.iter().any(|step| file(step) == Some(path));
    let known = ours(&inventory.entries);
    let stays = |path: &String| is_unit(path) && known.contains_key(path) && !goes(path);
    let rest: BTreeSet<_> = unwanted
        .iter()
        .filter(|path| !stays(path))
        .cloned()
        .collect();
    let mut all = steps(inventory, &rest);
    let gone: Vec<_> = all.iter().filter_map(file).map(str::to_owned).collect();
    // The units that stay may get back what they ran by.
    let copies = |step: &Step| matches!(step, Step::Tree { path } if path == PREVIOUS);
    all.retain(|step| *step != Step::Forget && !copies(step));
    // One that was empty before is somebody's way to something.
    let emptied = |path: &str| gone.iter().any(|one| below(one, path));
    all.retain(|step| !matches!(step, Step::Folder { path } if !emptied(path)));
    all.sort_by_key(place);
    all
}

/// The removal of these paths, and of what their units have left.
fn steps(inventory: &Inventory, paths: &BTreeSet<String>) -> Vec<Step> {
    let of_these = |entry: &&Entry| match entry {
        Entry::Wrote { path, .. }
        | Entry::Linked { path, .. }
        | Entry::Made { path }
        | Entry::Kept { path, .. }
        | Entry::Gone { path } => paths.contains(path),
        Entry::Unit { name, .. } | Entry::Read { unit: name } => {
            paths.contains(&unit_file(name))
        }
        Entry::Opened { .. } | Entry::Closed { .. } => false,
    };
    let entries = inventory.entries.iter().filter(of_these);
    let these = Inventory {
        entries: entries.cloned().collect(),
        ..inventory.clone()
    };
    plan(&these, Data::Keep).steps
}

/// When a step is done, among the others.
fn place(step: &Step) -> u8 {
    if matches!(step, Step::Bring(_)) {
        return 3;
    }
    if matches!(step, Step::Reread) {
        return 2;
    }
    u8::from(file(step).is_some_and(is_unit))
}

/// What a step removes, or puts another in place of.
fn file(step: &Step) -> Option<&str> {
    if let Step::File { path, .. }
    | Step::Link { path, .. }
    | Step::Back { path, .. }
    | Step::Tree { path } = step
    {
        return Some(path);
    }
    None
}

fn is_unit(path: &str) -> bool {
    path.strip_prefix(layout::UNITS)
        .is_some_and(|name| name.ends_with(".service"))
}

fn unit_file(unit: &str) -> String {
    format!("{}/{unit}", layout::UNITS)
}

#[cfg(test)]
mod tests {
    use super::super::line;
    use super::*;

    const UNIT: &str = "/etc/systemd/system/vip-daemon.service";
    const CONFIG: &str = "/etc/sternpost/vip-daemon.yaml";
    const LINK: &str = "/usr/local/bin/vip-daemon";

    fn wrote(path: &str) -> Entry {
        Entry::Wrote {
            path: path.to_owned(),
            before: None,
            after: "1".to_owned(),
        }
    }

    fn file(sha256: &str) -> There {
        let sha256 = sha256.to_owned();
        There::File {
            sha256,
            block: false,
        }
    }

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(ToString::to_string).collect()
    }

    fn inventory(unit: Option<There>) -> Inventory {
        let made = Entry::Made {
            path: "/etc/sternpost".to_owned(),
        };
        let link = Entry::Linked {
            path: LINK.to_owned(),
            before: None,
            after: "/opt/x".to_owned(),
        };
        let to = "/opt/x".to_owned();
        let there = [
            (PREVIOUS.to_owned(), There::Other),
            (CONFIG.to_owned(), file("1")),
            (LINK.to_owned(), There::Link { to }),
        ];
        let unit = unit.map(|unit| (UNIT.to_owned(), unit));
        Inventory {
            entries: vec![made, wrote(CONFIG), wrote(UNIT), link, wrote("/etc/other")],
            there: there.into_iter().chain(unit).collect(),
            ..Inventory::default()
        }
    }

    fn lines(inventory: &Inventory, unwanted: &[&str]) -> Vec<String> {
        let all = superfluous(inventory, &set(unwanted));
        all.iter().map(line).collect()
    }

    #[test]
    fn a_unit_goes_with_its_files_and_its_own_file_last() {
        let all = [UNIT, CONFIG, LINK];
        assert_eq!(
            lines(&inventory(Some(file("1"))), &all),
            [
                "stop vip-daemon.service",
                "remove file /etc/sternpost/vip-daemon.yaml",
                "remove link /usr/local/bin/vip-daemon",
                "remove file /etc/systemd/system/vip-daemon.service",
                "have systemd read its units again",
            ]
        );
        let rest = &[
            "remove file /etc/sternpost/vip-daemon.yaml",
            "remove link /usr/local/bin/vip-daemon",
        ];
        // Somebody's own by now, or gone: nobody stops it.
        assert_eq!(lines(&inventory(Some(file("2"))), &all), rest);
        assert_eq!(lines(&inventory(None), &all), rest);
        assert!(lines(&inventory(Some(file("1"))), &[]).is_empty());
    }

    #[test]
    fn what_is_not_of_the_description_is_not_superfluous() {
        let laid = set(&[
            "/etc/sternpost",
            CONFIG,
            UNIT,
            "/etc/hosts",
            "/etc/fstab",
            "/etc/fstab.sternpost",
            "/etc/systemd/system/dev-zram0.swap",
            "/opt/sternpost/programs/1/etcd",
            crate::apply::PLACE,
        ]);
        let wanted = set(&["/etc/sternpost/api-lb.yaml"]);
        assert_eq!(unwanted(&laid, &wanted), set(&[CONFIG, UNIT]));
        assert_eq!(unwanted(&laid, &set(&[CONFIG, UNIT])), set(&[]));
    }

    #[test]
    fn a_member_is_one_while_its_data_is_there() {
        let etcd = unit_file("etcd.service");
        let data = |names: &[&str]| Inventory {
            there: [(
                layout::ETCD_DATA.to_owned(),
                There::Folder {
                    names: names.iter().map(ToString::to_string).collect(),
                },
            )]
            .into(),
            ..Inventory::default()
        };
        let etcd = [etcd.as_str()];
        assert!(has_member(&data(&["member"]), &set(&etcd)));
        assert!(!has_member(&data(&["member"]), &set(&[UNIT])));
        assert!(!has_member(&data(&[]), &set(&etcd)));
        assert!(!has_member(&Inventory::default(), &set(&etcd)));
    }
}
