//! A network as it stands in a list: an address and how many of its bits count.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network (CIDR), or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    bits: u8,
}

/// Why a text is no network; printed after the text in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address, or not a length after the slash.
    #[error(
        "is not a network; write such as \"10.0.0.0/8\", \"2001:db8::/32\" or one address"
    )]
    Syntax,
    /// More bits than an address of this kind has.
    #[error("has more bits than the address; at most {0}")]
    Bits(u8),
    /// Bits of the address lie outside of the network.
    #[error("has address bits behind its length; write \"{0}\", or a longer length")]
    HostBits(Network),
}

impl Network {
    /// Whether it holds this address. An IPv4 address within IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.ip.is_ipv4() && masked(ip, self.bits) == self.ip
    }

    /// The network of this many bits around an address.
    #[must_use]
    pub fn around(ip: IpAddr, bits: u8) -> IpAddr {
        masked(ip.to_canonical(), bits)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (ip, bits) = match text.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| NetworkError::Syntax)?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &&str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) => Some(bits)
                .filter(digits)
                .and_then(|bits| bits.parse().ok())
                .ok_or(NetworkError::Syntax)?,
        };
        if bits > most {
            return Err(NetworkError::Bits(most));
        }
        let network = Self {
            ip: masked(ip, bits),
            bits,
        };
        if network.ip == ip {
            Ok(network)
        } else {
            Err(NetworkError::HostBits(network))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(four) => {
            let away = 32_u32.saturating_sub(u32::from(bits));
            let mask = u32::MAX.checked_shl(away).unwrap_or(0);
            IpAddr::V4((four.to_bits() & mask).into())
        }
        IpAddr::V6(six) => {
            let away = 128_u32.saturating_sub(u32::from(bits));
            let mask = u128::MAX.checked_shl(away).unwrap_or(0);
            IpAddr::V6((six.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_of_a_network() {
        for (network, ip, expected) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "9.255.255.255", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("10.0.0.0/8", "::a00:1", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.0/31", "192.0.2.1", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(ip.parse().unwrap()),
                expected,
                "{network} {ip}"
            );
        }
    }

    #[test]
    fn what_is_no_network() {
        use NetworkError::{Bits, HostBits, Syntax};
        let ten = "10.0.0.0/8".parse().unwrap();
        for (text, expected) in [
            ("", Syntax),
            ("10.0.0.0/", Syntax),
            ("10.0.0.0/+8", Syntax),
            ("10.0.0.0/8/8", Syntax),
            ("10.0.0/8", Syntax),
            ("m1", Syntax),
            ("10.0.0.0/33", Bits(32)),
            ("::/129", Bits(128)),
            ("10.1.0.0/8", HostBits(ten)),
        ] {
            assert_eq!(text.parse::<Network>(), Err(expected), "{text}");
        }
    }
}
