//! Names and addresses in the one form in which they are compared, and which of them no
//! node can have.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest DNS name and node name (RFC 1123, `metadata.name`).
const NAME: usize = 253;
/// Longest label (RFC 1035, 2.3.4).
const LABEL: usize = 63;

/// Whether `name` can be a Node's: a DNS-1123 subdomain, in lower case.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    name.len() <= NAME && name.split('.').all(is_label)
}

/// Whether a kubelet calls its request so. The API server takes any text without a slash:
/// one with `?` in it would make a path of an act that ends at another object. Kubelets
/// write letters, digits, `-` and `_` (base64url), and dots.
#[must_use]
pub fn is_request_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= NAME && name.bytes().all(plain)
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !label.is_empty()
        && label.len() <= LABEL
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A DNS name in the form that is compared: lower case, without the root's dot. `None`
/// when it is not a host's name: a wildcard, an address in letters, a control character.
#[must_use]
pub fn dns_name(text: &str) -> Option<String> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let name = bare.to_ascii_lowercase();
    let host = is_node_name(&name) && name.parse::<IpAddr>().is_err();
    // A last label of digits is how URLs tell an address from a name.
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) && name.contains('.');
    (host && !numeric).then_some(name)
}

/// A network, written `10.96.0.0/16`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is not a [`Network`]; printed after the text in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address and a prefix.
    #[error("is not a network; write it like \"10.96.0.0/16\" or \"fd00:10:96::/112\"")]
    Shape,
    /// The prefix is no number or longer than the address.
    #[error("has a prefix that is not 0 to {0}")]
    Prefix(u8),
    /// Bits stand behind the prefix.
    #[error("has bits behind its prefix; write \"{0}\"")]
    Bits(Network),
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4()
            && masked(address, self.prefix) == masked(self.first, self.prefix)
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let first = address.to_canonical();
        let prefix = bits(first);
        Self { first, prefix }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let Some((address, prefix)) = text.split_once('/') else {
            let address: IpAddr = text.parse().map_err(|_| NetworkError::Shape)?;
            return Ok(Self::from(address));
        };
        let written: IpAddr = address.parse().map_err(|_| NetworkError::Shape)?;
        let longest = bits(written);
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= longest);
        let prefix = prefix.ok_or(NetworkError::Prefix(longest))?;
        let network = Self {
            first: from_bits(masked(written, prefix), written),
            prefix,
        };
        if network.first == written {
            Ok(network)
        } else {
            Err(NetworkError::Bits(network))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.first) {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.prefix)
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address without the bits behind the prefix, left-aligned in its own width.
fn masked(address: IpAddr, prefix: u8) -> u128 {
    let (value, width) = match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let behind = u32::from(u8::saturating_sub(width, prefix));
    let kept = value.checked_shr(behind).unwrap_or(0);
    kept.checked_shl(behind).unwrap_or(0)
}

fn from_bits(value: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => u32::try_from(value)
            .unwrap_or_default()
            .to_be_bytes()
            .into(),
        IpAddr::V6(_) => value.to_be_bytes().into(),
    }
}

/// What an address is when no node can have it, whatever it reports.
#[must_use]
pub(crate) fn never(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    let metadata = METADATA.iter().any(|text| text.parse() == Ok(address));
    if metadata {
        return Some("a cloud's metadata address");
    }
    if address.is_loopback() {
        return Some("a loopback address");
    }
    if address.is_unspecified() {
        return Some("the unspecified address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    match address {
        IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local address"),
        IpAddr::V4(v4) if v4.octets().first() == Some(&0) => Some("this network"),
        IpAddr::V4(v4) if v4.octets().first() >= Some(&240) => {
            Some("a reserved or broadcast address")
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Where clouds answer any process on a host with its credentials: AWS, GCP and Azure
/// (two), AWS over IPv6, Alibaba, Oracle, Azure's wire server.
const METADATA: [&str; 5] = [
    "169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names() {
        for (name, good) in [
            ("node-a", true),
            ("10.0.0.12", true),
            ("worker-1.example.org", true),
            ("", false),
            ("a..b", false),
            ("-a", false),
            ("a-", false),
            ("A", false),
            ("a_b", false),
            ("../../admin", false),
            ("new-1\0.evil", false),
            ("nоde", false),
        ] {
            assert_eq!(is_node_name(name), good, "{name:?}");
        }
        let long = |n: usize| ["a"; 127].join(".") + &"b".repeat(n);
        assert_eq!(long(0).len(), 253);
        assert!(is_node_name(&long(0)) && !is_node_name(&long(1)));
        assert!(is_node_name(&"a".repeat(63)) && !is_node_name(&"a".repeat(64)));
    }

    #[test]
    fn dns_names() {
        for (text, name) in [
            ("NODE-A", Some("node-a")),
            ("node-a.", Some("node-a")),
            ("node-a..", None),
            (".", None),
            ("", None),
            ("*.example.org", None),
            ("node-a\0.evil.example", None),
            ("10.0.0.12", None),
            ("10.0.0.999", None),
            ("1", Some("1")),
            ("fd00::1", None),
            ("a b", None),
        ] {
            assert_eq!(dns_name(text).as_deref(), name, "{text:?}");
        }
    }

    #[test]
    fn networks() {
        for (network, address, inside) in [
            ("10.96.0.0/16", "10.96.255.255", true),
            ("10.96.0.0/16", "10.97.0.0", false),
            ("10.96.0.0/16", "10.95.255.255", false),
            ("10.96.0.0/16", "::ffff:10.96.0.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "1.2.3.4", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("fd00::/64", "fd00::ffff", true),
            ("fd00::/64", "fd00:0:0:1::", false),
        ] {
            let network: Network = network.parse().unwrap();
            let address = address.parse().unwrap();
            assert_eq!(network.contains(address), inside, "{network} {address}");
        }
        for (text, problem) in [
            (
                "10.96.0.1/16",
                "has bits behind its prefix; write \"10.96.0.0/16\"",
            ),
            ("10.96.0.0/33", "has a prefix that is not 0 to 32"),
            ("fd00::/129", "has a prefix that is not 0 to 128"),
            (
                "node",
                "is not a network; write it like \"10.96.0.0/16\" or \"fd00:10:96::/112\"",
            ),
        ] {
            assert_eq!(text.parse::<Network>().unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn addresses_no_node_has() {
        for (address, never_had) in [
            ("127.0.0.1", true),
            ("127.255.255.255", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("::", true),
            ("169.254.0.1", true),
            ("169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("224.0.0.1", true),
            ("ff02::1", true),
            ("255.255.255.255", true),
            ("240.0.0.1", true),
            ("239.255.255.255", true),
            ("223.255.255.255", false),
            ("10.0.0.1", false),
            ("fd00::1", false),
            ("2001:db8::1", false),
        ] {
            let found = never(address.parse().unwrap());
            assert_eq!(found.is_some(), never_had, "{address}: {found:?}");
        }
    }
}
