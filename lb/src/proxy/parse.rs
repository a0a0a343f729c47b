//! From bytes to a header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::crc32c::crc32c;
use super::{Header, LONGEST};

/// What version 2 begins with.
pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, its end included (section 2.1).
const LONGEST_LINE: usize = 107;
/// Before the addresses of version 2.
const HEAD: usize = 16;
/// Family and protocol: TCP over IPv4.
pub(super) const TCP_4: u8 = 0x11;
/// Family and protocol: TCP over IPv6.
pub(super) const TCP_6: u8 = 0x21;
/// The TLV with a checksum over the whole header.
const TLV_CRC32C: u8 = 0x03;

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header; more has to come.
    Partial,
    /// A header of so many bytes. What follows belongs to the connection.
    Whole {
        /// What it says.
        header: Header,
        /// How long it is.
        len: usize,
    },
}

/// Why the bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin like neither version.
    #[error("not a PROXY header")]
    Signature,
    /// A line that does not end in time, or not with CR LF.
    #[error("a line without an end")]
    LineEnd,
    /// A line with other words than it should have.
    #[error("a line with the wrong words")]
    Words,
    /// An address or port of a line.
    #[error("an address or port that is none")]
    Address,
    /// A version other than 2, or an unknown command.
    #[error("an unknown version or command")]
    Command,
    /// Not TCP over IPv4 or IPv6.
    #[error("a protocol that is not TCP")]
    Family,
    /// Longer than is taken, or too short for its addresses.
    #[error("a length that cannot be")]
    Length,
    /// What follows the addresses is no list of TLVs.
    #[error("a broken extension")]
    Extension,
    /// It carries a checksum, which is another one.
    #[error("a wrong checksum")]
    Checksum,
}

/// Reads a header from the first bytes of a connection.
///
/// # Errors
/// Why they are none. More bytes would not change that.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    if begins(bytes, SIGNATURE) {
        version_2(bytes)
    } else if begins(bytes, WORD) {
        version_1(bytes)
    } else {
        Err(Malformed::Signature)
    }
}

/// Whether they begin in this way, as far as they go.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(byte, other)| byte == other)
}

fn version_1(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let window = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if window.len() < LONGEST_LINE {
            Ok(Parsed::Partial)
        } else {
            Err(Malformed::LineEnd)
        };
    };
    let line = window.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").ok_or(Malformed::LineEnd)?;
    let line = line.strip_prefix(WORD).ok_or(Malformed::Signature)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Words)?;
    Ok(Parsed::Whole {
        header: words(line)?,
        len: end + 1,
    })
}

fn words(line: &str) -> Result<Header, Malformed> {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        // Whatever follows is to be ignored (section 2.1).
        ["UNKNOWN", ..] => Ok(Header::Local),
        ["TCP4", from, to, port, to_port] => pair::<Ipv4Addr>(from, to, port, to_port),
        ["TCP6", from, to, port, to_port] => pair::<Ipv6Addr>(from, to, port, to_port),
        _ => Err(Malformed::Words),
    }
}

fn pair<A: FromStr + Into<IpAddr>>(
    from: &str,
    to: &str,
    port: &str,
    to_port: &str,
) -> Result<Header, Malformed> {
    let ip = |text: &str| -> Result<IpAddr, Malformed> {
        Ok(text.parse::<A>().map_err(|_| Malformed::Address)?.into())
    };
    Ok(Header::Tcp {
        source: SocketAddr::new(ip(from)?, number(port)?),
        destination: SocketAddr::new(ip(to)?, number(to_port)?),
    })
}

/// A decimal port without sign or leading zeros.
fn number(text: &str) -> Result<u16, Malformed> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    let port = text.parse().ok().filter(|_| canonical);
    port.ok_or(Malformed::Address)
}

fn version_2(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Ok(Parsed::Partial);
    };
    let [.., command, family, high, low] = *head;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, 0x20 | 0x21) {
        return Err(Malformed::Command);
    }
    if HEAD + len > LONGEST {
        return Err(Malformed::Length);
    }
    let Some(body) = rest.get(..len) else {
        return Ok(Parsed::Partial);
    };
    let (header, extensions) = match (command, family) {
        // The addresses of the proxy's own connection are to be skipped (section 2.2).
        (0x20, _) => (Header::Local, known_length(family, body)),
        (_, TCP_4) => addresses::<4>(body)?,
        (_, TCP_6) => addresses::<16>(body)?,
        _ => return Err(Malformed::Family),
    };
    extended(head, body, extensions)?;
    Ok(Parsed::Whole {
        header,
        len: HEAD + len,
    })
}

/// What follows the addresses of a family.
fn known_length(family: u8, body: &[u8]) -> &[u8] {
    let len = match family >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    body.get(len..).unwrap_or_default()
}

/// Two addresses of `N` bytes and two ports, and what follows.
fn addresses<const N: usize>(body: &[u8]) -> Result<(Header, &[u8]), Malformed> {
    let split = || -> Option<(SocketAddr, SocketAddr, &[u8])> {
        let (from, rest) = body.split_first_chunk::<N>()?;
        let (to, rest) = rest.split_first_chunk::<N>()?;
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let (to_port, rest) = rest.split_first_chunk::<2>()?;
        let source = SocketAddr::new(ip(from)?, u16::from_be_bytes(*port));
        let destination = SocketAddr::new(ip(to)?, u16::from_be_bytes(*to_port));
        Some((source, destination, rest))
    };
    let (source, destination, rest) = split().ok_or(Malformed::Length)?;
    let header = Header::Tcp {
        source,
        destination,
    };
    Ok((header, rest))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// Walks the extensions; only the checksum is looked at.
fn extended(head: &[u8], body: &[u8], mut left: &[u8]) -> Result<(), Malformed> {
    while let Some(([kind, high, low], rest)) = left.split_first_chunk::<3>() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..len).ok_or(Malformed::Extension)?;
        let after = rest.get(len..).unwrap_or_default();
        if *kind == TLV_CRC32C {
            let sum = <[u8; 4]>::try_from(value).map_err(|_| Malformed::Extension)?;
            let before = body.len() - after.len() - value.len();
            let before = body.get(..before).unwrap_or_default();
            // The checksum counts as zero in its own sum (section 2.2.4).
            if crc32c([head, before, &[0; 4], after]) != u32::from_be_bytes(sum) {
                return Err(Malformed::Checksum);
            }
        }
        left = after;
    }
    if left.is_empty() {
        Ok(())
    } else {
        Err(Malformed::Extension)
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
