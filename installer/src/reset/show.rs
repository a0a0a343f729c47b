//! A removal for people: a line a step, and what stays with its reason.

use super::{Kept, Removal, Route, Step, Table, Theirs};
use crate::flows::firewall::{closing, shell};
use crate::spec::{Cluster, Component, Etcd};
use crate::swap::FSTAB;

/// Names of a folder that are shown.
const NAMES: usize = 4;
/// Where API servers keep everything in etcd, unless the flag of that name says another place.
const PREFIX: (&str, &str) = ("etcd-prefix", "/registry");

/// The removal from one host.
#[must_use]
pub fn show(host: &str, removal: &Removal) -> String {
    let mut text = match removal.steps.len() {
        0 => format!("{host}: nothing to remove\n"),
        1 => format!("{host}: 1 step\n"),
        count => format!("{host}: {count} steps\n"),
    };
    for step in &removal.steps {
        text.push_str(&format!("  {}\n", line(step)));
    }
    for kept in &removal.kept {
        text.push_str(&format!("  {}\n", stays(kept)));
    }
    text
}

/// What was removed from a host, whose steps have been shown one by one, and what stays.
#[must_use]
pub fn done(host: &str, removal: &Removal) -> String {
    let mut text = match removal.steps.len() {
        0 => format!("{host}: nothing to remove\n"),
        count => format!("{host}: {count} step(s) done\n"),
    };
    for kept in &removal.kept {
        text.push_str(&format!("  {}\n", stays(kept)));
    }
    text
}

/// What stays in an etcd of others, which no host's journal knows of; nothing where etcd is
/// ours.
#[must_use]
pub fn store(cluster: &Cluster) -> Option<String> {
    let Etcd::External { endpoints, .. } = &cluster.etcd else {
        return None;
    };
    let (flag, usual) = PREFIX;
    let mut flags = cluster.extra_flags(Component::Apiserver);
    let other = flags.find(|(name, _)| *name == flag);
    let prefix = other.map_or(usual, |(_, prefix)| prefix);
    let endpoints = endpoints.join(", ");
    let leases = cluster.networks.leases_in_etcd().into_iter();
    let all: Vec<_> = [prefix].into_iter().chain(leases).collect();
    let below = all.join(" and ");
    let removed = all
        .iter()
        .map(|prefix| format!("etcdctl del --prefix {prefix}/"));
    let removed: Vec<_> = removed.collect();
    Some(format!(
        "etcd.external: keep what the cluster has written below {below} of {endpoints}; before          another cluster begins there, have it removed: {}\n",
        removed.join("; ")
    ))
}

/// A step in words.
#[must_use]
pub fn line(step: &Step) -> String {
    match step {
        Step::Stop { unit } => format!("stop {unit}"),
        Step::Containers { sandboxes } => {
            format!("end {sandboxes} sandbox(es) of Pods with their containers")
        }
        Step::Images => {
            "have containerd forget the containers and images of Kubernetes alone"
                .to_owned()
        }
        Step::Unmount { at } => format!("unmount {at}"),
        Step::Space { name } => format!("remove network namespace {name}"),
        Step::Interface { name } => format!("remove interface {name}"),
        Step::Route(Route { to, via }) => format!("remove route to {to} via {via}"),
        Step::Table(Table { family, name }) => {
            format!("remove nftables' table {family} {name}")
        }
        Step::Chains { program, count } => {
            format!("remove {count} chain(s) of {program}, and what leads to them")
        }
        Step::Strip { path } if path == FSTAB => {
            format!("bring the lines back that swap in {path}")
        }
        Step::Strip { path } => format!("take our lines out of {path}"),
        Step::File { path, .. } => format!("remove file {path}"),
        Step::Link { path, .. } => format!("remove link {path}"),
        Step::Aside { path } => {
            format!(
                "take {path} away: it is of another cluster, in which kubelet would go on"
            )
        }
        Step::Back { path, .. } => format!("put back what stood at {path} before"),
        Step::Tree { path } => format!("remove folder {path} with all that is in it"),
        Step::Folder { path } => format!("remove folder {path}"),
        Step::Reread => "have systemd read its units again".to_owned(),
        Step::Bring(Theirs {
            unit,
            enabled,
            active,
        }) => {
            let was = match (enabled, active) {
                (true, true) => "started at boot, and running",
                (true, false) => "started at boot",
                (false, _) => "running",
            };
            format!("bring {unit} back as it was before: {was}")
        }
        Step::Close { words } => match closing(words) {
            Some(closing) => format!("close what was opened: {}", shell(&closing)),
            None => format!("forget: {}", shell(words)),
        },
        Step::Forget => "remove the journal".to_owned(),
    }
}

/// What stays in words, with its reason.
#[must_use]
pub fn stays(kept: &Kept) -> String {
    match kept {
        Kept::Changed { path } => {
            format!("keep {path}: it is not what was laid down; remove it by hand")
        }
        Kept::Replaced { path } => format!(
            "keep {path}: another stood there before, which is not kept; bring that back by hand"
        ),
        Kept::Others { path, names } => {
            let shown: Vec<_> = names.iter().take(NAMES).map(String::as_str).collect();
            let more = match names.len().saturating_sub(NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("keep {path}: it holds {}{more} of others", shown.join(", "))
        }
        Kept::Data { path } => format!("keep {path}: it is data; --data removes it"),
        Kept::Mounted { path, at } => {
            format!(
                "keep {path}: something is mounted at {at}; unmount it, and reset again"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_in_an_etcd_of_others_is_said() {
        let read = |text: &str, flags: &str| {
            let spec = crate::spec::parse("cluster.yaml", &format!("{text}{flags}"));
            store(&spec.unwrap().cluster)
        };
        let whole = include_str!("../../tests/spec/whole.yaml");
        let external = include_str!("../../tests/spec/external.yaml");
        assert_eq!(read(whole, ""), None);
        let usual = read(external, "").unwrap();
        let endpoints = "https://192.0.2.51:2379, https://192.0.2.52:2379";
        assert!(
            usual.contains(&format!("below /registry of {endpoints};")),
            "{usual}"
        );
        let other = "flags: {kube-apiserver: {etcd-prefix: /lab}}\n";
        let other = read(external, other).unwrap();
        assert!(other.ends_with("etcdctl del --prefix /lab/\n"), "{other}");
    }
}
