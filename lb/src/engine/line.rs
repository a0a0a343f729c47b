//! Clients that wait for a place at a server, in the order in which they came to the line.
//!
//! Each worker has a line of its own. It looks at it when one of its own sessions has ended or
//! been given up by a server, and every [`LOOK`]: a place may come free at any worker. It does
//! not at every event: a long line would slow down those who have a place. How many wait is counted for all workers in
//! the backend's cursor; who comes while others wait, waits behind them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::load::Load;
use super::machine::Waits;
use super::origin::Origin;
use super::sessions::Sessions;
use super::slab::Key;
use crate::pool::{Cursor, Refusal};
use crate::worker::End;

/// How often a worker looks whether there is a place for the first in its line.
const LOOK: Duration = Duration::from_millis(5);

impl Sessions {
    /// Puts a session at the end of the line, where that has room.
    pub(super) fn wait(&mut self, key: Key) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let backend = &session.origin.backend;
        if backend.cursor.wait(u64::from(backend.queue.length)) {
            self.line_up(key);
        } else {
            self.end(key, End::QueueFull);
        }
    }

    /// Puts one at the end of the line that the process image before had let in: it stays in,
    /// however long the line is. It is looked at before this round of the loop is over.
    pub(super) fn wait_again(&mut self, key: Key) {
        if let Some(session) = self.slab.get_mut(key) {
            session.origin.backend.cursor.wait(u64::MAX);
            self.look = Duration::ZERO;
            self.line_up(key);
        }
    }

    fn line_up(&mut self, key: Key) {
        let now = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let deadline = now.after(session.origin.backend.queue.timeout);
        session.machine.waiting(deadline);
        self.line.push_back(key);
        self.arm(key, deadline);
    }

    /// Dials for those for whom there is a place. `current` knows where the sessions of a
    /// frontend go by now.
    pub(super) fn on_line(&mut self, current: impl Fn(&str) -> Option<Rc<Origin>>) {
        let now = self.now();
        if self.line.is_empty() || now < self.look {
            return;
        }
        self.look = now + LOOK;
        let mut line = std::mem::take(&mut self.line);
        let mut full = Vec::new();
        line.retain(|&key| self.still_waits(key, &current, &mut full));
        // Whose dial failed at once has gone to the end of the line meanwhile.
        line.append(&mut self.line);
        self.line = line;
    }

    fn still_waits(
        &mut self,
        key: Key,
        current: impl Fn(&str) -> Option<Rc<Origin>>,
        full: &mut Vec<Arc<Cursor>>,
    ) -> bool {
        let now = self.now();
        let Some(session) = self.slab.get_mut(key) else {
            return false;
        };
        let cursor = Arc::clone(&session.origin.backend.cursor);
        let is_full = full.iter().any(|other| Arc::ptr_eq(other, &cursor));
        match session.machine.waits() {
            Waits::No => return false,
            Waits::Yes if is_full => return true,
            Waits::Yes => {}
        }
        if let Some(origin) = current(&session.origin.frontend) {
            session.origin = session.origin.led_by(&origin);
        }
        let elapsed = session.elapsed(now);
        if let Load::Dial { dials, .. } = &mut session.load {
            dials.resume(elapsed);
        }
        let backend = Arc::clone(&session.origin.backend);
        match session.next_dial(&backend, now) {
            Err(Refusal::Full) => {
                // It stays in this line, and is counted where it goes.
                if !Arc::ptr_eq(&cursor, &session.origin.backend.cursor) {
                    cursor.waited();
                    session.origin.backend.cursor.wait(u64::MAX);
                }
                full.push(Arc::clone(&session.origin.backend.cursor));
                return true;
            }
            Err(Refusal::Over(end)) => {
                cursor.waited();
                session.machine.no_longer_waits(super::wheel::Tick::at(now));
                self.end(key, end);
            }
            Ok(attempt) => {
                cursor.waited();
                session.machine.no_longer_waits(super::wheel::Tick::at(now));
                self.try_dial(key, attempt);
            }
        }
        false
    }
}
