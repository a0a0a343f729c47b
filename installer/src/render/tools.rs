//! Programs of the system that what is laid down runs, by the modes of the description. modprobe
//! is none: a module that is missing is found by itself, and all goes on without that program.

use crate::spec::{BetweenPods, Cluster, Host, ProxyMode, Role};

/// The first minor version whose kube-proxy asks the kernel itself for connections that are
/// tracked, without the program of that name.
const TRACKS: u16 = 32;

/// Those without which a component of a host does not start.
pub(crate) fn tools(cluster: &Cluster, host: &Host) -> Vec<&'static str> {
    // What `apply` has every host load its settings by.
    let mut all = vec!["sysctl"];
    if !host.is(Role::Node) {
        return all;
    }
    all.extend(["mount", "umount"]);
    match cluster.networks.proxy {
        ProxyMode::Nftables => all.push("nft"),
        ProxyMode::Iptables => all.extend(iptables(cluster)),
        ProxyMode::Ipvs => {
            all.extend(iptables(cluster));
            all.push("ipset");
        }
        // flannel's rules for what leaves the cluster are still of one kind.
        ProxyMode::None if cluster.networks.between_pods != BetweenPods::None => {
            all.extend(iptables(cluster));
        }
        ProxyMode::None => {}
    }
    all
}

/// One that kube-proxy runs, and is without where it is not there: old connections of UDP are
/// led to Pods that are gone.
pub(crate) fn tracker(cluster: &Cluster, host: &Host) -> Option<&'static str> {
    let runs = host.is(Role::Node) && cluster.networks.proxy != ProxyMode::None;
    (runs && cluster.version.minor < TRACKS).then_some("conntrack")
}

/// One for each family of Pods.
fn iptables(cluster: &Cluster) -> Vec<&'static str> {
    let has = |v4: bool| {
        let mut pods = cluster.networks.pods.iter();
        pods.any(|net| net.addr().is_ipv4() == v4)
    };
    let all = [(true, "iptables"), (false, "ip6tables")];
    let needed = all.into_iter().filter(|(v4, _)| has(*v4));
    needed.map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_runs_its_own() {
        let dual = include_str!("../../tests/spec/dual.yaml");
        let iptables = ["sysctl", "mount", "umount", "iptables", "ip6tables"];
        for (networks, version, wanted, tracks) in [
            (
                "proxy: nftables",
                "1.32.0",
                &["sysctl", "mount", "umount", "nft"][..],
                false,
            ),
            ("proxy: iptables", "1.31.9", &iptables, true),
            ("proxy: none", "1.31.9", &iptables, false),
            (
                "proxy: ipvs",
                "1.31.9",
                &[iptables.as_slice(), &["ipset"]].concat(),
                true,
            ),
            (
                "proxy: none\n  betweenPods: none",
                "1.31.9",
                &["sysctl", "mount", "umount"],
                false,
            ),
        ] {
            let text = dual.replace("  betweenPods: flannel-host-gw\n", "");
            let text = text.replace("proxy: nftables", networks);
            let text = text.replace("1.31.4", version);
            let cluster = crate::spec::parse("cluster.yaml", &text).unwrap().cluster;
            let of = |name: &str| cluster.hosts.iter().find(|host| host.name == name);
            let node = of("n1").unwrap();
            assert_eq!(tools(&cluster, node), wanted, "{networks}");
            assert_eq!(tracker(&cluster, node).is_some(), tracks, "{networks}");
            assert_eq!(tools(&cluster, of("e1").unwrap()), ["sysctl"]);
        }
    }
}
