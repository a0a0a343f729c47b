//! The end of a worker whose sessions go on in the next process image: every session is taken
//! out of its slot and written down. Part of [`Sessions`].
//!
//! Nothing is told to anybody and nothing is counted: to its peers the session goes on.

use std::os::fd::OwnedFd;

use super::kept::{At, Bytes, Cargo, Kept};
use super::load::Load;
use super::pending::{Held, Pending};
use super::pipes::Pipe;
use super::relay::Flow;
use super::session::Session;
use super::sessions::Sessions;
use crate::worker::{Frozen, Luggage};

impl Sessions {
    /// Gives all sessions away, those that wait for a place last and as they stand in the
    /// line: so they stand in the next image's.
    pub(super) fn freeze(&mut self) -> Frozen {
        let line = std::mem::take(&mut self.line);
        let in_line: Vec<Session> = line
            .into_iter()
            .filter_map(|key| self.slab.remove(key))
            .collect();
        let keys: Vec<_> = self.slab.keys().collect();
        let others = keys.into_iter().filter_map(|key| self.slab.remove(key));
        let mut all: Vec<Session> = others.collect();
        all.sort_unstable_by_key(|session| session.count);
        all.extend(in_line);
        let number = self.number;
        Frozen {
            worker: number,
            count: self.count,
            sessions: all
                .into_iter()
                .map(|session| pack(session, number))
                .collect(),
        }
    }
}

fn pack(mut session: Session, worker: u16) -> Luggage {
    let connected = session.machine.is_connected();
    let server = session
        .server
        .as_ref()
        .filter(|_| connected)
        .map(|seat| At {
            name: seat.name.to_string(),
            address: seat.address,
            weight: seat.weight,
            counted: session.connected_after.is_some(),
        });
    let pending = |flow| session.machine.pending(flow);
    let (up, down) = (pending(Flow::Up), pending(Flow::Down));
    let cargo = match &mut session.load {
        Load::Dial { lot, kept, .. } => first(*lot, kept.as_deref(), connected),
        Load::Relay {
            up: towards_server,
            down: towards_client,
            sent,
            received,
        } => Cargo::Relay {
            up: drain(towards_server, up),
            down: drain(towards_client, down),
            sent: *sent,
            received: *received,
        },
    };
    let kept = Kept {
        worker,
        count: session.count,
        client: session.address.address(),
        frontend: session.origin.frontend.to_string(),
        backend: session.origin.backend.name.to_string(),
        route: session.origin.route,
        accepted: session.accepted,
        connected_after: session.connected_after.filter(|_| connected),
        first_byte_after: session.first_byte_after,
        attempts: session.attempts,
        writes: session.writes,
        machine: session.machine,
        server,
        cargo,
    };
    // A dial under way is closed: the next image begins another, with the same first words.
    let socket: Option<OwnedFd> = session.socket.filter(|_| connected);
    Luggage {
        kept,
        client: session.client,
        server: socket,
    }
}

fn first(lot: u64, kept: Option<&Pending>, connected: bool) -> Cargo {
    let written = kept.filter(|_| connected).map_or(0, Pending::written);
    Cargo::First {
        lot,
        kept: Bytes::of(kept.map_or(&[], Pending::all)),
        written: u32::try_from(written).unwrap_or(u32::MAX),
    }
}

/// What a flow holds, as bytes: a pipe is emptied.
fn drain(held: &mut Held, pending: u32) -> Bytes {
    match held {
        Held::Nothing => Bytes::default(),
        Held::Bytes(bytes) => Bytes::of(bytes.rest()),
        Held::Pipe(pipe) => Bytes::of(&empty(pipe, pending as usize)),
    }
}

fn empty(pipe: &Pipe, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    // Ends because the pipe does: it holds `len` bytes, and its reads do not wait.
    while let Some(room) = bytes.get_mut(done..).filter(|room| !room.is_empty()) {
        match rustix::io::read(pipe.outlet(), room) {
            Ok(0) => break,
            Ok(len) => done += len,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    bytes.truncate(done);
    bytes
}
