//! A virtual address with what is said of its place on this host.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::Address;

/// A virtual address, and where and how it is put. Two are equal when putting one is putting
/// the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address and its prefix.
    pub address: Address,
    /// The interface it is put on; the router's when absent.
    pub device: Option<String>,
    /// The kernel's label, by which `ifconfig` shows it; IPv4 only.
    pub label: Option<String>,
    /// How far it is valid; IPv4 only, of an IPv6 address the kernel knows.
    pub scope: Scope,
    /// The broadcast address that goes with it; IPv4 only.
    pub broadcast: Option<Ipv4Addr>,
}

/// How far an address is valid: `scope` of ip-address(8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Everywhere.
    #[default]
    Global,
    /// Within this site, a notion of IPv6 that the kernel knows for IPv4, too.
    Site,
    /// On this link.
    Link,
    /// On this host.
    Host,
}

impl Scope {
    /// As configured.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Site => "site",
            Self::Link => "link",
            Self::Host => "host",
        }
    }
}

impl VirtualAddress {
    /// The address itself.
    pub fn ip(&self) -> IpAddr {
        self.address.ip
    }
}

impl From<Address> for VirtualAddress {
    /// On the router's interface, and nothing else said.
    fn from(address: Address) -> Self {
        Self {
            address,
            device: None,
            label: None,
            scope: Scope::Global,
            broadcast: None,
        }
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
