//! C9 to C11: what is refused, and what is left over behind a message.

use vrrp::packet::{Checksum, Envelope, emit, ipv4, parse};
use vrrp::{Refusal, Version};

use crate::octets::{hex, seal};
use crate::{M0, M0_V6, M1, VIP, advert, ip};

#[test]
fn c9_cut_short_at_every_octet() {
    let group = Envelope::multicast(ip(M0));
    let group_v6 = Envelope::multicast(ip(M0_V6));
    let messages = [
        (hex("21336501 0101f1dd 0a370064 34326b3873766970"), group),
        (hex("31336501 000a7455 0a370064"), group),
        (
            emit(
                &advert(Version::V3, 500, 101, &["fd55::100"]),
                &group_v6,
                Checksum::PseudoHeader,
            ),
            group_v6,
        ),
    ];
    for (message, envelope) in messages {
        for end in 0..message.len() {
            let cut = parse(&message[..end], &envelope);
            assert_eq!(cut, Err(Refusal::Truncated), "{end} of {}", message.len());
        }
        assert!(parse(&message, &envelope).is_ok());
    }
}

#[test]
fn c9_refused_messages() {
    let v3 = "31336501 000a0000 0a370064";
    let v2 = "21336501 01010000 0a370064 34326b3873766970";
    // octet, value, then how it is refused
    let cases = [
        (v3, 0, 0x41, Refusal::UnknownVersion(4)),
        (v3, 0, 0x11, Refusal::UnknownVersion(1)),
        (v3, 0, 0x32, Refusal::UnknownType(2)),
        (v3, 0, 0x30, Refusal::UnknownType(0)),
        (v3, 1, 0, Refusal::NoVrid),
        (v3, 3, 0, Refusal::NoAddresses),
        (v3, 3, 2, Refusal::Truncated),
        (v3, 3, 255, Refusal::Truncated),
        (v3, 5, 0, Refusal::NoInterval),
        (v2, 5, 0, Refusal::NoInterval),
        (v2, 3, 2, Refusal::Truncated),
        (v2, 4, 2, Refusal::UnknownAuth(2)),
        (v2, 4, 255, Refusal::UnknownAuth(255)),
    ];
    let group = Envelope::multicast(ip(M0));
    for (text, at, value, refusal) in cases {
        let mut message = hex(text);
        message[at] = value;
        // An advert without addresses ends before the one that is there.
        let covered = if refusal == Refusal::NoAddresses {
            8
        } else {
            message.len()
        };
        seal(&mut message[..covered], None);
        assert_eq!(
            parse(&message, &group),
            Err(refusal),
            "octet {at} = {value}"
        );
    }
}

#[test]
fn c9_a_flipped_bit_anywhere_is_refused() {
    let group = Envelope::multicast(ip(M0));
    for text in [
        "21336501 0101f1dd 0a370064 34326b3873766970",
        "31336501 000a7455 0a370064",
    ] {
        let good = hex(text);
        for bit in 0..good.len() * 8 {
            let mut message = good.clone();
            message[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&message, &group).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn c9_a_checksum_is_bound_to_the_addresses_of_its_datagram() {
    let message = hex("31336501 000a7455 0a370064");
    let other = Envelope::multicast(ip(M1));
    assert_eq!(parse(&message, &other), Err(Refusal::Checksum));
    let mixed = Envelope {
        source: ip(M0),
        destination: ip("ff02::12"),
        ttl: 255,
    };
    assert_eq!(parse(&message, &mixed), Err(Refusal::MixedFamilies));
}

#[test]
fn c9_v2_is_ipv4_only() {
    let group = Envelope::multicast(ip(M0_V6));
    let message = hex("21336501 0101f1dd 0a370064 34326b3873766970");
    assert_eq!(parse(&message, &group), Err(Refusal::UnknownVersion(2)));
}

#[test]
fn c9_reserved_bits_of_v3_are_ignored_and_sent_as_zero() {
    let group = Envelope::multicast(ip(M0));
    let mut message = hex("31336501 f00a0000 0a370064");
    seal(&mut message, Some((group.source, group.destination)));
    let received = parse(&message, &group).unwrap();
    assert_eq!(received.advert, advert(Version::V3, 100, 101, &[VIP]));
    let sent = emit(&received.advert, &group, received.checksum);
    assert_eq!(sent, hex("31336501 000a7455 0a370064"));
}

#[test]
fn c10_octets_behind_the_message_are_ignored() {
    let group = Envelope::multicast(ip(M0));
    for (text, checksum) in [
        ("31336501 000a7455 0a370064", Checksum::PseudoHeader),
        (
            "21336501 0101f1dd 0a370064 34326b3873766970",
            Checksum::Message,
        ),
    ] {
        let mut message = hex(text);
        let length = message.len();
        message.resize(46, 0xa5);
        let received = parse(&message, &group).unwrap();
        assert_eq!(received.trailing, 46 - length);
        assert_eq!(received.checksum, checksum);
    }
}

const DATAGRAM: &str =
    "45c00020 00010000 ff70d058 0a37000b e0000012 31336501 000a7455 0a370064";

#[test]
fn c10_ethernet_padding_is_cut_off_with_the_ip_header() {
    let mut datagram = hex(DATAGRAM);
    datagram.resize(46, 0);
    let (envelope, message) = ipv4::strip(&datagram).unwrap();
    assert_eq!(envelope, Envelope::multicast(ip(M0)));
    assert_eq!(message, hex("31336501 000a7455 0a370064"));
}

#[test]
fn c11_ip_options_are_skipped() {
    for words in 1..=10_u8 {
        let options = usize::from(words) * 4;
        let mut datagram = hex(DATAGRAM);
        datagram[0] = 0x45 + words;
        datagram[3] += u8::try_from(options).unwrap();
        datagram.splice(20..20, vec![1; options]);
        let (envelope, message) = ipv4::strip(&datagram).unwrap();
        assert_eq!(
            envelope,
            Envelope::multicast(ip(M0)),
            "{options} octets of options"
        );
        assert_eq!(message, hex("31336501 000a7455 0a370064"));
    }
}

#[test]
fn c11_refused_ip_headers() {
    let good = hex(DATAGRAM);
    for end in 0..good.len() {
        assert_eq!(
            ipv4::strip(&good[..end]),
            Err(Refusal::IpTruncated),
            "{end} octets"
        );
    }
    let cases = [
        (0, 0x65, Refusal::IpHeader),
        (0, 0x44, Refusal::IpHeader),
        (0, 0x49, Refusal::IpHeader),
        (3, 19, Refusal::IpHeader),
        (3, 33, Refusal::IpTruncated),
        (6, 0x20, Refusal::IpFragment),
        (7, 0x01, Refusal::IpFragment),
        (9, 17, Refusal::IpProtocol(17)),
    ];
    for (at, value, refusal) in cases {
        let mut datagram = good.clone();
        datagram[at] = value;
        assert_eq!(
            ipv4::strip(&datagram),
            Err(refusal),
            "octet {at} = {value:#x}"
        );
    }
    let mut whole = good;
    whole[6] = 0x40;
    assert!(ipv4::strip(&whole).is_ok(), "Don't Fragment is no fragment");
}
