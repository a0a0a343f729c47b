//! A name, asked at the Pod's name servers (RFC 1035, RFC 3596). A question of our own rather
//! than the C library's: that would look into files as well, and say less about why not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use thiserror::Error;

/// What an answer may take; the question is asked again by whoever wants to know.
const PATIENCE: Duration = Duration::from_secs(2);
const PORT: u16 = 53;
/// The longest answer over UDP without an extension (RFC 1035, 4.2.1), octets.
const LONGEST: usize = 512;
/// The socket is connected: only its server can answer, and one question is asked on it.
const ID: u16 = 0x5350;
/// Recursion is desired (RFC 1035, 4.1.1).
const DESIRED: u16 = 0x0100;
/// This is an answer.
const RESPONSE: u16 = 0x8000;
/// It has been cut short.
const TRUNCATED: u16 = 0x0200;
const A: u16 = 1;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;
/// The two high bits of a length that is a pointer (RFC 1035, 4.1.4).
const POINTER: u8 = 0xc0;

/// Why a name has no address.
#[derive(Debug, Error)]
pub enum DnsError {
    /// The Pod knows nobody to ask.
    #[error("its /etc/resolv.conf names no name server")]
    NoServer,
    /// The name cannot be asked for.
    #[error("{0} is no name")]
    Name(String),
    /// No answer.
    #[error("{server} does not answer")]
    Silent {
        /// Who.
        server: IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The answer says no.
    #[error("{server} says {}", rcode(*.code))]
    Refused {
        /// Who.
        server: IpAddr,
        /// RCODE.
        code: u16,
    },
    /// An answer without an address.
    #[error("{0} knows the name and no address of it")]
    Empty(IpAddr),
    /// No answer to this question.
    #[error("{0} answers what is no answer")]
    Garbled(IpAddr),
}

/// RCODE in the words of RFC 1035, 4.1.1.
fn rcode(code: u16) -> String {
    match code {
        1 => "the question is malformed".to_owned(),
        2 => "it cannot find out (SERVFAIL)".to_owned(),
        3 => "there is no such name (NXDOMAIN)".to_owned(),
        5 => "it does not answer this question (REFUSED)".to_owned(),
        code => format!("no, with code {code}"),
    }
}

/// The addresses of `name`, by every server that is named: one that does not know it is as
/// bad as none, since a Pod may ask any of them.
pub(super) fn resolve(servers: &[IpAddr], name: &str) -> Result<Vec<IpAddr>, DnsError> {
    let mut all = Vec::new();
    for server in servers {
        let mut found = Vec::new();
        for kind in [A, AAAA] {
            found.extend(asked(*server, name, kind)?);
        }
        if found.is_empty() {
            return Err(DnsError::Empty(*server));
        }
        all.extend(found);
    }
    if servers.is_empty() {
        return Err(DnsError::NoServer);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

fn asked(server: IpAddr, name: &str, kind: u16) -> Result<Vec<IpAddr>, DnsError> {
    let question = question(name, kind).ok_or_else(|| DnsError::Name(name.to_owned()))?;
    let exchange = || -> io::Result<Vec<u8>> {
        let any: SocketAddr = match server {
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect((server, PORT))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(&question)?;
        let mut answer = vec![0; LONGEST];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    };
    let answer = exchange().map_err(|source| DnsError::Silent { server, source })?;
    match read(&answer, kind) {
        Some(Ok(addresses)) => Ok(addresses),
        Some(Err(code)) => Err(DnsError::Refused { server, code }),
        None => Err(DnsError::Garbled(server)),
    }
}

/// A question for the addresses of a name; nothing when it is none.
fn question(name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for number in [ID, DESIRED, 1, 0, 0, 0] {
        octets.extend(number.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok()?;
        if length == 0 || length > 63 {
            return None;
        }
        octets.push(length);
        octets.extend(label.bytes());
    }
    octets.push(0);
    for number in [kind, INTERNET] {
        octets.extend(number.to_be_bytes());
    }
    Some(octets)
}

/// What an answer says: addresses, or its RCODE; nothing when it is no whole answer.
fn read(octets: &[u8], kind: u16) -> Option<Result<Vec<IpAddr>, u16>> {
    let mut rest = octets;
    let id = number(&mut rest)?;
    let flags = number(&mut rest)?;
    let questions = number(&mut rest)?;
    let answers = number(&mut rest)?;
    let (_, _) = (number(&mut rest)?, number(&mut rest)?);
    if id != ID || flags & RESPONSE == 0 || flags & TRUNCATED != 0 {
        return None;
    }
    match flags & 0x000f {
        0 => {}
        code => return Some(Err(code)),
    }
    for _ in 0..questions {
        name(&mut rest)?;
        let (_, _) = (number(&mut rest)?, number(&mut rest)?);
    }
    let mut addresses = Vec::new();
    for _ in 0..answers {
        name(&mut rest)?;
        let is = number(&mut rest)?;
        let _class = number(&mut rest)?;
        let (_, _) = (number(&mut rest)?, number(&mut rest)?);
        let length = usize::from(number(&mut rest)?);
        let data = rest.get(..length)?;
        rest = rest.get(length..)?;
        // An alias (CNAME) comes before the addresses of what it stands for.
        if is == kind {
            addresses.push(address(data)?);
        }
    }
    Some(Ok(addresses))
}

fn address(data: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(data) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(data).ok().map(IpAddr::from)
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (first, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*first))
}

/// Steps over a name: labels to the empty one, or to a pointer to others.
fn name(rest: &mut &[u8]) -> Option<()> {
    loop {
        let (length, after) = rest.split_first()?;
        if length & POINTER == POINTER {
            *rest = after.get(1..)?;
            return Some(());
        }
        *rest = after.get(usize::from(*length)..)?;
        if *length == 0 {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with one record, whose name points at the question's.
    fn answer(flags: u16, kind: u16, data: &[u8]) -> Vec<u8> {
        let mut octets = question("a.b", kind).unwrap();
        octets[2..4].copy_from_slice(&flags.to_be_bytes());
        octets[6..8].copy_from_slice(&1_u16.to_be_bytes());
        octets.extend([POINTER, 12]);
        for number in [kind, INTERNET, 0, 30, u16::try_from(data.len()).unwrap()] {
            octets.extend(number.to_be_bytes());
        }
        octets.extend(data);
        octets
    }

    #[test]
    fn a_question_is_as_rfc_1035_draws_it() {
        let octets = question("a.bc.", A).unwrap();
        assert_eq!(octets[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(octets[12..], [1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
        assert_eq!(question("a..b", A), None);
        assert_eq!(question(&"a".repeat(64), A), None);
    }

    #[test]
    fn an_answer_is_addresses_or_a_refusal() {
        let four = answer(0x8180, A, &[10, 96, 0, 1]);
        assert_eq!(read(&four, A), Some(Ok(vec!["10.96.0.1".parse().unwrap()])));
        let six = answer(0x8180, AAAA, &Ipv6Addr::LOCALHOST.octets());
        assert_eq!(read(&six, AAAA), Some(Ok(vec!["::1".parse().unwrap()])));
        // An alias is no address.
        let alias = answer(0x8180, 5, &[1, b'x', 0]);
        assert_eq!(read(&alias, A), Some(Ok(Vec::new())));
        assert_eq!(read(&answer(0x8183, A, &[]), A), Some(Err(3)));
        // A question come back, and a truncated answer.
        assert_eq!(read(&answer(0x0100, A, &[10, 96, 0, 1]), A), None);
        assert_eq!(read(&answer(0x8380, A, &[10, 96, 0, 1]), A), None);
        for end in 0..four.len() {
            assert_eq!(read(&four[..end], A), None, "{end}");
        }
    }
}
