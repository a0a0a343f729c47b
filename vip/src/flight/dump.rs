//! Dumps of the flight recorder: a file per transition, beside the daemon's socket.
//!
//! One task per router on the control runtime; fed by the router's record; ends with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use vrrp::State;

use super::Flight;
use crate::driver::Record;

/// What follows a transition belongs to it: the answers of others, a second burst.
const AFTER: Duration = Duration::from_millis(500);

/// Dumps that are kept of each router.
pub const KEPT: usize = 20;

/// Where the dumps of the daemon behind `socket` lie.
#[must_use]
pub fn folder(socket: &Path) -> PathBuf {
    socket.with_extension("flight")
}

/// Every entry as a value.
#[must_use]
pub fn lines(flight: &Flight) -> Vec<Value> {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let entries = flight.entries();
    entries.iter().map(|entry| entry.json(now, wall)).collect()
}

/// Dumps after every transition of `router`, until its record ends.
pub async fn follow(
    router: String,
    folder: PathBuf,
    flight: Arc<Flight>,
    mut record: watch::Receiver<Record>,
) {
    let mut known = seen(&record);
    let mut told = false;
    while record.changed().await.is_ok() {
        if seen(&record) == known {
            continue;
        }
        sleep(AFTER).await;
        let (from, to) = (known.0, seen(&record).0);
        known = seen(&record);
        let dumped = write(&folder, &router, (from, to), &flight, SystemTime::now());
        if let Err(error) = dumped
            && !std::mem::replace(&mut told, true)
        {
            let folder = folder.display();
            tracing::warn!(router, %folder, "the flight recorder is not dumped: {error}");
        }
    }
}

fn seen(record: &watch::Receiver<Record>) -> (State, Instant) {
    let record = record.borrow();
    (record.state, record.since)
}

fn write(
    folder: &Path,
    router: &str,
    (from, to): (State, State),
    flight: &Flight,
    now: SystemTime,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (millis, from, to) = (since.as_millis(), from.name(), to.name());
    let name = format!("{router}@{millis:013}-{from}-{to}.jsonl");
    let lines = lines(flight).into_iter().map(|line| format!("{line}\n"));
    fs::write(folder.join(name), lines.collect::<String>())?;
    prune(folder, router)
}

/// Removes the oldest beyond [`KEPT`]; the names sort by time.
fn prune(folder: &Path, router: &str) -> io::Result<()> {
    let prefix = format!("{router}@");
    let mut dumps = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(&prefix)) {
            dumps.push(name);
        }
    }
    dumps.sort();
    let old = dumps.len().saturating_sub(KEPT);
    dumps
        .iter()
        .take(old)
        .try_for_each(|name| fs::remove_file(folder.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flight::What;

    #[test]
    fn the_latest_dumps_of_each_router_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let flight = Flight::default();
        flight.record(What::Failed { deed: "renew" }, Instant::now());
        for second in 0..KEPT as u64 + 3 {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            for router in ["api", "api-2"] {
                let moved = (State::Backup, State::Active);
                write(folder.path(), router, moved, &flight, now).unwrap();
            }
        }
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names.len(), 2 * KEPT);
        let newest = "api@0000000022000-backup-active.jsonl";
        assert!(names.iter().any(|name| name == newest), "{names:?}");
        let text = fs::read_to_string(folder.path().join(newest)).unwrap();
        let line: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["deed"], "renew");
    }
}
