//! Every way in which a received datagram is turned away.

use std::net::IpAddr;

use crate::{AdvertInterval, Version};

/// Why a datagram did not reach the state machine. One enum for the IP header, the
/// message and the question whether it is meant for this router: it feeds the counter
/// (by [`Refusal::name`]), the log line (by `Display`) and the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The datagram ends inside its IP header, or before its total length.
    #[error("IP datagram is cut short")]
    IpTruncated,
    /// Not IPv4, a header length below 20 octets, or a total length below the header's.
    #[error("IP header makes no sense")]
    IpHeader,
    /// Another protocol than 112.
    #[error("IP protocol {0} is not VRRP")]
    IpProtocol(u8),
    /// A fragment; adverts are never that long.
    #[error("IP fragment")]
    IpFragment,
    /// The message ends before its fields and addresses do.
    #[error("advert is cut short")]
    Truncated,
    /// Neither VRRPv2 nor VRRPv3, or VRRPv2 over IPv6.
    #[error("VRRP version {0}")]
    UnknownVersion(u8),
    /// Another type than 1 (ADVERTISEMENT), the only one there is.
    #[error("VRRP type {0}")]
    UnknownType(u8),
    /// VRID 0.
    #[error("VRID 0")]
    NoVrid,
    /// An advert without addresses.
    #[error("advert without addresses")]
    NoAddresses,
    /// An advertisement interval of 0.
    #[error("advertisement interval 0")]
    NoInterval,
    /// The checksum fits none of the ways in which it is computed.
    #[error("bad checksum")]
    Checksum,
    /// VRRPv2 authentication of a type that is not None or Simple Text Password.
    #[error("authentication type {0}")]
    UnknownAuth(u8),
    /// Source and destination of two families.
    #[error("source and destination of different families")]
    MixedFamilies,
    /// An advert of another virtual router.
    #[error("VRID {0} is not ours")]
    OtherVrid(u8),
    /// The sender has this router's own source address: its echo, or a duplicate address.
    #[error("sent from our own address")]
    OwnSource,
    /// The other version of the protocol with our VRID.
    #[error("peer speaks {0}")]
    OtherVersion(Version),
    /// A multicast advert that has crossed a router (RFC 9568 section 5.1.1.3), or a
    /// unicast one outside of the configured range.
    #[error("TTL or hop limit {0}")]
    Ttl(u8),
    /// Multicast where unicast is configured.
    #[error("multicast advert, unicast is configured")]
    Multicast,
    /// Multicast of a group that has our VRID and none of our addresses, where unicast is
    /// configured: neither is in the other's way.
    #[error("multicast of another group with our VRID")]
    Neighbour,
    /// Unicast where multicast is configured.
    #[error("unicast advert, multicast is configured")]
    Unicast,
    /// A unicast sender that is not among the peers.
    #[error("{0} is not a configured peer")]
    UnknownPeer(IpAddr),
    /// One side has a password, the other has none.
    #[error("peer authenticates in another way")]
    AuthType,
    /// Another password.
    #[error("peer has another password")]
    Password,
    /// A VRRPv2 interval that is not ours (RFC 3768 section 7.1: both go Active).
    #[error("peer advertises every {0}")]
    Interval(AdvertInterval),
    /// Addresses of the other family, or another set of them where that is refused.
    #[error("peer has other addresses")]
    Addresses,
    /// None of its addresses is ours: another group that was given our VRID. Both work
    /// beside each other, until a virtual hardware address or a peer confuses them.
    #[error("another group has our VRID; give one of the two another")]
    OtherGroup,
}

impl Refusal {
    /// Stable label for counters, camelCase as in `/status`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::IpTruncated => "ipTruncated",
            Self::IpHeader => "ipHeader",
            Self::IpProtocol(_) => "ipProtocol",
            Self::IpFragment => "ipFragment",
            Self::Truncated => "truncated",
            Self::UnknownVersion(_) => "unknownVersion",
            Self::UnknownType(_) => "unknownType",
            Self::NoVrid => "noVrid",
            Self::NoAddresses => "noAddresses",
            Self::NoInterval => "noInterval",
            Self::Checksum => "checksum",
            Self::UnknownAuth(_) => "unknownAuth",
            Self::MixedFamilies => "mixedFamilies",
            Self::OtherVrid(_) => "otherVrid",
            Self::OwnSource => "ownSource",
            Self::OtherVersion(_) => "otherVersion",
            Self::Ttl(_) => "ttl",
            Self::Multicast => "multicast",
            Self::Neighbour => "neighbour",
            Self::Unicast => "unicast",
            Self::UnknownPeer(_) => "unknownPeer",
            Self::AuthType => "authType",
            Self::Password => "password",
            Self::Interval(_) => "interval",
            Self::Addresses => "addresses",
            Self::OtherGroup => "otherGroup",
        }
    }

    /// Does this refusal show a router of our group that is configured otherwise, so
    /// that both may become Active? Then it deserves an alarm and not only a counter.
    pub const fn is_misconfiguration(&self) -> bool {
        match self {
            Self::OtherVersion(_)
            | Self::Multicast
            | Self::Unicast
            | Self::UnknownPeer(_)
            | Self::AuthType
            | Self::Password
            | Self::Interval(_)
            | Self::Addresses
            | Self::OtherGroup
            | Self::OwnSource => true,
            Self::IpTruncated
            | Self::IpHeader
            | Self::IpProtocol(_)
            | Self::IpFragment
            | Self::Truncated
            | Self::UnknownVersion(_)
            | Self::UnknownType(_)
            | Self::NoVrid
            | Self::NoAddresses
            | Self::NoInterval
            | Self::Checksum
            | Self::UnknownAuth(_)
            | Self::MixedFamilies
            | Self::OtherVrid(_)
            | Self::Neighbour
            | Self::Ttl(_) => false,
        }
    }
}
