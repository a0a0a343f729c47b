//! Watches the servers: one task each, the first check at once, so that a slow server holds
//! up no other. The tasks know nothing of states; [`crate::pool::Judge`] does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::pool::ServerId;

/// Results that wait for control: a few for each of some hundred servers. A check waits
/// when control does not keep up, which delays the next and nothing else.
pub const RESULTS: usize = 256;

/// One check's result.
#[derive(Debug)]
pub struct Checked {
    /// Whom it was made of.
    pub server: ServerId,
    /// How it ended.
    pub report: probe::Report,
}

/// What a server is asked, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names the server in the results.
    pub server: ServerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// What is asked.
    pub probe: probe::Check,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// The longest a check may take as a whole.
    pub timeout: Duration,
}

/// A task that checks one server until this is dropped.
#[derive(Debug)]
pub struct Watch(AbortHandle);

impl Watch {
    /// Begins to check, within a runtime. It also ends when nobody takes the results.
    #[must_use]
    pub fn begin(plan: Plan, results: mpsc::Sender<Checked>) -> Self {
        Self(tokio::spawn(watch(plan, results)).abort_handle())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(plan: Plan, results: mpsc::Sender<Checked>) {
    let mut turns = tokio::time::interval_at(Instant::now(), plan.interval);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let report = probe::run(&plan.probe, plan.address, plan.timeout).await;
        if results
            .send(Checked {
                server: plan.server,
                report,
            })
            .await
            .is_err()
        {
            return;
        }
    }
}
