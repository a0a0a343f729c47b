//! Who says on the wire that it has one of our addresses: whatever ARP comes by, questions
//! and answers alike, names its sender (RFC 5227 section 2.4), and over IPv6 every neighbour
//! advertisement does.
//!
//! Owns one raw socket; feeds whoever calls [`Witness::next`]; ends with the caller. What is
//! sent here is heard by it too, so the reader knows its own hardware address.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg};
use pnet_packet::Packet;
use pnet_packet::arp::{ArpHardwareTypes, ArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use vrrp::Family;

use super::arp::FRAME_LENGTH;
use super::links::Link;
use super::nd;
use super::sys::{self, Receives};

/// Ethernet's shortest frame, which carries an ARP packet and padding.
const LONGEST: usize = 64;

/// An advertisement has one option; those that have more begin with the same octets.
const LONGEST_V6: usize = 256;

/// Somebody says to have an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimant {
    /// The address.
    pub ip: IpAddr,
    /// Where it is said to be.
    pub mac: [u8; 6],
}

/// Listens to ARP, or to neighbour advertisements, on one interface.
pub struct Witness {
    ear: Ear,
    /// Of whom it is asked.
    addresses: Vec<IpAddr>,
}

/// A raw socket in the type of a datagram socket, as for adverts.
enum Ear {
    /// Whole frames of ARP.
    Arp(UdpSocket),
    /// Neighbour advertisements: whoever announces an address does so to all nodes, and
    /// whom we ask answers to us.
    Nd(UdpSocket),
}

impl Witness {
    /// Opens the socket. Inside a tokio runtime.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(link: &Link, family: Family, addresses: Vec<IpAddr>) -> io::Result<Self> {
        let ear = match family {
            Family::V4 => {
                let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
                sys::bind_packet(&socket, link.index, Receives::Arp)?;
                socket.set_nonblocking(true)?;
                Ear::Arp(UdpSocket::from_std(socket.into())?)
            }
            Family::V6 => {
                let socket =
                    Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
                sys::only_icmpv6(&socket, nd::ADVERTISEMENT)?;
                socket.bind_device(Some(link.name.as_bytes()))?;
                socket.set_recv_hoplimit_v6(true)?;
                socket.set_nonblocking(true)?;
                Ear::Nd(UdpSocket::from_std(socket.into())?)
            }
        };
        Ok(Self { ear, addresses })
    }

    /// The next who says to have one of the addresses.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn next(&self) -> io::Result<Claimant> {
        loop {
            let claimant = match &self.ear {
                Ear::Arp(socket) => {
                    let mut frame = [0; LONGEST];
                    let length = socket.recv(&mut frame).await?;
                    frame.get(..length).and_then(claimant)
                }
                Ear::Nd(socket) => {
                    let read = || read_v6(socket);
                    socket.async_io(Interest::READABLE, read).await?
                }
            };
            if let Some(claimant) = claimant
                && self.addresses.contains(&claimant.ip)
            {
                return Ok(claimant);
            }
        }
    }
}

/// One advertisement; `None` for what comes from behind a router (RFC 4861 section 7.1.2)
/// or says nothing. The kernel has looked at its checksum.
fn read_v6(socket: &UdpSocket) -> io::Result<Option<Claimant>> {
    let mut buffer = [0; LONGEST_V6];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut space = nix::cmsg_space!(libc::c_int);
    let flags = MsgFlags::MSG_DONTWAIT;
    let read =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let near = read.cmsgs()?.any(|message| {
        let own = ControlMessageOwned::Ipv6HopLimit(nd::HOPS.into());
        message == own
    });
    let length = read.bytes;
    let said = buffer
        .get(..length)
        .filter(|_| near)
        .and_then(nd::advertised);
    Ok(said.map(|(ip, mac)| Claimant {
        ip: IpAddr::V6(ip),
        mac,
    }))
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
