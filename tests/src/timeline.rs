//! Who holds the address: what the kernel of each host reports, on one clock.
//!
//! One thread owns a netlink socket per host and stamps RTM_NEWADDR and RTM_DELADDR as they
//! come. Faults add which hosts the client can reach, since a host whose cable is cut answers
//! nobody and is no holder. What follows from the events is computed in [`crate::holders`].

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
    socket,
};

use crate::caught_up::CaughtUp;
use crate::error::{Doing, LabError};
use crate::holders::{Event, What};
use crate::host::{Host, NamespaceHost};

/// RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of `linux/rtnetlink.h`.
const GROUPS: u32 = 0x10 | 0x100;
/// How often the thread looks whether it is to end.
const LOOK: u16 = 50;

type Record = Arc<Mutex<Vec<Event>>>;

/// The record of one address on one segment, growing while it lives.
#[derive(Debug)]
pub struct Timeline {
    record: Record,
    read: CaughtUp,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Timeline {
    /// Starts to watch `address` on `hosts`.
    ///
    /// # Errors
    /// When a netlink socket cannot be made.
    pub fn watch(
        address: impl Into<IpAddr>,
        hosts: &[Arc<NamespaceHost>],
    ) -> Result<Self, LabError> {
        let record = Record::default();
        let read = CaughtUp::default();
        let ending = Arc::new(AtomicBool::new(false));
        let mut sockets = Vec::new();
        for host in hosts {
            sockets.push((host.name().to_owned(), host.run(subscribe)??));
        }
        let watcher = Watcher {
            address: address.into(),
            sockets,
            record: record.clone(),
            read: read.clone(),
            ending: ending.clone(),
        };
        let thread = thread::Builder::new()
            .name("timeline".into())
            .spawn(move || watcher.run())
            .doing("start a thread")?;
        Ok(Self {
            record,
            read,
            ending,
            thread: Some(thread),
        })
    }

    /// Notes that the client can no longer reach `host`, or can again.
    pub fn reach(&self, host: &str, what: What) {
        note(&self.record, host, what);
    }

    /// Whether all that the kernels had told by then is in the record.
    #[must_use]
    pub fn is_read(&self, until: Instant) -> bool {
        self.read.is_past(until)
    }

    /// Everything up to now that was read.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Watcher {
    address: IpAddr,
    sockets: Vec<(String, OwnedFd)>,
    record: Record,
    read: CaughtUp,
    ending: Arc<AtomicBool>,
}

impl Watcher {
    fn run(self) {
        crate::schedule::prefer();
        while !self.ending.load(Ordering::Relaxed) {
            let mut waits: Vec<_> = self
                .sockets
                .iter()
                .map(|(_, s)| PollFd::new(s.as_fd(), PollFlags::POLLIN))
                .collect();
            // An error shows again at the read, which then finds nothing.
            let _ = poll(&mut waits, PollTimeout::from(LOOK));
            let began = Instant::now();
            self.sockets
                .iter()
                .for_each(|(host, socket)| self.drain(host, socket));
            self.read.note(began);
        }
    }

    fn drain(&self, host: &str, socket: &OwnedFd) {
        let mut buffer = vec![0_u8; 32 * 1024];
        while let Ok(length) =
            recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)
        {
            let mut rest = buffer.get(..length).unwrap_or_default();
            while let Ok(message) =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            {
                if let Some(what) = self.meaning(&message.payload) {
                    note(&self.record, host, what);
                }
                let step = (message.header.length as usize).next_multiple_of(4);
                rest = rest.get(step.max(4)..).unwrap_or_default();
            }
        }
    }

    fn meaning(&self, payload: &NetlinkPayload<RouteNetlinkMessage>) -> Option<What> {
        let NetlinkPayload::InnerMessage(message) = payload else {
            return None;
        };
        if let RouteNetlinkMessage::NewAddress(of) = message {
            return self.is_ours(of).then_some(What::Holds);
        }
        if let RouteNetlinkMessage::DelAddress(of) = message {
            return self.is_ours(of).then_some(What::LetsGo);
        }
        None
    }

    fn is_ours(&self, message: &AddressMessage) -> bool {
        // IPv4 names the host's own end so; IPv6 has only one.
        let name = match self.address {
            IpAddr::V4(_) => AddressAttribute::Local(self.address),
            IpAddr::V6(_) => AddressAttribute::Address(self.address),
        };
        message.attributes.contains(&name)
    }
}

fn note(record: &Record, host: &str, what: What) {
    let event = Event {
        at: Instant::now(),
        host: host.to_owned(),
        what,
    };
    record
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(event);
}

fn subscribe() -> Result<OwnedFd, LabError> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )
    .doing("netlink socket")?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))
        .doing("subscribe to addresses")?;
    Ok(socket)
}
