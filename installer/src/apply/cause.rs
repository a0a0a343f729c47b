//! What a unit's last words most likely mean, in words that say what to do.

use crate::sign::{Sign, behind, sign};

/// The more telling ones first: a component that dies says more than one thing.
const SIGNS: &[Sign] = &[
    sign(
        "no space left on device",
        "the disk is full; make room (\"df -h\") and apply again",
    ),
    sign(
        "address already in use",
        "another program has its port; \"ss -ltnp\" on that host names it",
    ),
    sign(
        "cluster id mismatch",
        "the data in /var/lib/etcd are another cluster's; move them away and apply again",
    ),
    sign(
        "has already been bootstrapped",
        "this member was in the cluster before and its data are gone; sternpost does not exchange \
         it by itself: docs/troubleshooting.md, \"A master that has lost its data\", has the commands",
    ),
    sign(
        "member has been permanently removed",
        "the data in /var/lib/etcd are of a member that was removed, or it was added again and has \
         begun as a new one; docs/troubleshooting.md, \"A master that has lost its data\", has the \
         commands",
    ),
    sign(
        "certificate has expired or is not yet valid",
        "a certificate has ended (\"sternpost certs check\" names it, and apply issues it anew), or \
         the clocks of the hosts differ; compare \"date\" on all of them",
    ),
    sign(
        "certificate signed by unknown authority",
        "it is shown a certificate of another cluster; something of an earlier one is left",
    ),
    sign(
        "expected containerd config version",
        "the containerd among the programs is 1.x; write runtime: {containerd: 1}",
    ),
    sign(
        "cgroup v1",
        "this kubelet refuses control groups of version 1; boot the host with \
         systemd.unified_cgroup_hierarchy=1",
    ),
    sign(
        "running with swap on is not supported",
        "swap is on; turn it off (\"swapoff -a\", and its line in /etc/fstab)",
    ),
    sign(
        "iptables is not available",
        "the host has no iptables; install it, or write networks.proxy: nftables",
    ),
    sign(
        "executable file not found",
        "a program of the system is not there; the line above names it: install its package",
    ),
    sign(
        "unknown flag",
        "a flag in the description is none of this version's; the line above names it",
    ),
    sign(
        "exec format error",
        "the program is for another processor; look at binaries",
    ),
    sign(
        "permission denied",
        "its user may not read or write a file; the line above names it",
    ),
    sign("cannot allocate memory", "the host has too little memory"),
    sign(
        "context deadline exceeded",
        "what it depends on does not answer in time: etcd for an API server, the API server \
         for the others",
    ),
    sign(
        "connection refused",
        "what it depends on does not run: etcd for an API server, the API server for the \
         others",
    ),
];

/// The likely cause of a unit's failure, by the last lines it said.
#[must_use]
pub(crate) fn cause(said: &[String]) -> Option<&'static str> {
    behind(SIGNS, said.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::hold;

    #[test]
    fn real_words_lead_to_their_cause() {
        let rows = [
            (
                "listen tcp 10.0.0.1:2379: bind: address already in use",
                Some("another program has its port"),
            ),
            (
                "request sent was ignored (cluster ID mismatch: peer[a]=1, local=2)",
                Some("the data in /var/lib/etcd"),
            ),
            (
                "Error: unknown flag: --insecure-port",
                Some("a flag in the description"),
            ),
            (
                "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
                Some("a certificate has ended"),
            ),
            (
                "write /var/lib/etcd/member/wal/0.tmp: no space left on device; permission denied",
                Some("the disk is full"),
            ),
            (
                "\"iptables is not available on this host\" ipFamily=\"IPv4\"",
                Some("the host has no iptables"),
            ),
            (
                "nftables: could not find nftables binary: exec: \"nft\": executable file not found in $PATH",
                Some("a program of the system"),
            ),
            ("all is well", None),
        ];
        hold(SIGNS, &rows);
    }
}
