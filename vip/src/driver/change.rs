//! A router that goes on as another file describes it: the state machine, what it has heard
//! and what it holds stay, whatever is done is done by other effects.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::time::Instant;
use vrrp::State;
use vrrp::fsm::Event;
use vrrp::packet::AddressesError;

use super::{Change, Driver, Effects, setup};
use crate::config::{Router, Travel, VirtualAddress};

impl<E: Effects> Driver<E> {
    /// What it was asked to become.
    pub fn asked(&mut self) -> Option<Box<Change>> {
        self.change.take()
    }

    /// Where its adverts come from, and the number of its interface: what cannot change.
    pub fn stands_on(&self) -> (IpAddr, u32) {
        (self.source, self.interface)
    }

    /// Is `router` from here on, by `effects`. What it holds and should not is let go of;
    /// what it should hold and does not is put there and announced. Returns what it acted
    /// through before.
    ///
    /// # Errors
    /// When the addresses do not fit into an advert; then nothing is changed.
    pub fn change(
        &mut self,
        router: &Router,
        effects: E,
        others: BTreeMap<u32, String>,
    ) -> Result<E, AddressesError> {
        self.expected = setup::expected(router, self.source)?;
        let mut before = std::mem::replace(&mut self.effects, effects);
        self.others = others;
        self.held = router.held().map(VirtualAddress::ip).collect();
        self.misconfigured_peer = router.misconfigured_peer;
        self.style = router.checksum.into();
        self.groups = router.groups();
        self.forget(&router.travel);
        let (preempt, announcing) = setup::habits(router);
        let now = Instant::now();
        self.machine.adjust(preempt, announcing, now.into_std());
        if self.renew_at.is_some() {
            let released = before.release_but(router);
            self.outcome("release", released);
            match self.machine.state() {
                State::Active => self.hold_all(),
                State::Backup | State::Initialize | State::Fault => self.keep_leftover(),
            }
        }
        tracing::info!(router = self.name, "goes on as the file describes it");
        Ok(before)
    }

    /// Whoever is a peer no more has no say in how checksums are computed. Of a group nobody
    /// knows who has left it.
    fn forget(&mut self, travel: &Travel) {
        let Travel::Unicast { peers, .. } = travel else {
            return;
        };
        self.checksums.retain(|from, _| peers.contains(from));
        self.keep(|record| record.checksums.retain(|from, _| peers.contains(from)));
    }

    fn hold_all(&mut self) {
        if !self.acquire() {
            return self.refused();
        }
        let announced = self.effects.announce();
        self.outcome("announce", announced);
    }

    /// A run before has left addresses here, and somebody else may be Active and not heard
    /// yet. What is not among them stays away; a renewal would put it here, so that then the
    /// others go, too.
    fn keep_leftover(&mut self) {
        let survey = self.effects.survey();
        let survey = self.outcome("survey", survey);
        survey.iter().for_each(|survey| self.foreign(survey));
        if !survey.is_some_and(|survey| survey.missing.is_empty()) {
            self.handle(Event::AddressLost);
        }
    }
}
