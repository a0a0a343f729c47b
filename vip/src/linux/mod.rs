//! The effects on a real machine: sockets, netlink, ARP. Linux only, as the product is.
//!
//! [`Linux`] is what a driver acts through; [`Receiver`] and [`Monitor`] are what it is
//! fed from, and [`Alarm`] is what wakes it.

mod addresses;
mod advert;
mod alarm;
mod arp;
mod hold;
mod home;
mod links;
mod macvlan;
mod monitor;
mod nd;
mod near;
mod neighbours;
mod netlink;
mod open;
mod order;
mod receiver;
mod sys;
mod virtual_mac;
mod witness;

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp::Priority;
use vrrp::packet::{Advert, Checksum};

use crate::config::{Address, AdvertsFrom, Router, VirtualAddress};
use crate::driver::{Effects, Failure, Survey};
use crate::guard::Line;
use crate::ledger::Ledger;
use hold::Hold;
use home::Home;

pub use addresses::{PROTOCOL, Present, Put, Route, Spot};
pub use advert::Sender;
pub use alarm::Alarm;
pub use arp::{Frame, Wire, gratuitous, question};
pub use links::Link;
pub use monitor::{Monitor, Notice};
pub use nd::{Role, solicitation, unsolicited};
pub use near::remote;
pub use netlink::{Netlink, RequestError};
pub use open::OpenError;
pub use order::Succession;
pub use receiver::Receiver;
pub(crate) use sys::{round_robin, short_turns};
pub use virtual_mac::Before;
pub use witness::{Claimant, Witness};

/// Seconds an address of ours lives without being renewed. The kernel counts in whole
/// seconds, so 1 is the least. It looks with a timer that does not wake an idle CPU: on
/// time is the [`crate::guard`], and this is what is left when the guard is gone too.
pub const LIFETIME: u32 = 1;

/// Everything one router needs on this machine.
pub struct Linux {
    router: Router,
    advert: Advert,
    link: Link,
    source: IpAddr,
    sender: Sender,
    /// For what is asked on the router's own interface.
    wire: Wire,
    questions: Vec<Frame>,
    homes: Vec<Home>,
    hold: Hold,
}

impl Linux {
    /// Makes the interface with the router's virtual hardware address, where it has one, or
    /// takes over the one that is there. `known`: what the last time returned. Takes tens of
    /// milliseconds.
    ///
    /// # Errors
    /// [`OpenError`], each with the way out.
    pub fn prepare(
        router: &Router,
        known: Before,
        ledger: &Ledger,
    ) -> Result<Before, OpenError> {
        match &router.virtual_mac {
            None => Ok(known),
            Some(wanted) => {
                let mut netlink = Netlink::knowing(ledger)?;
                virtual_mac::prepare(&mut netlink, router, wanted, known)
            }
        }
    }

    /// Takes away what [`Self::prepare`] made for a run with another configuration; `routers`:
    /// those of this one. Takes tens of milliseconds, where there is something.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn sweep(routers: &[Router]) -> Result<(), RequestError> {
        virtual_mac::sweep(routers)
    }

    /// Takes away what [`Self::prepare`] made; `known`: what it returned. Takes tens of
    /// milliseconds.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn clean(router: &Router, known: Before) -> Result<(), RequestError> {
        match &router.virtual_mac {
            None => Ok(()),
            Some(wanted) => virtual_mac::remove(router, wanted, known),
        }
    }

    /// Whether [`Self::prepare`] and [`Self::open`] would do. Changes nothing.
    ///
    /// # Errors
    /// [`OpenError`], each with the way out.
    pub fn trial(router: &Router, guard: &Line) -> Result<(), OpenError> {
        let mut plain = router.clone();
        if let Some(wanted) = plain.virtual_mac.take() {
            virtual_mac::would_do(&mut Netlink::open()?, router, &wanted)?;
        }
        Self::open(&plain, guard).map(drop)
    }

    /// Opens everything; changes nothing.
    ///
    /// # Errors
    /// [`OpenError`], each with the way out.
    pub fn open(router: &Router, guard: &Line) -> Result<Self, OpenError> {
        let mut netlink = Netlink::knowing(guard.ledger())?;
        let link = open::find(&mut netlink, router, &router.interface)?;
        let source = open::source(&mut netlink, router, &link)?;
        let failed = |error| open::not_opened(router, error);
        let mac = link.mac.ok_or_else(|| OpenError::NoEthernet {
            router: router.name.clone(),
            interface: router.interface.clone(),
        })?;
        let framed = router.virtual_mac.as_ref();
        let framed = framed.filter(|it| it.adverts_from == AdvertsFrom::VirtualMac);
        let framed = framed.map(|_| router.virtual_mac_address());
        let sender = Sender::open(&link, source, &router.travel, framed);
        let sender = sender.map_err(failed)?;
        let wire = Wire::open(link.index).map_err(failed)?;
        let homes = home::homes(&mut netlink, router, &link, source)?;
        Ok(Self {
            advert: open::advert(router)?,
            questions: open::questions(router, mac, source),
            router: router.clone(),
            link,
            source,
            sender,
            wire,
            homes,
            hold: Hold::new(netlink, guard, router),
        })
    }

    /// The sockets that hear adverts. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::NotPermitted`], [`OpenError::Socket`].
    pub fn receivers(&self) -> Result<Vec<Receiver>, OpenError> {
        let failed = |error| open::not_opened(&self.router, error);
        let family = self.router.family();
        let own = Receiver::open(&self.link, family, &self.router.travel);
        let mut all = vec![own.map_err(failed)?];
        for home in &self.homes {
            all.extend(home.overhear(family).map_err(failed)?);
        }
        Ok(all)
    }

    /// What sets the interface with the virtual hardware address down when it is not wanted
    /// any more; `None` where there is none. Run it beside the driver.
    pub fn lowering(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.homes.iter().find_map(Home::lowering)
    }

    /// The sockets that hear who else says to have our addresses: one per interface that
    /// has neighbours. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::NotPermitted`], [`OpenError::Socket`].
    pub fn witnesses(&self) -> Result<Vec<Witness>, OpenError> {
        let family = self.router.family();
        let opened = self.homes.iter().map(|home| home.witness(family));
        let all: Result<Vec<_>, _> = opened.collect();
        let all = all.map_err(|error| open::not_opened(&self.router, error))?;
        Ok(all.into_iter().flatten().collect())
    }

    /// The interface.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The other interfaces that addresses are put on: their numbers and names.
    pub fn others(&self) -> BTreeMap<u32, String> {
        let links = self.homes.iter().map(|home| &home.link);
        let others = links.filter(|link| link.index != self.link.index);
        others.map(|link| (link.index, link.name.clone())).collect()
    }

    /// Where adverts come from.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Virtual addresses that lie in no network of their interface: reachable only where a
    /// route says so.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn stray(&mut self) -> Result<Vec<(Address, String)>, RequestError> {
        let present = self.hold.netlink.all_addresses()?;
        let covered = |interface: u32, address: &Address| {
            present.iter().any(|there| {
                there.interface == interface
                    && !there.ours
                    && there.address.covers(address.ip)
            })
        };
        let mut stray = Vec::new();
        // What has no neighbours is reached by a route in any case.
        for home in self.homes.iter().filter(|home| home.link.mac.is_some()) {
            let all = home.addresses.iter().map(|what| what.address);
            let near = home.network();
            let stray_here = all.filter(|address| !covered(near, address));
            stray.extend(stray_here.map(|address| (address, home.link.name.clone())));
        }
        Ok(stray)
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
        let mut outcome = Ok(());
        for home in &mut self.homes {
            outcome = outcome.and(self.hold.acquire(home));
        }
        outcome
    }

    fn renew(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for home in &self.homes {
            outcome = outcome.and(self.hold.renew(home));
        }
        outcome.and_then(|()| self.hold.echo())
    }

    fn release(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for home in &self.homes {
            outcome = outcome.and(self.hold.release(home));
        }
        outcome
    }

    fn release_but(&mut self, router: &Router) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for home in &self.homes {
            let stays = |what: &VirtualAddress| {
                let name = |router: &Router| {
                    let device = what.device.as_deref();
                    device.unwrap_or(router.home()).to_owned()
                };
                router.held().any(|it| it == what) && name(router) == home.link.name
            };
            outcome = outcome.and(self.hold.release_but(home, stays));
        }
        outcome
    }

    fn announce(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for _ in 0..self.router.announce.burst {
            for home in &self.homes {
                outcome = outcome.and(home.announce().map_err(Failure::Send));
            }
        }
        outcome
    }

    fn greet(&mut self) -> Result<(), Failure> {
        let family = self.router.family();
        let forgotten = self.hold.netlink.forget_silent(family, self.link.index);
        let mut outcome = forgotten.map_err(Failure::Netlink);
        for question in &self.questions {
            outcome = outcome.and(self.wire.send(question).map_err(Failure::Send));
        }
        outcome
    }

    fn probe(&mut self) -> Result<Vec<IpAddr>, Failure> {
        let asked = self
            .homes
            .iter()
            .map(|home| home.probe().map_err(Failure::Send));
        let asked: Result<Vec<_>, _> = asked.collect();
        Ok(asked?.into_iter().flatten().collect())
    }

    fn is_us(&self, mac: [u8; 6]) -> bool {
        self.link.mac == Some(mac) || self.homes.iter().any(|home| home.is(mac))
    }

    fn follow(&mut self, link: &Link) -> bool {
        if link.index == self.link.index {
            self.link = link.clone();
            if let Some(mac) = link.mac {
                self.questions = open::questions(&self.router, mac, self.source);
            }
        }
        let mut moved = false;
        for home in &mut self.homes {
            moved |= home.follow(link);
        }
        moved
    }

    fn survey(&mut self) -> Result<Survey, Failure> {
        let links = self.hold.netlink.links().map_err(Failure::Netlink)?;
        let everywhere = self.hold.everywhere()?;
        let virtual_ip = |ip| self.router.held().any(|address| address.ip() == ip);
        let foreign = everywhere
            .iter()
            .filter(|there| !there.ours && virtual_ip(there.address.ip));
        let of = |home: &Home| {
            let mut links = links.iter();
            links.find(|it| (it.index, &it.name) == (home.link.index, &home.link.name))
        };
        let own = links.iter().find(|link| link.index == self.link.index);
        let mut survey = Survey {
            link: own.cloned(),
            homeless: !self.homes.iter().all(|home| of(home).is_some()),
            source: everywhere.iter().any(|there| {
                (there.interface, there.address.ip) == (self.link.index, self.source)
            }),
            foreign: foreign.map(|there| there.address).collect(),
            ..Survey::default()
        };
        for home in &self.homes {
            let link = of(home);
            link.into_iter().for_each(|link| home.settle(link));
            let answers = link.is_some_and(|link| home.answers(link));
            for address in home.addresses.iter().map(|what| what.address) {
                let there = everywhere.iter().filter(|_| answers).find(|there| {
                    (there.interface, there.address) == (home.link.index, address)
                });
                match there {
                    None => survey.missing.push(address),
                    Some(there) if there.ours => survey.ours.push(address),
                    Some(_) => self.hold.disown(address, &home.link),
                }
            }
        }
        Ok(survey)
    }
}
