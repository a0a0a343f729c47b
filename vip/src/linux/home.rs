//! An interface that addresses of a router are put on: which they are, how neighbours are
//! told of them, and how they are asked for.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use tokio::sync::watch;
use vrrp::Family;

use super::addresses::{Route, Spot};
use super::arp::{Frame, Wire, gratuitous, question};
use super::links::Link;
use super::macvlan::Turn;
use super::nd::{solicitation, unsolicited};
use super::netlink::Netlink;
use super::open::{self, OpenError};
use super::receiver::Receiver;
use super::virtual_mac;
use super::witness::Witness;
use crate::config::{Router, VirtualAddress};

/// One interface and what is put on it.
pub(super) struct Home {
    /// The interface.
    pub(super) link: Link,
    /// Where neighbours are asked and heard: the interface, or the router's own when this
    /// one is not always up.
    ear: Link,
    kind: Kind,
    /// In the order of the file.
    pub(super) addresses: Vec<VirtualAddress>,
    wire: Wire,
    ear_wire: Option<Wire>,
    /// From where IPv6 neighbours are asked; `None`: nobody is.
    source: Option<IpAddr>,
    announcements: Vec<Frame>,
    /// Who has each of the addresses (RFC 5227's probe, RFC 4861's solicitation).
    probes: Vec<Frame>,
}

/// What an interface is to us.
enum Kind {
    /// Somebody else's, and as it is.
    Found,
    /// Ours, with the virtual hardware address; whether it is to be up.
    VirtualMac(watch::Sender<Turn>),
}

/// The homes of a router's addresses, in the order in which the file first names them.
///
/// # Errors
/// [`OpenError`] when one is not there or cannot be sent on.
pub(super) fn homes(
    netlink: &mut Netlink,
    router: &Router,
    link: &Link,
    source: IpAddr,
) -> Result<Vec<Home>, OpenError> {
    let mut homes: Vec<Home> = Vec::new();
    for address in router.held() {
        let name = address.device.as_deref().unwrap_or(router.home());
        let known = homes.iter_mut().find(|home| home.link.name == name);
        match known {
            Some(home) => home.addresses.push(address.clone()),
            None => {
                let mut home = home(netlink, router, link, source, name)?;
                home.addresses.push(address.clone());
                homes.push(home);
            }
        }
    }
    homes.iter_mut().for_each(Home::rewrite);
    Ok(homes)
}

/// One without addresses. `own`: the router's interface.
fn home(
    netlink: &mut Netlink,
    router: &Router,
    own: &Link,
    source: IpAddr,
    name: &str,
) -> Result<Home, OpenError> {
    let failed = |error| open::not_opened(router, error);
    let virtual_mac = router.virtual_mac.as_ref();
    let is_ours = virtual_mac.is_some_and(|it| it.name == name);
    let link = match name == own.name {
        true => own.clone(),
        false => open::find(netlink, router, name)?,
    };
    let ear = if is_ours { own.clone() } else { link.clone() };
    let source = match ear.index == own.index {
        true => Some(source),
        false => open::speaks_from(netlink, router, &link)?,
    };
    let turned = if link.up { Turn::Up } else { Turn::Down };
    Ok(Home {
        kind: match is_ours {
            true => Kind::VirtualMac(watch::Sender::new(turned)),
            false => Kind::Found,
        },
        wire: Wire::open(link.index).map_err(failed)?,
        ear_wire: match is_ours {
            true => Some(Wire::open(ear.index).map_err(failed)?),
            false => None,
        },
        link,
        ear,
        source,
        addresses: Vec::new(),
        announcements: Vec::new(),
        probes: Vec::new(),
    })
}

impl Home {
    /// Where addresses are put on it. The network of an address with the virtual hardware
    /// address is reached through the router's own interface: a second route would have
    /// this host speak from there when the first is away for a moment.
    pub(super) fn spot(&self) -> Spot {
        let route = match &self.kind {
            Kind::Found => Route::Brought,
            Kind::VirtualMac(_) => Route::Elsewhere,
        };
        let interface = self.link.index;
        Spot { interface, route }
    }

    /// The interface whose networks its addresses should lie in.
    pub(super) fn network(&self) -> u32 {
        self.ear.index
    }

    /// Notes whether it is to be up; false when that is nobody's business here.
    pub(super) fn wants(&self, turn: Turn) -> bool {
        match &self.kind {
            Kind::Found => false,
            Kind::VirtualMac(wanted) => {
                wanted.send_replace(turn);
                true
            }
        }
    }

    /// See [`virtual_mac::lower`].
    pub(super) fn lowering(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        match &self.kind {
            Kind::Found => None,
            Kind::VirtualMac(wanted) => {
                let first = self.addresses.first();
                let family = first.map(|address| Family::of(address.ip()));
                let family = family.unwrap_or(Family::V4);
                let wanted = wanted.subscribe();
                Some(virtual_mac::lower(self.link.clone(), family, wanted))
            }
        }
    }

    /// Has it set down again when somebody has set it up, and it is not wanted. `now`: the
    /// interface as it is.
    pub(super) fn settle(&self, now: &Link) {
        let Kind::VirtualMac(wanted) = &self.kind else {
            return;
        };
        let is_idle = *wanted.borrow() == Turn::Down;
        if is_idle && now.up && now.index == self.link.index {
            wanted.send_replace(Turn::Down);
        }
    }

    /// Whether frames from that hardware address come from here. The virtual one is
    /// another node's while ours is not wanted.
    pub(super) fn is(&self, mac: [u8; 6]) -> bool {
        let here = match &self.kind {
            Kind::Found => true,
            Kind::VirtualMac(wanted) => *wanted.borrow() == Turn::Up,
        };
        (here && self.link.mac == Some(mac)) || self.ear.mac == Some(mac)
    }

    /// Do addresses on it answer, as far as the kernel decides that? `now`: the interface
    /// as it is. What is found down is the business of whoever set it so.
    pub(super) fn answers(&self, now: &Link) -> bool {
        match &self.kind {
            Kind::Found => true,
            Kind::VirtualMac(_) => now.up,
        }
    }

    /// Hears adverts that come from the virtual hardware address while it is here, too;
    /// `None` where there is none. Inside a tokio runtime.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub(super) fn overhear(&self, family: Family) -> io::Result<Option<Receiver>> {
        match &self.kind {
            Kind::Found => Ok(None),
            Kind::VirtualMac(_) => Receiver::overhear(&self.link, family).map(Some),
        }
    }

    /// Sends one frame per address that says where it is. An interface without a hardware
    /// address has no neighbours to tell.
    ///
    /// # Errors
    /// The first error of any frame.
    pub(super) fn announce(&self) -> io::Result<()> {
        send(&self.wire, &self.announcements)
    }

    /// Asks who has the addresses; returns those that could be asked for.
    ///
    /// # Errors
    /// The first error of any frame.
    pub(super) fn probe(&self) -> io::Result<Vec<IpAddr>> {
        send(self.ear_wire.as_ref().unwrap_or(&self.wire), &self.probes)?;
        let all = self.addresses.iter().map(VirtualAddress::ip);
        Ok(all.take(self.probes.len()).collect())
    }

    /// Where it is heard who else says to have the addresses; `None` where nobody can.
    /// Inside a tokio runtime.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub(super) fn witness(&self, family: Family) -> io::Result<Option<Witness>> {
        if self.ear.mac.is_none() {
            return Ok(None);
        }
        let addresses = self.addresses.iter().map(VirtualAddress::ip);
        Witness::open(&self.ear, family, addresses.collect()).map(Some)
    }

    /// Takes on what has changed about an interface, if it is of any matter here. Are the
    /// addresses at another hardware address than before?
    pub(super) fn follow(&mut self, link: &Link) -> bool {
        let before = self.link.mac;
        for known in [&mut self.link, &mut self.ear] {
            if known.index == link.index {
                known.clone_from(link);
            }
        }
        self.settle(link);
        self.rewrite();
        self.link.mac.is_some() && self.link.mac != before
    }

    fn rewrite(&mut self) {
        self.announcements = announcements(&self.addresses, &self.link);
        self.probes = probes(&self.addresses, &self.ear, self.source);
    }
}

fn send(wire: &Wire, frames: &[Frame]) -> io::Result<()> {
    let mut outcome = Ok(());
    for frame in frames {
        outcome = outcome.and(wire.send(frame));
    }
    outcome
}

/// What is announced; nothing for an interface without a hardware address.
fn announcements(addresses: &[VirtualAddress], link: &Link) -> Vec<Frame> {
    let announcements = addresses.iter().filter_map(|address| {
        let mac = link.mac?;
        Some(match address.ip() {
            IpAddr::V4(ip) => gratuitous(mac, ip),
            IpAddr::V6(ip) => unsolicited(mac, ip, link.role),
        })
    });
    announcements.collect()
}

/// Asks for each address. Over ARP it tells nobody who asks; over IPv6 such a question
/// would be one of duplicate address detection.
fn probes(
    addresses: &[VirtualAddress],
    link: &Link,
    source: Option<IpAddr>,
) -> Vec<Frame> {
    let probes = addresses.iter().filter_map(|address| {
        let mac = link.mac?;
        match (address.ip(), source) {
            (IpAddr::V4(ip), _) => Some(question(mac, Ipv4Addr::UNSPECIFIED, ip)),
            (IpAddr::V6(ip), Some(IpAddr::V6(source))) => {
                Some(solicitation(mac, source, ip))
            }
            (IpAddr::V6(_), Some(IpAddr::V4(_)) | None) => None,
        }
    });
    probes.collect()
}
