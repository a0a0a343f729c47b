//! Watches links and addresses: one rtnetlink socket subscribed to the kernel's notices.
//!
//! Owns the socket; feeds whoever calls [`Monitor::next`]; ends with the caller. The
//! kernel drops notices when the socket's buffer is full and says so: that is
//! [`Notice::Missed`], and the caller looks at everything anew.

use std::collections::VecDeque;
use std::io;

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

use super::addresses::{Present, present};
use super::links::{Link, link};
use super::netlink::messages;
use crate::ledger::Ledger;

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// Enough for the notices of a network manager's restart on a host with a thousand
/// addresses; beyond it the kernel reports a loss and everything is read again.
const RECEIVE_BUFFER: usize = 1 << 20;

/// What the kernel said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An interface appeared or changed.
    Link(Link),
    /// An interface is gone.
    LinkGone(Link),
    /// An address appeared or changed.
    Address(Present),
    /// An address is gone.
    AddressGone(Present),
    /// Notices were lost.
    Missed,
}

impl Notice {
    /// The same with what the ledger says of whose address it is about.
    fn known_to(self, ledger: &Ledger) -> Self {
        let known = |there: Present| Present {
            ours: ledger.owns(&there),
            ..there
        };
        match self {
            Self::Address(there) => Self::Address(known(there)),
            Self::AddressGone(there) => Self::AddressGone(known(there)),
            Self::Link(_) | Self::LinkGone(_) | Self::Missed => self,
        }
    }
}

/// The subscription.
pub struct Monitor {
    socket: TokioSocket,
    waiting: VecDeque<Notice>,
    /// Says what is ours.
    ledger: Ledger,
}

impl Monitor {
    /// Subscribes, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the kernel offers no such socket.
    pub fn open(ledger: &Ledger) -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind(&SocketAddr::new(0, GROUPS))?;
        socket.socket_mut().set_rx_buf_sz(RECEIVE_BUFFER)?;
        Ok(Self {
            socket,
            waiting: VecDeque::new(),
            ledger: ledger.clone(),
        })
    }

    /// The next notice, in the kernel's order.
    ///
    /// # Errors
    /// When the socket fails for any other reason than lost notices.
    pub async fn next(&mut self) -> io::Result<Notice> {
        loop {
            if let Some(notice) = self.waiting.pop_front() {
                return Ok(notice.known_to(&self.ledger));
            }
            match self.socket.recv_from_full().await {
                Ok((bytes, _)) => self.waiting.extend(notices(&bytes)),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Ok(Notice::Missed);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn notices(bytes: &[u8]) -> Vec<Notice> {
    let all = messages(bytes).filter_map(Result::ok);
    all.filter_map(|message| match &message.payload {
        NetlinkPayload::InnerMessage(message) => notice(message),
        NetlinkPayload::Overrun(_) => Some(Notice::Missed),
        NetlinkPayload::Noop | NetlinkPayload::Done(_) | NetlinkPayload::Error(_) | _ => {
            None
        }
    })
    .collect()
}

fn notice(message: &RouteNetlinkMessage) -> Option<Notice> {
    if let RouteNetlinkMessage::NewLink(_) = message {
        link(message).map(Notice::Link)
    } else if let RouteNetlinkMessage::DelLink(_) = message {
        link(message).map(Notice::LinkGone)
    } else if let RouteNetlinkMessage::NewAddress(_) = message {
        present(message).map(Notice::Address)
    } else if let RouteNetlinkMessage::DelAddress(_) = message {
        present(message).map(Notice::AddressGone)
    } else {
        None
    }
}
