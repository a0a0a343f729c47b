//! A virtual address with its prefix length: `192.168.220.224/24`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits of the prefix: at most 32 for IPv4, 128 for IPv6.
    pub prefix: u8,
}

/// Why a text is not an [`Address`]; printed after the text in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an IP address.
    #[error("is not an address; write it like \"192.168.220.224/24\"")]
    Shape,
    /// The prefix is longer than the address, or no number.
    #[error("has a prefix that is not 1 to {0}")]
    Prefix(u8),
    /// Nobody can hold it.
    #[error("cannot be held by a host: multicast, broadcast, unspecified or loopback")]
    NotUnicast,
}

impl Address {
    /// Does `ip` lie in this address's network?
    pub fn covers(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(ours), IpAddr::V4(ip)) => {
                let host_bits = 32_u32.saturating_sub(self.prefix.into());
                let differ = u32::from(ours) ^ u32::from(ip);
                differ.checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(ip)) => {
                let host_bits = 128_u32.saturating_sub(self.prefix.into());
                let differ = u128::from(ours) ^ u128::from(ip);
                differ.checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| AddressError::Shape)?;
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(text) => text.parse().map_err(|_| AddressError::Prefix(longest))?,
        };
        if prefix == 0 || prefix > longest {
            return Err(AddressError::Prefix(longest));
        }
        let broadcast = IpAddr::from([255, 255, 255, 255]);
        if ip.is_multicast() || ip.is_unspecified() || ip.is_loopback() || ip == broadcast
        {
            return Err(AddressError::NotUnicast);
        }
        Ok(Self { ip, prefix })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_names_what_it_refuses() {
        for (text, result) in [
            ("10.0.0.1", Ok("10.0.0.1/32")),
            ("10.0.0.1/24", Ok("10.0.0.1/24")),
            ("fd00::1", Ok("fd00::1/128")),
            ("10.0.0.1/33", Err(AddressError::Prefix(32))),
            ("10.0.0.1/0", Err(AddressError::Prefix(32))),
            ("10.0.0.1/", Err(AddressError::Prefix(32))),
            ("fd00::1/129", Err(AddressError::Prefix(128))),
            ("10.0.0", Err(AddressError::Shape)),
            ("224.0.0.18", Err(AddressError::NotUnicast)),
            ("0.0.0.0", Err(AddressError::NotUnicast)),
            ("127.0.0.1", Err(AddressError::NotUnicast)),
        ] {
            let read = text.parse::<Address>().map(|address| address.to_string());
            assert_eq!(read, result.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn covers_its_network_and_no_more() {
        for (network, ip, covered) in [
            ("10.0.0.1/24", "10.0.0.255", true),
            ("10.0.0.1/24", "10.0.1.0", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("fd00::1/64", "fd00::ffff", true),
            ("fd00::1/64", "10.0.0.1", false),
        ] {
            let network: Address = network.parse().unwrap();
            assert_eq!(
                network.covers(ip.parse().unwrap()),
                covered,
                "{network} {ip}"
            );
        }
    }
}
