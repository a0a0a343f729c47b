//! The way in: from an accepted socket to a session that may dial.
//!
//! Who may not come is reset before it is a session. A connection from a proxy becomes one
//! first, since its client is known only when its PROXY header has come; the header is looked
//! at in the socket and taken out when it is whole, so that nothing is kept meanwhile.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::compact::Peer;
use super::dial;
use super::origin::Origin;
use super::report::record_of_refused;
use super::sessions::Sessions;
use super::slab::Key;
use crate::proxy::{Header, LONGEST, Parsed, parse};
use crate::worker::{ConnectionId, End};

/// How long a proxy may take to send its header. It has it ready when it connects.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// What became of a look for a PROXY header.
enum Look {
    /// It is not whole yet.
    Wait,
    /// It was taken out: the client is this one, or the one that the socket knows.
    Client(Option<SocketAddr>),
    /// There is none.
    None,
    /// The proxy is gone.
    Gone,
}

impl Sessions {
    /// Resets a client that may not come in. It was never a session.
    pub(super) fn refuse(
        &mut self,
        client: OwnedFd,
        address: SocketAddr,
        origin: &Origin,
        end: End,
    ) {
        self.count += 1;
        origin.counters.opened();
        let record = self.report.then(|| {
            let id = ConnectionId::new(self.number, self.count);
            record_of_refused(&client, address, origin, id, end)
        });
        dial::reset_on_close(&client);
        drop(client);
        origin.counters.closed(end);
        if let Some(record) = record {
            self.note(record);
        }
    }

    /// Lets a session wait for the header of its proxy.
    pub(super) fn expect_header(&mut self, key: Key) {
        let deadline = self.tick().after(HEADER_TIME);
        if let Some(session) = self.slab.get_mut(key) {
            session.machine.expecting_header(deadline);
            self.arm(key, deadline);
        }
    }

    /// Looks for the header of a session's proxy.
    pub(super) fn look_for_header(&mut self, key: Key) {
        let (now, tick) = (self.instant(), self.tick());
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let scratch = self.tools.scratch.get_mut(..LONGEST).unwrap_or_default();
        match look(&session.client, scratch) {
            Look::Wait => {}
            Look::Client(client) => {
                session.address = client.map_or(session.address, Peer::of);
                let ip = session.address.ip();
                match session.origin.gate.admit(ip, now) {
                    Ok(()) => {
                        session.machine.admitted(tick);
                        self.greet(key);
                    }
                    Err(end) => self.end(key, end),
                }
            }
            Look::None => self.end(key, End::BadProxyHeader),
            Look::Gone => self.end(key, End::ClientAborted),
        }
    }
}

fn look(socket: &OwnedFd, scratch: &mut [u8]) -> Look {
    let len = match recv(socket, &mut *scratch, RecvFlags::PEEK) {
        Ok((_, 0)) => return Look::None,
        Ok((_, len)) => len,
        Err(Errno::AGAIN | Errno::INTR) => return Look::Wait,
        Err(_) => return Look::Gone,
    };
    match parse(scratch.get(..len).unwrap_or_default()) {
        Ok(Parsed::Partial) => Look::Wait,
        Ok(Parsed::Whole { header, len }) => {
            let header_only = scratch.get_mut(..len).unwrap_or_default();
            // These bytes are there: nobody else reads from this socket.
            match recv(socket, header_only, RecvFlags::empty()) {
                Ok((_, taken)) if taken == len => Look::Client(client_of(header)),
                Ok(_) | Err(_) => Look::Gone,
            }
        }
        Err(_) => Look::None,
    }
}

const fn client_of(header: Header) -> Option<SocketAddr> {
    match header {
        Header::Local => None,
        Header::Tcp { source, .. } => Some(source),
    }
}
