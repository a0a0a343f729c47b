//! From a header to its bytes.

use std::net::{IpAddr, SocketAddr};

use super::parse::{SIGNATURE, TCP_4, TCP_6};
use super::{Header, Version};

/// The bytes of a header. Two addresses of different families are both written as IPv6, an
/// IPv4 address as `::ffff:a.b.c.d`.
#[must_use]
pub fn emit(version: Version, header: &Header) -> Vec<u8> {
    match (version, header) {
        (Version::V1, Header::Local) => b"PROXY UNKNOWN\r\n".to_vec(),
        (
            Version::V1,
            Header::Tcp {
                source,
                destination,
            },
        ) => {
            let (source, destination) = alike(*source, *destination);
            let family = if source.is_ipv4() { 4 } else { 6 };
            let (from, to) = (source.ip(), destination.ip());
            let (port, to_port) = (source.port(), destination.port());
            format!("PROXY TCP{family} {from} {to} {port} {to_port}\r\n").into_bytes()
        }
        (Version::V2, Header::Local) => head(0x20, 0x00, 0),
        (
            Version::V2,
            Header::Tcp {
                source,
                destination,
            },
        ) => {
            let (source, destination) = alike(*source, *destination);
            let mut bytes = match source {
                SocketAddr::V4(_) => head(0x21, TCP_4, 12),
                SocketAddr::V6(_) => head(0x21, TCP_6, 36),
            };
            for address in [source, destination] {
                match address.ip() {
                    IpAddr::V4(four) => bytes.extend(four.octets()),
                    IpAddr::V6(six) => bytes.extend(six.octets()),
                }
            }
            bytes.extend(source.port().to_be_bytes());
            bytes.extend(destination.port().to_be_bytes());
            bytes
        }
    }
}

fn head(command: u8, family: u8, len: u16) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(len.to_be_bytes());
    bytes
}

fn alike(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    (in_six(source), in_six(destination))
}

fn in_six(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(four) => (four.to_ipv6_mapped(), address.port()).into(),
        IpAddr::V6(_) => address,
    }
}
