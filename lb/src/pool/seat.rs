//! Places at a server: how many connections it carries, being dialled included.
//!
//! All workers count in one place, so that `leastconn` and a server's `maxConnections` hold
//! over all of them, and over reloads.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Server;

/// One connection's place at a server; given back when dropped.
#[derive(Debug)]
pub struct Seat(Arc<Server>);

impl Seat {
    /// A place at this server; none when all that it may have are taken.
    #[must_use]
    pub fn take(server: &Arc<Server>) -> Option<Self> {
        let (seats, most) = (&server.counters.seats, server.terms.seats());
        // Not counted and taken back: in that moment another would find no place that is free.
        let more = |taken: u64| (taken < most).then_some(taken + 1);
        let taken = seats.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Self(Arc::clone(server)))
    }

    /// The place of a connection that is there already, however many there are.
    #[must_use]
    pub fn keep(server: Arc<Server>) -> Self {
        server.counters.seats.fetch_add(1, Ordering::Relaxed);
        Self(server)
    }

    /// The server it is at.
    #[must_use]
    pub const fn server(&self) -> &Arc<Server> {
        &self.0
    }
}

impl Deref for Seat {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.counters.seats.fetch_sub(1, Ordering::Relaxed);
    }
}
