//! The IPv6 header in front of what a packet socket reads (RFC 8200 section 3). A raw socket
//! delivers the payload only.

use std::net::{IpAddr, Ipv6Addr};

use super::Envelope;
use crate::{PROTOCOL, Refusal};

/// Of every header; adverts have no others behind it.
const HEADER: usize = 40;

/// Takes the header off: what it says, and the payload. Octets behind the payload (Ethernet
/// padding) are cut off.
///
/// # Errors
/// [`Refusal`] for a packet that is cut short, is no IPv6 or carries another protocol.
pub fn strip(packet: &[u8]) -> Result<(Envelope, &[u8]), Refusal> {
    let (header, rest) = packet
        .split_first_chunk::<HEADER>()
        .ok_or(Refusal::IpTruncated)?;
    let [first, _, _, _, l1, l2, protocol, ttl, addresses @ ..] = *header;
    if first >> 4 != 6 {
        return Err(Refusal::IpHeader);
    }
    if protocol != PROTOCOL {
        return Err(Refusal::IpProtocol(protocol));
    }
    let length = usize::from(u16::from_be_bytes([l1, l2]));
    let payload = rest.get(..length).ok_or(Refusal::IpTruncated)?;
    let (source, destination) = halves(addresses);
    let envelope = Envelope {
        source: IpAddr::V6(source),
        destination: IpAddr::V6(destination),
        ttl,
    };
    Ok((envelope, payload))
}

fn halves(octets: [u8; 32]) -> (Ipv6Addr, Ipv6Addr) {
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source
        .iter_mut()
        .zip(&octets)
        .for_each(|(to, from)| *to = *from);
    let rest = octets.iter().skip(source.len());
    destination
        .iter_mut()
        .zip(rest)
        .for_each(|(to, from)| *to = *from);
    (Ipv6Addr::from(source), Ipv6Addr::from(destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let source: Ipv6Addr = "fe80::11".parse().unwrap();
        let destination: Ipv6Addr = "ff02::12".parse().unwrap();
        let head = [0x6c, 0, 0, 0, 0, 3, PROTOCOL, 255];
        let payload = [1, 2, 3];
        [&head[..], &source.octets(), &destination.octets(), &payload].concat()
    }

    #[test]
    fn the_header_is_taken_off_and_padding_is_cut() {
        let padded = [packet(), vec![0; 6]].concat();
        for packet in [packet(), padded] {
            let (envelope, payload) = strip(&packet).unwrap();
            assert_eq!(payload, [1, 2, 3]);
            assert_eq!(envelope.source, "fe80::11".parse::<IpAddr>().unwrap());
            assert_eq!(envelope.destination, "ff02::12".parse::<IpAddr>().unwrap());
            assert_eq!(envelope.ttl, 255);
        }
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused() {
        let packet = packet();
        for length in 0..packet.len() {
            assert_eq!(
                strip(&packet[..length]),
                Err(Refusal::IpTruncated),
                "{length}"
            );
        }
        for (octet, value, refusal) in [
            (0, 0x45, Refusal::IpHeader),
            (6, 17, Refusal::IpProtocol(17)),
            (5, 4, Refusal::IpTruncated),
        ] {
            let mut bent = packet.clone();
            bent[octet] = value;
            assert_eq!(strip(&bent), Err(refusal), "{octet}");
        }
    }
}
