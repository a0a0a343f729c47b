//! The programs of the description's folder, by their heads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;

use crate::architecture::Architecture;
use crate::elf;
use crate::preflight;
use crate::spec::Cluster;

/// Which processor each program that is there is for, as each kind of host would get it.
/// Whether one is missing is said when it is needed.
pub(super) fn programs(
    cluster: &Cluster,
) -> BTreeMap<Architecture, BTreeMap<String, String>> {
    // What is fetched is chosen by the host's own processor; a folder holds what it holds.
    let Some(folder) = &cluster.binaries.folder else {
        return BTreeMap::new();
    };
    let hosts = cluster.hosts.iter();
    let names = hosts.flat_map(|host| preflight::programs(cluster, host));
    let names: BTreeSet<_> = names.collect();
    let of = |architecture: Architecture| {
        let each = names.iter().filter_map(|name| {
            let own = folder.path.join(architecture.name()).join(name);
            // The one that lies beside is for all that have none of their own.
            let file = File::open(own).or_else(|_| File::open(folder.path.join(name)));
            let mut head = [0_u8; elf::HEAD];
            file.ok()?.read_exact(&mut head).ok()?;
            Some((name.clone(), elf::processor(&head)?.to_owned()))
        });
        (architecture, each.collect())
    };
    Architecture::ALL.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The head of a program for a machine, by its number (elf(5)).
    fn head(machine: u8) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(elf::HEAD, 0);
        head[18] = machine;
        head
    }

    #[test]
    fn programs_are_those_that_each_kind_of_host_would_get() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("arm64")).unwrap();
        fs::write(folder.path().join("etcd"), head(62)).unwrap();
        fs::write(folder.path().join("arm64/etcd"), head(183)).unwrap();
        fs::write(folder.path().join("etcdctl"), head(62)).unwrap();
        let text = include_str!("../../tests/spec/whole.yaml");
        let mut cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        cluster.binaries.folder.as_mut().unwrap().path = folder.path().to_owned();
        let programs = programs(&cluster);
        let amd64 = &programs[&Architecture::Amd64];
        let arm64 = &programs[&Architecture::Arm64];
        assert_eq!((&*amd64["etcd"], &*amd64["etcdctl"]), ("x86_64", "x86_64"));
        assert_eq!((&*arm64["etcd"], &*arm64["etcdctl"]), ("aarch64", "x86_64"));
        assert_eq!((amd64.len(), arm64.len()), (2, 2));
    }
}
