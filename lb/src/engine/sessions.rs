//! The sessions of one worker: opened, dialled, carried and ended here.
//!
//! Everything a session does starts with an event that names its key, and comes back as an
//! [`Action`] of its machine. Two lists wait beside the slab: the wheel for what has a
//! deadline, the queue for what has used up its turn.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::carry::SCRATCH;
use super::machine::{Action, Event, Machine, Waits, end_of, resets};
use super::pending::Stores;
use super::pipes::Pipes;
use super::poll::Poll;
use super::relay::{Ready, Side};
use super::report::record_of;
use super::session::{Load, Origin, Session, Tools, Turn, Writes};
use super::slab::{Key, Slab};
use super::wheel::{Tick, Wheel};
use super::{dial, line};
use crate::pool::{Attempt, Dialling, Failure, Refusal, ServerId};
use crate::worker::{self, ConnectionId, ENDED, End, Gauges, Outlet, Record, Which};

/// How long a session is young at least: long enough for a dial to succeed.
const YOUNG: Duration = Duration::from_secs(1);

/// A client as it comes in.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Its socket.
    pub(super) client: OwnedFd,
    /// Its address.
    pub(super) address: SocketAddr,
    /// Where it came in.
    pub(super) origin: Rc<Origin>,
}

/// The sessions of one worker.
pub(super) struct Sessions {
    number: u16,
    /// Where their sockets are watched, beside the worker's listeners and its bell.
    pub(super) poll: Poll,
    pub(super) slab: Slab<Session>,
    wheel: Wheel,
    due: Vec<Key>,
    queue: VecDeque<Key>,
    /// Who waits for a place at a server.
    pub(super) line: VecDeque<Key>,
    tools: Tools,
    start: Instant,
    count: u64,
    outlet: Outlet,
    gauges: Arc<Gauges>,
    /// Whether ends are wanted as events.
    pub(super) report: bool,
    /// Those of this round of the loop.
    ended: Vec<Record>,
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub(super) fn new(
        number: u16,
        poll: Poll,
        pipes: Pipes,
        outlet: Outlet,
        gauges: Arc<Gauges>,
    ) -> Self {
        let stores = Stores::new(pipes);
        let scratch = vec![0; SCRATCH].into_boxed_slice();
        Self {
            number,
            poll,
            slab: Slab::default(),
            wheel: Wheel::new(Tick::at(Duration::ZERO)),
            due: Vec::new(),
            queue: VecDeque::new(),
            line: VecDeque::new(),
            tools: Tools {
                scratch,
                stores,
                now: Duration::ZERO,
                small: None,
                round: 0,
            },
            start: Instant::now(),
            count: 0,
            outlet,
            gauges,
            report: false,
            ended: Vec::new(),
        }
    }

    /// How many there are.
    #[must_use]
    pub(super) const fn len(&self) -> usize {
        self.slab.len()
    }

    /// Reads the clock, once per round of the worker.
    pub(super) fn read_clock(&mut self) {
        self.tools.now = self.start.elapsed();
    }

    /// Now, since the worker's start.
    #[must_use]
    pub(super) const fn now(&self) -> Duration {
        self.tools.now
    }

    /// How long the worker may sleep: `None` until something happens.
    #[must_use]
    pub(super) fn sleep(&self) -> Option<Duration> {
        if !self.queue.is_empty() {
            return Some(Duration::ZERO);
        }
        let line = (!self.line.is_empty()).then_some(line::LOOK);
        [self.wheel.sleep(self.tick()), line]
            .into_iter()
            .flatten()
            .min()
    }

    /// A client has come, which [`Gauges::open`] counts already: a server is dialled for it.
    pub(super) fn open(&mut self, arrival: Arrival) {
        self.count += 1;
        arrival.origin.counters.opened();
        let lot = arrival.origin.backend.lot(arrival.address.ip());
        let session = Session {
            machine: Machine::new(self.tick()),
            client: arrival.client,
            socket: None,
            load: Load::Dial {
                dials: Dialling::default(),
                lot,
            },
            server: None,
            origin: arrival.origin,
            count: self.count,
            address: arrival.address,
            accepted: self.tools.now,
            connected_after: None,
            first_byte_after: None,
            timer: None,
            attempts: 0,
            queued: false,
            writes: Writes::None,
        };
        let key = self.slab.insert_with(|_| session);
        match self
            .slab
            .get_mut(key)
            .map(|s| self.poll.add_socket(&s.client, key, Side::Client))
        {
            Some(Ok(())) => self.dial_first(key),
            Some(Err(_)) | None => self.end(key, End::NoResources),
        }
    }

    /// Who comes while others wait for a place, waits behind them.
    fn dial_first(&mut self, key: Key) {
        let cursor = self.slab.get_mut(key).map(|s| &s.origin.backend.cursor);
        match cursor.map(|cursor| cursor.waiting()) {
            Some(0) | None => self.dial(key),
            Some(_) => self.wait(key),
        }
    }

    /// A poll reported on a socket.
    pub(super) fn on_socket(&mut self, key: Key, side: Side, ready: Ready) {
        let event = match side {
            Side::Client => Event::Client(ready),
            Side::Server => Event::Server(ready),
        };
        self.on(key, event);
    }

    /// Lets the deadlines fire that have come.
    pub(super) fn on_time(&mut self) {
        let now = self.tick();
        let mut due = std::mem::take(&mut self.due);
        self.wheel.turn(now, &mut due);
        for key in due.drain(..) {
            self.on_timer(key, now);
        }
        self.due = due;
    }

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
                session.queued = false;
                self.take_turn(key);
            }
        }
    }

    /// Ends sessions that are established to this server.
    pub(super) fn cut(&mut self, server: ServerId, which: Which) {
        let theirs = |(key, session): (Key, &Session)| {
            session
                .server
                .as_ref()
                .is_some_and(|s| s.id == server)
                .then_some(key)
        };
        let keys: Vec<Key> = self.slab.iter().filter_map(theirs).collect();
        keys.into_iter()
            .for_each(|key| self.on(key, Event::Cut(which)));
    }

    /// Ends one session.
    pub(super) fn kill(&mut self, id: ConnectionId) {
        let number = self.number;
        let is_it = |session: &Session| ConnectionId::new(number, session.count) == id;
        let key = self
            .slab
            .iter()
            .find_map(|(key, s)| is_it(s).then_some(key));
        if let Some(key) = key {
            self.on(key, Event::Kill);
        }
    }

    /// Ends every session.
    pub(super) fn shutdown(&mut self) {
        let keys: Vec<Key> = self.slab.keys().collect();
        keys.into_iter()
            .for_each(|key| self.on(key, Event::Shutdown));
    }

    pub(super) fn tick(&self) -> Tick {
        Tick::at(self.tools.now)
    }

    fn on(&mut self, key: Key, event: Event) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let idle = session.origin.backend.idle;
        let action = session.machine.on(event, idle);
        self.perform(key, action);
    }

    fn perform(&mut self, key: Key, action: Action) {
        match action {
            Action::Wait => {}
            Action::Turn => self.turn(key),
            Action::Connected => self.connected(key),
            Action::Redial(failure) => self.redial(key, failure),
            Action::Settle => self.settle(key),
            Action::Sleep(until) => self.arm(key, until),
            Action::End(end) => self.end(key, end),
        }
    }

    /// Bulk waits until everything else that the poll reported has been served.
    fn turn(&mut self, key: Key) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        if session.queued {
            return;
        }
        if session.machine.relay().is_bulk() {
            session.queued = true;
            self.queue.push_back(key);
        } else {
            self.take_turn(key);
        }
    }

    fn take_turn(&mut self, key: Key) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        match session.turn(&mut self.tools) {
            Turn::Rests => {}
            Turn::Again => {
                session.queued = true;
                self.queue.push_back(key);
            }
            Turn::Over(over) if session.can_redial(over, self.tools.now) => {
                self.lost(key, end_of(over));
            }
            Turn::Over(over) => self.end(key, end_of(over)),
        }
    }

    fn dial(&mut self, key: Key) {
        // Ends because each round uses up an attempt of the dial budget.
        loop {
            let now = self.tools.now;
            let Some(session) = self.slab.get_mut(key) else {
                return;
            };
            match session.next_dial(now) {
                Err(Refusal::Full) => return self.wait(key),
                Err(Refusal::Over(end)) => return self.end(key, end),
                Ok(attempt) => match self.begin(key, attempt) {
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

    fn begin(&mut self, key: Key, attempt: Attempt) -> Begun {
        let now = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return Begun::Dialling;
        };
        let begun = dial::begin(&attempt.server.address);
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
        if self.poll.add_socket(&socket, key, Side::Server).is_err() {
            return Begun::Shortage;
        }
        let tcp = &session.origin.backend.tcp;
        if dial::is_urgent(tcp, attempt.timeout + YOUNG) {
            dial::settle(&socket, tcp);
            session.writes = Writes::Many;
        }
        session.socket = Some(socket);
        let deadline = now.after(attempt.timeout);
        session.machine.dialling(deadline);
        self.arm(key, deadline);
        Begun::Dialling
    }

    fn redial(&mut self, key: Key, failure: Failure) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let socket = session.socket.take();
        let kind = match failure {
            Failure::TimedOut => ErrorKind::TimedOut,
            Failure::Refused => socket
                .and_then(dial::failure)
                .unwrap_or(ErrorKind::ConnectionReset),
        };
        self.dial_failed(key, failure, kind);
        self.dial(key);
    }

    /// A server that had taken the connection reset it before a byte crossed.
    fn lost(&mut self, key: Key, end: End) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        session.connected_after = None;
        session.writes = Writes::None;
        session.server.iter().for_each(|s| s.counters.closed(end));
        self.redial(key, Failure::Refused);
    }

    fn dial_failed(&mut self, key: Key, failure: Failure, kind: ErrorKind) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let Some(server) = session.server.take() else {
            return;
        };
        if let Load::Dial { dials, .. } = &mut session.load {
            dials.failed(server.id, failure);
        }
        server
            .counters
            .dial_failures
            .fetch_add(1, Ordering::Relaxed);
        self.outlet.send(worker::Event::DialFailed {
            server: server.id,
            kind,
        });
    }

    fn connected(&mut self, key: Key) {
        let now = self.tools.now;
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        session.connected_after = session.age(now);
        if let Some(server) = &session.server {
            server.counters.opened();
        }
        self.turn(key);
    }

    fn settle(&mut self, key: Key) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        if let Some(socket) = &session.socket {
            dial::settle(socket, &session.origin.backend.tcp);
        }
        self.on(key, Event::Timer(self.tick()));
    }

    fn on_timer(&mut self, key: Key, now: Tick) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        // An entry that was overtaken by an earlier deadline fires for nothing.
        if session.timer.is_some_and(|timer| timer.is_due(now)) {
            session.timer = None;
            self.on(key, Event::Timer(now));
        }
    }

    pub(super) fn arm(&mut self, key: Key, deadline: Tick) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        if session.timer.is_none_or(|timer| !timer.is_due(deadline)) {
            session.timer = Some(deadline);
            self.wheel.insert(key, deadline);
        }
    }

    pub(super) fn end(&mut self, key: Key, end: End) {
        let Some(mut session) = self.slab.remove(key) else {
            return;
        };
        if session.machine.waits() == Waits::Yes {
            session.origin.backend.cursor.waited();
        }
        session.settle_bytes();
        session.origin.counters.closed(end);
        if session.connected_after.is_some() {
            session.server.iter().for_each(|s| s.counters.closed(end));
        }
        let record = self.report.then(|| {
            let id = ConnectionId::new(self.number, session.count);
            record_of(&session, id, end, self.tools.now)
        });
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
        self.ended.extend(record);
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

/// What became of a dial at once.
enum Begun {
    /// It is under way.
    Dialling,
    /// It failed at once.
    Failed,
    /// There is no descriptor or memory for it.
    Shortage,
}
