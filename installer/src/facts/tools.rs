//! Programs of the system that components run: which of them a machine has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::agent::below;

/// Where units look for programs (systemd.exec(5)), and those who are asked by hand.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];
/// Those that some component runs, in some description.
const TOOLS: [&str; 8] = [
    "conntrack",
    "ip6tables",
    "ipset",
    "iptables",
    "mount",
    "nft",
    "sysctl",
    "umount",
];

/// A program of the system, wherever it keeps it.
pub(crate) fn tool(root: &Path, name: &str) -> Option<PathBuf> {
    let mut places = FOLDERS.iter().map(|folder| below(root, folder).join(name));
    places.find(|place| place.exists())
}

/// Those that the machine has whose files lie below `root`.
pub(super) fn look(root: &Path) -> BTreeSet<String> {
    let there = TOOLS.iter().filter(|name| tool(root, name).is_some());
    there.map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::render;

    #[test]
    fn a_program_is_found_wherever_the_system_keeps_it() {
        let root = tempfile::tempdir().unwrap();
        for path in ["usr/sbin/nft", "usr/local/bin/ipset", "opt/iptables"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = look(root.path());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["ipset", "nft"]);
    }

    /// What is not looked for would be missing everywhere.
    #[test]
    fn whatever_a_host_needs_is_looked_for() {
        let dual = include_str!("../../tests/spec/dual.yaml");
        for proxy in ["iptables", "ipvs", "nftables"] {
            let text = dual.replace("nftables", proxy);
            let cluster = crate::spec::parse("cluster.yaml", &text).unwrap().cluster;
            for host in &cluster.hosts {
                let needed = render::tools(&cluster, host).into_iter();
                for name in needed.chain(render::tracker(&cluster, host)) {
                    assert!(TOOLS.contains(&name), "{name}");
                }
            }
        }
    }
}
