//! As much DER (X.690) as it takes to write a key down in another form.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;

/// One value: tag, length in the fewest octets, content.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        Ok(_) | Err(_) => {
            let octets = content.len().to_be_bytes();
            let octets: Vec<u8> =
                octets.into_iter().skip_while(|octet| *octet == 0).collect();
            // No more than eight: a length is a usize.
            out.push(0x80 | u8::try_from(octets.len()).unwrap_or(0x7f));
            out.extend(octets);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A number without a sign, given without leading zeros.
pub(crate) fn positive(number: &[u8]) -> Vec<u8> {
    let negative = number.first().is_none_or(|first| *first >= 0x80);
    let mut content = Vec::with_capacity(number.len() + 1);
    if negative {
        content.push(0);
    }
    content.extend_from_slice(number);
    value(INTEGER, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_fewest_octets() {
        for (length, head) in [
            (0, vec![4, 0]),
            (0x7f, vec![4, 0x7f]),
            (0x80, vec![4, 0x81, 0x80]),
            (0xff, vec![4, 0x81, 0xff]),
            (0x100, vec![4, 0x82, 1, 0]),
        ] {
            let written = value(OCTET_STRING, &vec![7; length]);
            assert_eq!(&written[..head.len()], head);
            assert_eq!(written.len(), head.len() + length);
        }
    }

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(positive(&[0x7f]), [2, 1, 0x7f]);
        assert_eq!(positive(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(positive(&[]), [2, 1, 0]);
    }
}
