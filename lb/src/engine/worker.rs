//! The loop of one worker: wait, look, act.
//!
//! It owns a thread. Control feeds it commands, the kernel events, and its crew clients; it
//! ends on [`Command::Shutdown`] or when control has gone.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll as Readiness, Waker};
use std::time::Duration;

use super::crew::{Crew, Handed};
use super::listeners::{Accepted, BATCH, Entrance, LAST_BATCH, Listeners};
use super::pipes::Pipes;
use super::poll::{Poll, Token};
use super::sessions::{Arrival, Sessions};
use crate::admit::{Held, WhenFull};
use crate::pool::{Ceiling, ListenerId, Snapshot};
use crate::worker::{Command, End, Event, Setup};

/// Carries traffic until told to stop: the `run` of [`crate::worker::spawn`].
pub fn run(setup: Setup, crew: Arc<Crew>) {
    let outlet = setup.events.clone();
    if let Err(error) = Worker::new(setup, crew).and_then(Worker::work) {
        outlet.send(Event::AcceptFailed {
            listener: ListenerId(u32::MAX),
            error,
        });
    }
}

struct Worker {
    me: usize,
    setup: Setup,
    crew: Arc<Crew>,
    waker: Waker,
    listeners: Listeners,
    sessions: Sessions,
    handed: Vec<Handed>,
    ceiling: Ceiling,
    stopped: bool,
}

/// What becomes of a client that comes.
#[derive(Clone, Copy)]
enum Room {
    /// It is let in.
    Free,
    /// The process is full: it waits, wherever it came.
    None,
    /// Its frontend is full: it waits, and this worker looks again after this time.
    Hold(Duration),
    /// It is reset.
    Refuse(End),
}

impl Worker {
    fn new(setup: Setup, crew: Arc<Crew>) -> std::io::Result<Self> {
        let me = usize::from(setup.number);
        let bell = crew.bell(me).ok_or(std::io::ErrorKind::NotFound)?;
        let poll = Poll::new()?;
        poll.add_bell(bell)?;
        let waker = Waker::from(Arc::clone(bell));
        let gauges = Arc::clone(&setup.gauges);
        crew.join(me, Arc::clone(&gauges));
        let sessions = Sessions::new(
            setup.number,
            poll,
            Pipes::new(crew.pipes_each()),
            setup.events.clone(),
            gauges,
            &crew,
        );
        Ok(Self {
            me,
            setup,
            crew,
            waker,
            listeners: Listeners::default(),
            sessions,
            handed: Vec::new(),
            ceiling: Ceiling::default(),
            stopped: false,
        })
    }

    fn work(mut self) -> std::io::Result<()> {
        self.on_bell();
        let mut before = self.sessions.len();
        while !self.stopped {
            let relieved = self.sessions.len() < before;
            before = self.sessions.len();
            let rest =
                self.listeners
                    .resume(self.sessions.now(), relieved, &self.sessions.poll);
            let timeout = [self.sessions.sleep(), rest].into_iter().flatten().min();
            self.sessions.poll.wait(timeout)?;
            self.sessions.read_clock();
            let mut n = 0;
            while let Some((token, ready)) = self.sessions.poll.event(n) {
                n += 1;
                match token {
                    Token::Socket(key, place) => {
                        self.sessions.on_socket(key, place, ready)
                    }
                    Token::Listener(id) => self.on_listener(id),
                    Token::Bell => self.on_bell(),
                }
            }
            self.sessions.on_time();
            self.sessions.on_queue();
            let listeners = &self.listeners;
            self.sessions
                .on_line(|frontend| listeners.origin_named(frontend));
            self.sessions.tell();
        }
        Ok(())
    }

    fn on_bell(&mut self) {
        if let Some(bell) = self.crew.bell(self.me) {
            bell.heard();
        }
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        while let Readiness::Ready(order) = self.setup.commands.poll_recv(&mut context) {
            match order {
                Some(order) => self.obey(&order.command),
                None => self.obey(&Command::Shutdown),
            }
            if self.stopped {
                return;
            }
        }
        self.take_handed();
    }

    fn take_handed(&mut self) {
        self.crew.take(self.me, &mut self.handed);
        let mut handed = std::mem::take(&mut self.handed);
        for Handed {
            client,
            address,
            frontend,
        } in handed.drain(..)
        {
            let origin = self.listeners.origin_of(&frontend);
            self.sessions.open(Arrival {
                client,
                address,
                origin,
            });
        }
        self.handed = handed;
    }

    fn obey(&mut self, command: &Command) {
        match command {
            Command::Snapshot(snapshot) => self.route_by(snapshot),
            Command::StopAccepting => self.route_by(&Snapshot {
                report_ends: self.sessions.report,
                ..Snapshot::default()
            }),
            Command::Cut(server, which) => self.sessions.cut(*server, *which),
            Command::Show(sought, out) => {
                // Control has room for one answer of each worker.
                let _ = out.try_send(self.sessions.show(sought));
            }
            Command::Shed(shed) => self.sessions.shed(shed),
            Command::Hold => self.listeners.hold_all(&self.sessions.poll),
            Command::Freeze(out) => {
                self.take_handed();
                // Control has room for one answer of each worker.
                let _ = out.try_send(self.sessions.freeze());
                self.stopped = true;
            }
            Command::Adopt(adoption) => self.sessions.adopt(adoption),
            Command::Pulse => {}
            Command::Kill(id) => self.sessions.kill(*id),
            Command::Shutdown => {
                self.sessions.shutdown();
                self.stopped = true;
            }
        }
    }

    /// Whoever waits at an entrance that closes is still let in.
    fn route_by(&mut self, snapshot: &Snapshot) {
        self.sessions.route_by(snapshot);
        self.ceiling = snapshot.ceiling;
        let (gone, errors) = self.listeners.replace(snapshot, &self.sessions.poll);
        for entrance in gone {
            self.accept(&entrance, LAST_BATCH);
            entrance.close();
        }
        for (listener, error) in errors {
            self.setup
                .events
                .send(Event::AcceptFailed { listener, error });
        }
    }

    fn on_listener(&mut self, id: ListenerId) {
        if self.listeners.rests() {
            return;
        }
        if let Some(entrance) = self.listeners.get(id).cloned()
            && !entrance.is_held()
        {
            self.accept(&entrance, BATCH);
        }
    }

    fn accept(&mut self, entrance: &Entrance, batch: usize) {
        for _ in 0..batch {
            let room = self.room(entrance);
            let now = self.sessions.now();
            match room {
                Room::Free | Room::Refuse(_) => {}
                // Those who wait are let in as others leave.
                Room::None => return self.listeners.pause(now, &self.sessions.poll),
                Room::Hold(time) => {
                    let id = entrance.id();
                    return self.listeners.hold(id, now, time, &self.sessions.poll);
                }
            }
            match entrance.accept() {
                Accepted::Client(client, address) => {
                    self.admit(entrance, client, address, room);
                }
                Accepted::Gone => {}
                Accepted::Nobody => return,
                Accepted::Failed(error) => {
                    return self.accept_failed(entrance.id(), error);
                }
            }
        }
    }

    /// What becomes of those who come now.
    fn room(&self, entrance: &Entrance) -> Room {
        if self.crew.is_full() || self.crew.has(self.ceiling.connections) {
            return match self.ceiling.when_full {
                WhenFull::Wait => Room::None,
                WhenFull::Refuse => Room::Refuse(End::ProcessConnections),
            };
        }
        let frontend = &entrance.frontend;
        let open = frontend.counters.open.load(Ordering::Relaxed);
        match frontend.gate.look(open, self.sessions.instant()) {
            Ok(()) => Room::Free,
            Err(Held::Wait(time)) => Room::Hold(time),
            Err(Held::Refuse(end)) => Room::Refuse(end),
        }
    }

    fn admit(
        &mut self,
        entrance: &Entrance,
        client: OwnedFd,
        address: SocketAddr,
        room: Room,
    ) {
        let (gate, now) = (&entrance.frontend.gate, self.sessions.instant());
        let verdict = match room {
            Room::Refuse(end) => Err(end),
            // Whoever is behind a proxy is asked for when its header has come.
            Room::Free | Room::None | Room::Hold(_) if gate.is_proxy(address.ip()) => {
                Ok(())
            }
            Room::Free | Room::None | Room::Hold(_) => gate.admit(address.ip(), now),
        };
        if let Err(end) = verdict {
            let origin = &entrance.origin;
            return self.sessions.refuse(client, address, origin, end);
        }
        gate.enter(now);
        let frontend = Arc::clone(&entrance.frontend);
        // Here, not where it is taken over: those on their way to another worker are in.
        frontend.counters.opened();
        self.place(
            entrance,
            Handed {
                client,
                address,
                frontend,
            },
        );
    }

    /// Gives a client to the least loaded worker.
    fn place(&mut self, entrance: &Entrance, handed: Handed) {
        self.setup.gauges.came.fetch_add(1, Ordering::Relaxed);
        let mine = match self.crew.better_than(self.me) {
            Some(other) => match self.crew.hand(other, handed) {
                Ok(()) => return,
                Err(handed) => handed,
            },
            None => handed,
        };
        self.setup.gauges.open.fetch_add(1, Ordering::Relaxed);
        self.sessions.open(Arrival {
            client: mine.client,
            address: mine.address,
            origin: std::rc::Rc::clone(&entrance.origin),
        });
    }

    fn accept_failed(&mut self, listener: ListenerId, error: std::io::Error) {
        self.setup
            .gauges
            .accept_failures
            .fetch_add(1, Ordering::Relaxed);
        self.setup
            .events
            .send(Event::AcceptFailed { listener, error });
        self.listeners
            .pause(self.sessions.now(), &self.sessions.poll);
    }
}
