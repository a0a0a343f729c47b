//! Reads captures: classic pcap, little-endian, Ethernet. Enough for `tests/vectors`.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use vrrp::packet::{Envelope, ipv4};
use vrrp::{PROTOCOL, Refusal};

const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;

/// What one frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A VRRP message and what its IP header says.
    Vrrp {
        envelope: Envelope,
        message: Vec<u8>,
    },
    /// ARP; what is in it is the business of whoever sends it.
    Arp,
    /// ICMPv6: neighbour and router discovery, errors.
    Icmpv6,
    /// IGMP, joining and leaving the group.
    Igmp,
}

/// Where the captures are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Every frame of a capture in order; `Err` says what is wrong with the file.
pub(crate) fn read(name: &str) -> Result<Vec<Frame>, String> {
    let file = std::fs::read(folder().join(name)).map_err(|e| format!("{name}: {e}"))?;
    let (header, mut rest) = file.split_first_chunk::<24>().ok_or("no file header")?;
    if word(header, 0) != Some(MAGIC) || word(header, 20) != Some(ETHERNET) {
        return Err(format!("{name}: not a little-endian Ethernet capture"));
    }
    let mut frames = Vec::new();
    while let Some((record, after)) = rest.split_first_chunk::<16>() {
        let length = word(record, 8).ok_or("record")?;
        if word(record, 12) != Some(length) {
            return Err(format!("{name}: frame {} was cut", frames.len()));
        }
        let length = usize::try_from(length).map_err(|e| e.to_string())?;
        let (octets, after) = after.split_at_checked(length).ok_or("file was cut")?;
        let at = format!("{name}: frame {}", frames.len());
        frames.push(frame(octets).map_err(|problem| format!("{at}: {problem}"))?);
        rest = after;
    }
    Ok(frames)
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets
        .get(at..)?
        .first_chunk()
        .map(|word| u32::from_le_bytes(*word))
}

fn frame(octets: &[u8]) -> Result<Frame, String> {
    let (ethernet, packet) = octets.split_first_chunk::<14>().ok_or("no Ethernet")?;
    match ethernet.last_chunk::<2>() {
        Some([0x08, 0x06]) => Ok(Frame::Arp),
        Some([0x08, 0x00]) => over_ipv4(packet),
        Some([0x86, 0xdd]) => over_ipv6(packet),
        other => Err(format!("EtherType {other:x?}")),
    }
}

fn over_ipv4(packet: &[u8]) -> Result<Frame, String> {
    match ipv4::strip(packet) {
        Ok((envelope, message)) => Ok(Frame::Vrrp {
            envelope,
            message: message.to_vec(),
        }),
        Err(Refusal::IpProtocol(2)) => Ok(Frame::Igmp),
        Err(refusal) => Err(refusal.to_string()),
    }
}

fn over_ipv6(packet: &[u8]) -> Result<Frame, String> {
    let (header, payload) = packet.split_first_chunk::<40>().ok_or("no IPv6 header")?;
    let address = |at: usize| -> Option<IpAddr> {
        let octets = header.get(at..)?.first_chunk::<16>()?;
        Some(IpAddr::V6(Ipv6Addr::from(*octets)))
    };
    match (header.get(6), header.get(7), address(8), address(24)) {
        (Some(&PROTOCOL), Some(&ttl), Some(source), Some(destination)) => {
            let envelope = Envelope {
                source,
                destination,
                ttl,
            };
            Ok(Frame::Vrrp {
                envelope,
                message: payload.to_vec(),
            })
        }
        (Some(58), ..) => Ok(Frame::Icmpv6),
        // Multicast listener reports travel behind a hop-by-hop header.
        (Some(0), ..) => Ok(Frame::Icmpv6),
        other => Err(format!("IPv6 next header {:?}", other.0)),
    }
}
