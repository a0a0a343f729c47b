//! What the daemon tells its guard, as datagrams of a socket that nobody else can reach.
//!
//! ```text
//!  0        1        2        3        4                 8                 12        28
//! ┌────────┬────────┬────────┬────────┬─────────────────┬─────────────────┬─────────┐
//! │ kind   │ family │ prefix │ mark   │ interface       │ grace, ms       │ address │
//! └────────┴────────┴────────┴────────┴─────────────────┴─────────────────┴─────────┘
//! ```
//!
//! Numbers in network order; family 4 or 6; an IPv4 address fills the last four octets. Mark
//! 0 is none: the address is known by its lifetime.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::{Held, Proof};
use crate::config::Address;

/// Octets of every message.
pub(super) const LENGTH: usize = 28;

const HOLD: u8 = 1;
const LEFT: u8 = 2;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// The address was put there or renewed; to be removed unless this is said again
    /// within a lifetime.
    Hold {
        held: Held,
        /// How long it stays when the daemon is gone; whole milliseconds.
        grace: Duration,
        /// How it is known when it is to be removed.
        proof: Proof,
    },
    /// The daemon has removed it.
    Left(Held),
}

impl Message {
    /// As it travels.
    pub(super) fn emit(&self) -> [u8; LENGTH] {
        let (kind, held, grace, proof) = match self {
            Self::Hold { held, grace, proof } => (HOLD, held, *grace, *proof),
            Self::Left(held) => (LEFT, held, Duration::ZERO, Proof::Lifetime),
        };
        let mark = match proof {
            Proof::Mark(mark) => mark,
            Proof::Lifetime => 0,
        };
        let (family, octets) = match held.address.ip {
            IpAddr::V4(ip) => (4, ip.to_ipv6_compatible().octets()),
            IpAddr::V6(ip) => (6, ip.octets()),
        };
        let grace = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        let mut bytes = [0; LENGTH];
        let parts = [kind, family, held.address.prefix, mark]
            .into_iter()
            .chain(held.interface.to_be_bytes())
            .chain(grace.to_be_bytes())
            .chain(octets);
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// `None` for what this version does not know.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let (interface, rest) = rest.split_first_chunk::<4>()?;
        let (grace, rest) = rest.split_first_chunk::<4>()?;
        let octets: [u8; 16] = rest.try_into().ok()?;
        let [kind, family, prefix, mark] = *head;
        let (ip, longest) = match family {
            4 => (IpAddr::V4(last_four(octets)), 32),
            6 => (IpAddr::V6(Ipv6Addr::from(octets)), 128),
            _ => return None,
        };
        let held = Held {
            interface: u32::from_be_bytes(*interface),
            address: Address { ip, prefix },
        };
        if prefix > longest {
            return None;
        }
        match kind {
            HOLD => Some(Self::Hold {
                held,
                grace: Duration::from_millis(u32::from_be_bytes(*grace).into()),
                proof: match mark {
                    0 => Proof::Lifetime,
                    mark => Proof::Mark(mark),
                },
            }),
            LEFT => Some(Self::Left(held)),
            _ => None,
        }
    }
}

fn last_four(octets: [u8; 16]) -> Ipv4Addr {
    let [.., a, b, c, d] = octets;
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(address: &str) -> Held {
        Held {
            interface: 0x0102_0304,
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn parse_is_the_inverse_of_emit() {
        for address in ["10.55.0.100/24", "fd55::100/64", "fe80::5:100/128"] {
            let grace = Duration::from_millis(300);
            let held = held(address);
            let hold = |proof| Message::Hold { held, grace, proof };
            for message in [
                hold(Proof::Mark(86)),
                hold(Proof::Lifetime),
                Message::Left(held),
            ] {
                assert_eq!(Message::parse(&message.emit()), Some(message));
            }
        }
    }

    #[test]
    fn what_is_unknown_is_nothing() {
        let good = Message::Left(held("10.55.0.100/32")).emit();
        assert_eq!(Message::parse(&good[..27]), None, "cut");
        assert_eq!(Message::parse(&[&good[..], &[0]].concat()), None, "longer");
        for (position, value) in [(0, 0), (0, 3), (1, 5), (2, 33)] {
            let mut bad = good;
            bad[position] = value;
            assert_eq!(Message::parse(&bad), None, "{position}: {value}");
        }
    }
}
