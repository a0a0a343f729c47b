//! Machines to boot, as a description lists them.

use std::net::{Ipv4Addr, Ipv6Addr};

use libtest_mimic::Failed;

use crate::host::six;
use crate::machine::Purpose;
use crate::moments::setting;

const BOTH: &str = "etcd, controlPlane";
const NODE: &str = "node";

/// Three masters.
pub const MASTERS: [Box; 3] = [
    Box::new("m1", 11, BOTH),
    Box::new("m2", 12, BOTH),
    Box::new("m3", 13, BOTH),
];
/// Hosts for Pods; a test takes as many of them as it needs.
pub const NODES: [Box; 3] = [
    Box::new("n1", 21, NODE),
    Box::new("n2", 22, NODE),
    Box::new("n3", 23, NODE),
];

/// A machine to boot.
#[derive(Clone, Copy, Debug)]
pub struct Box {
    /// Its name.
    pub name: &'static str,
    /// The last octet of its address.
    pub last: u8,
    /// Its roles, as a description lists them.
    pub roles: &'static str,
}

impl Box {
    /// A machine of that name, address and roles.
    #[must_use]
    pub const fn new(name: &'static str, last: u8, roles: &'static str) -> Self {
        Self { name, last, roles }
    }

    /// Its own address on the segment.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 79, 0, self.last)
    }

    /// The one of IPv6.
    #[must_use]
    pub fn six(&self) -> Ipv6Addr {
        six(self.address())
    }

    /// Whether Pods run there.
    #[must_use]
    pub fn is_node(&self) -> bool {
        self.roles.split(", ").any(|role| role == NODE)
    }

    /// What it is booted for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        match self.is_node() {
            true => Purpose::Containers,
            false => Purpose::Services,
        }
    }
}

/// Three masters and `nodes` hosts for Pods, unless `STERNPOST_NODES` says another number.
///
/// # Errors
/// When it says none, or more than there are.
pub fn with_nodes(nodes: u64) -> Result<Vec<Box>, Failed> {
    let count = usize::try_from(setting("STERNPOST_NODES", nodes)?)?;
    let taken = NODES.get(..count).filter(|taken| !taken.is_empty());
    let taken = taken.ok_or_else(|| {
        format!("STERNPOST_NODES={count}: there are 1 to {}", NODES.len())
    })?;
    Ok([MASTERS.as_slice(), taken].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_for_pods_is_known_by_its_role() {
        for (roles, node) in [
            (BOTH, false),
            (NODE, true),
            ("etcd, controlPlane, node", true),
            ("nodes", false),
        ] {
            assert_eq!(Box::new("a", 1, roles).is_node(), node, "{roles}");
        }
    }
}
