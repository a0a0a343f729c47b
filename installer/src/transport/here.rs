//! Whether a host of a description is the very machine that this program runs on: then it is
//! worked on by an agent that is a child, and not reached over SSH.

use std::net::IpAddr;
use std::path::Path;

use crate::facts::interfaces;
use crate::spec::Host;

/// Where a machine's own name stands (proc_sys_kernel(5)).
const NAME: &str = "/proc/sys/kernel/hostname";
/// There where systemd is process 1 (sd_booted(3)): a container that shares its host's network has
/// the address too, and is not the host.
const BOOTED: &str = "/run/systemd/system";

/// This machine, as far as that tells whether it is a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    name: String,
    addresses: Vec<IpAddr>,
    booted: bool,
    root: bool,
}

impl Here {
    /// Looks at this machine. What cannot be looked at is not there: then hosts are reached
    /// over SSH.
    #[must_use]
    pub fn look() -> Self {
        let interfaces = interfaces().unwrap_or_default().into_iter();
        let name = std::fs::read_to_string(NAME).unwrap_or_default();
        Self {
            name: name.trim().to_owned(),
            addresses: interfaces.flat_map(|one| one.addresses).collect(),
            booted: Path::new(BOOTED).is_dir(),
            root: is_root(),
        }
    }

    /// Whether it is that host, and its agent would be root. The address alone does not say so:
    /// the networks of two sites may have the same.
    #[must_use]
    pub fn is(&self, host: &Host) -> bool {
        self.root && self.booted && self.has(host) && self.is_called(&host.name)
    }

    /// What to do when this machine has a host's address and does not reach it over SSH.
    #[must_use]
    pub fn way_out(&self, host: &Host) -> Option<String> {
        let (name, address) = (&host.name, host.address());
        self.has(host).then(|| match self.root {
            true => format!(
                "this machine has {address} itself: when it is {name}, write --local {name}"
            ),
            false => format!(
                "this machine has {address} itself: when it is {name}, root on it needs no ssh"
            ),
        })
    }

    fn has(&self, host: &Host) -> bool {
        self.addresses.contains(&host.address())
    }

    /// A machine may call itself by its whole name.
    fn is_called(&self, name: &str) -> bool {
        let rest = self.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Whether this program may do all that an agent does.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    fn here(name: &str, address: &str) -> Here {
        Here {
            name: name.to_owned(),
            addresses: vec![[127, 0, 0, 1].into(), address.parse().unwrap()],
            booted: true,
            root: true,
        }
    }

    fn host() -> Host {
        let text = "apiVersion: sternpost/v1\nkind: Cluster\nname: a\n\
                    kubernetes: {version: 1.36.3}\nbalancer: {mode: none}\nhosts:\n\
                    - {name: m1, addresses: [\"192.0.2.1\", \"2001:db8::1\"], \
                    roles: [etcd, controlPlane]}\n";
        let mut cluster = spec::parse("cluster.yaml", text).unwrap().cluster;
        cluster.hosts.remove(0)
    }

    #[test]
    fn a_machine_is_a_host_by_its_name_and_its_address_and_for_root() {
        let host = host();
        for (name, address, wanted) in [
            ("m1", "192.0.2.1", true),
            ("m1.example.com", "192.0.2.1", true),
            ("m10", "192.0.2.1", false),
            ("laptop", "192.0.2.1", false),
            ("", "192.0.2.1", false),
            ("m1", "192.0.2.10", false),
            // What etcd listens on is the first.
            ("m1", "2001:db8::1", false),
        ] {
            assert_eq!(here(name, address).is(&host), wanted, "{name} {address}");
        }
        let own = here("m1", "192.0.2.1");
        let user = Here {
            root: false,
            ..own.clone()
        };
        let container = Here {
            booted: false,
            ..own
        };
        assert!(!user.is(&host) && !container.is(&host));
    }

    #[test]
    fn whoever_has_the_address_is_told_what_to_do() {
        let host = host();
        let other = here("laptop", "192.0.2.1");
        let told = other.way_out(&host).unwrap();
        assert!(told.ends_with("write --local m1"), "{told}");
        let user = Here {
            root: false,
            ..other
        };
        let told = user.way_out(&host).unwrap();
        assert!(told.ends_with("root on it needs no ssh"), "{told}");
        assert_eq!(here("m1", "192.0.2.10").way_out(&host), None);
    }

    #[test]
    fn this_machine_is_looked_at() {
        let here = Here::look();
        assert!(!here.name.is_empty() && !here.name.contains('\n'));
        assert_eq!(here.booted, Path::new(BOOTED).is_dir());
    }
}
