//! Connections on their way from one process image to the next: how a worker gives them, and
//! how another one gets them.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Kept;
use crate::pool::{Seat, Snapshot};

/// A connection with its sockets.
#[derive(Debug)]
pub struct Luggage {
    /// How it stands.
    pub kept: Kept,
    /// The client's socket.
    pub client: OwnedFd,
    /// The server's, when that has taken the connection.
    pub server: Option<OwnedFd>,
}

/// What a worker had when it was frozen.
#[derive(Debug)]
pub struct Frozen {
    /// Which one it was.
    pub worker: u16,
    /// The count of its last connection.
    pub count: u64,
    /// Its connections.
    pub sessions: Vec<Luggage>,
}

/// A connection, and its place at its server.
type Berth = (Luggage, Option<Seat>);

/// Connections for the workers of another image.
#[derive(Debug)]
pub struct Adoption {
    /// What their names stand for.
    pub snapshot: Arc<Snapshot>,
    counts: Vec<u64>,
    berths: Vec<Mutex<Vec<Berth>>>,
}

impl Adoption {
    /// Shares connections out among so many workers: each keeps its own where it can, as a
    /// connection is named by its worker. All have their places at once: no worker may give one
    /// to a client that waits while another has not come to the connection that holds it.
    /// `counts` has the last count of each worker that was.
    #[must_use]
    pub fn new(
        snapshot: Arc<Snapshot>,
        workers: usize,
        mut counts: Vec<u64>,
        sessions: impl IntoIterator<Item = Luggage>,
    ) -> Self {
        if counts.len() != workers {
            // Some change their worker, and get new names that nobody has had.
            let most = counts.iter().max().copied().unwrap_or(0);
            counts = vec![most; workers];
        }
        let mut berths: Vec<Vec<Berth>> = (0..workers).map(|_| Vec::new()).collect();
        for luggage in sessions {
            let at = usize::from(luggage.kept.worker()).checked_rem(workers);
            if let Some(berth) = at.and_then(|at| berths.get_mut(at)) {
                let seat = luggage.kept.server_in(&snapshot).map(Seat::keep);
                berth.push((luggage, seat));
            }
        }
        Self {
            snapshot,
            counts,
            berths: berths.into_iter().map(Mutex::new).collect(),
        }
    }

    /// What worker `number` counts its connections from.
    #[must_use]
    pub fn count(&self, number: u16) -> u64 {
        self.counts.get(usize::from(number)).copied().unwrap_or(0)
    }

    /// The connections of worker `number`; once. Without a place are those whose server this
    /// image does not know.
    #[must_use]
    pub fn take(&self, number: u16) -> Vec<Berth> {
        let berth = self.berths.get(usize::from(number));
        berth.map_or_else(Vec::new, |berth| {
            let mut berth = berth.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *berth)
        })
    }
}
