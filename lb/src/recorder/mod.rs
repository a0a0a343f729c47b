//! The flight recorder: what has happened lately, in memory of a fixed size.
//!
//! ```text
//!  report ─ends, dials─┐
//!  control ─checks, ───┼─▶ Recorder ──▶ a file (keeper) ──▶ `api-lb explain --file`
//!           changes    │      └──────▶ POST /recorder  ──▶ `api-lb explain`
//! ```
//!
//! Each kind of entry has a ring of its own, so that a flood of one does not wash away the
//! others: with 20,000 connections a second the changes of the last days are still there.

mod explain;
mod keeper;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use daemon::rfc3339;
use serde_json::{Value, json};
use tokio::sync::Notify;

pub use explain::explain;
pub use keeper::{Keeper, keep};

use crate::check::Checked;
use crate::pool::ServerId;
use crate::roster::{Cause, Change, View};
use crate::worker::Record;

/// Changes that are kept. A server that flaps each second fills them in a quarter of an
/// hour.
const CHANGES: usize = 1024;
/// Checks: 45 minutes of three servers checked each second. 64 bytes each.
const CHECKS: usize = 8192;
/// Dials that failed.
const DIALS: usize = 4096;
/// Connections that ended in order; some 250 bytes each, 2 MiB in all.
const SERVED: usize = 8192;
/// Connections that ended in another way.
const BROKEN: usize = 8192;

/// What has happened lately. Any thread adds, any reads.
#[derive(Debug, Default)]
pub struct Recorder {
    rings: Mutex<Rings>,
    /// Somebody wants it on disk.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Rings {
    changes: VecDeque<(SystemTime, Change)>,
    checks: VecDeque<Check>,
    dials: VecDeque<Dial>,
    served: VecDeque<Record>,
    broken: VecDeque<Record>,
}

#[derive(Clone, Copy, Debug)]
struct Check {
    at: SystemTime,
    server: ServerId,
    report: probe::Report,
}

#[derive(Clone, Copy, Debug)]
struct Dial {
    at: SystemTime,
    server: ServerId,
    kind: ErrorKind,
}

impl Recorder {
    /// Notes the result of a check.
    pub fn check(&self, checked: &Checked, at: SystemTime) {
        let check = Check {
            at,
            server: checked.server,
            report: checked.report,
        };
        self.with(|rings| push(&mut rings.checks, check, CHECKS));
    }

    /// Notes a change, and wants all to be kept.
    pub fn change(&self, change: &Change, at: SystemTime) {
        self.with(|rings| push(&mut rings.changes, (at, change.clone()), CHANGES));
        self.wanted.notify_one();
    }

    /// Notes a dial that failed.
    pub fn dial(&self, server: ServerId, kind: ErrorKind, at: SystemTime) {
        let dial = Dial { at, server, kind };
        self.with(|rings| push(&mut rings.dials, dial, DIALS));
    }

    /// Notes connections that have ended.
    pub fn ended(&self, records: Vec<Record>) {
        self.with(|rings| {
            for record in records {
                if record.end.is_orderly() {
                    push(&mut rings.served, record, SERVED);
                } else {
                    push(&mut rings.broken, record, BROKEN);
                }
            }
        });
    }

    /// What has happened from a time on, oldest first; each entry says its `kind`.
    #[must_use]
    pub fn entries(&self, from: SystemTime, view: &View) -> Vec<Value> {
        let mut all = self.with(|rings| rings.since(from, view));
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Returns when somebody wants it on disk.
    async fn wanted(&self) {
        self.wanted.notified().await;
    }

    fn with<R>(&self, act: impl FnOnce(&mut Rings) -> R) -> R {
        // Poisoned only by a panic within; every entry is whole.
        act(&mut self.rings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn push<T>(ring: &mut VecDeque<T>, entry: T, most: usize) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(entry);
}

impl Rings {
    fn since(&self, from: SystemTime, view: &View) -> Vec<(SystemTime, Value)> {
        let changes = self.changes.iter().map(|(at, c)| (*at, changed(*at, c)));
        let checks = self.checks.iter().map(|check| {
            let (backend, server) = name(view, check.server);
            let report = check.report;
            let entry = json!({
                "kind": "check", "at": rfc3339(check.at), "backend": backend,
                "server": server, "passed": report.outcome.passed(),
                "outcome": report.outcome.to_string(), "seconds": report.took.as_secs_f64(),
            });
            (check.at, entry)
        });
        let dials = self.dials.iter().map(|dial| {
            let (backend, server) = name(view, dial.server);
            let entry = json!({
                "kind": "dialFailed", "at": rfc3339(dial.at), "backend": backend,
                "server": server, "error": dial.kind.to_string(),
            });
            (dial.at, entry)
        });
        let records = self.served.iter().chain(&self.broken);
        let ends = records.map(|record| (record.accepted + record.lasted, ended(record)));
        let all = changes.chain(checks).chain(dials).chain(ends);
        all.filter(|(at, _)| *at >= from).collect()
    }
}

/// The names of a server's backend and of itself.
fn name(view: &View, server: ServerId) -> (String, String) {
    match view.server(server) {
        Some((backend, server)) => (backend.to_owned(), server.to_owned()),
        None => (String::new(), format!("removed-{}", server.0)),
    }
}

fn changed(at: SystemTime, change: &Change) -> Value {
    let why = match change.cause {
        Cause::Check(outcome) => format!("check: {outcome}"),
        Cause::Traffic => "clients were let down".to_owned(),
        Cause::Order => "by order".to_owned(),
        Cause::File => "by the file".to_owned(),
        Cause::Found => "by discovery".to_owned(),
    };
    json!({
        "kind": "change", "at": rfc3339(at), "backend": &*change.backend,
        "server": &*change.server, "from": change.from.name(), "to": change.to.name(),
        "why": why,
    })
}

fn ended(record: &Record) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "kind": "end", "at": rfc3339(record.accepted + record.lasted), "id": record.id.0,
        "accepted": rfc3339(record.accepted), "client": record.client,
        "bind": record.bind, "frontend": &*record.frontend, "backend": &*record.backend,
        "server": record.server.as_deref(), "source": record.source,
        "dials": record.attempts, "connected": seconds(record.connected_after),
        "firstByte": seconds(record.first_byte_after),
        "lasted": record.lasted.as_secs_f64(), "sent": record.sent,
        "received": record.received, "end": record.end.name(),
    })
}

/// A recorder as all share it.
pub type Shared = Arc<Recorder>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::State;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_flood_of_one_kind_leaves_the_others_and_memory_is_bounded() {
        let recorder = Recorder::default();
        let change = Change {
            backend: "b".into(),
            server: "m1".into(),
            from: State::Up,
            to: State::Hung,
            cause: Cause::Traffic,
        };
        recorder.change(&change, at(1));
        for n in 0..3 * DIALS as u64 {
            recorder.dial(ServerId(7), ErrorKind::ConnectionRefused, at(2 + n));
        }
        let entries = recorder.entries(at(0), &View::default());
        assert_eq!(entries.len(), 1 + DIALS);
        assert_eq!(entries[0]["kind"], "change");
        assert_eq!(entries[0]["why"], "clients were let down");
        assert_eq!(entries[1]["server"], "removed-7");
        // The newest dials are there, and only those are given that were asked for.
        let last = 3 * DIALS as u64;
        assert_eq!(recorder.entries(at(last), &View::default()).len(), 2);
    }
}
