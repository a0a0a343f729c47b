//! CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.

/// The reflected polynomial.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum of these parts, one after the other. Bit by bit: a header is short, and
/// hardly any proxy sends a checksum.
pub(super) fn crc32c<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        let rising: Vec<u8> = (0..32).collect();
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(crc32c([bytes]), expected);
            let (head, tail) = bytes.split_at(5);
            assert_eq!(crc32c([head, tail]), expected);
        }
    }
}
