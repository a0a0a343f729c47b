//! What is said of a session when it is over.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::origin::Origin;
use super::session::Session;
use crate::worker::{ConnectionId, End, Record, Stood};

/// The record of a session that ends at `now`. Asks the kernel for the two addresses that
/// are ours: kept in the session, they would cost every idle connection for a line that is
/// written once.
#[must_use]
pub(super) fn record_of(
    session: &Session,
    id: ConnectionId,
    end: End,
    now: Duration,
) -> Record {
    let lasted = session.elapsed(now);
    let (sent, received) = session.bytes();
    let connected = session.connected_after.is_some();
    let server = session.server.as_ref().filter(|_| connected);
    Record {
        id,
        accepted: SystemTime::now()
            .checked_sub(lasted)
            .unwrap_or(SystemTime::UNIX_EPOCH),
        client: session.address.address(),
        bind: own_address(&session.client).unwrap_or(NOWHERE),
        frontend: Arc::clone(&session.origin.frontend),
        backend: Arc::clone(&session.origin.backend.name),
        server: server.map(|server| Arc::clone(&server.name)),
        source: session
            .socket
            .as_ref()
            .filter(|_| connected)
            .and_then(own_address),
        attempts: u32::from(session.attempts),
        connected_after: session.connected_after.map(micros),
        first_byte_after: session.first_byte_after.map(micros),
        lasted,
        sent,
        received,
        end,
        stood: session.machine.stood(),
    }
}

/// The record of a client that was not let in.
#[must_use]
pub(super) fn record_of_refused(
    client: impl AsFd,
    address: SocketAddr,
    origin: &Origin,
    id: ConnectionId,
    end: End,
) -> Record {
    Record {
        id,
        accepted: SystemTime::now(),
        client: address,
        bind: own_address(client).unwrap_or(NOWHERE),
        frontend: Arc::clone(&origin.frontend),
        backend: Arc::clone(&origin.backend.name),
        server: None,
        source: None,
        attempts: 0,
        connected_after: None,
        first_byte_after: None,
        lasted: Duration::ZERO,
        sent: 0,
        received: 0,
        end,
        stood: Stood::Request,
    }
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn micros(micros: NonZeroU32) -> Duration {
    Duration::from_micros(u64::from(micros.get()))
}

/// Our end of a socket.
pub(super) fn own_address(socket: impl AsFd) -> Option<SocketAddr> {
    rustix::net::getsockname(socket).ok()?.try_into().ok()
}
