//! Waiting for one's turn: a thread a host, and who may begin is decided in `apply/turn.rs`.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::apply::{self, End, Says};

/// The turns of a run.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<apply::Turns>,
    changed: Condvar,
}

impl Turns {
    /// Those that were decided.
    pub(super) fn new(turns: apply::Turns) -> Self {
        Self {
            state: Mutex::new(turns),
            changed: Condvar::new(),
        }
    }

    /// Waits until a host may be worked on; who is waited for is said once. An error names who
    /// failed before it.
    pub(super) fn take(
        &self,
        host: &str,
        waits: impl FnOnce(&str),
    ) -> Result<Turn<'_>, String> {
        let mut state = self.state();
        let mut waits = Some(waits);
        loop {
            match state.says(host) {
                Says::Begin => {
                    return Ok(Turn {
                        turns: self,
                        host: host.to_owned(),
                        counts: state.count_on(host),
                        end: End::Failed,
                    });
                }
                Says::NotBegun { failed } => return Err(failed),
                Says::Wait { for_whom } => {
                    if let Some(say) = waits.take() {
                        say(&for_whom);
                    }
                    let woken = self.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Whether a host waits for all masters.
    pub(super) fn follows(&self, host: &str) -> bool {
        self.state().follows(host)
    }

    /// Whether a host starts a member of etcd anew that does not come up alone.
    pub(super) fn raises(&self, host: &str) -> bool {
        self.state().raises(host)
    }

    /// It is whole between two calls, also when a thread has died.
    fn state(&self) -> MutexGuard<'_, apply::Turns> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A host's turn. One that is dropped before it has ended well has failed, also when its thread
/// has died: nobody waits for it for ever.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    host: String,
    counts: bool,
    end: End,
}

impl Turn<'_> {
    /// Whether others wait for this host to be well.
    pub(super) fn counts(&self) -> bool {
        self.counts
    }

    /// The host is as it was: the next may begin.
    pub(super) fn left(mut self) {
        self.end = End::Left;
    }

    /// All that the host is to run is well.
    pub(super) fn ended_well(mut self) {
        self.end = End::Well;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.state().ended(&self.host, self.end);
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::apply::Part;

    fn turns() -> Turns {
        let hosts = ["m1", "m2", "m3"].map(|host| (host.to_owned(), Part::Interrupts));
        Turns::new(apply::Turns::of(hosts))
    }

    /// However threads are woken, no two are at work at a time, and all of them in order.
    #[test]
    fn one_after_the_other() {
        let turns = turns();
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for host in ["m3", "m2", "m1"] {
                let (turns, done) = (&turns, &done);
                scope.spawn(move || {
                    let turn = turns.take(host, |_| {}).unwrap();
                    // Another at work would hold it.
                    done.try_lock().unwrap().push(host);
                    turn.ended_well();
                });
            }
        });
        assert_eq!(done.into_inner().unwrap(), ["m1", "m2", "m3"]);
    }

    #[test]
    fn a_thread_that_dies_fails_its_host() {
        let turns = turns();
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                let _turn = turns.take("m1", |_| {}).unwrap();
                std::panic::resume_unwind(Box::new("it dies"));
            });
            assert!(first.join().is_err());
        });
        let waited = |_: &str| {};
        assert_eq!(turns.take("m2", waited).unwrap_err(), "m1");
    }
}
