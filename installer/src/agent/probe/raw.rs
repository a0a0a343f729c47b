//! Sockets for a protocol of IP without ports.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

/// A socket for packets of a protocol, which the kernel puts the IP header before. To send and
/// to receive, it is like one of UDP: the same calls, with 0 for the port.
pub(super) fn open(address: IpAddr, number: u8) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(SocketAddr::new(address, 0));
    let protocol = Protocol::from(i32::from(number));
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    Ok(UdpSocket::from(OwnedFd::from(socket)))
}

/// What stands before what was sent, in what is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: UDP, and raw sockets of IPv6.
    Nothing,
    /// The header of IPv4 (raw(7)).
    Header,
}

impl Before {
    /// Of a raw socket.
    pub(super) fn raw(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::Header
        } else {
            Self::Nothing
        }
    }

    /// What was sent, of what is received.
    pub(super) fn payload(self, packet: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Nothing => Some(packet),
            Self::Header => {
                // RFC 791: the low four bits of the first octet, in units of four octets.
                let words = usize::from(packet.first()? & 0x0f);
                packet.get(words * 4..)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_as_long_as_it_says() {
        let mut packet = vec![0x45];
        packet.resize(20, 0);
        packet.extend(*b"hello");
        assert_eq!(Before::Header.payload(&packet), Some(&b"hello"[..]));
        packet[0] = 0x46;
        assert_eq!(Before::Header.payload(&packet), Some(&b"o"[..]));
        packet[0] = 0x4f;
        assert_eq!(Before::Header.payload(&packet), None);
        assert_eq!(Before::Header.payload(&[]), None);
        assert_eq!(Before::Nothing.payload(b"hello"), Some(&b"hello"[..]));
    }
}
