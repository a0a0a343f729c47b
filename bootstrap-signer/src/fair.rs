//! Decisions that are to be written, taken in turns from each requester: whoever floods
//! waits for himself.

use std::collections::{BTreeMap, VecDeque};

/// Acts at the API server at a time. It answers one in 2 ms to 5 ms; this many keep it
/// busy, and more would only wait there.
pub const AT_ONCE: usize = 64;
/// Of one requester: half, so that another one's never waits behind all of a flood's.
pub const OF_ONE: usize = 32;

/// Jobs by requester.
#[derive(Debug)]
pub struct Fair<T> {
    queues: BTreeMap<String, VecDeque<T>>,
    turns: VecDeque<String>,
    running: BTreeMap<String, usize>,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self {
            queues: BTreeMap::new(),
            turns: VecDeque::new(),
            running: BTreeMap::new(),
        }
    }
}

impl<T> Fair<T> {
    /// Adds a job of `who`.
    pub fn push(&mut self, who: &str, job: T) {
        let queue = self.queues.entry(who.to_owned()).or_default();
        if queue.is_empty() {
            self.turns.push_back(who.to_owned());
        }
        queue.push_back(job);
    }

    /// The next job, which runs until [`Fair::done`].
    pub fn pop(&mut self) -> Option<T> {
        for _ in 0..self.turns.len() {
            let who = self.turns.pop_front()?;
            let running = self.running.entry(who.clone()).or_default();
            if *running >= OF_ONE {
                self.turns.push_back(who);
                continue;
            }
            let queue = self.queues.get_mut(&who)?;
            let job = queue.pop_front()?;
            *running += 1;
            if queue.is_empty() {
                self.queues.remove(&who);
            } else {
                self.turns.push_back(who);
            }
            return Some(job);
        }
        None
    }

    /// A job of `who` is over.
    pub fn done(&mut self, who: &str) {
        if let Some(running) = self.running.get_mut(who) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running.remove(who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_waits_for_itself() {
        let mut fair = Fair::default();
        for job in 0..1_000 {
            fair.push("flood", ("flood", job));
        }
        fair.push("one", ("one", 0));
        let first: Vec<_> = std::iter::from_fn(|| fair.pop()).collect();
        assert_eq!(first.len(), OF_ONE + 1);
        assert_eq!(first.iter().position(|(who, _)| *who == "one"), Some(1));
        fair.done("flood");
        assert_eq!(fair.pop(), Some(("flood", 32)));
        assert_eq!(fair.pop(), None);
        fair.done("one");
        fair.push("one", ("one", 1));
        assert_eq!(fair.pop(), Some(("one", 1)));
    }
}
