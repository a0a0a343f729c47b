//! What of a requester's counts for its quota, and what waits for it. What is pending counts,
//! and what was refused; what is approved does not, from the moment its approval is on its
//! way: how many of those there are at a time has a bound of its own.

use policy::State;

use super::index::drop_from;
use super::{Book, Seen, Turn, Who};

pub(super) fn counts(seen: &Seen) -> bool {
    seen.submitted.state == State::Pending || seen.denied
}

impl Book {
    /// `name` waits for its requester's quota.
    pub fn hold(&mut self, name: &str) {
        if let Some(entry) = self.requests.get(name) {
            let submitted = &entry.seen.submitted;
            let held = self.held.entry(submitted.username.clone()).or_default();
            held.insert((entry.turn, name.to_owned()));
        }
    }

    /// The approval of `name` is on its way.
    pub fn approving(&mut self, name: &str) {
        self.changing(name, |book| {
            if let Some(entry) = book.requests.get(name) {
                let who = &entry.seen.submitted.username;
                drop_from(&mut book.counting, who, &(entry.turn, name.to_owned()));
            }
        });
    }

    /// The approval of `name` was not written: where it is pending, it counts again.
    pub fn not_approved(&mut self, name: &str) {
        if let Some(entry) = self.requests.get(name)
            && counts(&entry.seen)
        {
            let who = entry.seen.submitted.username.clone();
            self.count_in(&who, (entry.turn, name.to_owned()));
        }
    }

    /// Does `change` to `name`: where that counts no more for whom it did, the first that
    /// waits may pass. A name can come again, and be another requester's.
    pub(super) fn changing(&mut self, name: &str, change: impl FnOnce(&mut Self)) {
        let before = self.counts_for(name);
        change(self);
        if let Some(who) = before
            && self.counts_for(name).as_ref() != Some(&who)
        {
            self.make_room(&who);
        }
    }

    pub(super) fn count_in(&mut self, who: &str, turn: Turn) {
        let counting = self.counting.entry(who.to_owned());
        counting.or_default().insert(turn);
    }

    /// For whose quota `name` counts, if it does.
    fn counts_for(&self, name: &str) -> Option<Who> {
        let entry = self.requests.get(name)?;
        let who = &entry.seen.submitted.username;
        let own = (entry.turn, name.to_owned());
        let counts = self.counting.get(who)?.contains(&own);
        counts.then(|| who.clone())
    }

    fn make_room(&mut self, who: &str) {
        let Some(held) = self.held.get_mut(who) else {
            return;
        };
        let first = held.pop_first();
        if held.is_empty() {
            self.held.remove(who);
        }
        if let Some((_, name)) = first {
            self.ask(&name);
        }
    }
}
