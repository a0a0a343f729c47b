//! Asks a segment who has an address: an ARP probe (RFC 5227 section 2.1.1), or the
//! solicitation of duplicate address detection (RFC 4862 section 5.4.2). Both come from no
//! address, so that they change nobody's neighbours.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use pnet_base::MacAddr;
use pnet_datalink::{Channel, Config};
use pnet_packet::Packet;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet_packet::icmpv6::{Icmpv6Packet, checksum};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

use super::ProbeError;

/// `PROBE_NUM` of RFC 5227.
const PROBES: u32 = 3;
/// Between two of them. RFC 5227 waits 1 to 2 s for hosts that come up together; nobody comes
/// up here, and an answer takes a round trip.
const BETWEEN: Duration = Duration::from_millis(300);
/// A look at the socket.
const LOOK: Duration = Duration::from_millis(50);
/// Of the Ethernet header, the IPv6 header, and a solicitation without options.
const ETHERNET: usize = 14;
const IP: usize = 40;
const SOLICITATION: usize = 24;
/// Nothing of neighbour discovery may come from behind a router (RFC 4861 section 7.1).
const HOPS: u8 = 255;
/// Types of ICMPv6 (RFC 4861).
const SOLICITS: u8 = 135;
const ADVERTISES: u8 = 136;

/// The hardware addresses of those who say that they have the address.
pub(super) fn claimants(
    interface: &str,
    address: IpAddr,
) -> Result<BTreeSet<String>, ProbeError> {
    let all = pnet_datalink::interfaces();
    let found = all.into_iter().find(|one| one.name == interface);
    let known = found.and_then(|one| one.mac.map(|mac| (one, mac)));
    let Some((found, mac)) = known.filter(|(_, mac)| *mac != MacAddr::zero()) else {
        return Err(ProbeError::Interface(interface.to_owned()));
    };
    let failed = |source| ProbeError::Frames {
        interface: interface.to_owned(),
        source,
    };
    let config = Config {
        read_timeout: Some(LOOK),
        promiscuous: false,
        ..Config::default()
    };
    match pnet_datalink::channel(&found, config).map_err(failed)? {
        Channel::Ethernet(mut sender, mut receiver) => {
            let question = question(mac, address);
            let mut heard = BTreeSet::new();
            for _ in 0..PROBES {
                let sent = sender.send_to(&question, None);
                sent.unwrap_or_else(|| Err(io::ErrorKind::WriteZero.into()))
                    .map_err(failed)?;
                let until = Instant::now() + BETWEEN;
                while Instant::now() < until {
                    match receiver.next() {
                        Ok(frame) => heard.extend(answer(frame, address)),
                        Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
            }
            heard.remove(&mac);
            Ok(heard.iter().map(ToString::to_string).collect())
        }
        // The type of the channel is open to more; none is asked for.
        _ => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

fn question(mac: MacAddr, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => probe(mac, address),
        IpAddr::V6(address) => solicitation(mac, address),
    }
}

/// Who answers a question about `address`, by this frame.
fn answer(frame: &[u8], address: IpAddr) -> Option<MacAddr> {
    let ethernet = EthernetPacket::new(frame)?;
    match address {
        IpAddr::V4(address) if ethernet.get_ethertype() == EtherTypes::Arp => {
            let arp = ArpPacket::new(ethernet.payload())?;
            // A reply, or a question that is asked from that address.
            (arp.get_sender_proto_addr() == address).then(|| arp.get_sender_hw_addr())
        }
        IpAddr::V6(address) if ethernet.get_ethertype() == EtherTypes::Ipv6 => {
            let packet = Ipv6Packet::new(ethernet.payload())?;
            let [kind, _, _, _, _, _, _, _, rest @ ..] = packet.payload() else {
                return None;
            };
            let target: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            let is_answer = packet.get_next_header() == IpNextHeaderProtocols::Icmpv6
                && packet.get_hop_limit() == HOPS
                && *kind == ADVERTISES
                && target == address.octets();
            is_answer.then(|| ethernet.get_source())
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// RFC 5227 section 2.1.1: from no address, to no hardware address.
fn probe(mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![0; MutableArpPacket::minimum_packet_size()];
    if let Some(mut arp) = MutableArpPacket::new(&mut body) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(mac);
        arp.set_target_proto_addr(address);
    }
    framed(mac, MacAddr::broadcast(), EtherTypes::Arp, &body)
}

/// RFC 4862 section 5.4.2: from no address, to the group of whoever may have it.
fn solicitation(mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    // RFC 4291 section 2.7.1, RFC 2464 section 7.
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let to = MacAddr::new(0x33, 0x33, 0xff, a, b, c);
    let mut message = vec![SOLICITS, 0, 0, 0, 0, 0, 0, 0];
    message.extend(address.octets());
    let sum = Icmpv6Packet::new(&message)
        .map(|packet| checksum(&packet, &Ipv6Addr::UNSPECIFIED, &group));
    if let (Some(place), Some(sum)) = (message.get_mut(2..4), sum) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    let mut packet = vec![0; IP];
    if let Some(mut ip) = MutableIpv6Packet::new(&mut packet) {
        ip.set_version(6);
        ip.set_payload_length(u16::try_from(SOLICITATION).unwrap_or(u16::MAX));
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        ip.set_hop_limit(HOPS);
        ip.set_source(Ipv6Addr::UNSPECIFIED);
        ip.set_destination(group);
    }
    packet.extend(message);
    framed(mac, to, EtherTypes::Ipv6, &packet)
}

fn framed(
    from: MacAddr,
    to: MacAddr,
    kind: pnet_packet::ethernet::EtherType,
    body: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET];
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
        ethernet.set_destination(to);
        ethernet.set_source(from);
        ethernet.set_ethertype(kind);
    }
    frame.extend(body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);

    #[test]
    fn an_arp_probe_comes_from_no_address() {
        let frame = question(MAC, "192.0.2.9".parse().unwrap());
        let wanted = [
            &[0xff; 6][..],
            &[2, 0, 0, 0, 0, 1, 8, 6],
            &[0, 1, 8, 0, 6, 4, 0, 1],
            &[2, 0, 0, 0, 0, 1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0, 0, 192, 0, 2, 9],
        ];
        assert_eq!(frame, wanted.concat());
        let vip: IpAddr = "192.0.2.9".parse().unwrap();
        assert_eq!(answer(&frame, vip), None);
        let mut reply = frame;
        reply[21] = 2;
        reply[28..32].copy_from_slice(&[192, 0, 2, 9]);
        assert_eq!(answer(&reply, vip), Some(MAC));
        assert_eq!(answer(&reply, "192.0.2.8".parse().unwrap()), None);
        assert_eq!(answer(&reply[..20], vip), None);
    }

    #[test]
    fn a_solicitation_is_that_of_duplicate_address_detection() {
        let address: IpAddr = "2001:db8::12:3456".parse().unwrap();
        let frame = question(MAC, address);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(frame.len(), ETHERNET + IP + SOLICITATION);
        let ip = Ipv6Packet::new(&frame[ETHERNET..]).unwrap();
        assert_eq!(ip.get_source(), Ipv6Addr::UNSPECIFIED);
        let message = Icmpv6Packet::new(ip.payload()).unwrap();
        let group = ip.get_destination();
        assert_eq!(group, "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
        let sum = checksum(&message, &Ipv6Addr::UNSPECIFIED, &group);
        assert_eq!(message.get_checksum(), sum);
        assert_eq!(answer(&frame, address), None);
        let mut reply = frame;
        reply[ETHERNET + IP] = ADVERTISES;
        assert_eq!(answer(&reply, address), Some(MAC));
        reply[ETHERNET + 7] = 64;
        assert_eq!(answer(&reply, address), None, "from behind a router");
    }
}
