//! C16: whatever a peer sends, parsing never panics, and what it accepts is what `emit`
//! would have sent. A corpus and the captures are replayed as they are, then bent at random
//! with a fixed seed, half of the time with a right checksum so that the bends get past it.
#![cfg(test)]

mod numbers;
mod octets;
mod pcap;

use std::net::IpAddr;
use std::path::Path;

use numbers::Numbers;
use octets::{hex, seal};
use pcap::Frame;
use proptest::prelude::*;
use vrrp::packet::{
    Addresses, Advert, Auth, Checksum, Envelope, Password, emit, ipv4, parse,
};
use vrrp::{AdvertInterval, Priority, Version, Vrid};

/// Bends of each seed: about 150,000 in all, a second's work.
const BENDS: usize = 2_000;
/// Longest message there is: 255 addresses of 16 octets.
const LONGEST: usize = 8 + 255 * 16 + 8;

type Seed = (Envelope, Vec<u8>);

/// A position below `limit`.
fn position(numbers: &mut Numbers, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    usize::try_from(numbers.below(limit)).unwrap_or(0)
}

fn octet(numbers: &mut Numbers) -> u8 {
    u8::try_from(numbers.below(256)).unwrap_or(0)
}

/// A value where comparisons change their mind.
fn edge(numbers: &mut Numbers) -> u8 {
    [0, 1, 2, 127, 254, 255]
        .get(position(numbers, 6))
        .copied()
        .unwrap_or(0)
}

fn corpus() -> Result<Vec<Seed>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/adverts.txt");
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| seed(line).ok_or(line.to_owned()))
        .collect()
}

fn seed(line: &str) -> Option<Seed> {
    let mut words = line.split_whitespace();
    let source = words.next()?.parse().ok()?;
    let destination = words.next()?.parse().ok()?;
    let ttl = words.next()?.parse().ok()?;
    Some((
        Envelope {
            source,
            destination,
            ttl,
        },
        hex(&words.collect::<String>()),
    ))
}

/// Distinct messages of all captures.
fn recorded() -> Result<Vec<Seed>, String> {
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(pcap::folder()).map_err(|e| e.to_string())? {
        let name = entry.map_err(|e| e.to_string())?.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".pcap")) else {
            continue;
        };
        for frame in pcap::read(name)? {
            if let Frame::Vrrp { envelope, message } = frame
                && !seeds.contains(&(envelope, message.clone()))
            {
                seeds.push((envelope, message));
            }
        }
    }
    Ok(seeds)
}

/// One to four bends: an octet set, a bit flipped, cut, extended, doubled.
fn bend(message: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = position(numbers, message.len());
        match numbers.below(6) {
            0 => set(message, at, |_| octet(numbers)),
            1 => set(message, at, |octet| octet ^ 1 << numbers.below(8)),
            2 => message.truncate(at),
            3 => message.push(octet(numbers)),
            4 => set(message, at, |_| edge(numbers)),
            _ if message.len() < LONGEST => message.extend(message.clone()),
            _ => message.clear(),
        }
    }
}

fn set(message: &mut [u8], at: usize, with: impl FnOnce(u8) -> u8) {
    if let Some(octet) = message.get_mut(at) {
        *octet = with(*octet);
    }
}

/// Parses, and when that succeeds goes there and back again. Was it accepted?
fn check(envelope: &Envelope, message: &[u8]) -> bool {
    let Ok(received) = parse(message, envelope) else {
        return false;
    };
    let again = emit(&received.advert, envelope, received.checksum);
    let twice = parse(&again, envelope).map(|received| received.advert);
    assert_eq!(twice.as_ref(), Ok(&received.advert), "{message:x?}");
    let covered = &message[..message.len() - received.trailing];
    assert_eq!(again.len(), covered.len(), "{message:x?}");
    if is_canonical(covered, &received.advert) {
        assert_eq!(again, covered, "{message:x?}");
    }
    true
}

/// Are all bits zero that are reserved or unused?
fn is_canonical(message: &[u8], advert: &Advert) -> bool {
    match (advert.version, advert.auth) {
        (Version::V3, _) => message[4] & 0xf0 == 0,
        (Version::V2, Auth::Simple(_)) => true,
        (Version::V2, Auth::None) => message[message.len() - 8..] == [0; 8],
    }
}

fn maybe_sealed(message: &mut [u8], envelope: &Envelope, numbers: &mut Numbers) {
    let pseudo_header = (envelope.source, envelope.destination);
    match numbers.below(4) {
        0 => seal(message, Some(pseudo_header)),
        1 => seal(message, None),
        _ => {}
    }
}

#[test]
fn c16_bent_messages_never_panic_and_are_emitted_as_accepted() {
    let mut seeds = recorded().unwrap();
    assert!(
        seeds.len() > 20,
        "{} distinct recorded messages",
        seeds.len()
    );
    seeds.extend(corpus().unwrap());
    let mut numbers = Numbers::new(0x5354_4552_4e50_4f53);
    let (mut accepted, mut refused) = (0_usize, 0_usize);
    for (envelope, message) in &seeds {
        check(envelope, message);
        for _ in 0..BENDS {
            let mut bent = message.clone();
            bend(&mut bent, &mut numbers);
            maybe_sealed(&mut bent, envelope, &mut numbers);
            match check(envelope, &bent) {
                true => accepted += 1,
                false => refused += 1,
            }
        }
    }
    // Both ways must be walked, or the bends have missed their purpose.
    assert!(accepted > 1_000, "{accepted} accepted");
    assert!(refused > 10_000, "{refused} refused");
}

#[test]
fn c16_bent_ip_headers_never_panic() {
    let header = hex("45c00020 00010000 ff70d058 0a37000b e0000012");
    let mut numbers = Numbers::new(0x4950_7634);
    for (_, message) in recorded().unwrap() {
        let whole: Vec<u8> = header.iter().chain(&message).copied().collect();
        for _ in 0..BENDS {
            let mut bent = whole.clone();
            bend(&mut bent, &mut numbers);
            if let Ok((envelope, payload)) = ipv4::strip(&bent) {
                check(&envelope, payload);
            }
        }
    }
}

fn advert_v4() -> impl Strategy<Value = (Advert, Envelope, Checksum)> {
    let addresses =
        prop::collection::vec(any::<[u8; 4]>().prop_map(IpAddr::from), 1..=255);
    let auth = prop::option::of("[ -~]{0,10}");
    let checksum = prop_oneof![Just(Checksum::Message), Just(Checksum::PseudoHeader)];
    let ends = (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<u8>());
    (
        any::<bool>(),
        1..=255_u8,
        any::<u8>(),
        1..=4095_u16,
        addresses,
        auth,
        checksum,
        ends,
    )
        .prop_map(
            |(v2, vrid, priority, count, addresses, auth, checksum, ends)| {
                let (version, unit) = if v2 {
                    (Version::V2, 1000)
                } else {
                    (Version::V3, 10)
                };
                let count = if v2 { count % 255 + 1 } else { count };
                let every = std::time::Duration::from_millis(unit * u64::from(count));
                let auth = auth
                    .filter(|_| v2)
                    .map(|text| Auth::Simple(Password::new(&text)));
                let advert = Advert {
                    version,
                    vrid: Vrid::new(vrid).unwrap(),
                    priority: Priority::new(priority),
                    interval: AdvertInterval::new(version, every).unwrap(),
                    auth: auth.unwrap_or_default(),
                    addresses: Addresses::new(addresses).unwrap(),
                };
                let (source, destination, ttl) = ends;
                let (source, destination) = (source.into(), destination.into());
                let checksum = if v2 { Checksum::Message } else { checksum };
                (
                    advert,
                    Envelope {
                        source,
                        destination,
                        ttl,
                    },
                    checksum,
                )
            },
        )
}

fn advert_v6() -> impl Strategy<Value = (Advert, Envelope, Checksum)> {
    let addresses =
        prop::collection::vec(any::<[u8; 16]>().prop_map(IpAddr::from), 1..=255);
    let ends = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u8>());
    (1..=255_u8, any::<u8>(), 1..=4095_u64, addresses, ends).prop_map(
        |(vrid, priority, count, addresses, (source, destination, ttl))| {
            let every = std::time::Duration::from_millis(10 * count);
            let advert = Advert {
                version: Version::V3,
                vrid: Vrid::new(vrid).unwrap(),
                priority: Priority::new(priority),
                interval: AdvertInterval::new(Version::V3, every).unwrap(),
                auth: Auth::None,
                addresses: Addresses::new(addresses).unwrap(),
            };
            let (source, destination) = (source.into(), destination.into());
            (
                advert,
                Envelope {
                    source,
                    destination,
                    ttl,
                },
                Checksum::PseudoHeader,
            )
        },
    )
}

proptest! {
    #[test]
    fn c16_every_advert_comes_back(
        (advert, envelope, checksum) in prop_oneof![advert_v4(), advert_v6()],
    ) {
        let message = emit(&advert, &envelope, checksum);
        let received = parse(&message, &envelope);
        prop_assert_eq!(received.as_ref().map(|received| &received.advert), Ok(&advert));
        prop_assert_eq!(received.map(|received| received.trailing), Ok(0));
    }

    #[test]
    fn c16_any_octets_are_refused_or_accepted(
        octets in prop::collection::vec(any::<u8>(), 0..128),
        v6 in any::<bool>(),
    ) {
        let source: IpAddr = if v6 { [0xfd; 16].into() } else { [10, 0, 0, 1].into() };
        check(&Envelope::multicast(source), &octets);
        let _ = ipv4::strip(&octets);
    }
}
