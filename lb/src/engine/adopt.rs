//! The beginning of a worker that goes on with the sessions of the process image before: each
//! gets a slot, is watched, and takes a turn. Part of [`Sessions`].
//!
//! What has a server goes on where it was. What has none is dialled anew; its client has not
//! been answered yet.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::compact::Peer;
use super::kept::{At, Bytes, Cargo, Kept};
use super::load::Load;
use super::machine::{Admission, Event, Machine};
use super::origin::Origin;
use super::pending::Held;
use super::poll::{Lane, Place};
use super::session::{Next, Session, Writes};
use super::sessions::Sessions;
use super::slab::Key;
use crate::pool::{Backend, Dialling, Seat, Server, ServerId, Snapshot, Terms};
use crate::worker::{Adoption, End, Luggage};

/// What the names of the sessions stand for in this image.
struct Names<'a> {
    snapshot: &'a Snapshot,
    origins: HashMap<String, Rc<Origin>>,
    strangers: Vec<Arc<Server>>,
}

impl Sessions {
    /// Goes on with those of `adoption` that are this worker's.
    pub(super) fn adopt(&mut self, adoption: &Adoption) {
        self.read_clock();
        self.route_by(&adoption.snapshot);
        self.count = self.count.max(adoption.count(self.number));
        let mut names = Names {
            snapshot: &adoption.snapshot,
            origins: HashMap::new(),
            strangers: Vec::new(),
        };
        for (luggage, seat) in adoption.take(self.number) {
            self.adopt_one(luggage, seat, &mut names);
        }
    }

    /// `seat` is its place at a server that this image knows.
    fn adopt_one(&mut self, luggage: Luggage, seat: Option<Seat>, names: &mut Names<'_>) {
        let Luggage {
            kept,
            client,
            server: socket,
        } = luggage;
        let mut stranger = || kept.server.as_ref().map(|at| names.stranger(at));
        let seat = seat.or_else(|| stranger().map(Seat::keep));
        let server = seat.as_ref().map(Seat::server);
        let origin = names.origin(&kept, server);
        let count = if kept.worker == self.number {
            kept.count
        } else {
            self.count += 1;
            self.count
        };
        origin.counters.open.fetch_add(1, Ordering::Relaxed);
        self.gauges.open.fetch_add(1, Ordering::Relaxed);
        if kept.machine.admission() == Admission::Given {
            origin.gate.readmit(kept.client.ip());
        }
        if let (Some(server), Some(At { counted: true, .. })) = (server, &kept.server) {
            server.counters.open.fetch_add(1, Ordering::Relaxed);
        }
        let connected = server.is_some() && socket.is_some();
        let now = self.tick();
        let session = Session {
            machine: if connected {
                kept.machine
            } else {
                Machine::new(now)
            },
            client,
            socket,
            load: self.unpack(&kept.cargo, connected),
            lane: Lane::A,
            server: seat,
            origin,
            count,
            address: Peer::of(kept.client),
            accepted: kept.accepted,
            connected_after: kept.connected_after,
            first_byte_after: kept.first_byte_after,
            timer: None,
            attempts: kept.attempts,
            next: Next::Report,
            writes: if connected { kept.writes } else { Writes::None },
        };
        let key = self.slab.insert_with(|_| session);
        if self.watch(key).is_none() {
            return self.end(key, End::NoResources);
        }
        if connected {
            self.go_on(key);
        } else {
            self.begin_anew(key, &kept.machine);
            self.keep_deadline(key, &kept.machine);
        }
    }

    fn unpack(&mut self, cargo: &Cargo, connected: bool) -> Load {
        let stores = &mut self.tools.stores;
        match cargo {
            Cargo::First { lot, kept, written } => Load::Dial {
                dials: Dialling::default(),
                lot: *lot,
                kept: (!kept.is_empty()).then(|| {
                    let mut room = stores.room();
                    room.push(kept.get());
                    if connected {
                        room.advance(*written as usize);
                    }
                    room
                }),
                spare: None,
                began: super::wheel::Tick::at(self.tools.now),
            },
            Cargo::Relay {
                up,
                down,
                sent,
                received,
            } => {
                let mut hold = |bytes: &Bytes| match bytes.get() {
                    [] => Held::Nothing,
                    some => stores.hold(some),
                };
                Load::Relay {
                    up: hold(up),
                    down: hold(down),
                    sent: *sent,
                    received: *received,
                }
            }
        }
    }

    /// Its sockets are watched; a poll that begins to says at once how they stand.
    fn watch(&mut self, key: Key) -> Option<()> {
        let session = self.slab.get_mut(key)?;
        let client = self.poll.add_socket(&session.client, key, Place::Client);
        client.ok()?;
        match &session.socket {
            Some(socket) => {
                let place = Place::Server(session.lane);
                self.poll.add_socket(socket, key, place).ok()
            }
            None => Some(()),
        }
    }

    /// It has its server: it goes on.
    fn go_on(&mut self, key: Key) {
        let now = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        if let (Some(_), Some(server)) = (session.machine.silent_since(), &session.server)
        {
            self.paces.of(server.id).asked();
        }
        match session.machine.looks_at() {
            Some(at) => self.arm(key, at),
            // The idle time is counted from its last byte on, as before.
            None => self.on(key, Event::Timer(now)),
        }
        self.turn(key);
    }

    /// It has no server yet: it stands again at the step it had reached. One that was being
    /// dialled for comes before those of its worker that waited, which come last: there is a
    /// place for it unless another worker's has taken it.
    fn begin_anew(&mut self, key: Key, was: &Machine) {
        let (now, tick) = (self.now(), self.tick());
        if was.admission() == Admission::Open {
            return self.expect_header(key);
        }
        if was.is_listening() {
            return self.greet(key);
        }
        if let Some(session) = self.slab.get_mut(key) {
            let waited = session.elapsed(now);
            session.machine.admitted(tick);
            if let Load::Dial { dials, .. } = &mut session.load {
                dials.resume(waited);
            }
        }
        self.wait_again(key);
    }

    /// Its client has no more time for what it waits for than it had.
    fn keep_deadline(&mut self, key: Key, was: &Machine) {
        let session = self.slab.get_mut(key);
        let deadline = session.and_then(|session| session.machine.waits_since(was));
        if let Some(deadline) = deadline {
            self.arm(key, deadline);
        }
    }
}

impl Names<'_> {
    fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        self.snapshot.backend(name)
    }

    /// A server that is in no configuration any more: only what its connections need.
    fn stranger(&mut self, at: &At) -> Arc<Server> {
        if let Some(known) = self.strangers.iter().find(|server| at.is_of(server)) {
            return Arc::clone(known);
        }
        let number = u32::try_from(self.strangers.len()).unwrap_or(u32::MAX);
        let server = Arc::new(Server {
            id: ServerId(u32::MAX - number),
            name: at.name.as_str().into(),
            address: at.address,
            weight: at.weight,
            terms: Terms::default(),
            counters: Arc::default(),
        });
        self.strangers.push(Arc::clone(&server));
        server
    }

    fn origin(&mut self, kept: &Kept, server: Option<&Arc<Server>>) -> Rc<Origin> {
        let name = &kept.frontend;
        let frontends = &self.snapshot.frontends;
        if let Some(known) = self.origins.get(name) {
            return known.by(kept.route);
        }
        let origin = match frontends.iter().find(|one| *one.name == **name) {
            Some(frontend) => Origin::of(frontend),
            None => {
                let backend = self.backend(&kept.backend).map(Arc::clone);
                let backend =
                    backend.unwrap_or_else(|| Backend::left(&kept.backend, server));
                Origin::left(name, backend)
            }
        };
        self.origins.insert(name.clone(), Rc::clone(&origin));
        origin.by(kept.route)
    }
}
