//! From a client to the server that answers it: dials, second dials, and other servers for
//! those that fail or keep silent. Part of [`Sessions`].

use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::dial;
use super::load::{Load, Spare};
use super::machine::Event;
use super::poll::Place;
use super::relay::Ready;
use super::session::{Session, Writes};
use super::sessions::Sessions;
use super::slab::Key;
use super::wheel::Tick;
use crate::pool::{Attempt, Failure, Refusal, Server};
use crate::worker::{self, End, Observed};

/// How long a session is young at least: long enough for a dial to succeed.
const YOUNG: Duration = Duration::from_secs(1);
/// When a second dial that the budget did not allow is thought of again.
pub(super) const AGAIN: Duration = Duration::from_millis(20);
/// A silence is looked into for this long. Who has kept silent for longer is up to the
/// client, the checks and the kernel.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a session has heard of its server so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) asked: Option<Tick>,
    pub(super) is_answered: bool,
}

impl Words {
    pub(super) const fn of(session: &Session) -> Self {
        Self {
            asked: session.machine.silent_since(),
            is_answered: session.first_byte_after.is_some(),
        }
    }
}

/// What became of a dial at once.
enum Begun {
    /// It is under way.
    Dialling,
    /// It failed at once.
    Failed,
    /// There is no descriptor or memory for it.
    Shortage,
}

impl Sessions {
    /// Dials the next server.
    pub(super) fn dial(&mut self, key: Key) {
        // Ends because each round uses up an attempt of the dial budget.
        loop {
            match self.next_dial(key) {
                None => return,
                Some(Err(Refusal::Full)) => return self.wait(key),
                Some(Err(Refusal::Over(end))) => return self.end(key, end),
                Some(Ok(attempt)) => match self.begin(key, attempt) {
                    Begun::Dialling => return,
                    Begun::Failed => {}
                    Begun::Shortage => return self.end(key, End::NoResources),
                },
            }
        }
    }

    /// Dials this server, and the next ones when that fails at once.
    pub(super) fn try_dial(&mut self, key: Key, attempt: Attempt) {
        match self.begin(key, attempt) {
            Begun::Dialling => {}
            Begun::Failed => self.dial(key),
            Begun::Shortage => self.end(key, End::NoResources),
        }
    }

    fn next_dial(&mut self, key: Key) -> Option<Result<Attempt, Refusal>> {
        let now = self.now();
        let session = self.slab.get_mut(key)?;
        let origin = Rc::clone(&session.origin);
        if session.attempts == 0 {
            // It has only just come in by this backend.
            return Some(session.next_dial(&origin.backend, now));
        }
        let backend = self.as_it_stands(&origin.backend);
        Some(self.slab.get_mut(key)?.next_dial(&backend, now))
    }

    fn begin(&mut self, key: Key, attempt: Attempt) -> Begun {
        let now = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return Begun::Dialling;
        };
        let begun = dial::begin(&attempt.server.address);
        let hedge = self.paces.of(attempt.server.id).hedge_after();
        session.server = Some(attempt.server);
        session.attempts = session.attempts.saturating_add(1);
        let socket = match begun {
            Ok(socket) => socket,
            Err(errno) if dial::is_shortage(errno) => return Begun::Shortage,
            Err(errno) => {
                self.dial_failed(key, Failure::Refused, dial::kind(errno));
                return Begun::Failed;
            }
        };
        let place = Place::Server(session.lane);
        if self.poll.add_socket(&socket, key, place).is_err() {
            return Begun::Shortage;
        }
        let tcp = &session.origin.backend.tcp;
        if dial::is_urgent(tcp, attempt.timeout + YOUNG) {
            dial::settle(&socket, tcp);
            session.writes = Writes::Many;
        } else {
            session.writes = Writes::None;
        }
        session.socket = Some(socket);
        if let Load::Dial { began, .. } = &mut session.load {
            *began = now;
        }
        let deadline = now.after(attempt.timeout);
        let hedge = now.after(hedge).min(deadline);
        let kept = session.rewind();
        session.machine.dialling(hedge, deadline, kept);
        self.arm(key, hedge);
        Begun::Dialling
    }

    /// Dials a second server beside one that keeps a client waiting, if the budget has it.
    pub(super) fn hedge(&mut self, key: Key) {
        let now = self.tick();
        let again = match self.begin_spare(key, now) {
            Begun::Dialling => now.after(PATIENCE),
            Begun::Failed | Begun::Shortage => now.after(AGAIN),
        };
        let hedged = self.slab.get_mut(key).map(|s| s.machine.hedged(again));
        if let Some(Some(wake)) = hedged {
            self.arm(key, wake);
        }
    }

    fn begin_spare(&mut self, key: Key, now: Tick) -> Begun {
        let Some(origin) = self.slab.get_mut(key).map(|s| s.origin.backend.clone())
        else {
            return Begun::Dialling;
        };
        let backend = self.as_it_stands(&origin);
        let (budget, clock) = (Arc::clone(&self.budget), self.tools.now);
        let spend = || {
            let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
            budget.spend(clock)
        };
        let Some(session) = self.slab.get_mut(key) else {
            return Begun::Dialling;
        };
        let (
            Load::Dial {
                dials, lot, spare, ..
            },
            Some(first),
        ) = (&mut session.load, &session.server)
        else {
            return Begun::Dialling;
        };
        if spare.is_some() {
            return Begun::Dialling;
        }
        if dials.other(&backend, *lot, first.id).is_none() || !spend() {
            return Begun::Failed;
        }
        let elapsed = session.accepted.elapsed(self.tools.now);
        let Some(attempt) = dials.beside(&backend, *lot, elapsed, first.id) else {
            return Begun::Failed;
        };
        let place = Place::Server(session.lane.other());
        let begun = dial::begin(&attempt.server.address);
        let socket = match begun {
            Ok(socket) if self.poll.add_socket(&socket, key, place).is_ok() => Ok(socket),
            Err(errno) if !dial::is_shortage(errno) => Err(dial::kind(errno)),
            Ok(_) | Err(_) => {
                dials.unmade();
                return Begun::Shortage;
            }
        };
        session.attempts = session.attempts.saturating_add(1);
        first.counters.hedges.fetch_add(1, Ordering::Relaxed);
        let socket = match socket {
            Ok(socket) => socket,
            Err(kind) => {
                let server = attempt.server.server();
                self.failed(key, server, Failure::Refused, kind);
                return Begun::Failed;
            }
        };
        *spare = Some(Box::new(Spare {
            socket,
            server: attempt.server,
            began: now,
            deadline: now.after(attempt.timeout),
        }));
        Begun::Dialling
    }

    /// A poll reported on a socket of a server that is not the session's own.
    pub(super) fn on_spare(&mut self, key: Key, ready: Ready) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let Load::Dial { spare, .. } = &mut session.load else {
            return;
        };
        if ready.error {
            let Some(lost) = spare.take() else {
                return;
            };
            let kind = dial::failure(&lost.socket).unwrap_or(ErrorKind::ConnectionReset);
            self.failed(key, lost.server.server(), Failure::Refused, kind);
        } else if ready.writable && self.promote(key) {
            self.on(key, Event::Server(ready));
        }
    }

    /// The second dial takes the first one's place, which counts as timed out.
    fn promote(&mut self, key: Key) -> bool {
        let Some(session) = self.slab.get_mut(key) else {
            return false;
        };
        let Load::Dial { spare, began, .. } = &mut session.load else {
            return false;
        };
        let Some(next) = spare.take() else {
            return false;
        };
        *began = next.began;
        session.lane = session.lane.other();
        session.socket = Some(next.socket);
        session.writes = Writes::None;
        session.machine.goes_on(next.deadline);
        let first = session.server.replace(next.server);
        if let Some(first) = first {
            self.failed(key, first.server(), Failure::TimedOut, ErrorKind::TimedOut);
        }
        self.arm(key, next.deadline);
        true
    }

    /// The dial failed: the second one goes on, or another server is dialled.
    pub(super) fn redial(&mut self, key: Key, failure: Failure) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let socket = session.socket.take();
        let place = Place::Server(session.lane);
        self.poll.forget(key, place);
        let kind = match failure {
            Failure::TimedOut | Failure::Silent => ErrorKind::TimedOut,
            Failure::Refused => socket
                .and_then(dial::failure)
                .unwrap_or(ErrorKind::ConnectionReset),
        };
        self.dial_failed(key, failure, kind);
        if !self.promote(key) {
            self.dial(key);
        }
    }

    /// A server that had taken the connection ended it, or was given up, before it said a
    /// byte. Another is asked the same.
    pub(super) fn lost(&mut self, key: Key, end: End) {
        let now = self.now();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        session.connected_after = None;
        let has_asked = session.machine.silent_since().is_some();
        if let Load::Dial { dials, kept, .. } = &mut session.load
            && kept.is_some()
        {
            dials.resume(session.accepted.elapsed(now));
        }
        if let Some(server) = &session.server {
            server.counters.closed(end);
            if has_asked {
                self.paces.of(server.id).no_longer_waits();
                server.counters.failovers.fetch_add(1, Ordering::Relaxed);
            }
        }
        let failure = match end == End::ServerHung {
            true => Failure::Silent,
            false => Failure::Refused,
        };
        self.redial(key, failure);
    }

    fn dial_failed(&mut self, key: Key, failure: Failure, kind: ErrorKind) {
        let server = self.slab.get_mut(key).and_then(|s| s.server.take());
        if let Some(server) = server {
            self.failed(key, server.server(), failure, kind);
        }
    }

    fn failed(
        &mut self,
        key: Key,
        server: &Arc<Server>,
        failure: Failure,
        kind: ErrorKind,
    ) {
        if let Some(session) = self.slab.get_mut(key)
            && let Load::Dial { dials, .. } = &mut session.load
        {
            dials.failed(server.id, failure);
        }
        self.look = Duration::ZERO;
        server
            .counters
            .dial_failures
            .fetch_add(1, Ordering::Relaxed);
        let is_told = failure == Failure::Silent;
        if !is_told && dial::blames(kind) {
            self.strike(server, Observed::unreachable(server.id));
        }
        self.outlet.send(worker::Event::DialFailed {
            server: server.id,
            kind,
        });
    }

    pub(super) fn strike(&self, server: &Server, observed: Observed) {
        if server.counters.voice.strike() {
            self.outlet.observe(observed);
        }
    }

    /// The server has taken the connection.
    pub(super) fn connected(&mut self, key: Key) {
        let now = self.tools.now;
        let tick = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        match session.introduce() {
            Ok(()) => {}
            // What is missing here is no fault of the server.
            Err(errno) if dial::is_shortage(errno) => {
                return self.end(key, End::NoResources);
            }
            Err(_) => return self.redial(key, Failure::Refused),
        }
        session.connected_after = session.age(now);
        if let Load::Dial { began, spare, .. } = &mut session.load {
            *spare = None;
            if let Some(server) = &session.server {
                server.counters.opened();
                self.paces.of(server.id).connected(began.until(tick));
            }
        }
        self.turn(key);
    }
}
