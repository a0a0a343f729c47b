//! Swap off: for the next boot first, which can always be done, then for now. All of it is
//! noted, and taken back by a reset.

use std::fs;
use std::path::Path;

use super::files::{self, Put, below};
use super::journal::{Entry, Journal};
use super::mend::{MendError, run};
use crate::layout;
use crate::swap::{self, FSTAB, FSTAB_BEFORE, Swap};

/// Where a unit leads that is masked (systemctl(1)).
const NOWHERE: &str = "/dev/null";

pub(super) fn off(root: &Path, journal: &mut Journal) -> Result<(), MendError> {
    let swaps = swap::look(root);
    comment(root, journal)?;
    for unit in swaps.iter().filter_map(|swap| swap.unit.as_deref()) {
        mask(root, unit, journal)?;
    }
    has_room(root, &swaps)?;
    for swap in &swaps {
        run(root, &["swapoff", &swap.device])?;
    }
    Ok(())
}

fn comment(root: &Path, journal: &mut Journal) -> Result<(), MendError> {
    let before = fs::read_to_string(below(root, FSTAB)).unwrap_or_default();
    let after = swap::commented(&before);
    if after == before {
        return Ok(());
    }
    // The first copy is the one without any word of ours.
    if !below(root, FSTAB_BEFORE).exists() {
        let copy = Put {
            path: FSTAB_BEFORE.to_owned(),
            mode: 0o600,
            owner: "root".to_owned(),
            content: before,
        };
        files::put(root, &copy, journal)?;
    }
    Ok(files::edit(root, FSTAB, after, journal)?)
}

fn mask(root: &Path, unit: &str, journal: &mut Journal) -> Result<(), MendError> {
    let path = format!("{}/{unit}", layout::UNITS);
    let place = below(root, &path);
    if fs::read_link(&place).is_ok_and(|to| to == Path::new(NOWHERE)) {
        return Ok(());
    }
    // Over what somebody has put there systemctl writes nothing, and says so.
    if fs::symlink_metadata(&place).is_err() {
        let entry = Entry::Linked {
            path,
            before: None,
            after: NOWHERE.to_owned(),
        };
        journal.note(&entry).map_err(files::FilesError::from)?;
    }
    run(root, &["systemctl", "mask", unit])
}

/// What is swapped out must find room in memory, or the kernel ends whatever is in its way.
fn has_room(root: &Path, swaps: &[Swap]) -> Result<(), MendError> {
    let used = swaps.iter().map(|swap| swap.used).sum();
    let text = fs::read_to_string(below(root, "/proc/meminfo")).unwrap_or_default();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"));
    let words = line.map(str::split_whitespace);
    let available = words.and_then(|mut words| words.next()?.parse().ok());
    match available {
        Some(available) if used > available => Err(MendError::NoRoom { used, available }),
        // A kernel that does not say is older than any that a kubelet takes.
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::mend::Mend;
    use super::super::mend::world::World;
    use super::*;

    const TABLE: &str = "UUID=1 / ext4 defaults 0 1\n/dev/sda5\tnone\tswap sw 0 0\n";
    const SWAPS: &str = "Filename Type Size Used Priority\n/dev/sda5 partition 8 4 -2\n\
                         /dev/zram0 partition 8 4 100\n";

    fn world(available: &str) -> World {
        let memory = format!("MemFree: 1 kB\nMemAvailable:   {available} kB\n");
        let world = World::new(
            &["swapoff", "systemctl"],
            &[
                ("etc/fstab", TABLE),
                ("proc/swaps", SWAPS),
                ("proc/meminfo", &memory),
            ],
        );
        let table = world.path("etc/fstab");
        fs::set_permissions(table, fs::Permissions::from_mode(0o640)).unwrap();
        world
    }

    #[test]
    fn swap_goes_for_now_and_for_the_next_boot_and_the_table_is_kept() {
        let world = world("8");
        world.mend(&Mend::Swap).unwrap();
        let wanted = "UUID=1 / ext4 defaults 0 1\n\
                      # sternpost: a node does not swap: /dev/sda5\tnone\tswap sw 0 0\n";
        assert_eq!(world.text("etc/fstab"), wanted);
        assert_eq!(world.text("etc/fstab.sternpost"), TABLE);
        let mode = fs::metadata(world.path("etc/fstab"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(
            world.text("calls"),
            "systemctl mask dev-zram0.swap\nswapoff /dev/sda5\nswapoff /dev/zram0\n"
        );
        let noted = world.text("journal.jsonl");
        for path in ["/etc/fstab", "/etc/fstab.sternpost", "dev-zram0.swap"] {
            assert!(noted.contains(path), "{noted}");
        }
        fs::write(world.path("proc/swaps"), "Filename\n").unwrap();
        fs::write(world.path("calls"), "").unwrap();
        world.mend(&Mend::Swap).unwrap();
        assert_eq!(world.text("etc/fstab"), wanted);
        assert_eq!(world.text("etc/fstab.sternpost"), TABLE);
        assert_eq!(
            (world.text("calls"), world.text("journal.jsonl")),
            (String::new(), noted)
        );
    }

    /// It is off after the next boot all the same.
    #[test]
    fn what_finds_no_room_in_memory_is_not_called_back() {
        let world = world("7");
        let refused = world.mend(&Mend::Swap).unwrap_err();
        assert!(
            refused.starts_with("8 KiB are swapped out, and 7 KiB"),
            "{refused}"
        );
        assert!(!world.text("calls").contains("swapoff"));
        assert!(world.text("etc/fstab").contains("# sternpost: "));
        // What is masked already is not masked again.
        fs::create_dir_all(world.path("etc/systemd/system")).unwrap();
        let unit = world.path("etc/systemd/system/dev-zram0.swap");
        symlink(NOWHERE, unit).unwrap();
        fs::write(world.path("calls"), "").unwrap();
        fs::write(world.path("proc/meminfo"), "MemAvailable: 8 kB\n").unwrap();
        world.mend(&Mend::Swap).unwrap();
        let calls = world.text("calls");
        assert_eq!(calls, "swapoff /dev/sda5\nswapoff /dev/zram0\n");
    }
}
