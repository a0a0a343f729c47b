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
        let seats = &server.counters.seats;
        let taken = seats.fetch_add(1, Ordering::Relaxed);
        // Built before the test, so that one too many is given back at once.
        let seat = Self(Arc::clone(server));
        (taken < server.terms.seats()).then_some(seat)
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
