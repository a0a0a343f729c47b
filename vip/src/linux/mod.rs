//! The effects on a real machine: sockets, netlink, ARP. Linux only, as the product is.
//!
//! [`Linux`] is what a driver acts through; [`Receiver`] and [`Monitor`] are what it is
//! fed from.

mod addresses;
mod advert;
mod arp;
mod links;
mod monitor;
mod nd;
mod neighbours;
mod netlink;
mod open;
mod order;
mod receiver;
mod sys;
mod witness;

use std::io;
use std::net::IpAddr;

use vrrp::packet::{Advert, Checksum};
use vrrp::{Family, Priority};

use crate::config::{Address, Router};
use crate::driver::{Effects, Failure, Survey};
use crate::guard::{self, Held, Line};

pub use addresses::{PROTOCOL, Present, Put};
pub use advert::Sender;
pub use arp::{Frame, Wire, gratuitous, question};
pub use links::Link;
pub use monitor::{Monitor, Notice};
pub use nd::{Role, solicitation, unsolicited};
pub use netlink::{Netlink, RequestError};
pub use open::OpenError;
pub use order::Succession;
pub use receiver::Receiver;
pub(crate) use sys::round_robin;
pub use witness::{Claimant, Witness};

/// Seconds an address of ours lives without being renewed. The kernel counts in whole
/// seconds, so 1 is the least. It looks with a timer that does not wake an idle CPU: on
/// time is the [`guard`], and this is what is left when the guard is gone too.
pub const LIFETIME: u32 = 1;

/// Everything one router needs on this machine.
pub struct Linux {
    router: Router,
    advert: Advert,
    link: Link,
    source: IpAddr,
    netlink: Netlink,
    sender: Sender,
    wire: Wire,
    frames: Vec<Frame>,
    questions: Vec<Frame>,
    /// Who has each of our addresses (RFC 5227's probe, RFC 4861's solicitation).
    probes: Vec<Frame>,
    /// Addresses that were there before us and are not ours to renew or remove.
    foreign: Vec<Address>,
    guard: Line,
}

impl Linux {
    /// Opens everything; changes nothing.
    ///
    /// # Errors
    /// [`OpenError`], each with the way out.
    pub fn open(router: &Router, guard: &Line) -> Result<Self, OpenError> {
        let mut netlink = Netlink::open()?;
        open::kernel(&mut netlink)?;
        let link = open::find(&mut netlink, router)?;
        let source = open::source(&mut netlink, router, &link)?;
        let failed = |error| open::not_opened(router, error);
        let (frames, questions) =
            open::frames(router, &link, source).ok_or_else(|| OpenError::NoEthernet {
                router: router.name.clone(),
                interface: router.interface.clone(),
            })?;
        let sender = Sender::open(&link, source, &router.travel).map_err(failed)?;
        let wire = Wire::open(link.index).map_err(failed)?;
        Ok(Self {
            advert: open::advert(router)?,
            frames,
            questions,
            probes: open::probes(router, &link, source),
            router: router.clone(),
            link,
            source,
            netlink,
            sender,
            wire,
            foreign: Vec::new(),
            guard: guard.clone(),
        })
    }

    /// The socket that hears adverts. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::NotPermitted`], [`OpenError::Socket`].
    pub fn receiver(&self) -> Result<Receiver, OpenError> {
        let family = self.router.family();
        Receiver::open(&self.link, family, &self.router.travel)
            .map_err(|error| open::not_opened(&self.router, error))
    }

    /// The socket that hears who else says to have our addresses. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::NotPermitted`], [`OpenError::Socket`].
    pub fn witness(&self) -> Result<Witness, OpenError> {
        let addresses = self.router.held().map(|address| address.ip);
        let opened = Witness::open(&self.link, self.router.family(), addresses.collect());
        opened.map_err(|error| open::not_opened(&self.router, error))
    }

    /// The interface.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Where adverts come from.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Virtual addresses that lie in no network of the interface: reachable only where a
    /// route says so.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn stray(&mut self) -> Result<Vec<Address>, RequestError> {
        let present = self.netlink.addresses(self.link.index)?;
        let covered = |address: &Address| {
            present
                .iter()
                .any(|there| !there.ours && there.address.covers(address.ip))
        };
        let all = self.router.held();
        Ok(all.filter(|address| !covered(address)).collect())
    }

    fn present(&mut self) -> Result<Vec<Present>, Failure> {
        self.netlink
            .addresses(self.link.index)
            .map_err(Failure::Netlink)
    }

    /// Puts one address there, or finds that somebody else has.
    fn put(&mut self, address: Address) -> Result<(), Failure> {
        let held = self.told(address);
        let put = self
            .netlink
            .put(held.interface, address, LIFETIME, Put::New);
        match put {
            Ok(()) => Ok(()),
            Err(error) if error.refusal() == Some(io::ErrorKind::AlreadyExists) => {
                self.adopt(address)
            }
            Err(error) => Err(Failure::Netlink(error)),
        }
    }

    /// Renews what a run before this one left, and leaves alone what is not ours.
    fn adopt(&mut self, address: Address) -> Result<(), Failure> {
        let all = self.present()?;
        let there = all.iter().find(|there| there.address == address);
        if there.is_some_and(|there| !there.ours) {
            self.disown(address);
            return Ok(());
        }
        let behind = there.is_some_and(|there| order::stands_first(there, &all));
        // Without promotion the host's own address would go with ours.
        let put = match (behind, self.link.succession) {
            (true, Succession::Promoted) => {
                self.netlink
                    .remove(self.link.index, address)
                    .map_err(Failure::Netlink)?;
                Put::New
            }
            (true, Succession::Lost) | (false, _) => Put::Renew,
        };
        self.netlink
            .put(self.link.index, address, LIFETIME, put)
            .map_err(Failure::Netlink)
    }

    /// What is refused here is not worth an election: the address is then put back by us
    /// when the kernel takes it away.
    fn promote(&mut self) {
        match (self.link.succession, self.router.family()) {
            (Succession::Promoted, _) | (Succession::Lost, Family::V6) => {}
            (Succession::Lost, Family::V4) => {
                match self.netlink.promote_secondaries(self.link.index) {
                    Ok(()) => self.link.succession = Succession::Promoted,
                    Err(error) => tracing::info!(
                        router = self.router.name,
                        "{}",
                        crate::driver::chain(&error)
                    ),
                }
            }
        }
    }

    fn disown(&mut self, address: Address) {
        if !self.foreign.contains(&address) {
            tracing::warn!(
                router = self.router.name, %address, interface = self.link.name,
                "the address is configured by somebody else: not renewed, not removed"
            );
            self.foreign.push(address);
        }
    }

    /// Tells the guard before the kernel: dying in between leaves nothing behind.
    fn told(&self, address: Address) -> Held {
        let held = self.held(address);
        self.guard.hold(held, guard::grace(&self.router));
        held
    }

    fn held(&self, address: Address) -> Held {
        Held {
            interface: self.link.index,
            address,
        }
    }

    fn own(&self) -> Vec<Address> {
        let all = self.router.held();
        all.filter(|address| !self.foreign.contains(address))
            .collect()
    }
}

impl Effects for Linux {
    fn advertise(
        &mut self,
        priority: Priority,
        checksum: Checksum,
    ) -> Result<(), Failure> {
        self.advert.priority = priority;
        self.sender
            .send(&self.advert, checksum)
            .map_err(Failure::Send)
    }

    fn acquire(&mut self) -> Result<(), Failure> {
        self.foreign.clear();
        self.promote();
        let all: Vec<_> = self.router.held().collect();
        all.into_iter().try_for_each(|address| self.put(address))
    }

    fn renew(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for address in self.own() {
            let link = self.told(address).interface;
            let renewed = self.netlink.put(link, address, LIFETIME, Put::Renew);
            outcome = outcome.and(renewed.map_err(Failure::Netlink));
        }
        outcome
    }

    fn release(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for address in self.own() {
            let removed = self.netlink.remove(self.link.index, address);
            if removed.is_ok() {
                self.guard.left(self.held(address));
            }
            outcome = outcome.and(removed.map_err(Failure::Netlink));
        }
        outcome
    }

    fn announce(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for _ in 0..self.router.announce.burst {
            for frame in &self.frames {
                outcome = outcome.and(self.wire.send(frame).map_err(Failure::Send));
            }
        }
        outcome
    }

    fn greet(&mut self) -> Result<(), Failure> {
        let family = self.router.family();
        let forgotten = self.netlink.forget_silent(family, self.link.index);
        let mut outcome = forgotten.map_err(Failure::Netlink);
        for question in &self.questions {
            outcome = outcome.and(self.wire.send(question).map_err(Failure::Send));
        }
        outcome
    }

    fn probe(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for probe in &self.probes {
            outcome = outcome.and(self.wire.send(probe).map_err(Failure::Send));
        }
        outcome
    }

    fn is_us(&self, mac: [u8; 6]) -> bool {
        self.link.mac == Some(mac)
    }

    fn follow(&mut self, link: &Link) -> bool {
        let before = std::mem::replace(&mut self.link, link.clone());
        let Some(frames) = open::frames(&self.router, link, self.source) else {
            return false;
        };
        (self.frames, self.questions) = frames;
        self.probes = open::probes(&self.router, link, self.source);
        link.mac != before.mac
    }

    fn survey(&mut self) -> Result<Survey, Failure> {
        let links = self.netlink.links().map_err(Failure::Netlink)?;
        let everywhere = self.netlink.all_addresses().map_err(Failure::Netlink)?;
        let mine = |there: &&Present| there.interface == self.link.index;
        let present: Vec<_> = everywhere.iter().filter(mine).cloned().collect();
        let virtual_ip = |ip| self.router.held().any(|address| address.ip == ip);
        let foreign = everywhere
            .iter()
            .filter(|there| !there.ours && virtual_ip(there.address.ip));
        let source = self.source();
        let mut survey = Survey {
            link: links.into_iter().find(|link| link.index == self.link.index),
            source: present.iter().any(|there| there.address.ip == source),
            foreign: foreign.map(|there| there.address).collect(),
            ..Survey::default()
        };
        for address in self.router.held().collect::<Vec<_>>() {
            let there = present.iter().find(|there| there.address == address);
            match there {
                None => survey.missing.push(address),
                Some(there) if there.ours => survey.ours.push(address),
                Some(_) => self.disown(address),
            }
        }
        Ok(survey)
    }
}
