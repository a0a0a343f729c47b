//! Neighbour discovery (RFC 4861): the announcement of an IPv6 address and the question
//! for a neighbour, as whole frames, byte for byte what keepalived sends.

use std::net::Ipv6Addr;

use pnet_base::MacAddr;
use pnet_packet::Packet;
use pnet_packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet_packet::icmpv6::{Icmpv6Packet, checksum};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::MutableIpv6Packet;

use super::arp::Frame;

/// Of the Ethernet header.
const ETHERNET: usize = 14;
/// Of the IPv6 header.
const IP: usize = 40;
/// Type, code, checksum, flags or reserved, target, and one option with a hardware address.
const MESSAGE: usize = 32;
/// Nothing of neighbour discovery may come from behind a router (RFC 4861 section 7.1).
pub(super) const HOPS: u8 = 255;

const SOLICITATION: u8 = 135;
/// Of an advertisement, solicited or not.
pub(super) const ADVERTISEMENT: u8 = 136;
const SOURCE_OPTION: u8 = 1;
const TARGET_OPTION: u8 = 2;
/// Options are counted in units of eight octets.
const ONE_UNIT: u8 = 1;

const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Does this host forward packets on the interface? Neighbours that took us for a router
/// drop us from their list when the flag is missing (RFC 4861 section 7.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It does not.
    Host,
    /// It does.
    Router,
}

/// The unsolicited announcement that `mac` has `address`: Override set, Solicited clear,
/// to all nodes.
pub fn unsolicited(mac: [u8; 6], address: Ipv6Addr, role: Role) -> Frame {
    let flags = match role {
        Role::Host => OVERRIDE,
        Role::Router => OVERRIDE | ROUTER,
    };
    let head = [ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    let message = message(head, address, [TARGET_OPTION, ONE_UNIT], mac);
    frame(mac, address, ALL_NODES, &message)
}

/// The question where `target` is, asked by `source` at `mac`.
pub fn solicitation(mac: [u8; 6], source: Ipv6Addr, target: Ipv6Addr) -> Frame {
    let head = [SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    let message = message(head, target, [SOURCE_OPTION, ONE_UNIT], mac);
    frame(mac, source, solicited_node(target), &message)
}

/// The address that an advertisement is about, and where it is said to be; `None` for one
/// that does not say where, and for anything else.
pub(super) fn advertised(message: &[u8]) -> Option<(Ipv6Addr, [u8; 6])> {
    let (head, rest) = message.split_first_chunk::<8>()?;
    let (target, mut options) = rest.split_first_chunk::<16>()?;
    let [ADVERTISEMENT, 0, ..] = head else {
        return None;
    };
    // RFC 4861 section 4.6: each option says how long it is; none is empty.
    while let [kind, units, ..] = *options {
        let option = options.get(..usize::from(units) * 8)?;
        if kind == TARGET_OPTION {
            let mac = option.get(2..)?.try_into().ok()?;
            return Some((Ipv6Addr::from(*target), mac));
        }
        options = options.get(option.len()..).filter(|_| units > 0)?;
    }
    None
}

fn message(head: [u8; 8], target: Ipv6Addr, option: [u8; 2], mac: [u8; 6]) -> Vec<u8> {
    [&head[..], &target.octets(), &option, &mac].concat()
}

/// RFC 4291 section 2.7.1: ff02::1:ff and the last three octets.
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

fn frame(mac: [u8; 6], source: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> Frame {
    let mut frame = vec![0; ETHERNET + IP + MESSAGE];
    let [.., a, b, c, d] = to.octets();
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
        // RFC 2464 section 7: 33:33 and the last four octets of the group.
        ethernet.set_destination(MacAddr::new(0x33, 0x33, a, b, c, d));
        ethernet.set_source(MacAddr::from(mac));
        ethernet.set_ethertype(EtherTypes::Ipv6);
    }
    let (_, packet) = frame.split_at_mut(ETHERNET);
    if let Some(mut ip) = MutableIpv6Packet::new(packet) {
        ip.set_version(6);
        ip.set_payload_length(u16::try_from(MESSAGE).unwrap_or(u16::MAX));
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        ip.set_hop_limit(HOPS);
        ip.set_source(source);
        ip.set_destination(to);
        ip.set_payload(&summed(message, source, to));
    }
    frame
}

fn summed(message: &[u8], source: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let mut summed = message.to_vec();
    let sum = Icmpv6Packet::new(message).map_or(0, |it| checksum(&it, &source, &to));
    debug_assert_eq!(
        Icmpv6Packet::new(message).map(|it| it.packet().len()),
        Some(MESSAGE)
    );
    summed.splice(2..4, sum.to_be_bytes());
    summed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The frame keepalived 2.2.7 sent at t=1.1993 of `v3-ipv6-multicast.pcap`.
    const KEEPALIVED: &str = "33330000000102000000001186dd6000000000203aff\
                              fd550000000000000000000000000100\
                              ff020000000000000000000000000001\
                              880057e320000000fd550000000000000000000000000100\
                              0201020000000011";

    #[test]
    fn c15_an_announcement_is_keepalived_s_byte_for_byte() {
        let mac = [2, 0, 0, 0, 0, 0x11];
        let address = "fd55::100".parse().unwrap();
        assert_eq!(hex(&unsolicited(mac, address, Role::Host)), KEEPALIVED);
        // The router flag, and the checksum less it.
        let routed = hex(&unsolicited(mac, address, Role::Router));
        let wanted = KEEPALIVED.replace("57e320000000", "d7e2a0000000");
        assert_eq!(routed, wanted);
    }

    #[test]
    fn an_advertisement_says_where_its_address_is() {
        let mac = [2, 0, 0, 0, 0, 0x11];
        let address: Ipv6Addr = "fd55::100".parse().unwrap();
        let frame = unsolicited(mac, address, Role::Host);
        let message = &frame[ETHERNET + IP..];
        assert_eq!(advertised(message), Some((address, mac)));
        for length in 0..message.len() {
            assert_eq!(advertised(&message[..length]), None, "{length}");
        }
        // Another type; a code; an option of another kind, of no length, too long.
        for (octet, value) in [(0, 135), (1, 1), (24, 1), (25, 0), (25, 2)] {
            let mut bent = message.to_vec();
            bent[octet] = value;
            assert_eq!(advertised(&bent), None, "{octet}");
        }
        let other = [&message[..24], &[14, 1, 0, 0, 0, 0, 0, 0], &message[24..]].concat();
        assert_eq!(advertised(&other), Some((address, mac)), "behind another");
    }

    #[test]
    fn a_question_goes_to_the_group_of_its_target() {
        let source = "fe80::11".parse().unwrap();
        let target = "fd55::12:3456".parse().unwrap();
        let frame = hex(&solicitation([2, 0, 0, 0, 0, 0x11], source, target));
        assert_eq!(frame.get(..28).unwrap(), "3333ff12345602000000001186dd");
        assert!(
            frame.contains("ff0200000000000000000001ff123456"),
            "{frame}"
        );
        assert!(frame.ends_with("fd5500000000000000000000001234560101020000000011"));
    }
}
