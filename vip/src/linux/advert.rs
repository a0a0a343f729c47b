//! Adverts on the wire: one socket that sends, one that receives.
//!
//! The sender writes the whole IPv4 header (`IPPROTO_RAW`): adverts then look on the wire
//! like keepalived's (TOS 0xC0, Don't Fragment clear, TTL 255 to every destination), and
//! keep their source while a network manager takes the interface's address away and
//! gives it back. The receiver hears protocol 112 on its interface and nothing else.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;
use vrrp::packet::{Advert, Checksum, Envelope, emit, ipv4};
use vrrp::{GROUP_V4, PROTOCOL, Refusal, TTL};

use super::netlink::Link;
use crate::config::Travel;
use crate::driver::Datagram;

/// `IPPROTO_RAW`: sends what it is given, header included, and receives nothing.
const RAW: i32 = 255;

/// Internetwork control, as every routing protocol marks its packets (RFC 791).
const TOS: u8 = 0xc0;

const HEADER: usize = 20;

/// The longest advert (255 addresses) is 1,056 bytes with its header.
const LONGEST: usize = 2048;

/// Adverts that wait while the machine stalls: more than a thousand small ones.
const RECEIVE_BUFFER: usize = 256 * 1024;

/// Sends adverts from one address to the group or to each peer.
pub struct Sender {
    socket: Socket,
    source: Ipv4Addr,
    destinations: Vec<Ipv4Addr>,
    identification: u16,
}

impl Sender {
    /// Opens the socket on `link`; adverts come from `source`.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(link: &Link, source: Ipv4Addr, travel: &Travel) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)))?;
        socket.bind_device(Some(link.name.as_bytes()))?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_nonblocking(true)?;
        let destinations = match travel {
            Travel::Multicast => vec![GROUP_V4],
            Travel::Unicast { peers, .. } => peers.iter().filter_map(v4).collect(),
        };
        Ok(Self {
            socket,
            source,
            destinations,
            identification: 0,
        })
    }

    /// Sends one advert to every destination; a peer that cannot be reached does not keep
    /// it from the others.
    ///
    /// # Errors
    /// The first error of any destination.
    pub fn send(&mut self, advert: &Advert, checksum: Checksum) -> io::Result<()> {
        let mut outcome = Ok(());
        for destination in self.destinations.clone() {
            let frame = self.datagram(advert, checksum, destination);
            let address = SockAddr::from(SocketAddrV4::new(destination, 0));
            let sent = self.socket.send_to(&frame, &address).map(drop);
            outcome = outcome.and(sent);
        }
        outcome
    }

    fn datagram(
        &mut self,
        advert: &Advert,
        checksum: Checksum,
        destination: Ipv4Addr,
    ) -> Vec<u8> {
        let source = IpAddr::V4(self.source);
        let envelope = match destination.is_multicast() {
            true => Envelope::multicast(source),
            false => Envelope::unicast(source, IpAddr::V4(destination)),
        };
        let message = emit(advert, &envelope, checksum);
        // 0 would have the kernel choose one.
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        let mut datagram = header(self, destination, message.len());
        datagram.extend(message);
        datagram
    }
}

/// RFC 791 section 3.1; the kernel fills in the header checksum.
fn header(sender: &Sender, destination: Ipv4Addr, payload: usize) -> Vec<u8> {
    let length = u16::try_from(HEADER + payload).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(HEADER + payload);
    header.extend([0x45, TOS]);
    header.extend(length.to_be_bytes());
    header.extend(sender.identification.to_be_bytes());
    header.extend([0, 0, TTL, PROTOCOL, 0, 0]);
    header.extend(sender.source.octets());
    header.extend(destination.octets());
    header
}

fn v4(ip: &IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    }
}

/// Receives whatever carries protocol 112 on one interface.
pub struct Receiver {
    /// A raw socket in the type of a datagram socket: recv(2) is all that is asked of it,
    /// and this wrapper is the safe one that tokio has.
    socket: UdpSocket,
}

impl Receiver {
    /// Opens the socket on `link` and joins the group there when adverts travel by
    /// multicast. Inside a tokio runtime.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(link: &Link, travel: &Travel) -> io::Result<Self> {
        let protocol = Some(Protocol::from(i32::from(PROTOCOL)));
        let socket = Socket::new(Domain::IPV4, Type::RAW, protocol)?;
        socket.bind_device(Some(link.name.as_bytes()))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        if *travel == Travel::Multicast {
            let interface = InterfaceIndexOrAddress::Index(link.index);
            socket.join_multicast_v4_n(&GROUP_V4, &interface)?;
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
        })
    }

    /// The next datagram, taken out of its IP header.
    ///
    /// # Errors
    /// When the socket fails; a datagram that makes no sense is a [`Refusal`] instead.
    pub async fn next(&self) -> io::Result<Result<Datagram, Refusal>> {
        let mut buffer = [0; LONGEST];
        let length = self.socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        Ok(ipv4::strip(bytes).map(|(envelope, payload)| Datagram {
            envelope,
            payload: payload.to_vec(),
        }))
    }
}
