//! Messages and their octets, both ways; what is bent, cut or forged.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn key(octet: u8) -> Key {
    Key::new(&[octet; KEY]).unwrap()
}

fn group(address: IpAddr) -> Group {
    Group { vrid: 51, address }
}

fn bodies() -> Vec<Body> {
    let v4 = group(Ipv4Addr::new(10, 0, 0, 1).into());
    let v6 = group(Ipv6Addr::LOCALHOST.into());
    let standing = |group, ready| Standing {
        group,
        priority: 150,
        ready,
    };
    vec![
        Body::Hello(Vec::new()),
        Body::Hello(vec![standing(v4, Ready::Yes), standing(v6, Ready::No)]),
        Body::Hello(vec![standing(v6, Ready::Yes); ROUTERS]),
        Body::Challenge(Nonce([3; 16])),
        Body::Proof(Nonce([4; 16])),
        Body::Offer(Id(1), v4),
        Body::Offer(Id(u64::MAX), v6),
        Body::Accept(Id(2)),
        Body::Refuse(Id(3)),
        Body::Go(Id(4)),
        Body::Taken(Id(5)),
    ]
}

fn message(body: Body) -> Message {
    Message {
        boot: Boot(7),
        to_boot: Some(Boot(8)),
        counter: 9,
        from: Name::new("m1").unwrap(),
        to: Name::new(&"x".repeat(NAME)).unwrap(),
        body,
    }
}

#[test]
fn parse_is_the_inverse_of_emit() {
    for body in bodies() {
        for to_boot in [None, Some(Boot(8))] {
            let message = Message {
                to_boot,
                ..message(body.clone())
            };
            let octets = message.emit(&key(1));
            assert!(octets.len() <= LONGEST, "{}", octets.len());
            assert_eq!(Message::parse(&octets, &key(1)), Ok(message));
        }
    }
}

/// Recorded once; a change of the format must change the version.
#[test]
fn the_octets_of_version_1_stay() {
    let hex = |octets: &[u8]| {
        octets
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect::<String>()
    };
    let corpus = include_str!("../../../tests/channel/messages.txt");
    let lines: Vec<_> = corpus.lines().collect();
    assert_eq!(lines.len(), bodies().len());
    for (body, line) in bodies().into_iter().zip(lines) {
        assert_eq!(hex(&message(body).emit(&key(1))), line);
    }
}

#[test]
fn whatever_is_changed_or_cut_is_refused() {
    for body in bodies() {
        let octets = message(body).emit(&key(1));
        assert_eq!(Message::parse(&octets, &key(2)), Err(ParseError::Mac));
        for at in 0..octets.len() {
            assert!(Message::parse(&octets[..at], &key(1)).is_err(), "{at}");
            let mut changed = octets.clone();
            changed[at] ^= 0x40;
            assert!(Message::parse(&changed, &key(1)).is_err(), "{at}");
        }
        let mut longer = octets.clone();
        longer.push(0);
        assert_eq!(Message::parse(&longer, &key(1)), Err(ParseError::Length));
    }
}

#[test]
fn authentic_nonsense_is_malformed_and_no_panic() {
    let good = message(Body::Offer(Id(1), group(Ipv4Addr::LOCALHOST.into())));
    let octets = good.emit(&key(1));
    let signed = &octets[..octets.len() - MAC];
    for at in 5..signed.len() {
        for value in [0, 1, 0xff] {
            if (6..8).contains(&at) || signed[at] == value {
                continue;
            }
            let mut changed = signed.to_vec();
            changed[at] = value;
            let mac = hmac::sign(&key(1).hmac, &changed);
            changed.extend(mac.as_ref());
            match Message::parse(&changed, &key(1)) {
                Ok(other) => assert_ne!(other, good, "{at} {value}"),
                Err(error) => assert_eq!(error, ParseError::Form, "{at} {value}"),
            }
        }
    }
}

#[test]
fn names_and_keys_have_their_bounds() {
    for (text, good) in [
        ("", false),
        ("m1", true),
        ("a b", false),
        ("ä", false),
        (&"x".repeat(NAME), true),
        (&"x".repeat(NAME + 1), false),
    ] {
        assert_eq!(Name::new(text).is_some(), good, "{text}");
    }
    assert!(Key::new(&[1; KEY - 1]).is_none());
    assert_eq!(format!("{:?}", key(1)), "Key(…)");
}
