//! The end of a session, and who is told of it. Part of [`Sessions`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::dial;
use super::load::Load;
use super::machine::{Admission, Waits, resets};
use super::report::record_of;
use super::sessions::Sessions;
use super::slab::Key;
use crate::worker::{self, ConnectionId, ENDED, End, Record};

impl Sessions {
    /// Ends a session, whatever it does.
    pub(super) fn end(&mut self, key: Key, end: End) {
        let Some(mut session) = self.slab.remove(key) else {
            return;
        };
        self.look = Duration::ZERO;
        if session.machine.waits() == Waits::Yes {
            session.origin.backend.cursor.waited();
        }
        if session.machine.admission() == Admission::Given {
            session.origin.gate.dismiss(session.address.ip());
        }
        session.settle_bytes();
        session.origin.counters.closed(end);
        if session.connected_after.is_some() {
            session.server.iter().for_each(|s| s.counters.closed(end));
        }
        if let (Some(_), Some(server)) = (session.machine.silent_since(), &session.server)
        {
            self.paces.of(server.id).no_longer_waits();
        }
        let record = self.report.then(|| {
            let id = ConnectionId::new(self.number, session.count);
            record_of(&session, id, end, self.tools.now)
        });
        session.settle(&mut self.tools.stores);
        if let Load::Relay { up, down, .. } = &mut session.load {
            self.tools.stores.abandoned(std::mem::take(up));
            self.tools.stores.abandoned(std::mem::take(down));
        }
        if resets(end) {
            dial::reset_on_close(&session.client);
            session.socket.iter().for_each(dial::reset_on_close);
        }
        // Closed before it is counted and reported: who hears of the end finds it so.
        drop(session);
        self.gauges.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(record) = record {
            self.note(record);
        }
    }

    /// Keeps a record until the round is over.
    pub(super) fn note(&mut self, record: Record) {
        self.ended.push(record);
        if self.ended.len() >= ENDED {
            self.tell();
        }
    }

    /// Tells of the connections that have ended: together, as each telling may wake a thread.
    pub(super) fn tell(&mut self) {
        if !self.ended.is_empty() {
            let ended = std::mem::take(&mut self.ended);
            self.outlet.send(worker::Event::Ended(ended));
        }
    }
}
