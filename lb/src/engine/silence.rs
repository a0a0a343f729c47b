//! Servers that were asked and say nothing: what is heard of them, and when another is asked the
//! same. Part of [`Sessions`].

use std::sync::Arc;

use super::dials::{AGAIN, PATIENCE, Words};
use super::load::Load;
use super::pace::is_better;
use super::sessions::Sessions;
use super::slab::Key;
use super::wheel::Tick;
use crate::pool::{Seat, Server};
use crate::worker::{End, Observed};

impl Sessions {
    /// A turn has asked the server, or brought its first byte.
    pub(super) fn heard(&mut self, key: Key, before: Words, after: Words) {
        let now = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let Some(server) = &session.server else {
            return;
        };
        let pace = self.paces.of(server.id);
        if after.is_answered && !before.is_answered {
            if let Some(asked) = before.asked {
                pace.answered(asked, now);
            }
            let asked = before.asked.map(Tick::to_bits);
            return server.counters.voice.speaks(asked, now.to_bits());
        }
        if before.asked.is_some() && after.asked.is_none() {
            // What the client went on to say cannot be given to another server.
            return pace.no_longer_waits();
        }
        if after.asked.is_none() && session.has_asked() {
            let look = now.after(pace.silence_after());
            pace.asked();
            session.machine.asked(now, look);
            self.arm(key, look);
        }
    }

    /// The server was asked at `asked` and has not said a byte.
    pub(super) fn doubt(&mut self, key: Key, asked: Tick) {
        let now = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let origin = Arc::clone(&session.origin.backend);
        let Some(here) = session.server.as_ref().map(|s| Arc::clone(s.server())) else {
            return;
        };
        let backend = self.as_it_stands(&origin);
        let there = match &self.slab.get_mut(key).map(|s| &s.load) {
            Some(Load::Dial { dials, lot, .. }) => {
                let other = dials.other(&backend, *lot, here.id);
                other.filter(|server| Seat::take(server).is_some())
            }
            Some(Load::Relay { .. }) | None => None,
        };
        let mut told = |server: &Server| {
            let voice = &server.counters.voice;
            self.paces.of(server.id).told(voice)
        };
        let (told, there) = (told(&here), there.map(|server| told(server)));
        let is_better = there.is_some_and(|there| is_better(&told, &there, asked, now));
        if is_better && told.is_silent_since(asked) && self.is_let_down(key) {
            self.strike(&here, Observed::silent(here.id));
        }
        if is_better && self.spend() {
            return self.lost(key, End::ServerHung);
        }
        // Twice as late each time: where all are slow nobody is busy with looking.
        let waited = asked.until(now);
        let again = if is_better { AGAIN } else { waited };
        let again = (waited < PATIENCE).then(|| now.after(again));
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        session.machine.doubted(again);
        match again {
            Some(again) => self.arm(key, again),
            None => {
                session.settle(&mut self.tools.stores);
                self.paces.of(here.id).no_longer_waits();
            }
        }
    }
    /// Whether its server lets it down for the first time.
    fn is_let_down(&mut self, key: Key) -> bool {
        let session = self.slab.get_mut(key);
        session.is_some_and(|session| match &mut session.load {
            Load::Dial { dials, .. } => dials.let_down(),
            Load::Relay { .. } => false,
        })
    }
}
