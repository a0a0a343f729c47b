//! The programs of one router or group: run one after the other, in the order of its
//! transitions, by the scripts' unit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use vrrp::State;

use super::moved::{Move, arguments};
use crate::config::Notify;
use crate::scripts;

/// Transitions of one router that may wait for its scripts.
pub(super) const QUEUE: usize = 64;

/// How long a script may run.
const SCRIPT: Duration = Duration::from_secs(60);

/// Runs the scripts of one router, one after the other: that of the state before the one
/// of every state, as keepalived does.
pub(super) async fn run(mut queue: mpsc::Receiver<(Move, Notify)>, lost: Arc<AtomicU64>) {
    while let Some((moved, notify)) = queue.recv().await {
        let own = match moved.to {
            State::Active => &notify.master,
            State::Backup => &notify.backup,
            State::Fault => &notify.fault,
            State::Initialize => &notify.stop,
        };
        let every = notify
            .any
            .as_ref()
            .map(|script| (script, arguments(&moved).to_vec()));
        let own = own.as_ref().map(|script| (script, Vec::new()));
        for (script, more) in own.into_iter().chain(every) {
            let ended = scripts::ask_with(script, more, SCRIPT).await;
            let ((_, router), command) =
                (moved.subject.named(), script.command.join(" "));
            if ended == scripts::Ended::Passed {
                tracing::debug!(router, command, "notified");
            } else {
                lost.fetch_add(1, Ordering::Relaxed);
                let outcome = ended.name();
                tracing::warn!(router, command, outcome, "a notify script failed");
            }
        }
    }
}
