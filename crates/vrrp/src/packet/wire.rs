//! Bytes to [`Advert`] and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Addresses, Advert, Auth, Checksum, Envelope, PASSWORD_OCTETS, Password, Received,
};
use crate::{AdvertInterval, Family, Priority, Refusal, Version, Vrid};

/// Fields before the addresses.
const HEADER: usize = 8;
/// Octets of the checksum within them.
const CHECKSUM: std::ops::Range<usize> = 6..8;
/// Type 1, ADVERTISEMENT: the only one defined.
const ADVERTISEMENT: u8 = 1;
/// Max Advertise Interval has 12 bits, the other 4 are reserved and ignored on receipt.
const INTERVAL_MASK: u16 = 0x0fff;
const AUTH_NONE: u8 = 0;
const AUTH_SIMPLE: u8 = 1;

/// The VRRP message of `advert` as it goes into an IP datagram with this envelope.
/// `checksum` matters to VRRPv3 over IPv4 only.
pub fn emit(advert: &Advert, envelope: &Envelope, checksum: Checksum) -> Vec<u8> {
    let mut message = Vec::with_capacity(length(advert));
    message.push(advert.version.number() << 4 | ADVERTISEMENT);
    message.push(advert.vrid.get());
    message.push(advert.priority.get());
    message.push(advert.addresses.count());
    message.extend(timing(advert));
    message.extend([0; CHECKSUM.end - CHECKSUM.start]);
    for address in advert.addresses.iter() {
        match address {
            IpAddr::V4(address) => message.extend(address.octets()),
            IpAddr::V6(address) => message.extend(address.octets()),
        }
    }
    if advert.version == Version::V2 {
        message.extend(auth_data(advert.auth));
    }
    let possible = Checksum::possible(advert.version, envelope);
    let usual = possible.first().copied().unwrap_or(Checksum::Message);
    let checksum = if possible.contains(&checksum) {
        checksum
    } else {
        usual
    };
    let sum = checksum.over(&message, envelope).to_be_bytes();
    message.splice(CHECKSUM, sum);
    message
}

/// The advert in the payload of an IP datagram.
///
/// # Errors
/// [`Refusal`] for a message that is no advert of any router: cut short, of another
/// version or type, without VRID, addresses or interval, or with a bad checksum. Whether
/// it is meant for a given router is [`crate::acceptance`]'s question.
pub fn parse(payload: &[u8], envelope: &Envelope) -> Result<Received, Refusal> {
    let family = Family::of(envelope.source);
    if Family::of(envelope.destination) != family {
        return Err(Refusal::MixedFamilies);
    }
    let (header, rest) = payload
        .split_first_chunk::<HEADER>()
        .ok_or(Refusal::Truncated)?;
    let [first, vrid, priority, count, high, low, _, _] = *header;
    let version = version(first >> 4, family)?;
    if first & 0x0f != ADVERTISEMENT {
        return Err(Refusal::UnknownType(first & 0x0f));
    }
    let listed = usize::from(count) * family.octets();
    let (addresses, rest) = rest.split_at_checked(listed).ok_or(Refusal::Truncated)?;
    let (auth, rest) = match version {
        Version::V2 => auth(high, rest)?,
        Version::V3 => (Ok(Auth::None), rest),
    };
    let message = payload
        .get(..payload.len() - rest.len())
        .ok_or(Refusal::Truncated)?;
    let checksum = verify(version, message, envelope)?;
    let advert = Advert {
        version,
        vrid: Vrid::new(vrid).ok_or(Refusal::NoVrid)?,
        priority: Priority::new(priority),
        interval: interval(version, high, low)?,
        auth: auth?,
        addresses: read_addresses(addresses, family)?,
    };
    Ok(Received {
        advert,
        checksum,
        trailing: rest.len(),
    })
}

fn length(advert: &Advert) -> usize {
    let addresses = advert.addresses.len() * advert.addresses.family().octets();
    let auth = if advert.version == Version::V2 {
        PASSWORD_OCTETS
    } else {
        0
    };
    HEADER + addresses + auth
}

/// The two octets between the count and the checksum.
fn timing(advert: &Advert) -> [u8; 2] {
    let count = advert.interval.to_wire(advert.version);
    let [high, low] = count.to_be_bytes();
    match (advert.version, advert.auth) {
        (Version::V3, _) => [high, low],
        (Version::V2, Auth::None) => [AUTH_NONE, low],
        (Version::V2, Auth::Simple(_)) => [AUTH_SIMPLE, low],
    }
}

fn auth_data(auth: Auth) -> [u8; PASSWORD_OCTETS] {
    match auth {
        Auth::None => [0; PASSWORD_OCTETS],
        Auth::Simple(password) => password.to_wire(),
    }
}

fn version(number: u8, family: Family) -> Result<Version, Refusal> {
    match (Version::from_number(number), family) {
        (Some(Version::V2), Family::V6) | (None, _) => {
            Err(Refusal::UnknownVersion(number))
        }
        (Some(version), Family::V4 | Family::V6) => Ok(version),
    }
}

fn interval(version: Version, high: u8, low: u8) -> Result<AdvertInterval, Refusal> {
    let count = match version {
        Version::V2 => u16::from(low),
        Version::V3 => u16::from_be_bytes([high, low]) & INTERVAL_MASK,
    };
    AdvertInterval::from_wire(version, count).ok_or(Refusal::NoInterval)
}

/// The authentication, whose type is judged only after the checksum: a broken message
/// says nothing about its sender.
type AuthThenRest<'a> = (Result<Auth, Refusal>, &'a [u8]);

fn auth(kind: u8, rest: &[u8]) -> Result<AuthThenRest<'_>, Refusal> {
    let (data, rest) = rest
        .split_first_chunk::<PASSWORD_OCTETS>()
        .ok_or(Refusal::Truncated)?;
    let auth = match kind {
        AUTH_NONE => Ok(Auth::None),
        AUTH_SIMPLE => Ok(Auth::Simple(Password::from_wire(*data))),
        other => Err(Refusal::UnknownAuth(other)),
    };
    Ok((auth, rest))
}

fn verify(
    version: Version,
    message: &[u8],
    envelope: &Envelope,
) -> Result<Checksum, Refusal> {
    Checksum::possible(version, envelope)
        .iter()
        .find(|checksum| checksum.over(message, envelope) == 0)
        .copied()
        .ok_or(Refusal::Checksum)
}

fn read_addresses(octets: &[u8], family: Family) -> Result<Addresses, Refusal> {
    let addresses = match family {
        Family::V4 => octets.as_chunks().0.iter().map(v4).collect(),
        Family::V6 => octets.as_chunks().0.iter().map(v6).collect(),
    };
    Addresses::new(addresses).map_err(|_| Refusal::NoAddresses)
}

fn v4(octets: &[u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(*octets))
}

fn v6(octets: &[u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(*octets))
}
