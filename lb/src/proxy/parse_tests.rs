//! The corpus of headers, good and bad, and properties of parser and emitter.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::proxy::{Version, emit};

/// One file per header: a line with the expected outcome, then the bytes as Rust writes them
/// in a string (`\r`, `\x20`), each line of the file appended.
const CORPUS: &str = "tests/proxy";

fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut letters = text.bytes();
    while let Some(letter) = letters.next() {
        if letter != b'\\' {
            bytes.push(letter);
            continue;
        }
        match letters.next() {
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'0') => bytes.push(0),
            Some(b'x') => {
                let digits = [letters.next().unwrap(), letters.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
            }
            other => panic!("{other:?} after a backslash"),
        }
    }
    bytes
}

#[test]
fn the_corpus() {
    let mut count = 0;
    for entry in fs::read_dir(Path::new(CORPUS)).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (expected, rest) = text.split_once('\n').unwrap();
        let bytes = bytes_of(&rest.replace('\n', ""));
        let got = match parse(&bytes) {
            Ok(Parsed::Partial) => "partial".to_owned(),
            Ok(Parsed::Whole { header, len }) => match header {
                Header::Local => format!("{len} local"),
                Header::Tcp {
                    source,
                    destination,
                } => format!("{len} {source} {destination}"),
            },
            Err(why) => format!("{why:?}"),
        };
        assert_eq!(got, expected, "{}", path.display());
        count += 1;
    }
    assert!(count >= 30, "the corpus is not where it was: {count}");
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn header() -> impl Strategy<Value = Header> {
    let tcp = (address(), address()).prop_map(|(source, destination)| Header::Tcp {
        source,
        destination,
    });
    prop_oneof![1 => Just(Header::Local), 9 => tcp]
}

/// As it comes back: two addresses of different families as IPv6.
fn normal(header: Header) -> Header {
    let six = |address: SocketAddr| match address.ip() {
        IpAddr::V4(four) => SocketAddr::new(four.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    match header {
        Header::Tcp {
            source,
            destination,
        } if source.is_ipv4() != destination.is_ipv4() => Header::Tcp {
            source: six(source),
            destination: six(destination),
        },
        same @ (Header::Local | Header::Tcp { .. }) => same,
    }
}

proptest! {
    /// What is emitted is parsed again, whatever follows; and each beginning is partial.
    #[test]
    fn there_and_back(header in header(), two in any::<bool>(), more in prop::collection::vec(any::<u8>(), 0..50)) {
        let version = if two { Version::V2 } else { Version::V1 };
        let bytes = emit(version, &header);
        let len = bytes.len();
        for cut in 0..len {
            prop_assert_eq!(parse(&bytes[..cut]), Ok(Parsed::Partial), "{}", cut);
        }
        let all: Vec<u8> = bytes.into_iter().chain(more).collect();
        let header = normal(header);
        prop_assert_eq!(parse(&all), Ok(Parsed::Whole { header, len }));
    }

    /// A checksum is believed only when it is right.
    #[test]
    fn the_checksum_is_checked(header in header(), flipped in any::<prop::sample::Index>()) {
        let mut bytes = emit(Version::V2, &header);
        let len = u16::try_from(bytes.len() - HEAD + 7).unwrap();
        bytes[14..16].copy_from_slice(&len.to_be_bytes());
        bytes.extend([TLV_CRC32C, 0, 4, 0, 0, 0, 0]);
        let sum = crc32c([&bytes[..]]).to_be_bytes();
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&sum);
        let whole = matches!(parse(&bytes), Ok(Parsed::Whole { .. }));
        prop_assert!(whole);
        let addresses = bytes.len() - HEAD - 7;
        if addresses > 0 {
            bytes[HEAD + flipped.index(addresses)] ^= 1;
            prop_assert_eq!(parse(&bytes), Err(Malformed::Checksum));
        }
    }

    /// Whatever comes, the parser ends, and never says more than it was given.
    #[test]
    fn odd_bytes_do_no_harm(version in 0_u8..3, tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let head: &[u8] = match version { 0 => SIGNATURE, 1 => WORD, _ => b"" };
        let bytes: Vec<u8> = head.iter().copied().chain(tail).collect();
        if let Ok(Parsed::Whole { len, .. }) = parse(&bytes) {
            prop_assert!(len <= bytes.len());
        }
    }
}
