//! Addresses put on their interfaces, renewed and taken off again, and nobody else's
//! touched.

use std::io;
use std::time::Duration;

use daemon::chain;

use super::LIFETIME;
use super::addresses::{Present, Put};
use super::home::Home;
use super::links::Link;
use super::macvlan::Turn;
use super::netlink::Netlink;
use super::order::{self, Succession};
use crate::config::{Address, Router, VirtualAddress};
use crate::driver::Failure;
use crate::guard::{self, Held, Line};
use crate::ledger::{Known, Marks};

/// What holds the addresses of one router.
pub(super) struct Hold {
    pub(super) netlink: Netlink,
    guard: Line,
    router: String,
    grace: Duration,
    /// Addresses that were there before us and are not ours to renew or remove.
    foreign: Vec<Address>,
}

impl Hold {
    /// Holds nothing.
    pub(super) fn new(netlink: Netlink, guard: &Line, router: &Router) -> Self {
        Self {
            netlink,
            guard: guard.clone(),
            router: router.name.clone(),
            grace: guard::grace(router),
            foreign: Vec::new(),
        }
    }

    /// Puts everything there that has its home on that interface, or finds that somebody
    /// else has.
    ///
    /// # Errors
    /// [`Failure::Netlink`], of the first that the kernel refuses.
    pub(super) fn acquire(&mut self, home: &mut Home) -> Result<(), Failure> {
        if home.wants(Turn::Up) {
            let raised = self.netlink.turn(home.link.index, Turn::Up);
            raised.map_err(Failure::Netlink)?;
        }
        let mut all = home.addresses.iter();
        if all.any(|address| address.ip().is_ipv4()) {
            self.promote(&mut home.link);
        }
        let home = &*home;
        let mut outcome = Ok(());
        for what in &home.addresses {
            // Every one, so that it is known of each whose it is before anything is removed.
            outcome = outcome.and(self.put(home, what));
        }
        outcome
    }

    fn put(&mut self, home: &Home, what: &VirtualAddress) -> Result<(), Failure> {
        let held = held(&home.link, what.address);
        let known = self.guard.intend(held, self.grace);
        let put = self.netlink.put(home.spot(), what, LIFETIME, Put::New);
        let Err(error) = put else {
            self.own(what.address);
            self.guard.hold(held, self.grace);
            return Ok(());
        };
        // What was written down just now was somebody else's before, or is not there.
        match known {
            Known::New => self.guard.ledger().forget(held),
            Known::Before => {}
        }
        match error.refusal() {
            Some(io::ErrorKind::AlreadyExists) => self.adopt(home, what),
            Some(_) | None => Err(Failure::Netlink(error)),
        }
    }

    /// Puts or renews one that is ours.
    fn keep(
        &mut self,
        home: &Home,
        what: &VirtualAddress,
        put: Put,
    ) -> Result<(), Failure> {
        let held = held(&home.link, what.address);
        self.guard.intend(held, self.grace);
        let kept = self.netlink.put(home.spot(), what, LIFETIME, put);
        kept.map_err(Failure::Netlink)?;
        self.guard.hold(held, self.grace);
        Ok(())
    }

    /// Renews what a run before this one left, and leaves alone what is not ours.
    fn adopt(&mut self, home: &Home, what: &VirtualAddress) -> Result<(), Failure> {
        let link = &home.link;
        let all = self.netlink.addresses(link.index);
        let all = all.map_err(Failure::Netlink)?;
        let there = all.iter().find(|there| there.address == what.address);
        if there.is_some_and(|there| !there.ours) {
            self.guard.left(held(link, what.address));
            self.disown(what.address, link);
            return Ok(());
        }
        self.own(what.address);
        let behind = there.is_some_and(|there| order::stands_first(there, &all));
        // What an address has beside its lifetime, the kernel does not change.
        let other = there.is_some_and(|there| !there.is_put_as(what, &link.name));
        // Without promotion the host's own address would go with ours.
        let takes_along = behind && link.succession == Succession::Lost;
        let put = match (behind || other) && !takes_along {
            true => {
                self.netlink
                    .remove(link.index, what.address)
                    .map_err(Failure::Netlink)?;
                Put::New
            }
            false => Put::Renew,
        };
        self.keep(home, what, put)
    }

    /// What is refused here is not worth an election: the address is then put back by us
    /// when the kernel takes it away.
    fn promote(&mut self, link: &mut Link) {
        if link.succession == Succession::Promoted {
            return;
        }
        match self.netlink.promote_secondaries(link.index) {
            Ok(()) => link.succession = Succession::Promoted,
            Err(error) => tracing::info!(router = self.router, "{}", chain(&error)),
        }
    }

    /// Notes that the address is somebody else's.
    pub(super) fn disown(&mut self, address: Address, link: &Link) {
        if !self.foreign.contains(&address) {
            tracing::warn!(
                router = self.router, %address, interface = link.name,
                "the address is configured by somebody else: not renewed, not removed"
            );
            self.foreign.push(address);
            self.guard.left(held(link, address));
        }
    }

    /// Nobody else has put it there.
    fn own(&mut self, address: Address) {
        self.foreign.retain(|it| *it != address);
    }

    /// Gives everything of ours a new lifetime.
    ///
    /// # Errors
    /// [`Failure::Netlink`], of the first that the kernel refuses.
    pub(super) fn renew(&mut self, home: &Home) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for what in &home.addresses {
            if self.foreign.contains(&what.address) {
                continue;
            }
            outcome = outcome.and(self.keep(home, what, Put::Renew));
        }
        outcome
    }

    /// Looks once what has become of our marks: not while an address is taken over, when
    /// every microsecond counts.
    ///
    /// # Errors
    /// [`Failure::Netlink`].
    pub(super) fn echo(&mut self) -> Result<(), Failure> {
        match self.guard.ledger().marks() {
            Marks::Kept | Marks::Lost => Ok(()),
            Marks::Unseen => {
                let shown = self.everywhere()?;
                self.guard.ledger().echo(&shown);
                Ok(())
            }
        }
    }

    /// Takes off what is ours.
    ///
    /// # Errors
    /// [`Failure::Netlink`], of the first that the kernel refuses.
    pub(super) fn release(&mut self, home: &Home) -> Result<(), Failure> {
        let released = self.release_but(home, |_| false);
        home.wants(Turn::Down);
        released
    }

    /// Takes off what is ours, but for what stays.
    ///
    /// # Errors
    /// [`Failure::Netlink`], of the first that the kernel refuses.
    pub(super) fn release_but(
        &mut self,
        home: &Home,
        stays: impl Fn(&VirtualAddress) -> bool,
    ) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for what in &home.addresses {
            if self.foreign.contains(&what.address) || stays(what) {
                continue;
            }
            let removed = self.netlink.remove(home.link.index, what.address);
            if removed.is_ok() {
                self.guard.left(held(&home.link, what.address));
            }
            outcome = outcome.and(removed.map_err(Failure::Netlink));
        }
        outcome
    }

    /// Everything on this host.
    ///
    /// # Errors
    /// [`Failure::Netlink`].
    pub(super) fn everywhere(&mut self) -> Result<Vec<Present>, Failure> {
        self.netlink.all_addresses().map_err(Failure::Netlink)
    }
}

fn held(link: &Link, address: Address) -> Held {
    Held {
        interface: link.index,
        address,
    }
}
