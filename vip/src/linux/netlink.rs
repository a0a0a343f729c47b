//! Requests to the kernel over rtnetlink, and its answers.
//!
//! Owns one blocking socket, used by one thread. The kernel answers a request within the
//! system call that sends it, so a request here costs tens of microseconds; going through
//! an event loop would cost more and would let other work in between "it is ours" and
//! "it is on the interface".

use std::io;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::ledger::Ledger;

/// Why a request to the kernel came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The socket failed.
    #[error("cannot talk to the kernel over rtnetlink")]
    Socket(#[source] io::Error),
    /// The kernel refused.
    #[error("the kernel refuses to {operation}")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// The answer was not one this version understands.
    #[error("cannot read the kernel's answer")]
    Answer(#[source] netlink_packet_core::DecodeError),
}

impl RequestError {
    /// The address, the neighbour or the whole interface is not there.
    pub(super) fn is_about_nothing(&self) -> bool {
        let code = match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            Self::Socket(_) | Self::Answer(_) => None,
        };
        [libc::EADDRNOTAVAIL, libc::ENODEV, libc::ENOENT]
            .iter()
            .any(|nothing| code == Some(*nothing))
    }

    /// The kernel's reason, when it refused.
    pub fn refusal(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Refused { source, .. } => Some(source.kind()),
            Self::Socket(_) | Self::Answer(_) => None,
        }
    }
}

/// An rtnetlink socket for requests.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    /// Says what is ours; without it, the mark does.
    pub(super) ledger: Option<Ledger>,
}

impl Netlink {
    /// Opens the socket in the network namespace of the caller.
    ///
    /// # Errors
    /// When the kernel offers no `NETLINK_ROUTE` socket.
    pub fn open() -> Result<Self, RequestError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = open().map_err(RequestError::Socket)?;
        Ok(Self {
            socket,
            sequence: 0,
            ledger: None,
        })
    }

    /// The same for a daemon that writes down what is its own.
    ///
    /// # Errors
    /// As [`Netlink::open`].
    pub fn knowing(ledger: &Ledger) -> Result<Self, RequestError> {
        Ok(Self {
            ledger: Some(ledger.clone()),
            ..Self::open()?
        })
    }

    pub(super) fn exchange(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
        operation: &'static str,
    ) -> Result<Vec<RouteNetlinkMessage>, RequestError> {
        /// A list that changed while it was read is read again: an entry may be missing
        /// from it. One that changes all the time is taken as it is.
        const READINGS: u32 = 3;
        let mut answers = Vec::new();
        for _ in 0..READINGS {
            answers.clear();
            self.send(request.clone(), flags)
                .map_err(RequestError::Socket)?;
            if self.answered(operation, &mut answers)? == Reading::Whole {
                break;
            }
        }
        Ok(answers)
    }

    fn answered(
        &mut self,
        operation: &'static str,
        answers: &mut Vec<RouteNetlinkMessage>,
    ) -> Result<Reading, RequestError> {
        let mut reading = Reading::Whole;
        loop {
            let (bytes, _) =
                self.socket.recv_from_full().map_err(RequestError::Socket)?;
            if interrupted(&bytes) {
                reading = Reading::Torn;
            }
            if self.collect(&bytes, operation, answers)? {
                return Ok(reading);
            }
        }
    }

    fn send(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message =
            NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(drop)
    }

    /// Reads one datagram of answers; true when the request is answered in full. Answers
    /// to an earlier request that failed half-way are skipped by their number.
    fn collect(
        &self,
        bytes: &[u8],
        operation: &'static str,
        answers: &mut Vec<RouteNetlinkMessage>,
    ) -> Result<bool, RequestError> {
        for message in messages(bytes) {
            let (header, payload) = message.map_err(RequestError::Answer)?.into_parts();
            if header.sequence_number != self.sequence {
                continue;
            }
            match payload {
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
                NetlinkPayload::Error(error) => {
                    return Err(RequestError::Refused {
                        operation,
                        source: error.to_io(),
                    });
                }
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Noop | NetlinkPayload::Overrun(_) | _ => {}
            }
        }
        Ok(false)
    }
}

/// How a list was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Whole,
    /// It changed meanwhile.
    Torn,
}

/// Does the kernel say that the list changed while it was read (`NLM_F_DUMP_INTR`)?
fn interrupted(bytes: &[u8]) -> bool {
    messages(bytes)
        .filter_map(Result::ok)
        .any(|message| message.header.flags & NLM_F_DUMP_INTR != 0)
}

/// The messages of one datagram, in order.
pub(super) fn messages(
    mut bytes: &[u8],
) -> impl Iterator<
    Item = Result<NetlinkMessage<RouteNetlinkMessage>, netlink_packet_core::DecodeError>,
> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
        let length = usize::try_from(length).ok()?;
        let this = bytes.get(..length).filter(|this| this.len() >= 16)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(NetlinkMessage::deserialize(this))
    })
}

/// `NLM_F_DUMP_INTR` of linux/netlink.h.
const NLM_F_DUMP_INTR: u16 = 0x10;

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    #[test]
    fn a_list_that_changed_while_it_was_read_says_so() {
        for (flags, torn) in [(0, false), (NLM_F_DUMP_INTR | 2, true)] {
            let mut header = NetlinkHeader::default();
            header.flags = flags;
            let message = RouteNetlinkMessage::DelLink(LinkMessage::default());
            let mut message =
                NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            assert_eq!(interrupted(&bytes), torn, "{flags}");
        }
    }
}
