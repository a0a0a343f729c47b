//! Gratuitous ARP: frames built once, sent through a socket that is already open.
//!
//! The request form, byte for byte what keepalived sends: sender and target protocol
//! address are the virtual address, the target hardware address is all ones (RFC 5227
//! section 3 explains why requests are heard more widely than replies).

use std::io;
use std::net::Ipv4Addr;

use pnet_base::MacAddr;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet_packet::ethernet::{EtherTypes, MutableEthernetPacket};
use socket2::{Domain, Socket, Type};

use super::sys::{self, Receives};

/// An Ethernet header (14) and an ARP packet for IPv4 (28).
pub(super) const FRAME_LENGTH: usize = 42;

/// One frame, ready for the wire.
pub type Frame = Vec<u8>;

/// The announcement that `mac` has `address`.
pub fn gratuitous(mac: [u8; 6], address: Ipv4Addr) -> Frame {
    request(mac, address, MacAddr::broadcast(), address)
}

/// The question who has `target`, asked by `source` at `mac`. Whoever answers knows from
/// then on where `source` is.
pub fn question(mac: [u8; 6], source: Ipv4Addr, target: Ipv4Addr) -> Frame {
    request(mac, source, MacAddr::zero(), target)
}

/// RFC 826, for IPv4 on Ethernet.
fn request(
    mac: [u8; 6],
    source: Ipv4Addr,
    target_mac: MacAddr,
    target: Ipv4Addr,
) -> Frame {
    let mut frame = vec![0; FRAME_LENGTH];
    let mac = MacAddr::from(mac);
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
        ethernet.set_destination(MacAddr::broadcast());
        ethernet.set_source(mac);
        ethernet.set_ethertype(EtherTypes::Arp);
    }
    let (_, body) = frame.split_at_mut(MutableEthernetPacket::minimum_packet_size());
    if let Some(mut arp) = MutableArpPacket::new(body) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(mac);
        arp.set_sender_proto_addr(source);
        arp.set_target_hw_addr(target_mac);
        arp.set_target_proto_addr(target);
    }
    frame
}

/// A socket that sends whole Ethernet frames on one interface and receives nothing.
pub struct Wire {
    socket: Socket,
}

impl Wire {
    /// Opens the socket on the interface with that number.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(interface: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        sys::bind_packet(&socket, interface, Receives::Nothing)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the interface is down or gone, or its queue is full.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame keepalived 2.2.7 sent at t=3.5967 of `v2-pass-multicast.pcap`.
    const KEEPALIVED: &str = "ffffffffffff02000000001108060001080006040001\
                              0200000000110a370064ffffffffffff0a370064";

    #[test]
    fn c14_frame_is_keepalived_s_byte_for_byte() {
        let frame = gratuitous([2, 0, 0, 0, 0, 0x11], Ipv4Addr::new(10, 55, 0, 100));
        let text: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, KEEPALIVED);
    }
}
