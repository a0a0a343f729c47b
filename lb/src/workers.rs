//! The workers as control has them: told what to do, asked whether they still work, ended.
//!
//! Every [`LOOK`] each worker is given an order to do nothing. One that has not obeyed it at
//! six looks in a row is stuck: `/livez` says so, systemd is no longer told that all
//! is well, and control waits for it no more. Looks are counted, not time: in a process
//! that was stopped for a while nobody is stuck.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::worker::{Command, Frozen, Gauges, Handle, Order};

/// How often control looks. It costs each worker one wake-up of some microseconds.
pub const LOOK: Duration = Duration::from_millis(500);

/// A turn of a worker takes milliseconds; a busy host may keep it from its CPU for a second.
const MISSES: u32 = 6;

/// How long control waits for all workers to obey. They do so within microseconds; one that
/// is stuck must not take the checks and the signals with it.
const OBEYED_WITHIN: Duration = Duration::from_secs(1);

/// How long control waits for the connections of the last worker, without which it must not go
/// on: all have just obeyed. With what comes before and after, it is less than `WatchdogSec`.
const GIVEN_WITHIN: Duration = Duration::from_secs(5);

/// How long the workers have to end all connections and their threads.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// How often control looks whether they have.
const END_LOOK: Duration = Duration::from_millis(5);

/// All workers of the process.
#[derive(Debug)]
pub struct Workers {
    all: Vec<Tended>,
    /// Some worker may not have been told the last snapshot.
    is_one_behind: bool,
}

#[derive(Debug)]
struct Tended {
    handle: Handle,
    /// Ends when the last pulse was obeyed.
    asked: Option<oneshot::Receiver<()>>,
    pulse: Pulse,
}

/// What a look at a worker finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It has obeyed.
    Obeyed,
    /// Not yet.
    Waits,
    /// Its thread has ended.
    Gone,
}

/// Counts looks at which a worker had not obeyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pulse {
    missed: u32,
}

impl Workers {
    /// Takes over workers that have just begun.
    #[must_use]
    pub fn new(handles: Vec<Handle>) -> Self {
        let tend = |handle| Tended {
            handle,
            asked: None,
            pulse: Pulse::default(),
        };
        Self {
            all: handles.into_iter().map(tend).collect(),
            is_one_behind: false,
        }
    }

    /// What they count, in their order.
    #[must_use]
    pub fn gauges(&self) -> Vec<Arc<Gauges>> {
        let gauges = |worker: &Tended| Arc::clone(&worker.handle.gauges);
        self.all.iter().map(gauges).collect()
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        let open = |worker: &Tended| worker.handle.gauges.open.load(Ordering::Relaxed);
        self.all.iter().map(open).sum()
    }

    /// Clients that have come so far.
    #[must_use]
    pub fn came(&self) -> u64 {
        let came = |worker: &Tended| worker.handle.gauges.came.load(Ordering::Relaxed);
        self.all.iter().map(came).sum()
    }

    /// Whether none is stuck.
    #[must_use]
    pub fn all_work(&self) -> bool {
        !self.all.iter().any(|worker| worker.pulse.is_stuck())
    }

    /// Returns when all workers have obeyed, so that what is logged next is so. A stuck one
    /// is told as far as its queue has room, and not waited for.
    pub async fn command(&mut self, command: &Command) {
        // Which of them have not is found at the next looks.
        let _ = self.tell(command).await;
    }

    /// Has all of them accept nobody. Whether they do: while one is not known to, it may still
    /// hand a client to another.
    pub async fn hold(&mut self) -> bool {
        self.all_work() && self.tell(&Command::Hold).await
    }

    /// Takes the connections of all. Fewer are given than there are workers when one has ended,
    /// or gives nothing in time.
    pub async fn freeze(&mut self) -> Vec<Frozen> {
        let count = self.count();
        let (out, mut given) = mpsc::channel(count.max(1));
        let until = Instant::now() + GIVEN_WITHIN;
        self.command(&Command::Freeze(out)).await;
        let mut frozen = Vec::new();
        while frozen.len() < count {
            match tokio::time::timeout_at(until, given.recv()).await {
                Ok(Some(one)) => frozen.push(one),
                Ok(None) | Err(_) => break,
            }
        }
        if frozen.len() < count {
            tracing::error!(
                workers = count,
                given = frozen.len(),
                "a worker has given nothing"
            );
        }
        frozen
    }

    /// Whether all have obeyed in time.
    async fn tell(&mut self, command: &Command) -> bool {
        let (stuck, sound): (Vec<&Tended>, Vec<&Tended>) =
            self.all.iter().partition(|worker| worker.pulse.is_stuck());
        for worker in stuck {
            let order = Order::new(command.clone()).0;
            self.is_one_behind |= worker.handle.commands.try_send(order).is_err();
        }
        let all = sound.into_iter().map(|worker| worker.tell(command));
        let all = futures_util::future::join_all(all);
        let in_time = tokio::time::timeout(OBEYED_WITHIN, all).await.is_ok();
        if !in_time {
            self.is_one_behind = true;
            tracing::warn!(within = ?OBEYED_WITHIN, "a worker has not obeyed in time");
        }
        in_time
    }

    /// Looks once. Whether the workers should be told the snapshot again: one that missed
    /// it may have, and all obey.
    pub fn look(&mut self) -> bool {
        for (number, worker) in self.all.iter_mut().enumerate() {
            worker.look(number);
        }
        let obey = |worker: &Tended| worker.pulse.missed == 0;
        self.all.iter().all(obey) && std::mem::take(&mut self.is_one_behind)
    }

    /// Ends the workers. Whether they have; a stuck one does not.
    pub async fn end(self) -> bool {
        let tell = |worker: Tended| {
            // A full queue or a closed one: the sender's end ends the worker as well.
            let shutdown = Order::new(Command::Shutdown).0;
            let _ = worker.handle.commands.try_send(shutdown);
            worker.handle.thread
        };
        let mut threads: Vec<_> = self.all.into_iter().map(tell).collect();
        let until = Instant::now() + ENDED_WITHIN;
        while !threads.iter().all(std::thread::JoinHandle::is_finished) {
            if Instant::now() >= until {
                tracing::error!(within = ?ENDED_WITHIN, "a worker has not ended in time");
                return false;
            }
            tokio::time::sleep(END_LOOK).await;
        }
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        true
    }
}

impl Tended {
    async fn tell(&self, command: &Command) {
        let (order, receipt) = Order::new(command.clone());
        // Either fails only when the worker has left, which the next look finds.
        let _ = self.handle.commands.send(order).await;
        let _ = receipt.await;
    }

    fn look(&mut self, number: usize) {
        let was_stuck = self.pulse.is_stuck();
        self.pulse = self.pulse.after(self.see());
        let is_stuck = self.pulse.is_stuck();
        let gauge = &self.handle.gauges.is_stuck;
        gauge.store(is_stuck, Ordering::Relaxed);
        match (was_stuck, is_stuck) {
            (false, true) => {
                tracing::error!(
                    worker = number,
                    "a worker does not work; /livez says so"
                );
            }
            (true, false) => tracing::warn!(worker = number, "the worker works again"),
            (true, true) | (false, false) => {}
        }
    }

    /// Whether the last pulse was obeyed; then the next is given.
    fn see(&mut self) -> Seen {
        use oneshot::error::TryRecvError;
        let waits = |asked: &mut oneshot::Receiver<()>| {
            asked.try_recv() == Err(TryRecvError::Empty)
        };
        if self.asked.as_mut().is_some_and(waits) {
            return Seen::Waits;
        }
        let (order, receipt) = Order::new(Command::Pulse);
        let sent = self.handle.commands.try_send(order);
        self.asked = sent.is_ok().then_some(receipt);
        match sent {
            Ok(()) => Seen::Obeyed,
            Err(TrySendError::Full(_)) => Seen::Waits,
            Err(TrySendError::Closed(_)) => Seen::Gone,
        }
    }
}

impl Pulse {
    const fn after(self, seen: Seen) -> Self {
        let missed = match seen {
            Seen::Obeyed => 0,
            Seen::Waits => self.missed.saturating_add(1),
            Seen::Gone => MISSES,
        };
        Self { missed }
    }

    const fn is_stuck(self) -> bool {
        self.missed >= MISSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::{COMMANDS, Setup, spawn};
    use Seen::{Gone, Obeyed, Waits};
    use std::sync::mpsc::sync_channel;

    #[test]
    fn stuck_after_six_misses_in_a_row_or_the_end_of_the_thread() {
        for (seen, expected) in [
            (&[Waits; 5][..], false),
            (&[Waits; 6], true),
            (&[Waits, Waits, Waits, Waits, Waits, Obeyed, Waits], false),
            (&[Waits, Waits, Waits, Waits, Waits, Waits, Obeyed], false),
            (&[Gone], true),
        ] {
            let pulse = seen
                .iter()
                .fold(Pulse::default(), |pulse, s| pulse.after(*s));
            assert_eq!(pulse.is_stuck(), expected, "{seen:?}");
        }
    }

    /// Workers with this data path.
    fn workers(run: impl FnOnce(Setup) + Send + 'static) -> Workers {
        let (events, _) = tokio::sync::mpsc::channel(1);
        let (observed, _) = tokio::sync::mpsc::channel(1);
        Workers::new(vec![spawn(0, events, observed, run).unwrap()])
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_worker_costs_control_a_second_and_then_nothing() {
        let (release, held) = sync_channel::<()>(0);
        let mut workers = workers(move |mut setup| {
            // Ends when the test lets go.
            let _ = held.recv();
            while setup.commands.blocking_recv().is_some() {}
        });
        let started = Instant::now();
        workers.command(&Command::StopAccepting).await;
        assert_eq!(started.elapsed(), OBEYED_WITHIN);
        // The first look gives the first pulse.
        assert!(workers.look());
        for _ in 0..MISSES {
            assert!(workers.all_work());
            assert!(!workers.look());
        }
        assert!(!workers.all_work());
        for _ in 0..2 * COMMANDS {
            workers.command(&Command::StopAccepting).await;
        }
        assert_eq!(started.elapsed(), OBEYED_WITHIN);
        tokio::time::resume();
        drop(release);
        while !workers.look() {
            tokio::task::yield_now().await;
        }
        assert!(workers.end().await);
    }

    /// A worker without connections that begins to obey when the test lets go.
    fn late(held: std::sync::mpsc::Receiver<()>) -> Workers {
        workers(move |mut setup| {
            // Ends when the test lets go.
            let _ = held.recv();
            while let Some(order) = setup.commands.blocking_recv() {
                if let Command::Freeze(out) = &order.command {
                    let (worker, count) = (setup.number, 7);
                    let sessions = Vec::new();
                    let frozen = Frozen {
                        worker,
                        count,
                        sessions,
                    };
                    return out.try_send(frozen).unwrap();
                }
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_late_worker_has_is_waited_for() {
        let (release, held) = sync_channel::<()>(0);
        let mut workers = late(held);
        tokio::spawn(async move {
            tokio::time::sleep(2 * OBEYED_WITHIN).await;
            tokio::time::resume();
            drop(release);
        });
        let frozen = workers.freeze().await;
        let counts: Vec<u64> = frozen.iter().map(|one| one.count).collect();
        assert_eq!(counts, [7]);
        assert!(workers.end().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_may_still_accept_is_not_held() {
        let (release, held) = sync_channel::<()>(0);
        let mut workers = late(held);
        assert!(!workers.hold().await);
        tokio::time::resume();
        drop(release);
        assert!(workers.hold().await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_end_is_not_waited_for() {
        let (release, held) = sync_channel::<()>(0);
        let workers = workers(move |_| {
            // Ends when the test lets go.
            let _ = held.recv();
        });
        assert!(!workers.end().await);
        drop(release);
    }

    #[tokio::test]
    async fn one_that_has_left_is_seen_at_once() {
        let mut workers = workers(drop);
        while workers.all_work() {
            workers.look();
            tokio::task::yield_now().await;
        }
    }
}
