//! Whose adverts are listened to.

use vrrp::acceptance::{Expected, Notice, Path, Senders, judge};
use vrrp::packet::{Advert, Auth, Envelope, Password};
use vrrp::{Dialect, Dialects, Refusal, Version, Vrid};

use crate::{M0, M1, VIP, advert, ip, with_password};

fn expected(version: Version, millis: u64, path: Path) -> Expected {
    let ours = advert(version, millis, 100, &[VIP, "10.55.0.101"]);
    Expected {
        vrid: ours.vrid,
        version,
        interval: ours.interval,
        auth: Auth::None,
        addresses: ours.addresses,
        excluded: vec![ip("10.55.0.102")],
        source: ip(M1),
        virtual_mac: false,
        path,
        dialects: Dialects::KEEPALIVED,
    }
}

fn any_peer() -> Path {
    Path::Unicast {
        senders: Senders::Near(vec![ip(M0)]),
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
        senders: Senders::Near(vec![ip(M0)]),
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
    let neighbour = advert(Version::V2, 1000, 101, &["10.55.0.200"]);
    let named = refusal(&neighbour, &group, &unicast);
    assert_eq!(named, Refusal::Neighbour, "none of ours");
    assert!(!named.is_misconfiguration());
    let same_mac = Expected {
        virtual_mac: true,
        ..unicast
    };
    assert_eq!(refusal(&neighbour, &group, &same_mac), Refusal::OtherGroup);
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
fn an_unlisted_sender_is_taken_from_nearby_and_named() {
    let theirs = advert(Version::V3, 100, 101, &[VIP, "10.55.0.101"]);
    let unlisted = |senders: fn(Vec<_>) -> Senders| Path::Unicast {
        senders: senders(vec![ip("10.55.0.13")]),
        ttl: None,
    };
    let unknown = Err(Refusal::UnknownPeer(ip(M0)));
    for (senders, ttl, verdict) in [
        (
            Senders::Near as fn(_) -> _,
            255,
            Ok(vec![Notice::UnlistedSender]),
        ),
        (Senders::Near, 254, unknown.clone()),
        (Senders::Only, 255, unknown),
    ] {
        let envelope = Envelope {
            ttl,
            ..Envelope::unicast(ip(M0), ip(M1))
        };
        let ours = expected(Version::V3, 100, unlisted(senders));
        assert_eq!(judge(&theirs, &envelope, &ours), verdict, "{envelope:?}");
    }
}

/// keepalived 2.2.7 sends unicast over IPv6 with the kernel's hop limit of 64.
#[test]
fn who_cannot_be_beyond_a_router_or_is_a_peer_is_trusted() {
    let path = |listed: &str| Path::Unicast {
        senders: Senders::Near(vec![ip(listed)]),
        ttl: None,
    };
    for (from, to, ttl, path, trusted) in [
        (M0, M1, 255, Path::Multicast, true),
        (M0, M1, 254, Path::Multicast, false),
        (M0, M1, 254, path(M0), true),
        ("169.254.0.9", M1, 64, path(M0), false),
        ("fe80::12", "fe80::11", 64, path("fe80::13"), true),
        ("fd55::12", "fd55::11", 64, path("fd55::13"), false),
        ("fd55::12", "fd55::11", 64, path("fd55::12"), true),
    ] {
        let envelope = Envelope {
            ttl,
            ..Envelope::unicast(ip(from), ip(to))
        };
        let ours = expected(Version::V3, 100, path);
        assert_eq!(ours.trusts(&envelope), trusted, "{envelope:?}");
    }
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
    let theirs = advert(Version::V3, 100, 101, &["10.55.0.102"]);
    assert_eq!(
        judge(&theirs, &group, &ours),
        Ok(vec![Notice::OtherAddresses]),
        "one that we hold and do not advertise"
    );
    let stranger = advert(Version::V3, 100, 250, &["10.55.0.200"]);
    let refusal = judge(&stranger, &group, &ours).unwrap_err();
    assert_eq!(refusal, Refusal::OtherGroup, "none of ours");
    assert!(refusal.is_misconfiguration());
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
