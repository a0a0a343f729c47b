//! The IPv4 header in front of what a raw socket reads (RFC 791 section 3.1). IPv6 raw
//! sockets deliver the payload only.

use std::net::{IpAddr, Ipv4Addr};

use super::Envelope;
use crate::{PROTOCOL, Refusal};

/// A header without options.
const HEADER: usize = 20;
/// More Fragments and Fragment Offset; Don't Fragment and the reserved bit aside.
const FRAGMENT: u16 = 0x3fff;

/// Takes the header off: what it says, and the payload. Options (IHL above 5) are
/// skipped, octets behind the total length (Ethernet padding) cut off. The header's own
/// checksum is the kernel's business.
///
/// # Errors
/// [`Refusal`] for a datagram that is cut short, is no IPv4, carries another protocol or
/// is a fragment.
pub fn strip(datagram: &[u8]) -> Result<(Envelope, &[u8]), Refusal> {
    let (header, _) = datagram
        .split_first_chunk::<HEADER>()
        .ok_or(Refusal::IpTruncated)?;
    let [
        first,
        _tos,
        l1,
        l2,
        _,
        _,
        f1,
        f2,
        ttl,
        protocol,
        _,
        _,
        rest @ ..,
    ] = *header;
    let [s1, s2, s3, s4, d1, d2, d3, d4] = rest;
    let header_length = usize::from(first & 0x0f) * 4;
    let total_length = usize::from(u16::from_be_bytes([l1, l2]));
    if first >> 4 != 4 || header_length < HEADER || total_length < header_length {
        return Err(Refusal::IpHeader);
    }
    let payload = datagram
        .get(header_length..total_length)
        .ok_or(Refusal::IpTruncated)?;
    if protocol != PROTOCOL {
        return Err(Refusal::IpProtocol(protocol));
    }
    if u16::from_be_bytes([f1, f2]) & FRAGMENT != 0 {
        return Err(Refusal::IpFragment);
    }
    let envelope = Envelope {
        source: IpAddr::V4(Ipv4Addr::new(s1, s2, s3, s4)),
        destination: IpAddr::V4(Ipv4Addr::new(d1, d2, d3, d4)),
        ttl,
    };
    Ok((envelope, payload))
}
