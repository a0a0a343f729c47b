//! Connections as an operator sees them. Part of [`Sessions`]: looks at each session once, and
//! asks the kernel for our address only of those that are shown.

use std::net::SocketAddr;

use super::report::own_address;
use super::session::Session;
use super::sessions::Sessions;
use crate::worker::{ConnectionId, Shown, Sought};

impl Sessions {
    /// The sessions that are sought.
    pub(super) fn show(&self, sought: &Sought) -> Vec<Shown> {
        let sessions = self.slab.iter().map(|(_, session)| session);
        sessions
            .filter_map(|session| self.shown(session, sought))
            .collect()
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
            client: session.address,
            frontend: session.origin.frontend.clone(),
            backend: backend.clone(),
            server: session.server.as_ref().map(|server| server.name.clone()),
            source: source_of(session),
            stage: session.machine.stage(),
            age: self.now().saturating_sub(session.accepted),
            sent,
            received,
        })
    }
}

fn source_of(session: &Session) -> Option<SocketAddr> {
    session.socket.as_ref().and_then(own_address)
}
