//! The codec, case by case. The numbers are those of the list of conformance cases that
//! `docs/config/vip-daemon.md` will refer to.
#![cfg(test)]

mod octets;

use std::net::IpAddr;
use std::time::Duration;

use octets::{hex, seal};
use vrrp::acceptance::{Expected, Notice, Path, Senders, judge};
use vrrp::packet::{
    Addresses, Advert, Auth, Checksum, ChecksumStyle, Envelope, Password, emit, ipv4,
    parse,
};
use vrrp::{AdvertInterval, Dialect, Dialects, Priority, Refusal, Version, Vrid};

const M0: &str = "10.55.0.11";
const M1: &str = "10.55.0.12";
const VIP: &str = "10.55.0.100";
const M0_V6: &str = "fe80::ff:fe00:11";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn advert(version: Version, millis: u64, priority: u8, addresses: &[&str]) -> Advert {
    let interval = Duration::from_millis(millis);
    Advert {
        version,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::new(priority),
        interval: AdvertInterval::new(version, interval).unwrap(),
        auth: Auth::None,
        addresses: Addresses::new(addresses.iter().map(|text| ip(text)).collect())
            .unwrap(),
    }
}

fn with_password(advert: Advert, password: &str) -> Advert {
    Advert {
        auth: Auth::Simple(Password::new(password)),
        ..advert
    }
}

/// Emits to `bytes`, and parses `bytes` to the same advert and checksum.
fn both_ways(advert: &Advert, envelope: &Envelope, checksum: Checksum, bytes: &str) {
    assert_eq!(emit(advert, envelope, checksum), hex(bytes));
    let received = parse(&hex(bytes), envelope).unwrap();
    assert_eq!(&received.advert, advert);
    assert_eq!(received.checksum, checksum);
}

#[test]
fn c1_v2_with_password() {
    let advert = with_password(advert(Version::V2, 1000, 101, &[VIP]), "42k8svip");
    let group = Envelope::multicast(ip(M0));
    let bytes = "21336501 0101f1dd 0a370064 34326b3873766970";
    both_ways(&advert, &group, Checksum::Message, bytes);
}

#[test]
fn c2_v2_without_password_still_has_eight_octets() {
    let advert = advert(Version::V2, 1000, 101, &[VIP]);
    let group = Envelope::multicast(ip(M0));
    let bytes = "21336501 00016f2f 0a370064 0000000000000000";
    both_ways(&advert, &group, Checksum::Message, bytes);
}

#[test]
fn c2_v2_ignores_what_stands_in_unused_authentication_data() {
    let group = Envelope::multicast(ip(M0));
    let mut message = hex("21336501 00010000 0a370064 0102030405060708");
    seal(&mut message, None);
    let received = parse(&message, &group).unwrap();
    assert_eq!(received.advert, advert(Version::V2, 1000, 101, &[VIP]));
}

#[test]
fn c3_addresses_keep_their_order() {
    let vips = ["10.55.0.103", "10.55.0.100", "10.55.0.101"];
    let advert = with_password(advert(Version::V2, 1000, 101, &vips), "42k8svip");
    let group = Envelope::multicast(ip(M0));
    let bytes = "21336503 0101dca1 0a370067 0a370064 0a370065 34326b3873766970";
    both_ways(&advert, &group, Checksum::Message, bytes);
}

#[test]
fn c4_c6_v3_over_ipv4_has_two_checksums() {
    let advert = advert(Version::V3, 100, 101, &[VIP]);
    let group = Envelope::multicast(ip(M0));
    let keepalived = "31336501 000a7455 0a370064";
    both_ways(&advert, &group, Checksum::PseudoHeader, keepalived);
    let rfc9568 = "31336501 000a5f26 0a370064";
    both_ways(&advert, &group, Checksum::Message, rfc9568);
}

#[test]
fn c5_v3_unicast_has_the_peer_in_its_pseudo_header() {
    let advert = advert(Version::V3, 100, 101, &[VIP]);
    let peer = Envelope::unicast(ip(M0), ip(M1));
    both_ways(
        &advert,
        &peer,
        Checksum::PseudoHeader,
        "31336501 000a4a25 0a370064",
    );
    both_ways(
        &advert,
        &peer,
        Checksum::Message,
        "31336501 000a5f26 0a370064",
    );
    // keepalived up to 1.3.6: the checksum of the multicast advert.
    let old = Checksum::PseudoHeaderOfGroup;
    both_ways(&advert, &peer, old, "31336501 000a7455 0a370064");
}

#[test]
fn c6_the_style_that_is_sent() {
    use ChecksumStyle::{Auto, Pseudo, Rfc9568};
    let message = Some(Checksum::Message);
    let pseudo = Some(Checksum::PseudoHeader);
    let cases = [
        (Auto, Dialects::KEEPALIVED, None, Checksum::PseudoHeader),
        (Auto, Dialects::RFC, None, Checksum::Message),
        (Auto, Dialects::KEEPALIVED, message, Checksum::Message),
        (Auto, Dialects::RFC, pseudo, Checksum::PseudoHeader),
        (Pseudo, Dialects::RFC, message, Checksum::PseudoHeader),
        (Rfc9568, Dialects::KEEPALIVED, pseudo, Checksum::Message),
    ];
    for (style, dialects, heard, expected) in cases {
        let case = format!("{style:?} {dialects:?} {heard:?}");
        assert_eq!(style.choose(dialects, heard), expected, "{case}");
    }
}

#[test]
fn c6_versions_with_one_checksum_are_sent_with_that() {
    let group = Envelope::multicast(ip(M0));
    let v2 = advert(Version::V2, 1000, 101, &[VIP]);
    let usual = emit(&v2, &group, Checksum::Message);
    assert_eq!(emit(&v2, &group, Checksum::PseudoHeader), usual);
    let group = Envelope::multicast(ip(M0_V6));
    let v6 = advert(Version::V3, 500, 101, &["fd55::100"]);
    let usual = emit(&v6, &group, Checksum::PseudoHeader);
    assert_eq!(emit(&v6, &group, Checksum::Message), usual);
}

#[test]
fn c7_v3_over_ipv6() {
    let advert = advert(Version::V3, 500, 101, &["fe80::5:100", "fd55::100"]);
    let group = Envelope::multicast(ip("fe80::ff:fe00:11"));
    let bytes = "31336502 00326e7d fe800000000000000000000000050100 \
                 fd550000000000000000000000000100";
    both_ways(&advert, &group, Checksum::PseudoHeader, bytes);
}

#[test]
fn c8_releases() {
    let v2 = with_password(advert(Version::V2, 1000, 0, &[VIP]), "42k8svip");
    let group = Envelope::multicast(ip(M0));
    let bytes = "21330001 010156de 0a370064 34326b3873766970";
    both_ways(&v2, &group, Checksum::Message, bytes);
    let v2 = advert(Version::V2, 1000, 0, &[VIP]);
    let bytes = "21330001 0001d42f 0a370064 0000000000000000";
    both_ways(&v2, &group, Checksum::Message, bytes);
    let v3 = advert(Version::V3, 100, 0, &[VIP]);
    both_ways(
        &v3,
        &group,
        Checksum::PseudoHeader,
        "31330001 000ad955 0a370064",
    );
}

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

fn expected(version: Version, millis: u64, path: Path) -> Expected {
    let ours = advert(version, millis, 100, &[VIP, "10.55.0.101"]);
    Expected {
        vrid: ours.vrid,
        version,
        interval: ours.interval,
        auth: Auth::None,
        addresses: ours.addresses,
        source: ip(M1),
        path,
        dialects: Dialects::KEEPALIVED,
    }
}

fn any_peer() -> Path {
    Path::Unicast {
        senders: Senders::Any,
        ttl: None,
    }
}

#[test]
fn adverts_of_the_group_are_accepted() {
    let theirs = advert(Version::V3, 100, 101, &["10.55.0.101", VIP]);
    let group = Envelope::multicast(ip(M0));
    let ours = expected(Version::V3, 100, Path::Multicast);
    assert_eq!(
        judge(&theirs, &group, &ours),
        Ok(vec![]),
        "in another order"
    );
    let peer = Envelope::unicast(ip(M0), ip(M1));
    assert_eq!(
        judge(&theirs, &peer, &expected(Version::V3, 100, any_peer())),
        Ok(vec![])
    );
}

#[test]
fn t5_another_interval_is_refused_in_v2_and_noted_in_v3() {
    let group = Envelope::multicast(ip(M0));
    let theirs = advert(Version::V2, 2000, 101, &[VIP, "10.55.0.101"]);
    let ours = expected(Version::V2, 1000, Path::Multicast);
    let refusal = judge(&theirs, &group, &ours).unwrap_err();
    assert_eq!(refusal, Refusal::Interval(theirs.interval));
    assert!(refusal.is_misconfiguration());
    let theirs = advert(Version::V3, 2000, 101, &[VIP, "10.55.0.101"]);
    let ours = expected(Version::V3, 1000, Path::Multicast);
    let noted = Notice::OtherInterval(theirs.interval);
    assert_eq!(judge(&theirs, &group, &ours), Ok(vec![noted]));
}

#[test]
fn c9_ttl_is_checked_by_path() {
    let theirs = advert(Version::V3, 100, 101, &[VIP, "10.55.0.101"]);
    let group = |ttl| Envelope {
        ttl,
        ..Envelope::multicast(ip(M0))
    };
    let peer = |ttl| Envelope {
        ttl,
        ..Envelope::unicast(ip(M0), ip(M1))
    };
    let ranged = Path::Unicast {
        senders: Senders::Any,
        ttl: Some(253..=254),
    };
    let keepalived = |path| expected(Version::V3, 100, path);
    let rfc = |path| Expected {
        dialects: Dialects::RFC,
        ..keepalived(path)
    };
    let cases = [
        (group(255), keepalived(Path::Multicast), true),
        (group(254), keepalived(Path::Multicast), false),
        (peer(64), keepalived(any_peer()), true),
        (peer(0), keepalived(any_peer()), true),
        (peer(255), rfc(any_peer()), true),
        (peer(254), rfc(any_peer()), false),
        (peer(252), keepalived(ranged.clone()), false),
        (peer(253), keepalived(ranged.clone()), true),
        (peer(254), keepalived(ranged.clone()), true),
        (peer(255), keepalived(ranged), false),
    ];
    for (envelope, ours, accepted) in cases {
        let verdict = judge(&theirs, &envelope, &ours);
        let refused = Err(Refusal::Ttl(envelope.ttl));
        assert_eq!(
            verdict,
            if accepted { Ok(vec![]) } else { refused },
            "{envelope:?}"
        );
    }
}

#[test]
fn what_is_not_ours_is_refused_by_name() {
    let theirs = advert(Version::V3, 100, 101, &[VIP, "10.55.0.101"]);
    let group = Envelope::multicast(ip(M0));
    let peer = Envelope::unicast(ip(M0), ip(M1));
    let multicast = expected(Version::V3, 100, Path::Multicast);
    let listed = Senders::Only(vec![ip(M1)]);
    let strict = Path::Unicast {
        senders: listed,
        ttl: None,
    };
    let password = |text| Auth::Simple(Password::new(text));
    let refusal = |theirs: &Advert, envelope: &Envelope, ours: &Expected| {
        judge(theirs, envelope, ours).unwrap_err()
    };
    let other = Advert {
        vrid: Vrid::new(52).unwrap(),
        ..theirs.clone()
    };
    assert_eq!(refusal(&other, &group, &multicast), Refusal::OtherVrid(52));
    let echo = Envelope::multicast(ip(M1));
    assert_eq!(refusal(&theirs, &echo, &multicast), Refusal::OwnSource);
    assert_eq!(refusal(&theirs, &peer, &multicast), Refusal::Unicast);
    let unicast = expected(Version::V3, 100, any_peer());
    assert_eq!(refusal(&theirs, &group, &unicast), Refusal::Multicast);
    let strict = expected(Version::V3, 100, strict);
    assert_eq!(
        refusal(&theirs, &peer, &strict),
        Refusal::UnknownPeer(ip(M0))
    );
    let v2 = expected(Version::V2, 1000, Path::Multicast);
    assert_eq!(
        refusal(&theirs, &group, &v2),
        Refusal::OtherVersion(Version::V3)
    );
    let theirs = advert(Version::V2, 1000, 101, &[VIP, "10.55.0.101"]);
    let locked = Expected {
        auth: password("secret"),
        ..v2.clone()
    };
    assert_eq!(refusal(&theirs, &group, &locked), Refusal::AuthType);
    let theirs = with_password(theirs, "guess");
    assert_eq!(refusal(&theirs, &group, &locked), Refusal::Password);
    assert_eq!(refusal(&theirs, &group, &v2), Refusal::AuthType);
    let theirs = with_password(theirs, "secret");
    assert_eq!(judge(&theirs, &group, &locked), Ok(vec![]));
}

#[test]
fn other_addresses_are_noted_or_refused_by_dialect() {
    let theirs = advert(Version::V3, 100, 101, &[VIP]);
    let group = Envelope::multicast(ip(M0));
    let ours = expected(Version::V3, 100, Path::Multicast);
    assert_eq!(
        judge(&theirs, &group, &ours),
        Ok(vec![Notice::OtherAddresses])
    );
    let strict = ours.dialects.without(Dialect::OtherAddresses);
    let ours = Expected {
        dialects: strict,
        ..ours
    };
    assert_eq!(judge(&theirs, &group, &ours), Err(Refusal::Addresses));
    let theirs = advert(Version::V3, 100, 101, &["fd55::100"]);
    let ours = Expected {
        dialects: Dialects::KEEPALIVED,
        ..ours
    };
    assert_eq!(
        judge(&theirs, &group, &ours),
        Err(Refusal::Addresses),
        "other family"
    );
}
