//! The API, asked again and again: how long it says nothing while something happens.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::ask::kubectl;
use super::files::below;
use crate::layout;
use crate::verify::Watched;

/// What one look may take.
const PATIENCE: &str = "--request-timeout=1s";

/// Asks by each of `servers` for so long, what came of it in their order.
pub(super) fn watch(root: &Path, servers: &[String], long: Duration) -> Vec<Watched> {
    thread::scope(|scope| {
        let all = servers.iter();
        let all = all.map(|server| scope.spawn(move || one(root, server, long)));
        let all: Vec<_> = all.collect();
        // Of one whose thread dies nothing was seen.
        let ended = all.into_iter().map(|one| one.join().unwrap_or_default());
        ended.collect()
    })
}

fn one(root: &Path, server: &str, long: Duration) -> Watched {
    let begun = Instant::now();
    let mut last = begun;
    let mut watched = Watched::default();
    let mut silent = Duration::ZERO;
    while begun.elapsed() < long {
        let answered = Command::new(below(root, &layout::program("kubectl")))
            .args(kubectl(Some(server)))
            .args([PATIENCE, "get", "--raw=/readyz"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        watched.asked += 1;
        if answered {
            watched.answered += 1;
            silent = silent.max(last.elapsed());
            last = Instant::now();
        }
    }
    let silent = silent.max(last.elapsed());
    watched.silent = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
    watched
}
