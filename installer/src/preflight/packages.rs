//! The packages that bring programs of the system, as each family calls them.

use super::supported::is_of;
use crate::facts::System;

/// The family whose packages have names of their own, by what its members say of themselves.
const RPM: [&str; 3] = ["rhel", "fedora", "centos"];

/// What installs these programs.
pub(super) fn install(system: &System, names: &[String]) -> String {
    let rpm = RPM.iter().any(|family| is_of(system, family));
    let name = |name: &String| match rpm {
        true => of_rhel(name, &system.release),
        false => of_debian(name),
    };
    let mut packages: Vec<_> = names.iter().map(name).collect();
    // Some bring two.
    packages.dedup();
    match rpm {
        true => format!("dnf install {}", packages.join(" ")),
        false => format!("install {}", packages.join(", ")),
    }
}

fn of_debian(name: &str) -> String {
    let package = match name {
        "ip6tables" => "iptables",
        "nft" => "nftables",
        "sysctl" => "procps",
        "umount" => "mount",
        name => name,
    };
    package.to_owned()
}

fn of_rhel(name: &str, release: &str) -> String {
    let eighth = release.split('.').next() == Some("8");
    let package = match name {
        "iptables" | "ip6tables" if eighth => "iptables",
        "iptables" | "ip6tables" => "iptables-nft",
        "nft" => "nftables",
        "conntrack" => "conntrack-tools",
        "sysctl" => "procps-ng",
        "mount" | "umount" => "util-linux",
        name => name,
    };
    package.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_calls_its_packages_otherwise() {
        for (id, like, release, names, wanted) in [
            (
                "debian",
                "",
                "12",
                "iptables ip6tables ipset",
                "install iptables, ipset",
            ),
            (
                "ubuntu",
                "debian",
                "24.04",
                "conntrack nft",
                "install conntrack, nftables",
            ),
            (
                "debian",
                "",
                "12",
                "sysctl mount umount",
                "install procps, mount",
            ),
            (
                "rocky",
                "rhel centos fedora",
                "9.4",
                "iptables",
                "dnf install iptables-nft",
            ),
            (
                "rhel",
                "fedora",
                "8.10",
                "iptables ip6tables",
                "dnf install iptables",
            ),
            (
                "almalinux",
                "rhel centos fedora",
                "10.1",
                "iptables ip6tables ipset",
                "dnf install iptables-nft ipset",
            ),
            (
                "centos",
                "rhel fedora",
                "9",
                "conntrack",
                "dnf install conntrack-tools",
            ),
            (
                "ol",
                "fedora",
                "9.4",
                "sysctl nft mount umount",
                "dnf install procps-ng nftables util-linux",
            ),
            ("", "", "", "nft", "install nftables"),
        ] {
            let system = System {
                id: id.to_owned(),
                like: like.to_owned(),
                release: release.to_owned(),
                ..System::default()
            };
            let names: Vec<_> = names.split(' ').map(str::to_owned).collect();
            assert_eq!(install(&system, &names), wanted, "{id} {release}");
        }
    }
}
