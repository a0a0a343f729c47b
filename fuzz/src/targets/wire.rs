//! What comes over the wire: from clients, proxies and the group's other nodes.

use std::net::{IpAddr, Ipv4Addr};

use api_lb::{hello, proxy};
use ring::hmac;
use vip_daemon::channel::message::{Key, Message};
use vrrp::packet::{Envelope, emit, ipv4, parse};

/// The key that fuzzed messages of the side channel are signed with.
const KEY: [u8; 32] = [7; 32];
/// Where the length stands in such a message, and how long its MAC is.
const LENGTH: std::ops::Range<usize> = 6..8;
const MAC: usize = 32;
/// Where an advert's checksum stands (RFC 9568 section 5.1).
const CHECKSUM: std::ops::Range<usize> = 6..8;

/// A ClientHello: what is whole was not refused before, and takes no more than is there.
///
/// # Panics
/// When that does not hold.
pub fn hello(data: &[u8]) {
    let extent = hello::extent(data);
    let cut = data.get(..data.len() / 2).unwrap_or_default();
    match (hello::extent(cut), extent) {
        (hello::Extent::More, _) => {}
        (sooner, now) => assert_eq!(sooner, now, "more bytes changed a final answer"),
    }
    if let Ok(Some(read)) = hello::read(data) {
        assert_eq!(extent, hello::Extent::Whole(read.len));
        assert!(read.len <= data.len(), "{read:?}");
    }
}

/// A PROXY header: whole ones come out as they were written, and the bytes behind them are
/// left alone.
///
/// # Panics
/// When that does not hold.
pub fn proxy(data: &[u8]) {
    let Ok(proxy::Parsed::Whole { header, len }) = proxy::parse(data) else {
        return;
    };
    let own = data.get(..len).unwrap_or_default();
    assert_eq!(own.len(), len, "a header that is longer than what was sent");
    let alone = proxy::parse(own);
    assert_eq!(alone, Ok(proxy::Parsed::Whole { header, len }));
    for version in [proxy::Version::V1, proxy::Version::V2] {
        let written = proxy::emit(version, &header);
        let len = written.len();
        let again = proxy::parse(&written);
        assert_eq!(
            again,
            Ok(proxy::Parsed::Whole { header, len }),
            "{version:?}"
        );
    }
}

/// An IPv4 datagram, else the payload of one, with its own checksum and with a right one:
/// adverts come out as they went in.
///
/// # Panics
/// When that does not hold.
pub fn vrrp(data: &[u8]) {
    let bare = Envelope::multicast(IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)));
    let (envelope, payload) = ipv4::strip(data).unwrap_or((bare, data));
    comes_out_as_it_went_in(payload, &envelope);
    let mut payload = payload.to_vec();
    if summed(&mut payload).is_some() {
        comes_out_as_it_went_in(&payload, &envelope);
    }
}

/// Puts in the checksum over the message alone (RFC 1071); `None` where there is no room.
fn summed(payload: &mut [u8]) -> Option<()> {
    let len = 8 + 4 * usize::from(*payload.get(3)?);
    payload.get_mut(CHECKSUM)?.fill(0);
    let (words, _) = payload.get(..len)?.as_chunks();
    let mut sum: u32 = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)))
        .sum();
    while let (high @ 1.., low) = (sum >> 16, sum & 0xffff) {
        sum = high + low;
    }
    let sum = !u16::try_from(sum).ok()?;
    payload
        .get_mut(CHECKSUM)?
        .copy_from_slice(&sum.to_be_bytes());
    Some(())
}

fn comes_out_as_it_went_in(payload: &[u8], envelope: &Envelope) {
    let Ok(received) = parse(payload, envelope) else {
        return;
    };
    let written = emit(&received.advert, envelope, received.checksum);
    match parse(&written, envelope) {
        Ok(again) => {
            assert_eq!(again.advert, received.advert);
            assert_eq!(again.trailing, 0);
        }
        Err(refusal) => panic!("our own advert is refused: {refusal:?}"),
    }
}

/// A message of the side channel, signed here: without a right MAC nothing is looked into.
///
/// # Panics
/// When a message that was read is not written as it was.
pub fn channel(data: &[u8]) {
    let Some(key) = Key::new(&KEY) else { return };
    let _ = Message::parse(data, &key);
    let mut octets = data.to_vec();
    let length = u16::try_from(octets.len() + MAC).unwrap_or(u16::MAX);
    if let Some(field) = octets.get_mut(LENGTH) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), &octets);
    octets.extend(mac.as_ref());
    if let Ok(message) = Message::parse(&octets, &key) {
        assert_eq!(message.emit(&key), octets, "{message:?}");
    }
}
