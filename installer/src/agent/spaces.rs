//! The network namespaces of Pods, told from those of others.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use super::files::below;
use crate::render::NETWORK_NAME;
use crate::reset::SPACE;

/// Where `ip netns` and CNI keep network namespaces.
pub(super) const SPACES: &str = "/run/netns";
/// Where CNI notes what it has laid, for whoever runs it.
const RESULTS: &str = "/var/lib/cni/results";

/// The network namespaces of Pods: those that processes of sandboxes
/// are `inside`, and those that CNI
/// has noted for our network. Others that run containers call theirs the same.
pub(super) fn spaces(root: &Path, inside: &BTreeSet<u32>) -> Vec<String> {
    let inode = |path: &Path| Some(fs::metadata(path).ok()?.ino());
    let inside = inside.iter();
    let inside = inside.filter_map(|id| inode(Path::new(&format!("/proc/{id}/ns/net"))));
    let inside: BTreeSet<_> = inside.collect();
    let results = fs::read_dir(below(root, RESULTS)).into_iter();
    let results = results.flatten().flatten();
    let results = results.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let noted: BTreeSet<_> = results.flat_map(|text| noted(&text)).collect();
    let there = fs::read_dir(SPACES).into_iter().flatten().flatten();
    let ours = there.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let held = || inode(&entry.path()).is_some_and(|inode| inside.contains(&inode));
        let ours = name.starts_with(SPACE) && (noted.contains(&name) || held());
        ours.then_some(name)
    });
    ours.collect()
}

/// The namespaces that a note of CNI is about, where it is one for our network.
fn noted(text: &str) -> Vec<String> {
    let note: Value = serde_json::from_str(text).unwrap_or_default();
    if note.get("networkName").and_then(Value::as_str) != Some(NETWORK_NAME) {
        return Vec::new();
    }
    let interfaces = note.pointer("/result/interfaces").and_then(Value::as_array);
    let sandboxes = interfaces.into_iter().flatten();
    let sandboxes = sandboxes.filter_map(|one| one.get("sandbox"));
    let all = sandboxes.chain(note.get("netns")).filter_map(Value::as_str);
    let names = all.filter_map(|path| Path::new(path).file_name()?.to_str());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As libcni writes them.
    #[test]
    fn a_namespace_is_ours_by_the_name_of_its_network() {
        let note = |network: &str| {
            format!(
                r#"{{"kind": "cniCacheV1", "containerId": "5", "ifName": "eth0",
                "networkName": "{network}", "result": {{"cniVersion": "1.0.0", "interfaces": [
                {{"name": "veth5"}},
                {{"name": "eth0", "sandbox": "/var/run/netns/cni-5"}}]}}}}"#
            )
        };
        assert_eq!(noted(&note(NETWORK_NAME)), ["cni-5"]);
        assert!(noted(&note("podman")).is_empty());
        assert!(noted("").is_empty());
    }
}
