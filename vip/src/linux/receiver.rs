//! Adverts on their way in: protocol 112 on one interface and nothing else.
//!
//! Owns a raw socket; feeds whoever calls [`Receiver::next`]. The kernel delivers IPv4 with
//! its header and IPv6 without: what that header said comes beside the payload then.
//!
//! A router with a virtual hardware address has a second one, a packet socket: while it is
//! Active, whatever comes from that address is given to its macvlan alone. A raw socket
//! there would have to join the group, and tell every switch that the virtual hardware
//! address is here.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::Ipv6RecvPacketInfo;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use vrrp::packet::{Envelope, ipv4, ipv6};
use vrrp::{Family, GROUP_V4, GROUP_V6, PROTOCOL, Refusal};

use super::advert::domain;
use super::links::Link;
use super::sys::{self, Receives};
use crate::config::Travel;
use crate::driver::Datagram;

/// The longest advert (255 addresses of IPv6) is 4,088 bytes.
const LONGEST: usize = 4096;

/// Adverts that wait while the machine stalls: more than a thousand small ones.
const RECEIVE_BUFFER: usize = 256 * 1024;

/// Receives whatever carries protocol 112 on one interface.
pub struct Receiver {
    /// A raw socket in the type of a datagram socket: reading is all that is asked of it,
    /// and this wrapper is the safe one that tokio has.
    socket: UdpSocket,
    family: Family,
    delivers: Delivers,
}

/// Takes a header off: what it says, and the payload.
type Strip = fn(&[u8]) -> Result<(Envelope, &[u8]), Refusal>;

/// What a read gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivers {
    /// What a raw socket does: IPv4 with its header, IPv6 without.
    Raw,
    /// The header of either.
    Packets,
}

impl Receiver {
    /// Opens the socket on `link` and joins the group there. Inside a tokio runtime.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(link: &Link, family: Family, travel: &Travel) -> io::Result<Self> {
        let protocol = Some(Protocol::from(i32::from(PROTOCOL)));
        let socket = Socket::new(domain(family), Type::RAW, protocol)?;
        socket.bind_device(Some(link.name.as_bytes()))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        if family == Family::V6 {
            socket.set_recv_hoplimit_v6(true)?;
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        }
        match (join(&socket, link, family), travel) {
            (Ok(()), Travel::Multicast | Travel::Unicast { .. }) => {}
            (Err(error), Travel::Multicast) => return Err(error),
            // Among peers it serves one end: what the kernel gives to no socket, nobody
            // hears, and a router that sends to the group would go unnoticed.
            (Err(error), Travel::Unicast { .. }) => tracing::warn!(
                interface = link.name,
                "routers that send to the multicast group are not heard: {error}"
            ),
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            family,
            delivers: Delivers::Raw,
        })
    }

    /// Opens the packet socket on a macvlan. Inside a tokio runtime.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub(super) fn overhear(link: &Link, family: Family) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        // Before it is bound: clients' packets to the addresses come by here, too.
        socket.attach_filter(&adverts_only(family))?;
        sys::bind_packet(&socket, link.index, Receives::Ip(family))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            family,
            delivers: Delivers::Packets,
        })
    }

    /// The next datagram, taken out of its IP header.
    ///
    /// # Errors
    /// When the socket fails; a datagram that makes no sense is a [`Refusal`] instead.
    pub async fn next(&self) -> io::Result<Result<Datagram, Refusal>> {
        match (self.family, self.delivers) {
            (Family::V4, Delivers::Raw | Delivers::Packets) => {
                self.next_with(ipv4::strip).await
            }
            (Family::V6, Delivers::Packets) => self.next_with(ipv6::strip).await,
            (Family::V6, Delivers::Raw) => {
                let socket = &self.socket;
                socket
                    .async_io(Interest::READABLE, || read_v6(socket))
                    .await
            }
        }
    }

    /// The next one that comes with its header, which `strip` takes off.
    async fn next_with(&self, strip: Strip) -> io::Result<Result<Datagram, Refusal>> {
        let mut buffer = [0; LONGEST];
        let length = self.socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        Ok(strip(bytes).map(|(envelope, payload)| Datagram {
            envelope,
            payload: payload.to_vec(),
        }))
    }
}

fn join(socket: &Socket, link: &Link, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => {
            let interface = InterfaceIndexOrAddress::Index(link.index);
            socket.join_multicast_v4_n(&GROUP_V4, &interface)
        }
        Family::V6 => socket.join_multicast_v6(&GROUP_V6, link.index),
    }
}

/// Lets protocol 112 pass and nothing else: the field that names it, compared, all octets or
/// none (bpf(4); `BPF_LD | BPF_B | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`).
fn adverts_only(family: Family) -> [SockFilter; 4] {
    const LOAD_OCTET: u16 = 0x30;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let protocol_at = match family {
        Family::V4 => 9,
        Family::V6 => 6,
    };
    [
        SockFilter::new(LOAD_OCTET, 0, 0, protocol_at),
        SockFilter::new(EQUAL, 0, 1, PROTOCOL.into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

fn read_v6(socket: &UdpSocket) -> io::Result<Result<Datagram, Refusal>> {
    let mut buffer = [0; LONGEST];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut space = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
    let read = recvmsg::<SockaddrIn6>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let source = read.address.map(|address| IpAddr::V6(address.ip()));
    let (mut destination, mut hops) = (None, None);
    for message in read.cmsgs()? {
        if let ControlMessageOwned::Ipv6PacketInfo(info) = message {
            let octets = info.ipi6_addr.s6_addr;
            destination = Some(IpAddr::V6(Ipv6Addr::from(octets)));
        } else if let ControlMessageOwned::Ipv6HopLimit(limit) = message {
            hops = u8::try_from(limit).ok();
        }
    }
    let length = read.bytes;
    let (Some(source), Some(destination), Some(ttl)) = (source, destination, hops) else {
        return Ok(Err(Refusal::IpHeader));
    };
    let envelope = Envelope {
        source,
        destination,
        ttl,
    };
    let payload = buffer.get(..length).unwrap_or_default().to_vec();
    Ok(Ok(Datagram { envelope, payload }))
}
