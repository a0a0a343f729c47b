//! What a machine swaps to, and what would make it do so again: a line of its table of file
//! systems (fstab(5)), or something else, whose unit of systemd is to be masked then.

use std::fs;
use std::path::{Path, PathBuf};

use crate::agent::{below, plain};

/// The table.
pub const FSTAB: &str = "/etc/fstab";
/// It as it was before any line was commented, in case somebody wants to compare.
pub(crate) const FSTAB_BEFORE: &str = "/etc/fstab.sternpost";
/// What the kernel swaps to (proc_swaps(5)).
const SWAPS: &str = "/proc/swaps";
/// What a line of the table begins with that swaps no more.
const COMMENT: &str = "# sternpost: a node does not swap: ";

/// Something that a machine swaps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// A device, or a file.
    pub device: String,
    /// What of it is in use, KiB.
    pub used: u64,
    /// The unit that would bring it back although no line of the table names it: a partition is
    /// found by its type, zram is made by a generator.
    pub unit: Option<String>,
}

/// Looks at the machine whose files lie below `root`.
#[must_use]
pub fn look(root: &Path) -> Vec<Swap> {
    let read = |path: &str| fs::read_to_string(below(root, path)).unwrap_or_default();
    // What was commented has made it all the same.
    let table = restored(&read(FSTAB));
    let known: Vec<_> = at_boot(&table).map(|source| device(root, source)).collect();
    let swaps = read(SWAPS);
    // Below a line of titles: name, kind, size, used, priority.
    let swaps = swaps.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let device = unescaped(words.next()?);
        let used = words.nth(2).and_then(|used| used.parse().ok());
        let stranger = !known.contains(&real(root, &device));
        Some(Swap {
            used: used.unwrap_or_default(),
            unit: stranger.then(|| unit(&device)),
            device,
        })
    });
    swaps.collect()
}

/// The sources of the lines that swap at boot.
pub fn at_boot(table: &str) -> impl Iterator<Item = &str> {
    let lines = table.lines().filter(|line| swaps(line));
    lines.filter_map(|line| line.split_whitespace().next())
}

/// The table with every line that swaps at boot as a comment.
#[must_use]
pub fn commented(table: &str) -> String {
    let lines = table.split_inclusive('\n').map(|line| match swaps(line) {
        true => format!("{COMMENT}{line}"),
        false => line.to_owned(),
    });
    lines.collect()
}

/// The table as it was before [`commented`], whatever else was done to it since.
#[must_use]
pub fn restored(table: &str) -> String {
    let lines = table.split_inclusive('\n');
    lines
        .map(|line| line.strip_prefix(COMMENT).unwrap_or(line))
        .collect()
}

/// A kind of swap that somebody starts himself is none of a boot's.
fn swaps(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let live = words.next().is_some_and(|source| !source.starts_with('#'));
    let swap = words.nth(1) == Some("swap");
    let mut options = words.next().unwrap_or_default().split(',');
    live && swap && options.all(|option| option != "noauto")
}

/// Where a source of the table lies: udev names it by what the table says of it.
fn device(root: &Path, source: &str) -> PathBuf {
    let (tag, value) = source.split_once('=').unwrap_or_default();
    let value = value.trim_matches('"');
    let place = match tag {
        "UUID" => format!("/dev/disk/by-uuid/{}", value.to_ascii_lowercase()),
        "PARTUUID" => format!("/dev/disk/by-partuuid/{}", value.to_ascii_lowercase()),
        "LABEL" => format!("/dev/disk/by-label/{value}"),
        "PARTLABEL" => format!("/dev/disk/by-partlabel/{value}"),
        "ID" => format!("/dev/disk/by-id/{value}"),
        _ => unescaped(source),
    };
    real(root, &place)
}

/// Behind all links: the kernel knows a device by one name.
fn real(root: &Path, path: &str) -> PathBuf {
    let place = below(root, path);
    fs::canonicalize(&place).unwrap_or(place)
}

/// Both tables write a blank as `\040`.
fn unescaped(field: &str) -> String {
    String::from_utf8_lossy(&plain(field.as_bytes())).into_owned()
}

/// The unit of a device or file that is swapped to (systemd.unit(5), "escaping").
fn unit(path: &str) -> String {
    let mut name = String::new();
    for c in path.trim_start_matches('/').chars() {
        match c {
            '/' => name.push('-'),
            c if c.is_ascii_alphanumeric() || ":_.".contains(c) => name.push(c),
            c => {
                let mut octets = [0; 4];
                for octet in c.encode_utf8(&mut octets).bytes() {
                    name.push_str(&format!("\\x{octet:02x}"));
                }
            }
        }
    }
    format!("{name}.swap")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const TABLE: &str = "UUID=1 / ext4 defaults 0 1\n\
        UUID=\"AB-2\"\tnone\tswap sw 0 0\n# /old none swap sw 0 0\n\
        /dev/mapper/vg-swap none swap defaults,noauto 0 0\n\
        /swap\\040file none swap";

    fn machine(table: &str, swaps: &str) -> Vec<Swap> {
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc", "proc", "dev/disk/by-uuid", "dev/mapper"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let put =
            |path: &str, text: &str| fs::write(root.path().join(path), text).unwrap();
        put("etc/fstab", table);
        put(
            "proc/swaps",
            &format!("Filename Type Size Used Priority\n{swaps}"),
        );
        put("dev/sda5", "");
        put("dev/dm-1", "");
        let uuid = root.path().join("dev/disk/by-uuid/ab-2");
        symlink("../../sda5", uuid).unwrap();
        symlink("../dm-1", root.path().join("dev/mapper/vg-swap")).unwrap();
        look(root.path())
    }

    /// What the table names by whatever name needs no mask, and what it does not name does.
    #[test]
    fn a_device_is_known_by_every_name_of_the_table() {
        let swaps = "/dev/sda5 partition 8 3 -2\n/swap\\040file file 8 0 -3\n\
                     /dev/dm-1 partition 8 0 -4\n/dev/zram0 partition 8 5 100\n";
        let known = |device: &str, used: u64, unit: Option<&str>| Swap {
            device: device.to_owned(),
            used,
            unit: unit.map(str::to_owned),
        };
        let wanted = [
            known("/dev/sda5", 3, None),
            known("/swap file", 0, None),
            known("/dev/dm-1", 0, Some("dev-dm\\x2d1.swap")),
            known("/dev/zram0", 5, Some("dev-zram0.swap")),
        ];
        assert_eq!(machine(TABLE, swaps), wanted);
        // What was commented a moment ago is known still.
        assert_eq!(machine(&commented(TABLE), swaps), wanted);
        assert_eq!(machine(TABLE, ""), []);
    }

    #[test]
    fn lines_are_commented_and_come_back_as_they_were() {
        let text = commented(TABLE);
        assert_eq!(
            text,
            "UUID=1 / ext4 defaults 0 1\n\
             # sternpost: a node does not swap: UUID=\"AB-2\"\tnone\tswap sw 0 0\n\
             # /old none swap sw 0 0\n\
             /dev/mapper/vg-swap none swap defaults,noauto 0 0\n\
             # sternpost: a node does not swap: /swap\\040file none swap"
        );
        assert_eq!(commented(&text), text);
        assert_eq!(restored(&text), TABLE);
        assert_eq!(
            at_boot(TABLE).collect::<Vec<_>>(),
            ["UUID=\"AB-2\"", "/swap\\040file"]
        );
        assert_eq!(at_boot(&text).count(), 0);
    }

    #[test]
    fn a_unit_is_escaped_as_systemd_does() {
        assert_eq!(unit("/dev/zram0"), "dev-zram0.swap");
        assert_eq!(unit("/var/swap-file"), "var-swap\\x2dfile.swap");
    }
}
