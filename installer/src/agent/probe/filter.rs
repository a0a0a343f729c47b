//! What filters what comes in, by whoever looks after it: firewalld and ufw before the rules
//! that they make. Nothing is changed.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::agent::files::below;
use crate::facts::tool;
use crate::flows::Zones;
use crate::flows::firewall::{Chain, Firewall};

/// The first version of ufw that is told of VRRP by name, and of no other way.
const VRRP_BY_NAME: [u16; 3] = [0, 36, 2];

/// Looks at the machine whose files lie below `root`.
pub(in crate::agent) fn look(root: &Path) -> Firewall {
    if said(root, "firewall-cmd", &["--state"])
        .is_some_and(|said| said.trim() == "running")
    {
        let zones = said(root, "firewall-cmd", &["--get-active-zones"]);
        let zones = zones.map(|text| Zones::active(&text));
        return Firewall::Firewalld(zones.unwrap_or_default());
    }
    let read = |path: &str| fs::read_to_string(below(root, path)).unwrap_or_default();
    let enabled = |line: &str| line.trim() == "ENABLED=yes";
    if read("/etc/ufw/ufw.conf").lines().any(enabled) {
        let version = said(root, "ufw", &["version"]);
        return match version.as_deref().and_then(ufw) {
            Some(version) if version < VRRP_BY_NAME => Firewall::OldUfw,
            Some(_) | None => Firewall::Ufw,
        };
    }
    let chains = said(root, "nft", &["--json", "list", "chains"]);
    let chains = chains.map(|text| inputs(&text)).unwrap_or_default();
    // iptables keeps its own in nf_tables, and knows them by these names.
    let (theirs, others): (Vec<_>, Vec<_>) = chains
        .into_iter()
        .partition(|chain| chain.table == "filter" && chain.name == "INPUT");
    let filters = |line: &str| line.trim() == "filter";
    let legacy = read("/proc/net/ip_tables_names").lines().any(filters);
    match (others.is_empty(), theirs.is_empty() && !legacy) {
        (true, true) => Firewall::None,
        (true, false) => Firewall::Iptables,
        (false, _) => Firewall::Nftables(others.into_iter().chain(theirs).collect()),
    }
}

/// `ufw 0.36.1`, in the first line.
fn ufw(text: &str) -> Option<[u16; 3]> {
    let numbers = text.lines().next()?.split_whitespace().nth(1)?;
    let mut numbers = numbers.split(['.', '-', '~']).map(|one| one.parse().ok());
    let mut next = || numbers.next().flatten();
    Some([next()?, next()?, next().unwrap_or(0)])
}

/// What a program of the system prints, when it is there and content.
pub(super) fn said(root: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(tool(root, program)?)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    chain: Option<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    family: String,
    table: String,
    name: String,
    hook: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    policy: Option<String>,
}

/// Tables of kube-proxy and of flannel: what they refuse is no firewall's to let in, and what
/// is written into them they overwrite.
const OF_THE_CLUSTER: [&str; 3] = ["kube-proxy", "flannel-ipv4", "flannel-ipv6"];

/// The chains that see what comes in, of what `nft --json list chains` prints.
fn inputs(text: &str) -> Vec<Chain> {
    chains(text, |chain| chain.hook.as_deref() == Some("input"))
}

/// The chains of this machine that drop what is handed on.
pub(super) fn drops(root: &Path) -> Vec<Chain> {
    let text = said(root, "nft", &["--json", "list", "chains"]);
    text.map(|text| dropping(&text)).unwrap_or_default()
}

/// Those that drop what is handed on, but what a rule of theirs takes: an accept in another table
/// does not overrule them (nft(8), "Verdict statements").
fn dropping(text: &str) -> Vec<Chain> {
    chains(text, |chain| {
        let hook = chain.hook.as_deref() == Some("forward");
        hook && chain.policy.as_deref() == Some("drop")
    })
}

fn chains(text: &str, of: impl Fn(&Listed) -> bool) -> Vec<Chain> {
    let Ok(listing) = serde_json::from_str::<Listing>(text) else {
        return Vec::new();
    };
    let chains = listing.nftables.into_iter().filter_map(|item| item.chain);
    let filters = chains.filter(|chain| {
        of(chain)
            && chain.kind.as_deref() == Some("filter")
            && !OF_THE_CLUSTER.contains(&chain.table.as_str())
    });
    filters
        .map(|chain| Chain {
            family: chain.family,
            table: chain.table,
            name: chain.name,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAINS: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
        {"chain": {"family": "inet", "table": "mine", "name": "in", "handle": 1,
                   "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
        {"chain": {"family": "inet", "table": "mine", "name": "out", "handle": 2,
                   "type": "filter", "hook": "output", "prio": 0, "policy": "accept"}},
        {"chain": {"family": "ip", "table": "nat", "name": "in", "handle": 3,
                   "type": "nat", "hook": "input", "prio": 0, "policy": "accept"}},
        {"chain": {"family": "ip", "table": "kube-proxy", "name": "filter-input", "handle": 1,
                   "type": "filter", "hook": "input", "prio": -110, "policy": "accept"}},
        {"chain": {"family": "inet", "table": "mine", "name": "jumped", "handle": 4}}]}"#;
    const IPTABLES: &str = r#"{"nftables": [
        {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 1,
                   "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}]}"#;

    #[test]
    fn a_chain_that_drops_what_is_handed_on_is_known() {
        let chain = |family: &str, table: &str, hook: &str, policy: &str| {
            format!(
                r#"{{"chain": {{"family": "{family}", "table": "{table}", "name": "FORWARD",
                    "type": "filter", "hook": "{hook}", "prio": 0, "policy": "{policy}"}}}}"#
            )
        };
        let all = [
            chain("ip", "filter", "forward", "drop"),
            chain("inet", "mine", "forward", "accept"),
            chain("inet", "mine", "input", "drop"),
            chain("ip", "kube-proxy", "forward", "drop"),
        ];
        let text = format!(r#"{{"nftables": [{}]}}"#, all.join(","));
        let found = dropping(&text);
        let found: Vec<_> = found.iter().map(|one| &*one.table).collect();
        assert_eq!(found, ["filter"]);
        assert_eq!(dropping("{}"), []);
    }

    /// A machine with these programs and files.
    fn found(programs: &[(&str, &str)], files: &[(&str, &str)]) -> Firewall {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for (name, prints) in programs {
            let path = root.path().join("usr/sbin").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // By a process of its own: a file that this one has open cannot be run while
            // another thread's child still holds it (ETXTBSY).
            let write =
                "printf '#!/bin/sh\ncat <<X\n%s\nX\n' \"$1\" >\"$0\"; chmod 755 \"$0\"";
            let mut shell = Command::new("sh");
            let status = shell.args(["-c", write]).arg(path).arg(prints).status();
            assert!(status.unwrap().success());
        }
        look(root.path())
    }

    #[test]
    fn whoever_looks_after_the_rules_is_named() {
        let nft = ("nft", CHAINS);
        let ufw = |text| ("etc/ufw/ufw.conf", text);
        assert_eq!(
            found(&[("firewall-cmd", "running"), nft], &[]),
            // What it prints to every question: a zone of nothing.
            Firewall::Firewalld(Zones::default())
        );
        assert_eq!(
            found(&[nft], &[ufw("LOGLEVEL=low\nENABLED=yes\n")]),
            Firewall::Ufw
        );
        for (version, wanted) in [
            ("ufw 0.36.1\nCopyright", Firewall::OldUfw),
            ("ufw 0.36", Firewall::OldUfw),
            ("ufw 0.36.2", Firewall::Ufw),
            ("ufw 1.0", Firewall::Ufw),
            ("nothing", Firewall::Ufw),
        ] {
            let found = found(&[("ufw", version)], &[ufw("ENABLED=yes")]);
            assert_eq!(found, wanted, "{version}");
        }
        let mine = Chain {
            family: "inet".into(),
            table: "mine".into(),
            name: "in".into(),
        };
        let stopped = found(
            &[("firewall-cmd", "not running"), nft],
            &[ufw("ENABLED=no\n")],
        );
        assert_eq!(stopped, Firewall::Nftables(vec![mine]));
        assert_eq!(found(&[("nft", IPTABLES)], &[]), Firewall::Iptables);
        let legacy = ("proc/net/ip_tables_names", "nat\nfilter\n");
        assert_eq!(found(&[], &[legacy]), Firewall::Iptables);
        assert_eq!(found(&[("nft", "{\"nftables\": []}")], &[]), Firewall::None);
        assert_eq!(found(&[], &[]), Firewall::None);
    }
}
