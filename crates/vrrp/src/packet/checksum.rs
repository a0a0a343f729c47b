//! The Internet checksum of an advert, and the ways in which it is computed.

use std::net::IpAddr;

use super::Envelope;
use crate::{Dialect, Dialects, PROTOCOL, Version};

/// What a checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// The message only: VRRPv2, and VRRPv3 over IPv4 by RFC 9568 section 5.2.8.
    Message,
    /// The message behind a pseudo-header: VRRPv3 over IPv6, and keepalived's VRRPv3 over
    /// IPv4.
    PseudoHeader,
    /// As before, with the group in the pseudo-header of a unicast advert: keepalived up
    /// to 1.3.6 (its `old_unicast_checksum`). Understood, never sent by itself.
    PseudoHeaderOfGroup,
}

impl Checksum {
    /// camelCase name for counters and status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::PseudoHeader => "pseudoHeader",
            Self::PseudoHeaderOfGroup => "pseudoHeaderOfGroup",
        }
    }

    /// Every way that an advert of this version may have in this envelope, the usual one
    /// first.
    pub(super) fn possible(version: Version, envelope: &Envelope) -> &'static [Self] {
        match (version, envelope.source) {
            (Version::V2, _) => &[Self::Message],
            (Version::V3, IpAddr::V6(_)) => &[Self::PseudoHeader],
            (Version::V3, IpAddr::V4(_)) if envelope.is_multicast() => {
                &[Self::PseudoHeader, Self::Message]
            }
            (Version::V3, IpAddr::V4(_)) => {
                &[Self::PseudoHeader, Self::Message, Self::PseudoHeaderOfGroup]
            }
        }
    }

    /// The checksum of `message`, whose own field counts: over a message that has its
    /// checksum in place the result is 0.
    pub(super) fn over(self, message: &[u8], envelope: &Envelope) -> u16 {
        let mut sum = Sum::default();
        match self {
            Self::Message => {}
            Self::PseudoHeader => {
                sum.pseudo_header(envelope, envelope.destination, message.len());
            }
            Self::PseudoHeaderOfGroup => {
                let group = crate::Family::of(envelope.source).group();
                sum.pseudo_header(envelope, group, message.len());
            }
        }
        sum.octets(message);
        sum.finish()
    }
}

/// How VRRPv3 over IPv4 is sent; VRRPv2 and IPv6 have one way each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChecksumStyle {
    /// As the peers do, if all that were heard agree; else as the dialects say
    /// ([`Dialect::PseudoHeader`]).
    #[default]
    Auto,
    /// With the pseudo-header, as keepalived.
    Pseudo,
    /// Without, as RFC 9568 has it.
    Rfc9568,
}

impl ChecksumStyle {
    /// What to send. `heard`: how the peers compute theirs ([`super::Received::checksum`])
    /// when all of them agree, `None` when nobody was heard or they differ.
    pub fn choose(self, dialects: Dialects, heard: Option<Checksum>) -> Checksum {
        match (self, heard) {
            (Self::Auto, Some(heard)) => heard,
            (Self::Auto, None) if dialects.has(Dialect::PseudoHeader) => {
                Checksum::PseudoHeader
            }
            (Self::Pseudo, _) => Checksum::PseudoHeader,
            (Self::Auto, None) | (Self::Rfc9568, _) => Checksum::Message,
        }
    }
}

/// Ones' complement sum (RFC 1071).
#[derive(Default)]
struct Sum(u64);

impl Sum {
    /// Every message has an even number of octets, and so has every address.
    fn octets(&mut self, octets: &[u8]) {
        let words = octets.as_chunks::<2>().0.iter();
        self.0 += words
            .map(|word| u64::from(u16::from_be_bytes(*word)))
            .sum::<u64>();
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.octets(&address.octets()),
            IpAddr::V6(address) => self.octets(&address.octets()),
        }
    }

    /// The same sum for both families: IPv6 has wider fields, which only adds zeros.
    fn pseudo_header(&mut self, envelope: &Envelope, destination: IpAddr, length: usize) {
        self.address(envelope.source);
        self.address(destination);
        self.0 += u64::from(PROTOCOL) + u64::try_from(length).unwrap_or_default();
    }

    fn finish(mut self) -> u16 {
        while self.0 > u64::from(u16::MAX) {
            self.0 = (self.0 >> 16) + (self.0 & u64::from(u16::MAX));
        }
        !u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}
