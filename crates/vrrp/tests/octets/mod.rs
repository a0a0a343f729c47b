//! Octets written as hex, and a checksum written a second time to check the first.

use std::net::IpAddr;

/// Hex digits, blanks ignored.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let octet = |pair: &[u32]| pair.iter().fold(0, |sum, digit| sum * 16 + digit);
    digits
        .chunks(2)
        .filter_map(|pair| u8::try_from(octet(pair)).ok())
        .collect()
}

/// Puts the right checksum into a message; with a pseudo-header between the two addresses
/// if they are given. Straight from RFC 1071: add 16-bit words, fold, complement.
pub(crate) fn seal(message: &mut [u8], pseudo_header: Option<(IpAddr, IpAddr)>) {
    let mut covered = message.to_vec();
    if let Some(field) = covered.get_mut(6..8) {
        field.fill(0);
    }
    if covered.len() % 2 == 1 {
        covered.push(0);
    }
    if let Some((source, destination)) = pseudo_header {
        for address in [source, destination] {
            match address {
                IpAddr::V4(address) => covered.extend(address.octets()),
                IpAddr::V6(address) => covered.extend(address.octets()),
            }
        }
        let length = u32::try_from(message.len()).unwrap_or_default();
        covered.extend(length.to_be_bytes());
        covered.extend([0, 0, 0, 112]);
    }
    let words = covered.as_chunks::<2>().0.iter();
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let checksum = !u16::try_from(sum).unwrap_or_default();
    if let Some(field) = message.get_mut(6..8) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}
