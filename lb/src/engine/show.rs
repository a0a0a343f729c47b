//! Connections as an operator sees them, and those that are moved. Part of [`Sessions`]: looks at each session once, and
//! asks the kernel for our address only of those that are shown.

use std::net::SocketAddr;

use super::report::own_address;
use super::session::Session;
use super::sessions::Sessions;
use super::slab::Key;
use crate::worker::{ConnectionId, End, Shed, Shown, Sought};

impl Sessions {
    /// The sessions that are sought.
    pub(super) fn show(&self, sought: &Sought) -> Vec<Shown> {
        let sessions = self.slab.iter().map(|(_, session)| session);
        sessions
            .filter_map(|session| self.shown(session, sought))
            .collect()
    }

    /// Ends those that are too many at a server and rest.
    pub(super) fn shed(&mut self, shed: &Shed) {
        let now = self.tick();
        let theirs = |session: &Session| {
            let server = session.server.as_ref();
            server.is_some_and(|server| server.id == shed.server)
                && session.machine.rests(now, shed.quiet)
        };
        let sessions = self.slab.iter().filter(|(_, session)| theirs(session));
        let keys: Vec<Key> = sessions
            .map(|(key, _)| key)
            .take_while(|_| shed.take())
            .collect();
        keys.into_iter()
            .for_each(|key| self.end(key, End::Rebalanced));
    }

    fn shown(&self, session: &Session, sought: &Sought) -> Option<Shown> {
        let id = ConnectionId::new(self.number, session.count);
        let backend = &session.origin.backend.name;
        let is_it = match sought {
            Sought::All => true,
            Sought::Server(of, name) => {
                let server = session.server.as_ref();
                of == backend && server.is_some_and(|server| server.name == *name)
            }
            Sought::Ids(ids) => ids.contains(&id),
            Sought::Source(source) => source_of(session) == Some(*source),
        };
        let (sent, received) = session.bytes();
        is_it.then(|| Shown {
            id,
            client: session.address.address(),
            frontend: session.origin.frontend.clone(),
            backend: backend.clone(),
            server: session.server.as_ref().map(|server| server.name.clone()),
            source: source_of(session),
            stage: session.machine.stage(),
            age: session.elapsed(self.now()),
            sent,
            received,
        })
    }
}

fn source_of(session: &Session) -> Option<SocketAddr> {
    session.socket.as_ref().and_then(own_address)
}
