//! Who says on the wire that it has one of our addresses (RFC 5227 section 2.4): whatever
//! ARP comes by, questions and answers alike, names its sender.
//!
//! Owns one packet socket; feeds whoever calls [`Witness::next`]; ends with the caller.
//! What a socket sends is seen by it too, so the reader knows its own hardware address.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use pnet_packet::Packet;
use pnet_packet::arp::{ArpHardwareTypes, ArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use super::arp::FRAME_LENGTH;
use super::netlink::Link;
use super::sys::{self, Receives};

/// Ethernet's shortest frame, which carries an ARP packet and padding.
const LONGEST: usize = 64;

/// Somebody says to have an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimant {
    /// The address.
    pub ip: IpAddr,
    /// Where it is said to be.
    pub mac: [u8; 6],
}

/// Listens to ARP on one interface.
pub struct Witness {
    /// A packet socket in the type of a datagram socket, as for adverts.
    socket: UdpSocket,
    /// Of whom it is asked.
    addresses: Vec<IpAddr>,
}

impl Witness {
    /// Opens the socket. Inside a tokio runtime.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(link: &Link, addresses: Vec<IpAddr>) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        sys::bind_packet(&socket, link.index, Receives::Arp)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            addresses,
        })
    }

    /// The next who says to have one of the addresses.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn next(&self) -> io::Result<Claimant> {
        loop {
            let mut frame = [0; LONGEST];
            let length = self.socket.recv(&mut frame).await?;
            let claimant = frame.get(..length).and_then(claimant);
            if let Some(claimant) = claimant
                && self.addresses.contains(&claimant.ip)
            {
                return Ok(claimant);
            }
        }
    }
}

/// The sender of an ARP packet; `None` for one that says nothing about itself (a probe has
/// no sender address, RFC 5227 section 1.1) and for anything else.
fn claimant(frame: &[u8]) -> Option<Claimant> {
    let ethernet = EthernetPacket::new(frame.get(..FRAME_LENGTH)?)?;
    let arp = ArpPacket::new(ethernet.payload())?;
    let sound = ethernet.get_ethertype() == EtherTypes::Arp
        && arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && (arp.get_hw_addr_len(), arp.get_proto_addr_len()) == (6, 4);
    let ip = arp.get_sender_proto_addr();
    (sound && ip != Ipv4Addr::UNSPECIFIED).then(|| Claimant {
        ip: IpAddr::V4(ip),
        mac: arp.get_sender_hw_addr().octets(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::{gratuitous, question};

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];
    const IP: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 100);

    #[test]
    fn the_sender_of_questions_and_announcements_is_named() {
        let said = Some(Claimant {
            ip: IpAddr::V4(IP),
            mac: MAC,
        });
        let other = Ipv4Addr::new(10, 55, 0, 1);
        assert_eq!(claimant(&gratuitous(MAC, IP)), said);
        assert_eq!(claimant(&question(MAC, IP, other)), said);
        let probe = question(MAC, Ipv4Addr::UNSPECIFIED, IP);
        assert_eq!(claimant(&probe), None, "a probe");
    }

    #[test]
    fn what_is_cut_short_or_is_no_arp_of_ethernet_says_nothing() {
        let frame = gratuitous(MAC, IP);
        for length in 0..frame.len() {
            assert_eq!(claimant(&frame[..length]), None, "{length}");
        }
        for octet in [12, 14, 16, 18, 19] {
            let mut bent = frame.clone();
            bent[octet] ^= 0x40;
            assert_eq!(claimant(&bent), None, "{octet}");
        }
    }
}
