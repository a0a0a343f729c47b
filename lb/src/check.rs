//! Watches the servers: one task each, the first check at once, so that a slow server holds
//! up no other. The tasks know nothing of states; [`crate::pool::Judge`] does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

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
    /// By how much an interval may be longer, in percent of it.
    pub jitter: u8,
    /// The longest a check may take as a whole.
    pub timeout: Duration,
}

/// A task that checks one server until this is dropped.
#[derive(Debug)]
pub struct Watch {
    plan: watch::Sender<Plan>,
    hurry: Arc<Notify>,
    task: AbortHandle,
}

impl Watch {
    /// Begins to check, within a runtime. It also ends when nobody takes the results.
    #[must_use]
    pub fn begin(plan: Plan, results: mpsc::Sender<Checked>) -> Self {
        let (plan, plans) = watch::channel(plan);
        let hurry = Arc::new(Notify::new());
        let task = check_on(plans, Arc::clone(&hurry), results);
        let task = tokio::spawn(task).abort_handle();
        Self { plan, hurry, task }
    }

    /// Checks so often from here on.
    pub fn pace(&self, interval: Duration) {
        self.plan.send_if_modified(|plan| {
            std::mem::replace(&mut plan.interval, interval) != interval
        });
    }

    /// Makes the next check at once.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Checks by this plan from the next check on. One under way is not broken off: with
    /// reloads that follow each other faster than a hung server runs into the timeout,
    /// nobody would learn that it hangs.
    pub fn follow(&self, plan: Plan) {
        self.plan.send_replace(plan);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn check_on(
    mut plans: watch::Receiver<Plan>,
    hurry: Arc<Notify>,
    results: mpsc::Sender<Checked>,
) {
    let mut skipped = {
        let plan = plans.borrow();
        head_start(plan.server, plan.interval)
    };
    for count in 0_u32.. {
        let started = Instant::now();
        let plan = plans.borrow_and_update().clone();
        let report = probe::run(&plan.probe, plan.address, plan.timeout).await;
        let server = plan.server;
        if results.send(Checked { server, report }).await.is_err() {
            return;
        }
        rest(started, skipped, count, &mut plans, &hurry).await;
        skipped = Duration::ZERO;
    }
}

impl Plan {
    /// From the start of check `count` to the start of the next: another part of the jitter
    /// each time.
    #[must_use]
    pub fn pause(&self, count: u32) -> Duration {
        let part = (self.server.0 ^ count.rotate_left(16)).wrapping_mul(0x9e37_79b1);
        let most = self.interval * u32::from(self.jitter) / 100;
        let nanos = (most.as_nanos() * u128::from(part)) >> 32;
        self.interval + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What the first rest of this server's checks is shorter by: up to half of the interval. All
/// servers are checked at once when the program starts; from the second check on they would
/// otherwise keep coming together, and hold up whatever shares the core.
pub(crate) fn head_start(server: ServerId, interval: Duration) -> Duration {
    // Multiples of the golden ratio lie far apart, however many there are (Knuth, TAOCP 6.4).
    let part = u128::from(server.0.wrapping_mul(0x9e37_79b1));
    let nanos = (interval.as_nanos() * part) >> 33;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Waits until the next check is due, by the plan of that moment. A reload does not hurry
/// it: `fall` failures should be as far apart as the file says.
async fn rest(
    started: Instant,
    skipped: Duration,
    count: u32,
    plans: &mut watch::Receiver<Plan>,
    hurry: &Notify,
) {
    loop {
        let interval = {
            let plan = plans.borrow_and_update();
            plan.pause(count).saturating_sub(skipped)
        };
        tokio::select! {
            () = tokio::time::sleep_until(started + interval) => return,
            () = hurry.notified() => return,
            // Fails when the watch is dropped, which ends this task.
            Ok(()) = plans.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_longer_by_at_most_the_jitter() {
        let interval = Duration::from_secs(1);
        let plan = |jitter| Plan {
            server: ServerId(3),
            address: ([127, 0, 0, 1], 1).into(),
            probe: probe::Check::Tcp,
            interval,
            jitter,
            timeout: interval,
        };
        let all = |percent| -> Vec<Duration> {
            (0..200)
                .map(|n| plan(percent).pause(n) - interval)
                .collect()
        };
        assert!(all(0).iter().all(Duration::is_zero));
        let tenths = all(10);
        assert!(tenths.iter().all(|more| *more < interval / 10));
        assert!(tenths.iter().max() > Some(&(interval * 9 / 100)));
        assert!(tenths.iter().min() < Some(&(interval / 100)));
    }

    #[test]
    fn checks_that_began_together_spread() {
        let interval = Duration::from_secs(2);
        let mut starts: Vec<Duration> = (0..12)
            .map(|server| head_start(ServerId(server), interval))
            .collect();
        starts.sort_unstable();
        assert!(starts.iter().all(|start| *start < interval / 2));
        for pair in starts.windows(2) {
            assert!(pair[1] - pair[0] >= interval / 2 / 32, "{starts:?}");
        }
    }
}
