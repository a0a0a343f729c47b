//! Requests to the kernel over rtnetlink: look at links and addresses, put, renew and
//! remove an address.
//!
//! Owns one blocking socket, used by one thread. The kernel answers a request within the
//! system call that sends it, so a request here costs tens of microseconds; going through
//! an event loop would cost more and would let other work in between "it is ours" and
//! "it is on the interface".

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
    CacheInfo,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, LinkAttribute, LinkFlags, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::nd::Role;
use super::order::{Succession, succession};
use crate::config::Address;

/// The mark on every address of ours (`IFA_PROTO`, `ip address` shows `proto 86`): the
/// letter V. The kernel itself uses 1 to 3; nothing else is registered.
pub const PROTOCOL: u8 = b'V';

/// A network interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The number the kernel knows it by; a recreated interface gets another one.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address; absent where it is not an Ethernet.
    pub mac: Option<[u8; 6]>,
    /// It is administratively up and has a carrier.
    pub running: bool,
    /// Whether it forwards IPv6; a host where the kernel does not say.
    pub role: Role,
    /// What goes with the first IPv4 address of a network.
    pub succession: Succession,
}

/// An address on an interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The interface it is on.
    pub interface: u32,
    /// The address and its prefix length.
    pub address: Address,
    /// It carries our mark.
    pub ours: bool,
    /// It carries a mark at all.
    pub marked: bool,
    /// It is a second address of a network that the interface already has one of.
    pub secondary: bool,
    /// When it was put there or its lifetime renewed, in hundredths of a second of the
    /// kernel's own clock.
    pub renewed: u32,
}

/// What an address is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It must not be there yet.
    New,
    /// It may be there: give it our mark and a new lifetime.
    Renew,
}

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
        })
    }

    /// Every interface there is.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn links(&mut self) -> Result<Vec<Link>, RequestError> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.exchange(request, NLM_F_DUMP, "list the interfaces")?;
        Ok(answers.iter().filter_map(link).collect())
    }

    /// The interface of that name, if there is one.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, RequestError> {
        Ok(self.links()?.into_iter().find(|link| link.name == name))
    }

    /// Every address on one interface.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn addresses(&mut self, interface: u32) -> Result<Vec<Present>, RequestError> {
        let mut all = self.all_addresses()?;
        all.retain(|present| present.interface == interface);
        Ok(all)
    }

    /// Every address on this host.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn all_addresses(&mut self) -> Result<Vec<Present>, RequestError> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.exchange(request, NLM_F_DUMP, "list the addresses")?;
        Ok(answers.iter().filter_map(present).collect())
    }

    /// Puts an address on an interface, or renews it, with our mark and `lifetime`
    /// seconds to live.
    ///
    /// A renewal creates an address that is not there (IPv4 knows no other way): the
    /// caller renews only what it holds.
    ///
    /// # Errors
    /// When the kernel refuses: [`io::ErrorKind::AlreadyExists`] for [`Put::New`].
    pub fn put(
        &mut self,
        interface: u32,
        address: Address,
        lifetime: u32,
        put: Put,
    ) -> Result<(), RequestError> {
        let mut message = described(interface, address);
        message
            .attributes
            .push(AddressAttribute::CacheInfo(living(address.ip, lifetime)));
        message
            .attributes
            .push(AddressAttribute::Protocol(AddressProtocol::from(PROTOCOL)));
        let flags = match put {
            Put::New => NLM_F_CREATE | NLM_F_EXCL,
            Put::Renew => NLM_F_CREATE | NLM_F_REPLACE,
        };
        let request = RouteNetlinkMessage::NewAddress(message);
        self.exchange(
            request,
            NLM_F_ACK | flags,
            "put the address on the interface",
        )?;
        Ok(())
    }

    /// Takes an address off an interface. One that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(
        &mut self,
        interface: u32,
        address: Address,
    ) -> Result<(), RequestError> {
        let request = RouteNetlinkMessage::DelAddress(described(interface, address));
        match self.exchange(request, NLM_F_ACK, "take the address off the interface") {
            Ok(_) => Ok(()),
            Err(error) if error.is_about_nothing() => Ok(()),
            Err(error) => Err(error),
        }
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

/// The link a message describes. A bridge reports its ports in messages of its own kind:
/// a port that leaves the bridge is "deleted" there, and still an interface.
pub(super) fn link(message: &RouteNetlinkMessage) -> Option<Link> {
    let (RouteNetlinkMessage::NewLink(message) | RouteNetlinkMessage::DelLink(message)) =
        message
    else {
        return None;
    };
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut mac = None;
    let mut name = None;
    let mut role = Role::Host;
    let mut promoted = None;
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(value) = attribute {
            name = Some(value.clone());
        } else if let LinkAttribute::Address(value) = attribute {
            mac = value.as_slice().try_into().ok();
        } else if let LinkAttribute::AfSpecUnspec(specs) = attribute {
            if specs.iter().any(forwards) {
                role = Role::Router;
            }
            promoted = specs.iter().find_map(succession);
        }
    }
    let up = LinkFlags::Up | LinkFlags::LowerUp;
    Some(Link {
        index: message.header.index,
        name: name?,
        mac,
        running: message.header.flags.contains(up),
        role,
        succession: promoted.unwrap_or(Succession::Lost),
    })
}

fn forwards(spec: &AfSpecUnspec) -> bool {
    let AfSpecUnspec::Inet6(facts) = spec else {
        return false;
    };
    facts.iter().any(|fact| {
        if let AfSpecInet6::DevConf(settings) = fact {
            settings.forwarding != 0
        } else {
            false
        }
    })
}

/// The address a message describes.
pub(super) fn present(message: &RouteNetlinkMessage) -> Option<Present> {
    let (RouteNetlinkMessage::NewAddress(message)
    | RouteNetlinkMessage::DelAddress(message)) = message
    else {
        return None;
    };
    let ours = AddressAttribute::Protocol(AddressProtocol::from(PROTOCOL));
    Some(Present {
        interface: message.header.index,
        address: Address {
            ip: local(message)?,
            prefix: message.header.prefix_len,
        },
        ours: message.attributes.contains(&ours),
        marked: message
            .attributes
            .iter()
            .any(|attribute| matches!(attribute, AddressAttribute::Protocol(_))),
        secondary: message.header.flags.contains(AddressHeaderFlags::Secondary),
        renewed: renewed(message),
    })
}

fn renewed(message: &AddressMessage) -> u32 {
    let stamp = |attribute: &AddressAttribute| {
        if let AddressAttribute::CacheInfo(info) = attribute {
            Some(info.tstamp)
        } else {
            None
        }
    };
    message.attributes.iter().find_map(stamp).unwrap_or(0)
}

/// IPv4 puts the host's own address into `IFA_LOCAL`; IPv6 has only `IFA_ADDRESS`.
fn local(message: &AddressMessage) -> Option<IpAddr> {
    let mut found = None;
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            return Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            found = Some(*ip);
        }
    }
    found
}

fn described(interface: u32, address: Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = interface;
    message.header.prefix_len = address.prefix;
    message.attributes = vec![
        AddressAttribute::Local(address.ip),
        AddressAttribute::Address(address.ip),
    ];
    match address.ip {
        IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            // Duplicate address detection would keep it unusable for a second or more. The
            // route of its network is the interface's own, and would get our lifetime.
            let flags = AddressFlags::Nodad | AddressFlags::Noprefixroute;
            message.attributes.push(AddressAttribute::Flags(flags));
        }
    }
    message
}

/// Of IPv6 addresses the kernel chooses one to speak from; ours is to be spoken to. That
/// is what a preferred lifetime of 0 says (RFC 4862 section 5.5.4).
fn living(ip: IpAddr, seconds: u32) -> CacheInfo {
    let mut lifetime = CacheInfo::default();
    lifetime.ifa_valid = seconds;
    lifetime.ifa_preferred = match ip {
        IpAddr::V4(_) => seconds,
        IpAddr::V6(_) => 0,
    };
    lifetime
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_family(family: AddressFamily) -> RouteNetlinkMessage {
        let mut message = LinkMessage::default();
        message.header.interface_family = family;
        message.attributes = vec![LinkAttribute::IfName("eth0".to_owned())];
        RouteNetlinkMessage::DelLink(message)
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_no_interface_that_is_gone() {
        assert!(link(&of_family(AddressFamily::Unspec)).is_some());
        assert_eq!(link(&of_family(AddressFamily::Bridge)), None);
    }

    #[test]
    fn a_list_that_changed_while_it_was_read_says_so() {
        for (flags, torn) in [(0, false), (NLM_F_DUMP_INTR | 2, true)] {
            let mut header = NetlinkHeader::default();
            header.flags = flags;
            let message = of_family(AddressFamily::Unspec);
            let mut message =
                NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            assert_eq!(interrupted(&bytes), torn, "{flags}");
        }
    }
}
