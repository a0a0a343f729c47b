//! Every frame that keepalived 2.2.7 was recorded to send: each advert is parsed and
//! emitted again octet for octet, everything else is counted.
#![cfg(test)]

mod pcap;

use std::collections::BTreeSet;

use pcap::Frame;
use vrrp::packet::{Auth, Checksum, Password, emit, parse};
use vrrp::{Priority, Version};

/// Capture, then how many frames of VRRP, ARP, ICMPv6 and IGMP are in it.
const CAPTURES: [(&str, [usize; 4]); 13] = [
    ("v2-kill9-restart.pcap", [11, 15, 0, 0]),
    ("v2-noauth-multicast.pcap", [11, 20, 9, 6]),
    ("v2-oneway-splitbrain-heal.pcap", [22, 55, 0, 0]),
    ("v2-pass-3vips.pcap", [10, 30, 7, 6]),
    ("v2-pass-multicast.pcap", [15, 15, 10, 6]),
    ("v2-pass-unicast.pcap", [10, 12, 7, 0]),
    ("v2-preempt-by-higher.pcap", [10, 15, 0, 0]),
    ("v2-vmac.pcap", [10, 10, 10, 6]),
    ("v3-ipv4-multicast.pcap", [62, 10, 5, 6]),
    ("v3-ipv4-unicast.pcap", [62, 12, 5, 0]),
    ("v3-ipv6-multicast-dad-on.pcap", [18, 0, 28, 0]),
    ("v3-ipv6-multicast.pcap", [25, 0, 40, 0]),
    ("v3-ipv6-unicast.pcap", [15, 0, 29, 0]),
];

#[test]
fn the_list_of_captures_is_complete() {
    let listed: BTreeSet<_> = CAPTURES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let present: BTreeSet<_> = std::fs::read_dir(pcap::folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".pcap"))
        .collect();
    assert_eq!(listed, present);
}

#[test]
fn every_frame_is_counted() {
    for (name, expected) in CAPTURES {
        let mut counted = [0; 4];
        for frame in pcap::read(name).unwrap() {
            let kind = match frame {
                Frame::Vrrp { .. } => 0,
                Frame::Arp => 1,
                Frame::Icmpv6 => 2,
                Frame::Igmp => 3,
            };
            counted[kind] += 1;
        }
        assert_eq!(counted, expected, "{name}: VRRP, ARP, ICMPv6, IGMP");
    }
}

#[test]
fn every_advert_is_emitted_as_it_was_received() {
    let mut adverts = 0;
    for (name, _) in CAPTURES {
        for frame in pcap::read(name).unwrap() {
            let Frame::Vrrp { envelope, message } = frame else {
                continue;
            };
            let received = parse(&message, &envelope).expect(name);
            assert_eq!(received.trailing, 0, "{name}");
            let again = emit(&received.advert, &envelope, received.checksum);
            assert_eq!(again, message, "{name}: {:?}", received.advert);
            adverts += 1;
        }
    }
    assert_eq!(
        adverts,
        CAPTURES.iter().map(|(_, [vrrp, ..])| vrrp).sum::<usize>()
    );
}

#[test]
fn what_the_captures_say_is_what_was_configured() {
    for (name, _) in CAPTURES {
        for frame in pcap::read(name).unwrap() {
            let Frame::Vrrp { envelope, message } = frame else {
                continue;
            };
            let received = parse(&message, &envelope).expect(name);
            let advert = received.advert;
            let v3 = name.starts_with("v3");
            let version = if v3 { Version::V3 } else { Version::V2 };
            assert_eq!(advert.version, version, "{name}");
            assert_eq!(advert.vrid.get(), 51, "{name}");
            let usual = if v3 {
                Checksum::PseudoHeader
            } else {
                Checksum::Message
            };
            assert_eq!(received.checksum, usual, "{name}");
            let with_password = !v3 && !name.contains("noauth");
            let password = Auth::Simple(Password::new("42k8svip"));
            let auth = if with_password { password } else { Auth::None };
            assert_eq!(advert.auth, auth, "{name}");
            assert_eq!(envelope.is_multicast(), !name.contains("unicast"), "{name}");
            let ttl = if name == "v3-ipv6-unicast.pcap" {
                64
            } else {
                255
            };
            assert_eq!(envelope.ttl, ttl, "{name}");
        }
    }
}

#[test]
fn c8_every_capture_of_a_stop_has_its_release() {
    for name in [
        "v2-pass-multicast.pcap",
        "v3-ipv4-unicast.pcap",
        "v3-ipv6-multicast.pcap",
    ] {
        let releases =
            pcap::read(name)
                .unwrap()
                .into_iter()
                .filter(|frame| match frame {
                    Frame::Vrrp { envelope, message } => {
                        parse(message, envelope).unwrap().advert.priority
                            == Priority::RELEASE
                    }
                    Frame::Arp | Frame::Icmpv6 | Frame::Igmp => false,
                });
        assert!(releases.count() > 0, "{name}");
    }
}
