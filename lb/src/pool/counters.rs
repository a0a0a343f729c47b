//! What many workers count and others read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::recent::{Rate, Recent};
use super::voice::Voice;
use crate::worker::End;

/// What came in at a frontend or went to a server. Workers add, `/metrics` and `/status`
/// read; no order between two counters is promised.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections open at this moment.
    pub open: AtomicU64,
    /// Places taken: connections open or being dialled (server only).
    pub seats: AtomicU64,
    /// Connections since the start: accepted (frontend) or established (server).
    pub connections: AtomicU64,
    /// Dials that failed or timed out (server only).
    pub dial_failures: AtomicU64,
    /// Second dials made because it kept a client waiting (server only).
    pub hedges: AtomicU64,
    /// Connections that went on to another server because it was silent (server only).
    pub failovers: AtomicU64,
    /// What it was heard to say (server only).
    pub voice: Voice,
    /// Bytes from clients to servers.
    pub sent: AtomicU64,
    /// Bytes from servers to clients.
    pub received: AtomicU64,
    /// Ends by kind, in the order of [`End::ALL`].
    ends: [AtomicU64; End::ALL.len()],
    /// The last minute, in seconds.
    pub recent: Recent,
}

/// The totals of [`Counters`], written down. What is open is counted anew by whoever goes on
/// with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    connections: u64,
    dial_failures: u64,
    hedges: u64,
    failovers: u64,
    sent: u64,
    received: u64,
    ends: BTreeMap<String, u64>,
    voice: [u32; 3],
}

impl Counters {
    /// The totals so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let ends = End::ALL.into_iter().map(|end| (end, self.ended(end)));
        let ends = ends.filter(|(_, count)| *count > 0);
        Totals {
            connections: get(&self.connections),
            dial_failures: get(&self.dial_failures),
            hedges: get(&self.hedges),
            failovers: get(&self.failovers),
            sent: get(&self.sent),
            received: get(&self.received),
            ends: ends
                .map(|(end, count)| (end.name().to_owned(), count))
                .collect(),
            voice: self.voice.keep(),
        }
    }

    /// Goes on from these totals.
    pub fn go_on(&self, totals: &Totals) {
        for (count, total) in [
            (&self.connections, totals.connections),
            (&self.dial_failures, totals.dial_failures),
            (&self.hedges, totals.hedges),
            (&self.failovers, totals.failovers),
            (&self.sent, totals.sent),
            (&self.received, totals.received),
        ] {
            count.fetch_add(total, Ordering::Relaxed);
        }
        for end in End::ALL {
            let total = totals.ends.get(end.name()).copied().unwrap_or(0);
            if let Some(count) = self.ends.get(end.index()) {
                count.fetch_add(total, Ordering::Relaxed);
            }
        }
        self.voice.restore(totals.voice);
    }

    /// Notes what the second up to `now` brought.
    pub fn look(&self, now: Instant) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let totals = Rate {
            connections: get(&self.connections),
            sent: get(&self.sent),
            received: get(&self.received),
        };
        self.recent.add(now, totals, get(&self.open));
    }

    /// A connection begins.
    pub fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that had begun is over.
    pub fn closed(&self, end: End) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = self.ends.get(end.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many connections have ended this way.
    #[must_use]
    pub fn ended(&self, end: End) -> u64 {
        self.ends
            .get(end.index())
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
