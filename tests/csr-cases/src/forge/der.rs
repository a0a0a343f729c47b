//! Writes DER: every function gives a whole value.

/// A value with `tag`.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag][..], &length(content.len()), content].concat()
}

fn length(length: usize) -> Vec<u8> {
    let octets = length.to_be_bytes();
    let leading = octets.iter().take_while(|octet| **octet == 0).count();
    let short = octets.get(leading..).unwrap_or_default();
    match short {
        [] => vec![0],
        [one] if *one < 0x80 => vec![*one],
        long => {
            let count = u8::try_from(long.len()).unwrap_or(u8::MAX);
            [&[0x80 | count][..], long].concat()
        }
    }
}

pub(super) fn sequence(values: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &values.concat())
}

pub(super) fn set(values: &[Vec<u8>]) -> Vec<u8> {
    value(0x31, &values.concat())
}

/// `[number]`, constructed.
pub(super) fn context(number: u8, content: &[u8]) -> Vec<u8> {
    value(0xa0 | number, content)
}

/// A positive integer of these octets, with a sign octet where one is needed.
pub(super) fn integer(octets: &[u8]) -> Vec<u8> {
    match octets.first() {
        Some(0x80..) => value(0x02, &[&[0][..], octets].concat()),
        Some(_) | None => value(0x02, octets),
    }
}

pub(super) fn bit_string(octets: &[u8]) -> Vec<u8> {
    value(0x03, &[&[0][..], octets].concat())
}

pub(super) fn octet_string(octets: &[u8]) -> Vec<u8> {
    value(0x04, octets)
}

pub(super) fn boolean_true() -> Vec<u8> {
    value(0x01, &[0xff])
}

pub(super) fn null() -> Vec<u8> {
    value(0x05, &[])
}

/// PrintableString where it can be one, else UTF8String, as Go's encoder chooses.
pub(super) fn text(text: &str) -> Vec<u8> {
    let printable =
        |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
    let tag = if text.bytes().all(printable) {
        0x13
    } else {
        0x0c
    };
    value(tag, text.as_bytes())
}

pub(super) fn oid(components: &[u64]) -> Vec<u8> {
    let (first, second, rest) = match components {
        [first, second, rest @ ..] => (*first, *second, rest),
        _ => (0, 0, components),
    };
    let mut content = base_128(first * 40 + second);
    content.extend(rest.iter().flat_map(|component| base_128(*component)));
    value(0x06, &content)
}

fn base_128(mut number: u64) -> Vec<u8> {
    let mut octets = vec![low_bits(number)];
    while number > 0x7f {
        number >>= 7;
        octets.insert(0, 0x80 | low_bits(number));
    }
    octets
}

fn low_bits(number: u64) -> u8 {
    let [octet, ..] = number.to_le_bytes();
    octet & 0x7f
}
