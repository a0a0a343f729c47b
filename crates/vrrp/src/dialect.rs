//! keepalived's dialects: where it, and so this crate, leaves the RFCs.

use std::fmt;

/// One habit of keepalived that the RFCs do not have. Each is a switch in [`Dialects`];
/// what this crate does whatever the switches say is in the second list below.
///
/// Always on, because it cannot hurt a router that goes by the RFC:
/// * VRRPv2 has Simple Text Passwords ([`crate::packet::Auth`]), which RFC 3768 removed and
///   kubeadm's and most other keepalived configurations use;
/// * both checksums of VRRPv3 over IPv4 are accepted (see [`crate::packet::Checksum`]);
/// * octets behind the message (Ethernet padding) are ignored;
/// * skew and down interval are exact to the nanosecond, never rounded to centiseconds;
/// * addresses keep the order of the configuration on the wire, and are compared as a set;
/// * [`crate::State::Fault`] beside the RFC's Initialize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// VRRPv3 over IPv4 is sent with the pseudo-header in its checksum. RFC 5798 was read
    /// both ways, RFC 9568 section 5.2.8 settles for without; keepalived refuses that.
    PseudoHeader,
    /// Unicast adverts are accepted with any TTL or hop limit: keepalived 2.2.7 sends IPv6
    /// unicast with 64. The RFCs ask for 255 and know no unicast.
    AnyUnicastTtl,
    /// Other addresses in an advert are noted, not refused, as long as one of ours is among
    /// them (keepalived from 2.3.4 on, even without that; up to 2.3.2 it refuses, and both
    /// routers are Active for ever). Without any it is another group's.
    OtherAddresses,
    /// An Active that hears a lower priority advertises and announces at once in VRRPv2
    /// too. RFC 3768 discards; RFC 9568 section 6.4.3 has made the advert a must.
    AssertInV2,
}

impl Dialect {
    /// Every switch.
    pub const ALL: [Self; 4] = [
        Self::PseudoHeader,
        Self::AnyUnicastTtl,
        Self::OtherAddresses,
        Self::AssertInV2,
    ];

    /// camelCase name for configuration and status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PseudoHeader => "pseudoHeader",
            Self::AnyUnicastTtl => "anyUnicastTtl",
            Self::OtherAddresses => "otherAddresses",
            Self::AssertInV2 => "assertInV2",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of [`Dialect`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialects(u8);

impl Dialects {
    /// By the letter of the RFCs.
    pub const RFC: Self = Self(0);
    /// All of them: what a router in a group with keepalived needs. The default.
    pub const KEEPALIVED: Self = Self::RFC
        .with(Dialect::PseudoHeader)
        .with(Dialect::AnyUnicastTtl)
        .with(Dialect::OtherAddresses)
        .with(Dialect::AssertInV2);

    /// This set and one more.
    #[must_use]
    pub const fn with(self, dialect: Dialect) -> Self {
        Self(self.0 | dialect.bit())
    }

    /// This set less one.
    #[must_use]
    pub const fn without(self, dialect: Dialect) -> Self {
        Self(self.0 & !dialect.bit())
    }

    /// Is it spoken?
    pub const fn has(self, dialect: Dialect) -> bool {
        self.0 & dialect.bit() != 0
    }
}

impl Default for Dialects {
    fn default() -> Self {
        Self::KEEPALIVED
    }
}

impl fmt::Debug for Dialects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Dialect::ALL.into_iter().filter(|d| self.has(*d)))
            .finish()
    }
}
