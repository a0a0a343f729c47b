//! What the driver makes of the kernel's notices: links that go and come, addresses that
//! others take away or put there.

use std::net::IpAddr;

use tokio::time::Instant;
use vrrp::State;
use vrrp::fsm::Event;

use super::{Driver, Effects, Lost, Survey};
use crate::flight::What;
use crate::linux::{Link, Notice};

impl<E: Effects> Driver<E> {
    pub(super) fn notice(&mut self, notice: Notice) -> Option<Lost> {
        if let Some(entry) = noted(&notice) {
            self.flight.record(entry, Instant::now());
        }
        match notice {
            Notice::Link(link) if link.index == self.interface => {
                self.follow(&link);
                (link.name != self.interface_name).then_some(Lost::Interface)
            }
            Notice::Link(link) if self.others.contains_key(&link.index) => {
                self.announce_moved(&link);
                let name = self.others.get(&link.index);
                match (name == Some(&link.name), link.up) {
                    (false, _) => Some(Lost::Home),
                    (true, true) => None,
                    // One of ours that another's hand has set down answers nobody.
                    (true, false) => self.look(),
                }
            }
            Notice::LinkGone(link) if link.index == self.interface => {
                Some(Lost::Interface)
            }
            Notice::LinkGone(link) if self.others.contains_key(&link.index) => {
                Some(Lost::Home)
            }
            // Our own renewals, four times a second.
            Notice::Address(there) if there.ours => None,
            // Whichever interface: ours may be on another, and what another's hand puts
            // anywhere is answered for all the same.
            Notice::AddressGone(there) | Notice::Address(there)
                if self.virtual_ip(there.address.ip)
                    || there.address.ip == self.source =>
            {
                self.look()
            }
            Notice::Missed => self.look(),
            Notice::Link(_)
            | Notice::LinkGone(_)
            | Notice::Address(_)
            | Notice::AddressGone(_) => None,
        }
    }

    pub(super) fn foreign(&self, survey: &Survey) {
        self.record.send_if_modified(|record| {
            let changed = record.foreign != survey.foreign;
            record.foreign.clone_from(&survey.foreign);
            changed
        });
        if let Some(address) = survey.foreign.first() {
            let router = &self.name;
            tracing::warn!(router, %address, "another's hand has put the address here");
        }
    }

    fn follow(&mut self, link: &Link) {
        self.announce_moved(link);
        self.link(link.running);
    }

    fn announce_moved(&mut self, link: &Link) {
        if self.effects.follow(link) && self.machine.state() == State::Active {
            let (router, interface) = (&self.name, &link.name);
            tracing::warn!(router, interface, "its hardware address changed");
            let announced = self.effects.announce();
            self.outcome("announce", announced);
        }
    }

    /// What of the things that cannot be done without is not there?
    pub(super) fn missed(&self, survey: &Survey) -> Option<Lost> {
        match &survey.link {
            Some(link) if link.name == self.interface_name => {
                let homeless = survey.homeless.then_some(Lost::Home);
                homeless.or_else(|| (!survey.source).then_some(Lost::Source))
            }
            Some(_) | None => Some(Lost::Interface),
        }
    }

    fn virtual_ip(&self, ip: IpAddr) -> bool {
        self.held.contains(&ip)
    }

    /// Looks at the interface: notices may be about a moment that has passed, such as our
    /// own release before we acquired again.
    fn look(&mut self) -> Option<Lost> {
        let survey = self.effects.survey();
        let survey = self.outcome("survey", survey)?;
        self.foreign(&survey);
        match self.missed(&survey) {
            // Whoever empties the interface is not done: ours goes back behind its own.
            Some(Lost::Source) if self.machine.state() == State::Active => {
                self.without_source();
                return None;
            }
            Some(lost) => return Some(lost),
            None => self.with_source(),
        }
        if let Some(link) = &survey.link {
            self.follow(link);
        }
        if self.renew_at.is_some() && !survey.missing.is_empty() {
            self.keep(|record| record.counts.addresses_lost += 1);
            if let Some(suppressed) = self.may_say("addressLost") {
                let router = &self.name;
                let missing = survey.missing.len();
                tracing::warn!(router, missing, suppressed, "our address was taken away");
            }
            self.handle(Event::AddressLost);
        }
        None
    }

    pub(super) fn link(&mut self, running: bool) {
        if running != self.running {
            let router = &self.name;
            tracing::info!(router, running, "the interface's link changed");
            self.running = running;
            if running {
                self.greet();
            }
        }
        if self.broken_until.is_some() {
            self.faulty = true;
            self.handle(Event::Fault);
        } else if running {
            self.faulty = false;
            // Neighbours may have forgotten us, or a switch where we are.
            if self.hold_off.link.take().is_some() {
                self.handle(Event::Foreign);
            }
            self.handle(match self.faulty_beside() {
                true => Event::Fault,
                false => Event::Recover,
            });
        } else if self.machine.state() == State::Active {
            self.hold_off.link_lost(Instant::now());
        } else {
            self.faulty = true;
            self.handle(Event::Fault);
        }
    }

    fn without_source(&mut self) {
        if self.hold_off.source.is_none() {
            let (router, source) = (&self.name, self.source);
            tracing::warn!(router, %source, "the address that adverts come from is gone");
        }
        self.hold_off.source_lost(Instant::now());
    }

    /// Ours may stand before it now, where it stood before ours.
    fn with_source(&mut self) {
        if self.hold_off.source.take().is_some() {
            let (router, source) = (&self.name, self.source);
            tracing::info!(router, %source, "the address that adverts come from is back");
            let acquired = self.effects.acquire();
            if self.outcome("acquire", acquired).is_none() {
                return self.refused();
            }
            self.greet();
            self.handle(Event::Foreign);
        }
    }

    pub(super) fn greet(&mut self) {
        let greeted = self.effects.greet();
        self.outcome("greet", greeted);
    }
}

/// A notice for the flight recorder; none for our own renewals, four times a second.
fn noted(notice: &Notice) -> Option<What> {
    let (what, interface, address) = match notice {
        Notice::Link(link) if link.running => ("linkUp", link.index, None),
        Notice::Link(link) => ("linkDown", link.index, None),
        Notice::LinkGone(link) => ("linkGone", link.index, None),
        Notice::Address(there) if there.ours => return None,
        Notice::Address(there) => ("address", there.interface, Some(there.address.ip)),
        Notice::AddressGone(there) => {
            ("addressGone", there.interface, Some(there.address.ip))
        }
        Notice::Missed => ("missed", 0, None),
    };
    Some(What::Notice {
        what,
        interface,
        address,
    })
}
