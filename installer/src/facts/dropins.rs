//! What packages and people add to units (systemd.unit(5)): a file beside a unit of ours says
//! more than that unit itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::agent::below;

/// Where systemd looks for them; of two with one name the first counts.
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// A file that adds to a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropIn {
    /// The unit.
    pub unit: String,
    /// The file.
    pub path: String,
    /// What it has run, by systemd's keys: `ExecStart`, `ExecStartPre`, …
    pub runs: Vec<String>,
}

/// Those of services that say something, on the machine whose files lie below `root`.
pub(super) fn look(root: &Path) -> Vec<DropIn> {
    let mut all: BTreeMap<(String, String), Option<DropIn>> = BTreeMap::new();
    for folder in FOLDERS {
        let dirs = names(&below(root, folder)).into_iter();
        for dir in dirs.filter(|name| name.ends_with(".service.d")) {
            let unit = dir.trim_end_matches(".d").to_owned();
            let files = names(&below(root, folder).join(&dir)).into_iter();
            for file in files.filter(|name| name.ends_with(".conf")) {
                let path = format!("{folder}/{dir}/{file}");
                all.entry((unit.clone(), file))
                    .or_insert_with(|| read(root, &unit, path));
            }
        }
    }
    all.into_values().flatten().collect()
}

/// A link to nothing takes one of that name away, and is none itself.
fn read(root: &Path, unit: &str, path: String) -> Option<DropIn> {
    let text = fs::read_to_string(below(root, &path)).unwrap_or_default();
    let lines = text.lines().map(str::trim);
    let says = lines.filter(|line| !line.starts_with(['#', ';', '[']));
    let keys = says.filter_map(|line| Some(line.split_once('=')?.0.trim()));
    let keys: Vec<_> = keys.collect();
    let mut runs: Vec<_> = keys
        .iter()
        .filter(|key| key.starts_with("Exec"))
        .map(ToString::to_string)
        .collect();
    runs.sort();
    runs.dedup();
    let unit = unit.to_owned();
    (!keys.is_empty()).then_some(DropIn { unit, path, runs })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As Kubernetes' own package has it.
    const KUBEADM: &str = "# Note: This dropin only works with kubeadm\n[Service]\n\
        EnvironmentFile=-/etc/default/kubelet\nExecStart=\n\
        ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS\n";

    #[test]
    fn what_a_package_has_a_unit_run_is_seen_until_it_is_masked() {
        let root = tempfile::tempdir().unwrap();
        let place = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        let kubelet = "systemd/system/kubelet.service.d";
        let package = format!("usr/lib/{kubelet}/10-kubeadm.conf");
        fs::write(place(&package), KUBEADM).unwrap();
        let proxy = "etc/systemd/system/containerd.service.d/proxy.conf";
        fs::write(
            place(proxy),
            "[Service]\nEnvironment=HTTPS_PROXY=http://a\n",
        )
        .unwrap();
        fs::write(
            place("etc/systemd/system/etcd.service.d/none.conf"),
            "# ExecStart=\n",
        )
        .unwrap();
        fs::write(place("etc/systemd/system/kubelet.service"), KUBEADM).unwrap();
        let of = |unit: &str, path: &str, runs: &[&str]| DropIn {
            unit: unit.into(),
            path: format!("/{path}"),
            runs: runs.iter().map(ToString::to_string).collect(),
        };
        let containerd = of("containerd.service", proxy, &[]);
        assert_eq!(
            look(root.path()),
            [
                containerd.clone(),
                of("kubelet.service", &package, &["ExecStart"])
            ]
        );
        symlink(
            "/dev/null",
            place(&format!("etc/{kubelet}/10-kubeadm.conf")),
        )
        .unwrap();
        assert_eq!(look(root.path()), [containerd]);
    }
}
