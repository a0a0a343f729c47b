//! Adverts on their way out.
//!
//! The sender writes the whole IP header (`IPPROTO_RAW`): adverts then look on the wire
//! like keepalived's (TOS or traffic class 0xC0, Don't Fragment clear, TTL 255 to every
//! destination), and keep their source while a network manager takes the interface's
//! address away and gives it back.
//!
//! Adverts that come from the virtual hardware address (RFC 9568 section 7.3) are whole
//! frames, sent on the router's own interface: the one that has that address need not be up
//! for the first of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use vrrp::packet::{Advert, Checksum, Envelope, emit};
use vrrp::{Family, PROTOCOL, TTL};

use super::arp::Wire;
use super::links::Link;
use crate::config::Travel;

/// `IPPROTO_RAW`: sends what it is given, header included, and receives nothing.
const RAW: i32 = 255;

/// Internetwork control, as every routing protocol marks its packets (RFC 791).
const TOS: u8 = 0xc0;

/// Of RFC 791, without options.
const HEADER_V4: usize = 20;
/// Where the number of a datagram stands in it, and the checksum of its header.
const IDENTIFICATION: std::ops::Range<usize> = 4..6;
const HEADER_CHECKSUM: std::ops::Range<usize> = 10..12;
/// Of Ethernet's header.
const ETHERNET: usize = 14;
/// Of RFC 8200.
const HEADER_V6: usize = 40;

/// Sends adverts from one address to the group or to each peer.
pub struct Sender {
    exit: Exit,
    source: IpAddr,
    destinations: Vec<IpAddr>,
    /// Where link-local destinations are.
    interface: u32,
    identification: u16,
    prepared: Option<Prepared>,
}

/// How a datagram leaves.
enum Exit {
    /// As the kernel sends it.
    Routed(Socket),
    /// In a frame from that hardware address.
    Framed(Wire, [u8; 6]),
}

/// One advert as it goes to each destination, less the number of its datagram: every advert
/// of an Active says what the one before said.
struct Prepared {
    advert: Advert,
    checksum: Checksum,
    datagrams: Vec<(SockAddr, Vec<u8>)>,
}

impl Sender {
    /// Opens the socket on `link`; adverts come from `source`, and from the hardware address
    /// `mac` where it is given, which is for the group only.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(
        link: &Link,
        source: IpAddr,
        travel: &Travel,
        mac: Option<[u8; 6]>,
    ) -> io::Result<Self> {
        let family = Family::of(source);
        let exit = match mac {
            Some(mac) => Exit::Framed(Wire::open(link.index)?, mac),
            None => Exit::Routed(routed(link, family)?),
        };
        let destinations = match travel {
            Travel::Multicast => vec![family.group()],
            Travel::Unicast { peers, .. } => {
                let ours = peers.iter().filter(|peer| Family::of(**peer) == family);
                ours.copied().collect()
            }
        };
        Ok(Self {
            exit,
            source,
            destinations,
            interface: link.index,
            identification: 0,
            prepared: None,
        })
    }

    /// Sends one advert to every destination; a peer that cannot be reached does not keep
    /// it from the others.
    ///
    /// # Errors
    /// The first error of any destination.
    pub fn send(&mut self, advert: &Advert, checksum: Checksum) -> io::Result<()> {
        let same = |last: &Prepared| last.advert == *advert && last.checksum == checksum;
        let mut prepared = match self.prepared.take().filter(same) {
            Some(prepared) => prepared,
            None => self.prepare(advert, checksum),
        };
        let mut outcome = Ok(());
        for (to, datagram) in &mut prepared.datagrams {
            self.number(datagram);
            let sent = match &self.exit {
                Exit::Routed(socket) => socket.send_to(datagram, to).map(drop),
                Exit::Framed(wire, _) => wire.send(datagram),
            };
            outcome = outcome.and(sent);
        }
        self.prepared = Some(prepared);
        outcome
    }

    fn prepare(&self, advert: &Advert, checksum: Checksum) -> Prepared {
        let datagrams = self.destinations.iter().map(|destination| {
            let datagram = self.datagram(advert, checksum, *destination);
            (self.to(*destination), datagram)
        });
        Prepared {
            advert: advert.clone(),
            checksum,
            datagrams: datagrams.collect(),
        }
    }

    /// Gives a datagram of IPv4 its number; what the kernel does not see, its checksum.
    fn number(&mut self, datagram: &mut [u8]) {
        let at = match &self.exit {
            Exit::Routed(_) => 0,
            Exit::Framed(..) => ETHERNET,
        };
        let header = datagram
            .get_mut(at..)
            .and_then(|ip| ip.get_mut(..HEADER_V4));
        let Some(header) = header.filter(|_| self.source.is_ipv4()) else {
            return;
        };
        // 0 would have the kernel choose one.
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        write(header, IDENTIFICATION, self.identification);
        if at > 0 {
            let sum = pnet_packet::util::checksum(header, HEADER_CHECKSUM.start / 2);
            write(header, HEADER_CHECKSUM, sum);
        }
    }

    fn to(&self, destination: IpAddr) -> SockAddr {
        let to = match destination {
            IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, 0)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, self.interface)),
        };
        SockAddr::from(to)
    }

    fn datagram(
        &self,
        advert: &Advert,
        checksum: Checksum,
        destination: IpAddr,
    ) -> Vec<u8> {
        let envelope = match destination.is_multicast() {
            true => Envelope::multicast(self.source),
            false => Envelope::unicast(self.source, destination),
        };
        let message = emit(advert, &envelope, checksum);
        let mut datagram = match (self.source, destination) {
            (IpAddr::V4(source), IpAddr::V4(to)) => header_v4(source, to, message.len()),
            (IpAddr::V6(source), IpAddr::V6(to)) => header_v6(source, to, message.len()),
            // `open` leaves destinations of the other family out.
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
        };
        datagram.extend(message);
        match &self.exit {
            Exit::Routed(_) => datagram,
            Exit::Framed(_, mac) => [framed(*mac, destination), datagram].concat(),
        }
    }
}

/// The socket that the kernel sends from as it is told.
fn routed(link: &Link, family: Family) -> io::Result<Socket> {
    let socket = Socket::new(domain(family), Type::RAW, Some(Protocol::from(RAW)))?;
    socket.bind_device(Some(link.name.as_bytes()))?;
    match family {
        Family::V4 => socket.set_multicast_loop_v4(false)?,
        Family::V6 => socket.set_multicast_loop_v6(false)?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Ethernet's header of a frame from `mac` to a group (RFC 1112 section 6.4, RFC 2464
/// section 7).
fn framed(mac: [u8; 6], group: IpAddr) -> Vec<u8> {
    let (to, kind) = match group {
        IpAddr::V4(ip) => {
            let [_, b, c, d] = ip.octets();
            ([0x01, 0x00, 0x5e, b & 0x7f, c, d], [0x08, 0x00])
        }
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            ([0x33, 0x33, a, b, c, d], [0x86, 0xdd])
        }
    };
    [&to[..], &mac, &kind].concat()
}

fn write(octets: &mut [u8], place: std::ops::Range<usize>, value: u16) {
    if let Some(place) = octets.get_mut(place) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// As sockets name them.
pub(super) fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

/// RFC 791 section 3.1, numbered 0; the kernel fills in the header checksum.
fn header_v4(source: Ipv4Addr, to: Ipv4Addr, payload: usize) -> Vec<u8> {
    let length = u16::try_from(HEADER_V4 + payload).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(HEADER_V4 + payload);
    header.extend([0x45, TOS]);
    header.extend(length.to_be_bytes());
    header.extend([0; 4]);
    header.extend([TTL, PROTOCOL, 0, 0]);
    header.extend(source.octets());
    header.extend(to.octets());
    header
}

/// RFC 8200 section 3, with flow label 0.
fn header_v6(source: Ipv6Addr, to: Ipv6Addr, payload: usize) -> Vec<u8> {
    let length = u16::try_from(payload).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(HEADER_V6 + payload);
    header.extend([0x60 | TOS >> 4, TOS << 4, 0, 0]);
    header.extend(length.to_be_bytes());
    header.extend([PROTOCOL, TTL]);
    header.extend(source.octets());
    header.extend(to.octets());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The header of the frame keepalived 2.2.7 sent at t=1.1991 of
    /// `v3-ipv6-multicast.pcap`, less its random flow label.
    #[test]
    fn w11_the_header_of_ipv6_is_keepalived_s() {
        let source = "fe80::ff:fe00:11".parse().unwrap();
        assert_eq!(
            hex(&header_v6(source, vrrp::GROUP_V6, 40)),
            "6c000000002870fffe80000000000000000000fffe000011\
             ff020000000000000000000000000012"
        );
    }

    #[test]
    fn frames_go_to_the_group_from_the_virtual_hardware_address() {
        let mac = [0, 0, 0x5e, 0, 1, 51];
        let v4 = framed(mac, vrrp::GROUP_V4.into());
        assert_eq!(hex(&v4), "01005e00001200005e0001330800");
        let v6 = framed(mac, vrrp::GROUP_V6.into());
        assert_eq!(hex(&v6), "33330000001200005e00013386dd");
    }
}
