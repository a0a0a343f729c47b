//! When a core of this machine stood still: a thread on each of them, before all others, looks
//! at the clock every other millisecond. What the host takes of a core, or the kernel keeps,
//! is no program's wait for a core ([`starved`](crate::starved)): whoever runs there seems to
//! run on, and whoever sleeps there seems to sleep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::error::{Doing, LabError};
use crate::schedule;
use crate::wait;

/// Between two looks: what a core stood still is seen but for this much, and looking takes less
/// than a hundredth of it.
const LOOK: Duration = Duration::from_millis(2);
/// What a thread that goes before all others may wake late where nothing is wrong.
const LATE: Duration = Duration::from_millis(1);
/// Until a core that stands still says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at every core until it is dropped.
#[derive(Debug)]
pub struct Stalls {
    cores: Vec<Arc<Mutex<Core>>>,
    ending: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What was seen of a core.
#[derive(Debug, Default)]
struct Core {
    /// When it stood still, from and to.
    stood: Vec<(Instant, Instant)>,
    looked: Option<Instant>,
}

impl Stalls {
    /// Begins to look at every core that this process may run on.
    ///
    /// # Errors
    /// When a thread cannot be started or kept on its core.
    pub fn begin() -> Result<Self, LabError> {
        let own = sched_getaffinity(Pid::from_raw(0)).doing("read the own cores")?;
        let mut stalls = Self {
            cores: Vec::new(),
            ending: Arc::default(),
            threads: Vec::new(),
        };
        for number in (0..CpuSet::count()).filter(|it| own.is_set(*it) == Ok(true)) {
            let mut only = CpuSet::new();
            only.set(number).doing("name a core")?;
            let core = Arc::<Mutex<Core>>::default();
            stalls.cores.push(Arc::clone(&core));
            let ending = Arc::clone(&stalls.ending);
            let thread = thread::Builder::new()
                .name("stalls".to_owned())
                .spawn(move || look(&only, &core, &ending))
                .doing("start a thread")?;
            stalls.threads.push(thread);
        }
        let looked = |core: &Arc<Mutex<Core>>| lock(core).looked.is_some();
        wait::until("a look at every core", PATIENCE, || {
            stalls.cores.iter().all(looked).then_some(())
        })?;
        Ok(stalls)
    }

    /// For how long cores stood still between these, added up: one program acts after the
    /// other, each on a core of its own.
    #[must_use]
    pub fn total(&self, from: Instant, to: Instant) -> Duration {
        let stood = self.cores.iter().map(|core| lock(core).stood(from, to));
        stood.sum()
    }

    /// The same, until now.
    #[must_use]
    pub fn since(&self, from: Instant) -> Duration {
        self.total(from, Instant::now())
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Core {
    fn look(&mut self, at: Instant) {
        let still = self.looked.and_then(|last| still(last, at));
        self.stood.extend(still);
        self.looked = Some(at);
    }

    /// Between these, and whatever it has not told yet.
    fn stood(&self, from: Instant, to: Instant) -> Duration {
        let untold = self.looked.and_then(|last| still(last, to));
        let all = self.stood.iter().copied().chain(untold);
        let clipped = all.map(|(began, ended)| {
            ended.min(to).saturating_duration_since(began.max(from))
        });
        clipped.sum()
    }
}

/// From and to when a core stood still that was looked at last at these two.
fn still(last: Instant, at: Instant) -> Option<(Instant, Instant)> {
    let due = last + LOOK;
    (at.saturating_duration_since(due) > LATE).then_some((due, at))
}

fn look(only: &CpuSet, core: &Mutex<Core>, ending: &AtomicBool) {
    schedule::precede();
    if sched_setaffinity(Pid::from_raw(0), only).is_err() {
        // Never looked at, which whoever began it is told.
        return;
    }
    while !ending.load(Ordering::Relaxed) {
        lock(core).look(Instant::now());
        thread::park_timeout(LOOK);
    }
}

fn lock(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_late_stood_still_and_only_between_the_two_it_counts() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let mut core = Core::default();
        for ms in [0, 2, 5, 27, 29] {
            core.look(at(ms));
        }
        for (from, to, stood) in [
            (0, 29, 20),
            (0, 7, 0),
            (0, 10, 3),
            (10, 12, 2),
            (26, 29, 1),
            (27, 29, 0),
            // It has not looked since, nor had it to; and it should have.
            (28, 32, 0),
            (28, 40, 9),
            (35, 40, 5),
        ] {
            let stood = Duration::from_millis(stood);
            assert_eq!(core.stood(at(from), at(to)), stood, "{from}..{to}");
        }
    }
}
