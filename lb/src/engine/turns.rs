//! Who has a turn, and who waits for the next one. Part of [`Sessions`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::dials::Words;
use super::machine::end_of;
use super::session::Next;
use super::sessions::Sessions;
use super::slab::Key;
use super::turn::Turn;
use crate::worker::End;

/// How long a session rests whose bytes the kernel had no memory for: memory that comes back
/// makes no report, and a try each 20 ms costs nothing.
const REST: Duration = Duration::from_millis(20);

impl Sessions {
    /// Gives the sessions that wait for it another turn: each one, or, while small requests
    /// are about, as many as the round has bytes for. The others go first in the next round.
    pub(super) fn on_queue(&mut self) {
        self.tools.begin_round();
        for _ in 0..self.queue.len() {
            if self.tools.round == 0 {
                return;
            }
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            if let Some(session) = self.slab.get_mut(key) {
                session.next = Next::Report;
                self.take_turn(key);
            }
        }
    }

    /// Bulk waits until everything else that the poll reported has been served.
    pub(super) fn turn(&mut self, key: Key) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        if session.next == Next::Queue {
            return;
        }
        if session.machine.relay().is_bulk() {
            session.next = Next::Queue;
            self.queue.push_back(key);
        } else {
            self.take_turn(key);
        }
    }

    pub(super) fn take_turn(&mut self, key: Key) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        session.next = Next::Report;
        let before = Words::of(session);
        let turn = session.turn(&mut self.tools);
        let after = Words::of(session);
        match turn {
            Turn::Rests => {}
            Turn::Again => {
                session.next = Next::Queue;
                self.queue.push_back(key);
            }
            Turn::Starved => {
                session.next = Next::Memory;
                self.gauges.starved.fetch_add(1, Ordering::Relaxed);
            }
            Turn::Lost => return self.lost(key, End::ServerClosed),
            Turn::Over(over) if session.can_redial(over, self.tools.now) => {
                return self.lost(key, end_of(over));
            }
            Turn::Over(over) => return self.end(key, end_of(over)),
        }
        if before != after || session.has_asked() {
            self.heard(key, before, after);
        }
        if turn == Turn::Starved {
            self.arm(key, self.tick().after(REST));
        }
    }
}
