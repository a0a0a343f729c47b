//! Adverts, ARP and neighbour announcements as they enter the bridge, as values, stamped by the lab's clock.
//!
//! One packet socket in the bridge's namespace hears every port; a frame counts once, at the
//! port it came in by, so the value says which host really sent it, whatever its addresses
//! claim.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt,
    socket, sockopt,
};
use pnet_packet::Packet;
use pnet_packet::arp::{ArpOperations, ArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::Ipv6Packet;
use vrrp::packet::{Advert, Envelope, ipv4, parse};

use crate::caught_up::CaughtUp;
use crate::error::{Doing, LabError};
use crate::host::Host;
use crate::segment::Segment;

/// PACKET_OUTGOING of `linux/if_packet.h`: the copy that leaves by another port.
const OUTGOING: u8 = 4;
/// How often the thread looks whether it is to end.
const LOOK: u16 = 50;
/// Room for what was not read yet, in bytes: a prober's thousand probes a second, with their
/// answers and each twice, of a few seconds. A frame that finds none is lost, and was never said.
const UNREAD: usize = 16 << 20;
/// The longest frame of interest: an advert with 20 IPv6 addresses fits.
const FRAME: usize = 512;

/// One frame of interest.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it was read.
    pub at: Instant,
    /// The host whose port it came in by.
    pub from: String,
    /// What it says.
    pub what: Frame,
    /// All of it, as far as it was read.
    pub octets: Vec<u8>,
}

/// The kinds of frames that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A VRRP advert that could be read.
    Advert(Advert),
    /// One that could not, with the reason.
    Garbled(String),
    /// "Who has it?" or "I have it", sender and target the same address.
    GratuitousArp(Ipv4Addr),
    /// An ARP reply to somebody's question.
    ArpReply(Ipv4Addr),
    /// "I have it", to all nodes, without having been asked.
    UnsolicitedNa(Ipv6Addr),
}

/// A running capture; dropping it ends it.
#[derive(Debug)]
pub struct Sniffer {
    record: Arc<Mutex<Vec<Seen>>>,
    read: CaughtUp,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    /// Starts to listen on `segment`.
    ///
    /// # Errors
    /// When the packet socket cannot be made.
    pub fn start(segment: &Segment) -> Result<Self, LabError> {
        let names: Vec<String> = segment
            .hosts()
            .iter()
            .map(|h| h.name().to_owned())
            .collect();
        let (socket, ports) = segment.bridge().run(move || open(&names))??;
        let record = Arc::<Mutex<Vec<Seen>>>::default();
        let ending = Arc::new(AtomicBool::new(false));
        let read = CaughtUp::default();
        let (to, up_to, end) = (record.clone(), read.clone(), ending.clone());
        let thread = thread::Builder::new()
            .name("sniffer".into())
            .spawn(move || listen(&socket, &ports, &to, &up_to, &end))
            .doing("start a thread")?;
        Ok(Self {
            record,
            read,
            ending,
            thread: Some(thread),
        })
    }

    /// Whether all that had come by then is among what was seen.
    #[must_use]
    pub fn is_read(&self, until: Instant) -> bool {
        self.read.is_past(until)
    }

    /// What came in `from..to`.
    #[must_use]
    pub fn seen(&self, from: Instant, to: Instant) -> Vec<Seen> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let first = record.partition_point(|s| s.at < from);
        let last = record.partition_point(|s| s.at < to);
        record.get(first..last).unwrap_or_default().to_vec()
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

type Ports = BTreeMap<usize, String>;

fn open(names: &[String]) -> Result<(OwnedFd, Ports), LabError> {
    let mut ports = Ports::new();
    for name in names {
        let index = if_nametoindex(name.as_str()).doing(name)?;
        ports.insert(index as usize, name.clone());
    }
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::EthAll,
    );
    let socket = socket.doing("packet socket")?;
    setsockopt(&socket, sockopt::RcvBufForce, &UNREAD).doing("have room for frames")?;
    Ok((socket, ports))
}

fn listen(
    socket: &OwnedFd,
    ports: &Ports,
    record: &Mutex<Vec<Seen>>,
    read: &CaughtUp,
    ending: &AtomicBool,
) {
    crate::schedule::prefer();
    let mut buffer = [0_u8; FRAME];
    while !ending.load(Ordering::Relaxed) {
        let mut wait = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        // An error shows again at the read, which then finds nothing.
        let _ = poll(&mut wait, PollTimeout::from(LOOK));
        let began = Instant::now();
        while let Ok((length, Some(from))) =
            recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer)
        {
            let Some(host) = ports.get(&from.ifindex()) else {
                continue;
            };
            if from.pkttype() == OUTGOING {
                continue;
            }
            let frame = buffer.get(..length.min(FRAME)).unwrap_or_default();
            if let Some(what) = meaning(frame) {
                let seen = Seen {
                    at: Instant::now(),
                    from: host.clone(),
                    what,
                    octets: frame.to_vec(),
                };
                record
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(seen);
            }
        }
        read.note(began);
    }
}

fn meaning(frame: &[u8]) -> Option<Frame> {
    let ethernet = EthernetPacket::new(frame)?;
    match ethernet.get_ethertype() {
        EtherTypes::Arp => arp(ethernet.payload()),
        EtherTypes::Ipv4 => advert(ethernet.payload()),
        EtherTypes::Ipv6 => ipv6(ethernet.payload()),
        _ => None,
    }
}

fn ipv6(packet: &[u8]) -> Option<Frame> {
    /// Neighbor Advertisement (RFC 4861 section 4.4); its target begins behind the flags.
    const ADVERTISEMENT: u8 = 136;
    const TARGET: std::ops::Range<usize> = 8..24;
    let ip = Ipv6Packet::new(packet)?;
    let (to, payload) = (ip.get_destination(), ip.payload());
    match ip.get_next_header() {
        IpNextHeaderProtocols::Vrrp => {
            let envelope = Envelope {
                source: IpAddr::V6(ip.get_source()),
                destination: IpAddr::V6(to),
                ttl: ip.get_hop_limit(),
            };
            Some(match parse(payload, &envelope) {
                Ok(received) => Frame::Advert(received.advert),
                Err(why) => Frame::Garbled(why.to_string()),
            })
        }
        IpNextHeaderProtocols::Icmpv6 if to.is_multicast() => {
            let target: [u8; 16] = payload.get(TARGET)?.try_into().ok()?;
            let announces = payload.first() == Some(&ADVERTISEMENT);
            announces.then(|| Frame::UnsolicitedNa(Ipv6Addr::from(target)))
        }
        _ => None,
    }
}

fn arp(payload: &[u8]) -> Option<Frame> {
    let packet = ArpPacket::new(payload)?;
    let (sender, target) = (
        packet.get_sender_proto_addr(),
        packet.get_target_proto_addr(),
    );
    if sender == target {
        return Some(Frame::GratuitousArp(sender));
    }
    (packet.get_operation() == ArpOperations::Reply).then_some(Frame::ArpReply(sender))
}

fn advert(payload: &[u8]) -> Option<Frame> {
    let is_vrrp = payload.get(9) == Some(&vrrp::PROTOCOL);
    is_vrrp.then(|| {
        let read = ipv4::strip(payload)
            .and_then(|(envelope, message)| parse(message, &envelope));
        match read {
            Ok(received) => Frame::Advert(received.advert),
            Err(why) => Frame::Garbled(why.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gratuitous_arp_of_keepalived_is_one() {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, 0x11, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([2, 0, 0, 0, 0, 0x11, 10, 55, 0, 100]);
        frame.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 55, 0, 100]);
        let address = Ipv4Addr::new(10, 55, 0, 100);
        assert_eq!(meaning(&frame), Some(Frame::GratuitousArp(address)));
        frame[41] = 1;
        assert_eq!(meaning(&frame), None, "a question for another address");
    }

    #[test]
    fn other_traffic_is_not_kept() {
        let mut frame = vec![0; 60];
        frame[12] = 8;
        assert_eq!(meaning(&frame), None);
        assert_eq!(meaning(&frame[..10]), None);
    }
}
