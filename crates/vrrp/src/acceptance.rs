//! Is an advert meant for this router, and does it come from one of its group?

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::packet::{Addresses, Advert, Auth, Envelope};
use crate::{AdvertInterval, Dialect, Dialects, Refusal, TTL, Version, Vrid};

/// What this router is set to, and so what its peers must be.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Virtual Rtr ID.
    pub vrid: Vrid,
    /// Version.
    pub version: Version,
    /// Our interval: VRRPv2 refuses another, VRRPv3 adopts it.
    pub interval: AdvertInterval,
    /// Our authentication; [`Auth::None`] for VRRPv3.
    pub auth: Auth,
    /// Our addresses.
    pub addresses: Addresses,
    /// Those that we hold with them and do not advertise.
    pub excluded: Vec<IpAddr>,
    /// Address that our own adverts come from.
    pub source: IpAddr,
    /// We hold them with the hardware address that is made of the VRID (RFC 9568 section 7.3):
    /// whoever else has that VRID has the same one.
    pub virtual_mac: bool,
    /// How adverts travel.
    pub path: Path,
    /// Where keepalived's habits are spoken.
    pub dialects: Dialects,
}

impl Expected {
    /// Is it one that we hold, advertised or not?
    pub fn holds(&self, ip: &IpAddr) -> bool {
        self.addresses.contains(ip) || self.excluded.contains(ip)
    }

    /// Can the sender be who it says? Whoever is routed to us can say that it has our
    /// addresses; TTL 255 and a link-local source of IPv6 are proof that no router was
    /// between (RFC 9568 section 5.1.1.3, RFC 4291 section 2.5.6), and a peer was named by us.
    pub fn trusts(&self, envelope: &Envelope) -> bool {
        is_near(envelope) || self.lists(envelope.source)
    }

    fn lists(&self, source: IpAddr) -> bool {
        match &self.path {
            Path::Multicast => false,
            Path::Unicast { senders, .. } => match senders {
                Senders::Near(peers) | Senders::Only(peers) => peers.contains(&source),
            },
        }
    }
}

fn is_near(envelope: &Envelope) -> bool {
    let link_local = match envelope.source {
        // No router is to forward one (RFC 3927 section 7), and some do.
        IpAddr::V4(_) => false,
        IpAddr::V6(source) => source.is_unicast_link_local(),
    };
    envelope.ttl == TTL || link_local
}

/// How adverts travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// To the group of the family, with TTL 255.
    Multicast,
    /// To each peer.
    Unicast {
        /// Who may send to us.
        senders: Senders,
        /// TTLs accepted; keepalived's `min_ttl` and `max_ttl`. `None`: 255, or any with
        /// [`Dialect::AnyUnicastTtl`].
        ttl: Option<RangeInclusive<u8>>,
    },
}

/// Who may send unicast adverts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Senders {
    /// These, and whoever else is so near that its adverts have crossed no router: lists of
    /// peers differ while a group grows, and whoever is sent to and does not listen stays
    /// Active beside the sender. keepalived without `check_unicast_src` asks for no distance.
    Near(Vec<IpAddr>),
    /// These only.
    Only(Vec<IpAddr>),
}

/// What is odd about an advert that is accepted all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// It is none of the configured peers, so that nothing is sent to it.
    #[error("the sender is not a configured peer")]
    UnlistedSender,
    /// The peer has another set of addresses, some of ours among them: after a move others
    /// would be nowhere.
    #[error("peer has other addresses")]
    OtherAddresses,
    /// The peer has another interval (VRRPv3), which a Backup adopts.
    #[error("peer advertises every {0}")]
    OtherInterval(AdvertInterval),
}

/// Judges one advert. The order is: not for us, our own, then whatever shows a peer that
/// is configured otherwise.
///
/// # Errors
/// The first [`Refusal`] that applies.
pub fn judge(
    advert: &Advert,
    envelope: &Envelope,
    expected: &Expected,
) -> Result<Vec<Notice>, Refusal> {
    if advert.vrid != expected.vrid {
        return Err(Refusal::OtherVrid(advert.vrid.get()));
    }
    if envelope.source == expected.source {
        return Err(Refusal::OwnSource);
    }
    let mut notices = Vec::new();
    notices.extend(travelled(advert, envelope, expected)?);
    if advert.version != expected.version {
        return Err(Refusal::OtherVersion(advert.version));
    }
    authenticated(advert.auth, expected.auth)?;
    notices.extend(addresses(advert, expected)?);
    notices.extend(interval(advert, expected)?);
    Ok(notices)
}

fn travelled(
    advert: &Advert,
    envelope: &Envelope,
    expected: &Expected,
) -> Result<Option<Notice>, Refusal> {
    match (&expected.path, envelope.is_multicast()) {
        (Path::Multicast, false) => Err(Refusal::Unicast),
        (Path::Unicast { .. }, true) if shares(advert, expected) => {
            Err(Refusal::Multicast)
        }
        (Path::Unicast { .. }, true) if expected.virtual_mac => Err(Refusal::OtherGroup),
        (Path::Unicast { .. }, true) => Err(Refusal::Neighbour),
        (Path::Multicast, true) => within(envelope.ttl, &(TTL..=TTL)).map(|()| None),
        (Path::Unicast { senders, ttl }, false) => {
            let odd = sender(envelope, senders)?;
            let any = expected.dialects.has(Dialect::AnyUnicastTtl);
            let default = if any { 0..=TTL } else { TTL..=TTL };
            within(envelope.ttl, ttl.as_ref().unwrap_or(&default))?;
            Ok(odd)
        }
    }
}

fn within(ttl: u8, allowed: &RangeInclusive<u8>) -> Result<(), Refusal> {
    if allowed.contains(&ttl) {
        Ok(())
    } else {
        Err(Refusal::Ttl(ttl))
    }
}

fn sender(from: &Envelope, senders: &Senders) -> Result<Option<Notice>, Refusal> {
    match senders {
        Senders::Near(peers) | Senders::Only(peers) if peers.contains(&from.source) => {
            Ok(None)
        }
        Senders::Near(_) if is_near(from) => Ok(Some(Notice::UnlistedSender)),
        Senders::Near(_) | Senders::Only(_) => Err(Refusal::UnknownPeer(from.source)),
    }
}

fn authenticated(theirs: Auth, ours: Auth) -> Result<(), Refusal> {
    match (theirs, ours) {
        (Auth::None, Auth::None) => Ok(()),
        (Auth::Simple(theirs), Auth::Simple(ours)) if theirs == ours => Ok(()),
        (Auth::Simple(_), Auth::Simple(_)) => Err(Refusal::Password),
        (Auth::None, Auth::Simple(_)) | (Auth::Simple(_), Auth::None) => {
            Err(Refusal::AuthType)
        }
    }
}

fn addresses(advert: &Advert, expected: &Expected) -> Result<Option<Notice>, Refusal> {
    if advert.addresses.family() != expected.addresses.family() {
        return Err(Refusal::Addresses);
    }
    if advert.addresses.same_set(&expected.addresses) {
        return Ok(None);
    }
    // Who shares none of them is no peer of ours: to follow it would leave ours nowhere.
    if !shares(advert, expected) {
        return Err(Refusal::OtherGroup);
    }
    if expected.dialects.has(Dialect::OtherAddresses) {
        return Ok(Some(Notice::OtherAddresses));
    }
    Err(Refusal::Addresses)
}

fn shares(advert: &Advert, expected: &Expected) -> bool {
    advert.addresses.iter().any(|ip| expected.holds(ip))
}

fn interval(advert: &Advert, expected: &Expected) -> Result<Option<Notice>, Refusal> {
    if advert.interval == expected.interval {
        return Ok(None);
    }
    match expected.version {
        Version::V2 => Err(Refusal::Interval(advert.interval)),
        Version::V3 => Ok(Some(Notice::OtherInterval(advert.interval))),
    }
}
