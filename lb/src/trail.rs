//! Which clients stood behind which of our addresses: what an apiserver's audit log calls
//! the source is this host; here is who that was.
//!
//! A list of bounded length and age, oldest first. An entry is made when a connection ends;
//! those that are open are asked of the workers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::worker::{ConnectionId, Record};

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// For how long after the end of a connection; nothing, when absent.
    pub keep: Option<Duration>,
    /// Of how many connections at most.
    pub entries: u32,
}

/// A connection that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Our address towards the server.
    pub source: SocketAddr,
    /// The client.
    pub client: SocketAddr,
    /// The server's name.
    pub server: Arc<str>,
    /// Its name.
    pub id: ConnectionId,
    /// When it was accepted.
    pub from: SystemTime,
    /// When it ended.
    pub until: SystemTime,
}

/// An [`Entry`], written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    source: SocketAddr,
    client: SocketAddr,
    server: String,
    id: ConnectionId,
    from: SystemTime,
    until: SystemTime,
}

/// The connections that are over.
#[derive(Debug, Default)]
pub struct Trail {
    entries: VecDeque<Entry>,
}

impl Trail {
    /// Remembers a connection that had a server.
    pub fn note(&mut self, record: &Record, memory: &Memory) {
        if memory.keep.is_none() {
            return;
        }
        let (Some(source), Some(server)) = (record.source, &record.server) else {
            return;
        };
        let until = record.accepted + record.lasted;
        self.entries.push_back(Entry {
            source,
            client: record.client,
            server: Arc::clone(server),
            id: record.id,
            from: record.accepted,
            until,
        });
        self.forget(memory, until);
    }

    /// Lets go of what is too old or too much.
    pub fn forget(&mut self, memory: &Memory, now: SystemTime) {
        let most = memory.entries as usize;
        let is_old = |entry: &Entry| {
            let age = now.duration_since(entry.until).unwrap_or_default();
            memory.keep.is_none_or(|keep| age > keep)
        };
        while self.entries.len() > most || self.entries.front().is_some_and(is_old) {
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    /// Writes all of it down, oldest first.
    #[must_use]
    pub fn keep(&self) -> Vec<Past> {
        let past = |entry: &Entry| Past {
            source: entry.source,
            client: entry.client,
            server: entry.server.to_string(),
            id: entry.id,
            from: entry.from,
            until: entry.until,
        };
        self.entries.iter().map(past).collect()
    }

    /// The inverse of [`Trail::keep`].
    #[must_use]
    pub fn of(past: Vec<Past>) -> Self {
        let entry = |past: Past| Entry {
            source: past.source,
            client: past.client,
            server: past.server.into(),
            id: past.id,
            from: past.from,
            until: past.until,
        };
        Self {
            entries: past.into_iter().map(entry).collect(),
        }
    }

    /// Who stood behind this address, latest first.
    pub fn behind(&self, source: SocketAddr) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter().rev();
        entries.filter(move |entry| entry.source == source)
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::{End, Stood};

    const MEMORY: Memory = Memory {
        keep: Some(Duration::from_secs(60)),
        entries: 3,
    };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn record(client: u16, source: Option<u16>, ended: u64) -> Record {
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        Record {
            id: ConnectionId(u64::from(client)),
            accepted: at(ended - 1),
            client: address(client),
            bind: address(6443),
            frontend: "f".into(),
            backend: "b".into(),
            server: Some("s".into()),
            source: source.map(address),
            attempts: 1,
            connected_after: None,
            first_byte_after: None,
            lasted: Duration::from_secs(1),
            sent: 0,
            received: 0,
            end: End::ClientClosed,
            stood: Stood::Data,
        }
    }

    fn clients(trail: &Trail, source: u16) -> Vec<u16> {
        let source = SocketAddr::from(([10, 0, 0, 1], source));
        trail
            .behind(source)
            .map(|entry| entry.client.port())
            .collect()
    }

    #[test]
    fn the_latest_of_a_port_comes_first() {
        let mut trail = Trail::default();
        trail.note(&record(1, Some(7), 10), &MEMORY);
        trail.note(&record(2, Some(8), 11), &MEMORY);
        trail.note(&record(3, Some(7), 12), &MEMORY);
        trail.note(&record(4, None, 12), &MEMORY);
        assert_eq!(clients(&trail, 7), [3, 1]);
        assert!(clients(&trail, 9).is_empty());
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut trail = Trail::default();
        trail.note(&record(1, Some(7), 10), &MEMORY);
        trail.note(&record(2, Some(8), 11), &MEMORY);
        let text = serde_json::to_string(&trail.keep()).unwrap();
        let read = Trail::of(serde_json::from_str(&text).unwrap());
        assert_eq!(read.entries, trail.entries);
    }

    #[test]
    fn it_is_bounded_in_length_and_age() {
        let mut trail = Trail::default();
        for client in 1..=5 {
            trail.note(&record(client, Some(7), 10 + u64::from(client)), &MEMORY);
        }
        assert_eq!(clients(&trail, 7), [5, 4, 3]);
        trail.forget(&MEMORY, at(74));
        assert_eq!(clients(&trail, 7), [5, 4]);
        trail.note(&record(6, Some(7), 80), &MEMORY);
        assert_eq!(clients(&trail, 7), [6]);
        let off = Memory {
            keep: None,
            ..MEMORY
        };
        trail.forget(&off, at(80));
        assert!(trail.is_empty());
        trail.note(&record(7, Some(7), 81), &off);
        assert!(trail.is_empty());
    }

    /// The manual promises it.
    #[test]
    fn an_entry_costs_what_the_manual_says() {
        assert!(size_of::<Entry>() <= 128, "{}", size_of::<Entry>());
    }
}
