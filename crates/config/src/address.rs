//! Addresses with a port: `10.0.0.1:6443`, `[::1]:6443`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The port the hints name: that of the API server.
const EXAMPLE_PORT: u16 = 6443;

/// An IP address and a port. Names are refused: resolving them would make the
/// daemons depend on what they keep alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub SocketAddr);

/// Why a text is not an [`Address`]; printed after the text in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressError {
    /// An IP address alone, kept for the hint.
    NoPort(IpAddr),
    /// IPv6 with a port and without brackets could be read in two ways.
    Brackets(Ipv6Addr, u16),
    /// What stands for the port is not one.
    Port(String),
    /// A host name.
    Name,
    /// Anything else.
    Shape,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPort(ip) => {
                let whole = SocketAddr::new(*ip, EXAMPLE_PORT);
                write!(f, "has no port; write \"{whole}\"")
            }
            Self::Brackets(ip, port) => {
                write!(
                    f,
                    "needs brackets around the address; write \"[{ip}]:{port}\""
                )
            }
            Self::Port(port) => {
                write!(f, "has the port \"{port}\"; allowed: 1 to 65535")
            }
            Self::Name => {
                write!(
                    f,
                    "has a name where an IP address must stand; write \"10.0.0.1:{EXAMPLE_PORT}\""
                )
            }
            Self::Shape => {
                write!(
                    f,
                    "is not an address with a port; write \"10.0.0.1:{EXAMPLE_PORT}\" or \"[::1]:{EXAMPLE_PORT}\""
                )
            }
        }
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(AddressError::Port("0".to_owned()))
            } else {
                Ok(Self(address))
            };
        }
        Err(why_not(text))
    }
}

fn why_not(text: &str) -> AddressError {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return AddressError::NoPort(ip);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return AddressError::Shape;
    };
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    match (inner.parse::<IpAddr>(), port.parse::<u16>()) {
        (Ok(IpAddr::V6(ip)), Ok(port)) => AddressError::Brackets(ip, port),
        (Ok(_), _) => AddressError::Port(port.to_owned()),
        (Err(_), Ok(_))
            if host.contains(|c: char| c.is_ascii_alphabetic())
                && !host.contains(':') =>
        {
            AddressError::Name
        }
        (Err(_), _) => AddressError::Shape,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Address> for SocketAddr {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        for text in [
            "10.0.0.1:6443",
            "[::1]:6443",
            "[fe80::1%3]:1",
            "0.0.0.0:65535",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_with_the_way_out() {
        for (text, problem) in [
            ("10.0.0.13", "has no port; write \"10.0.0.13:6443\""),
            ("::1", "has no port; write \"[::1]:6443\""),
            ("[::1]", "has no port; write \"[::1]:6443\""),
            (
                "fe80::1:2:3:4:5:6:6443",
                "needs brackets around the address; write \"[fe80:0:1:2:3:4:5:6]:6443\"",
            ),
            ("10.0.0.1:0", "has the port \"0\"; allowed: 1 to 65535"),
            (
                "10.0.0.1:65536",
                "has the port \"65536\"; allowed: 1 to 65535",
            ),
            (
                "10.0.0.1:https",
                "has the port \"https\"; allowed: 1 to 65535",
            ),
            (
                "m1.example:6443",
                "has a name where an IP address must stand; write \"10.0.0.1:6443\"",
            ),
            (
                "",
                "is not an address with a port; write \"10.0.0.1:6443\" or \"[::1]:6443\"",
            ),
            (
                "10.0.0.256:1",
                "is not an address with a port; write \"10.0.0.1:6443\" or \"[::1]:6443\"",
            ),
        ] {
            assert_eq!(
                text.parse::<Address>().unwrap_err().to_string(),
                problem,
                "{text}"
            );
        }
    }
}
