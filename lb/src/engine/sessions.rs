//! The sessions of one worker: opened, dialled, carried and ended here.
//!
//! Everything a session does starts with an event that names its key, and comes back as an
//! [`Action`] of its machine. Two lists wait beside the slab: the wheel for what has a
//! deadline, the queue for what has used up its turn.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::carry::SCRATCH;
use super::compact::{Moment, Peer};
use super::crew::Crew;
use super::dial;
use super::load::Load;
use super::machine::{Action, Event, Machine};
use super::origin::Origin;
use super::pace::{Budget, Paces, TEN};
use super::pending::Stores;
use super::pipes::Pipes;
use super::poll::{Lane, Place, Poll};
use super::relay::Ready;
use super::session::{Next, Session, Writes};
use super::slab::{Key, Slab};
use super::tools::Tools;
use super::wheel::{Tick, Wheel};
use crate::pool::{Backend, Dialling, ServerId, Snapshot};
use crate::worker::{ConnectionId, End, Gauges, Outlet, Record, Which};

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
    pub(super) number: u16,
    /// Where their sockets are watched, beside the worker's listeners and its bell.
    pub(super) poll: Poll,
    pub(super) slab: Slab<Session>,
    wheel: Wheel,
    due: Vec<Key>,
    pub(super) queue: VecDeque<Key>,
    /// Who waits for a place at a server.
    pub(super) line: VecDeque<Key>,
    /// When the line is looked at next: at once where a place may have come free.
    pub(super) look: Duration,
    pub(super) tools: Tools,
    start: Instant,
    pub(super) count: u64,
    pub(super) outlet: Outlet,
    pub(super) gauges: Arc<Gauges>,
    /// How fast the servers are.
    pub(super) paces: Paces,
    /// Extra dials that may be made.
    pub(super) budget: Arc<Mutex<Budget>>,
    /// Clients that the budget has not heard of.
    tenth: u8,
    /// The backends of the last snapshot.
    backends: HashMap<Arc<str>, Arc<Backend>>,
    /// Whether ends are wanted as events.
    pub(super) report: bool,
    /// Those of this round of the loop.
    pub(super) ended: Vec<Record>,
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
        crew: &Crew,
    ) -> Self {
        let stores = Stores::new(pipes);
        let scratch = vec![0; SCRATCH].into_boxed_slice();
        let now = crew.began().elapsed();
        Self {
            number,
            poll,
            slab: Slab::default(),
            wheel: Wheel::new(Tick::at(now)),
            due: Vec::new(),
            queue: VecDeque::new(),
            line: VecDeque::new(),
            look: Duration::ZERO,
            tools: Tools {
                scratch,
                stores,
                now,
                small: None,
                round: 0,
            },
            start: crew.began(),
            count: 0,
            outlet,
            gauges,
            paces: Paces::default(),
            budget: crew.budget(),
            tenth: 0,
            backends: HashMap::new(),
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

    /// The same as a time that all workers understand.
    #[must_use]
    pub(super) fn instant(&self) -> Instant {
        self.start + self.tools.now
    }

    /// How long the worker may sleep: `None` until something happens.
    #[must_use]
    pub(super) fn sleep(&self) -> Option<Duration> {
        if !self.queue.is_empty() {
            return Some(Duration::ZERO);
        }
        let line = self.look.saturating_sub(self.tools.now);
        let line = (!self.line.is_empty()).then_some(line);
        [self.wheel.sleep(self.tick()), line]
            .into_iter()
            .flatten()
            .min()
    }

    /// Routes by this snapshot: sessions that have to be dialled anew go by it, too.
    pub(super) fn route_by(&mut self, snapshot: &Snapshot) {
        self.look = Duration::ZERO;
        self.report = snapshot.report_ends;
        self.backends = snapshot
            .backends()
            .map(|backend| (Arc::clone(&backend.name), Arc::clone(backend)))
            .collect();
        let backends = &self.backends;
        self.paces.keep(|server| {
            backends
                .values()
                .any(|backend| backend.state_of(server).is_some())
        });
    }

    /// The backend as it stands: of the last snapshot, if that has it.
    pub(super) fn as_it_stands(&self, backend: &Arc<Backend>) -> Arc<Backend> {
        Arc::clone(self.backends.get(&backend.name).unwrap_or(backend))
    }

    /// A client has come, which [`Gauges::open`] and its frontend count already: a server is
    /// dialled for it.
    pub(super) fn open(&mut self, arrival: Arrival) {
        self.count += 1;
        self.earn();
        let is_proxy = arrival.origin.gate.is_proxy(arrival.address.ip());
        let session = Session {
            machine: Machine::new(self.tick()),
            client: arrival.client,
            socket: None,
            load: Load::Dial {
                dials: Dialling::default(),
                lot: 0,
                kept: None,
                spare: None,
                began: self.tick(),
            },
            lane: Lane::A,
            server: None,
            origin: arrival.origin,
            count: self.count,
            address: Peer::of(arrival.address),
            accepted: Moment::at(self.tools.now),
            connected_after: None,
            first_byte_after: None,
            timer: None,
            attempts: 0,
            next: Next::Report,
            writes: Writes::None,
        };
        let key = self.slab.insert_with(|_| session);
        match self
            .slab
            .get_mut(key)
            .map(|s| self.poll.add_socket(&s.client, key, Place::Client))
        {
            Some(Ok(())) if is_proxy => self.expect_header(key),
            Some(Ok(())) => self.greet(key),
            Some(Err(_)) | None => self.end(key, End::NoResources),
        }
    }

    /// Every tenth client earns an extra dial.
    fn earn(&mut self) {
        self.tenth += 1;
        if self.tenth == TEN {
            self.tenth = 0;
            let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
            budget.earn(self.tools.now);
        }
    }

    /// Whether an extra dial may be made.
    pub(super) fn spend(&self) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.spend(self.tools.now)
    }

    /// Who comes while others wait for a place, waits behind them.
    pub(super) fn dial_first(&mut self, key: Key) {
        let cursor = self.slab.get_mut(key).map(|s| &s.origin.backend.cursor);
        match cursor.map(|cursor| cursor.waiting()) {
            Some(0) | None => self.dial(key),
            Some(_) => self.wait(key),
        }
    }

    /// A poll reported on a socket.
    pub(super) fn on_socket(&mut self, key: Key, place: Place, ready: Ready) {
        match place {
            Place::Client => self.on(key, Event::Client(ready)),
            Place::Server(lane) => {
                let is_its = self.slab.get_mut(key).is_some_and(|s| s.lane == lane);
                if is_its {
                    self.on(key, Event::Server(ready));
                } else {
                    self.on_spare(key, ready);
                }
            }
        }
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
        for key in keys {
            if let (Which::Unanswered, Some(session)) = (which, self.slab.get_mut(key))
                && session.is_owed()
            {
                session.machine.owed();
            }
            self.on(key, Event::Cut(which));
        }
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

    pub(super) fn on(&mut self, key: Key, event: Event) {
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
            Action::LookForHeader => self.look_for_header(key),
            Action::Turn => self.turn(key),
            Action::Connected => self.connected(key),
            Action::Redial(failure) => self.redial(key, failure),
            Action::Listen => self.listen(key),
            Action::Unheard => self.unheard(key),
            Action::Hedge => self.hedge(key),
            Action::Doubt(asked) => self.doubt(key, asked),
            Action::Forsake => self.lost(key, End::ServerHung),
            Action::Settle => self.settle(key),
            Action::Sleep(until) => self.arm(key, until),
            Action::End(end) => self.end(key, end),
        }
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
            if session.next == Next::Memory {
                self.take_turn(key);
            }
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
}
