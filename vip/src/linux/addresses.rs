//! Addresses as the kernel describes them; putting, renewing and removing them.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
    CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::{Netlink, RequestError};
use crate::config::{Address, Scope, VirtualAddress};
use crate::guard::Held;
use crate::ledger::Ledger;

/// The mark on every address of ours (`IFA_PROTO`, `ip address` shows `proto 86`) unless
/// another one is configured: the letter V. The kernel itself uses 1 to 3; nothing else is
/// registered.
pub const PROTOCOL: u8 = b'V';

/// An address on an interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The interface it is on.
    pub interface: u32,
    /// The address and its prefix length.
    pub address: Address,
    /// It is ours: it carries our mark, or the ledger says so.
    pub ours: bool,
    /// The mark it carries.
    pub mark: Option<u8>,
    /// It is a second address of a network that the interface already has one of.
    pub secondary: bool,
    /// Its label; IPv6 addresses have none.
    pub label: Option<String>,
    /// How far it is valid.
    pub scope: AddressScope,
    /// The broadcast address that goes with it.
    pub broadcast: Option<Ipv4Addr>,
    /// When it was put there or its lifetime renewed, in hundredths of a second of the
    /// kernel's own clock.
    pub renewed: u32,
    /// Seconds until the kernel removes it; [`u32::MAX`] for one that stays.
    pub left: u32,
}

impl Present {
    /// What and where it is.
    pub fn held(&self) -> Held {
        Held {
            interface: self.interface,
            address: self.address,
        }
    }

    /// Has it what `wanted` says beside the address, on the interface of that name?
    pub(super) fn is_put_as(&self, wanted: &VirtualAddress, interface: &str) -> bool {
        let label = wanted.label.as_deref().unwrap_or(interface);
        self.address.ip.is_ipv6()
            || (self.label.as_deref(), self.scope, self.broadcast)
                == (Some(label), scope(wanted.scope), wanted.broadcast)
    }
}

/// Of unit tests, wherever an address that the kernel shows is looked at.
#[cfg(test)]
impl Present {
    /// One that the ledger has not looked at yet.
    pub(crate) fn shown(held: Held, mark: Option<u8>, left: u32) -> Self {
        Self {
            interface: held.interface,
            address: held.address,
            ours: false,
            mark,
            secondary: false,
            label: None,
            scope: AddressScope::Universe,
            broadcast: None,
            renewed: 0,
            left,
        }
    }
}

/// Where an address is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The number of the interface.
    pub interface: u32,
    /// Does an IPv4 address bring the route of its network with it? One of IPv6 never does.
    pub route: Route,
}

/// Whose the route of an address's network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// It comes and goes with the address.
    Brought,
    /// It is another interface's.
    Elsewhere,
}

/// What an address is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It must not be there yet.
    New,
    /// It may be there: give it our mark and a new lifetime.
    Renew,
}

impl Netlink {
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
        let all = answers.iter().filter_map(present);
        let known = all.map(|there| match &self.ledger {
            Some(ledger) => Present {
                ours: ledger.owns(&there),
                ..there
            },
            None => there,
        });
        Ok(known.collect())
    }

    /// Puts an address on an interface, or renews it, with our mark and `lifetime`
    /// seconds to live.
    ///
    /// A renewal creates an address that is not there (IPv4 knows no other way): the
    /// caller renews only what it holds.
    ///
    /// # Errors
    /// When the kernel refuses: [`std::io::ErrorKind::AlreadyExists`] for [`Put::New`].
    pub fn put(
        &mut self,
        spot: Spot,
        what: &VirtualAddress,
        lifetime: u32,
        put: Put,
    ) -> Result<(), RequestError> {
        let mut message = described(spot.interface, what.address);
        qualify(&mut message, what);
        if what.ip().is_ipv4() && spot.route == Route::Elsewhere {
            let flags = AddressFlags::Noprefixroute;
            message.attributes.push(AddressAttribute::Flags(flags));
        }
        message
            .attributes
            .push(AddressAttribute::CacheInfo(living(what.ip(), lifetime)));
        let mark = self.ledger.as_ref().map_or(Some(PROTOCOL), Ledger::mark);
        let mark = mark.map(|mark| AddressAttribute::Protocol(mark.into()));
        message.attributes.extend(mark);
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
}

/// The address a message describes.
pub(super) fn present(message: &RouteNetlinkMessage) -> Option<Present> {
    let (RouteNetlinkMessage::NewAddress(message)
    | RouteNetlinkMessage::DelAddress(message)) = message
    else {
        return None;
    };
    let mark = mark(message);
    let info = info(message);
    let (mut label, mut broadcast) = (None, None);
    for attribute in &message.attributes {
        if let AddressAttribute::Label(value) = attribute {
            label = Some(value.clone());
        } else if let AddressAttribute::Broadcast(value) = attribute {
            broadcast = Some(*value);
        }
    }
    Some(Present {
        interface: message.header.index,
        address: Address {
            ip: local(message)?,
            prefix: message.header.prefix_len,
        },
        ours: mark == Some(PROTOCOL),
        mark,
        secondary: message.header.flags.contains(AddressHeaderFlags::Secondary),
        label,
        scope: message.header.scope,
        broadcast,
        renewed: info.map_or(0, |info| info.tstamp),
        left: info.map_or(u32::MAX, |info| info.ifa_valid),
    })
}

fn mark(message: &AddressMessage) -> Option<u8> {
    message.attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Protocol(protocol) = attribute {
            Some(u8::from(*protocol)).filter(|mark| *mark != 0)
        } else {
            None
        }
    })
}

fn info(message: &AddressMessage) -> Option<CacheInfo> {
    message.attributes.iter().find_map(|attribute| {
        if let AddressAttribute::CacheInfo(info) = attribute {
            Some(*info)
        } else {
            None
        }
    })
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

/// What is said of an address beside itself.
fn qualify(message: &mut AddressMessage, what: &VirtualAddress) {
    message.header.scope = scope(what.scope);
    let label = what.label.clone().map(AddressAttribute::Label);
    let broadcast = what.broadcast.map(AddressAttribute::Broadcast);
    message
        .attributes
        .extend([label, broadcast].into_iter().flatten());
}

fn scope(scope: Scope) -> AddressScope {
    match scope {
        Scope::Global => AddressScope::Universe,
        Scope::Site => AddressScope::Site,
        Scope::Link => AddressScope::Link,
        Scope::Host => AddressScope::Host,
    }
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
