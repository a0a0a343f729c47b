//! W11: the same adverts from the same configuration, octet by octet. What may differ is who
//! sends it, and numbers that each kernel or daemon counts for itself.

use std::ops::Range;
use std::time::Instant;

use lab::sniffer::{Frame, Seen};
use lab::wait;
use libtest_mimic::Failed;
use vrrp::packet::Advert;

use crate::pair::{PATIENCE, Pair, Tongue};

/// Both advertise with it, one after the other.
const PRIORITY: u8 = 100;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
/// The VRRP checksum, counted from the message (RFC 9568 section 5.1).
const CHECKSUM: Range<usize> = 6..8;

/// A claim and a release of each side, compared.
pub(crate) fn alike(pair: &mut Pair) -> Result<(), Failed> {
    let began = Instant::now();
    pair.they_start(PRIORITY)?;
    pair.held_by("theirs")?;
    said(pair, "theirs", PRIORITY, began)?;
    pair.they_stop()?;
    pair.we_start(PRIORITY)?;
    pair.held_by("ours")?;
    said(pair, "ours", PRIORITY, began)?;
    pair.we_stop()?;
    for priority in [PRIORITY, 0] {
        let theirs = said(pair, "theirs", priority, began)?;
        let ours = said(pair, "ours", priority, began)?;
        same(pair.tongue, &theirs, &ours)
            .map_err(|why| format!("priority {priority}: {why}"))?;
    }
    pair.no_complaints()
}

/// The first advert from `host` with that priority.
fn said(pair: &Pair, host: &str, priority: u8, since: Instant) -> Result<Seen, Failed> {
    let found = wait::until(&format!("an advert of {host}"), PATIENCE, || {
        let seen = pair.sniffer.seen(since, Instant::now());
        let is = |advert: &Advert| advert.priority.get() == priority;
        seen.into_iter().find(|seen| match &seen.what {
            Frame::Advert(advert) => seen.from == host && is(advert),
            Frame::Garbled(_)
            | Frame::GratuitousArp(_)
            | Frame::ArpReply(_)
            | Frame::UnsolicitedNa(_) => false,
        })
    })?;
    Ok(found)
}

fn same(tongue: Tongue, theirs: &Seen, ours: &Seen) -> Result<(), String> {
    if theirs.what != ours.what {
        return Err(format!(
            "they say {:?}, we say {:?}",
            theirs.what, ours.what
        ));
    }
    let may_differ = may_differ(tongue);
    let mask = |octets: &[u8]| {
        let masked = octets.iter().enumerate().map(|(at, octet)| {
            let free = may_differ.iter().any(|range| range.contains(&at));
            if free {
                "..".to_owned()
            } else {
                format!("{octet:02x}")
            }
        });
        masked.collect::<String>()
    };
    let (theirs, ours) = (mask(&theirs.octets), mask(&ours.octets));
    if theirs != ours {
        return Err(format!("not alike:\ntheirs {theirs}\nours   {ours}"));
    }
    Ok(())
}

fn may_differ(tongue: Tongue) -> Vec<Range<usize>> {
    // The sender's hardware address; to one peer, the receiver's too.
    let mut ranges = vec![if tongue.unicast() { 0..12 } else { 6..12 }];
    let header = match tongue {
        Tongue::V6Multicast | Tongue::V6Unicast => {
            // The flow label, which the kernel draws for keepalived; the source.
            ranges.extend([ETHERNET + 1..ETHERNET + 4, ETHERNET + 8..ETHERNET + 24]);
            if tongue == Tongue::V6Unicast {
                // keepalived 2.2.7 leaves the kernel's hop limit of 64; RFC 9568 section
                // 5.1.2.3 wants 255. And the destination.
                ranges.extend([ETHERNET + 7..ETHERNET + 8, ETHERNET + 24..ETHERNET + 40]);
            }
            IPV6
        }
        Tongue::V2Multicast
        | Tongue::V2Unicast
        | Tongue::V3Multicast
        | Tongue::V3Unicast
        | Tongue::V3Fastest => {
            // Identification, header checksum, source.
            ranges.extend([ETHERNET + 4..ETHERNET + 6, ETHERNET + 10..ETHERNET + 16]);
            if tongue.unicast() {
                ranges.push(ETHERNET + 16..ETHERNET + 20);
            }
            IPV4
        }
    };
    if !tongue.v2() {
        // Over the addresses as well; that it is right, the sniffer has seen.
        let message = ETHERNET + header;
        ranges.push(message + CHECKSUM.start..message + CHECKSUM.end);
    }
    ranges
}
