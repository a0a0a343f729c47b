//! A service network, for the address that the API server takes in it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A network of services, such as `10.96.0.0/12`. Its first address after the
/// network's own is that of the service `kubernetes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceNetwork {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no service network.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no network of services; write one such as 10.96.0.0/12")]
pub struct NetworkError(String);

impl ServiceNetwork {
    /// The address of the service `kubernetes`.
    #[must_use]
    pub fn api_address(&self) -> IpAddr {
        // A base has at least two host bits, all clear: adding one never overflows.
        match self.base {
            IpAddr::V4(base) => Ipv4Addr::from_bits(base.to_bits() | 1).into(),
            IpAddr::V6(base) => Ipv6Addr::from_bits(base.to_bits() | 1).into(),
        }
    }
}

impl FromStr for ServiceNetwork {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| NetworkError(text.to_owned()))
    }
}

impl fmt::Display for ServiceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// The address must be the network's own: `10.96.0.1/12` is more likely a mistake.
fn parse(text: &str) -> Option<ServiceNetwork> {
    let (base, prefix) = text.split_once('/')?;
    let base: IpAddr = base.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let host_bits = match base {
        IpAddr::V4(_) => 32_u8.checked_sub(prefix)?,
        IpAddr::V6(_) => 128_u8.checked_sub(prefix)?,
    };
    let clear = match base {
        IpAddr::V4(base) => base.to_bits().trailing_zeros() >= u32::from(host_bits),
        IpAddr::V6(base) => base.to_bits().trailing_zeros() >= u32::from(host_bits),
    };
    (host_bits >= 2 && clear).then_some(ServiceNetwork { base, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_kubernetes_takes_the_first_address() {
        for (network, address) in [
            ("10.96.0.0/12", "10.96.0.1"),
            ("10.254.0.0/16", "10.254.0.1"),
            ("192.0.2.4/30", "192.0.2.5"),
            ("fd00:10:96::/112", "fd00:10:96::1"),
        ] {
            let parsed: ServiceNetwork = network.parse().unwrap();
            assert_eq!(parsed.api_address().to_string(), address);
            assert_eq!(parsed.to_string(), network);
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "",
            "10.96.0.0",
            "10.96.0.1/12",
            "10.0.0.0/31",
            "10.0.0.0/33",
            "::/129",
        ] {
            assert_eq!(
                text.parse::<ServiceNetwork>(),
                Err(NetworkError(text.to_owned()))
            );
        }
    }
}
