//! C1 to C8: octets that a keepalived has sent are what we send, and read as what we meant.

use vrrp::packet::{Advert, Checksum, ChecksumStyle, Envelope, emit, parse};
use vrrp::{Dialects, Version};

use crate::octets::{hex, seal};
use crate::{M0, M0_V6, M1, VIP, advert, ip, with_password};

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
