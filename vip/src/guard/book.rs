//! What the guard knows: which addresses are held, and until when each may stay. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::message::Message;
use super::{Held, Proof};
use crate::linux::LIFETIME;

/// The addresses that are held.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<Held, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    until: Instant,
    grace: Duration,
    proof: Proof,
}

impl Book {
    /// Writes down what the daemon said.
    pub(super) fn take(&mut self, message: Message, now: Instant) {
        match message {
            Message::Hold { held, grace, proof } => {
                let until = now + Duration::from_secs(LIFETIME.into());
                let entry = Entry {
                    until,
                    grace,
                    proof,
                };
                self.entries.insert(held, entry);
            }
            Message::Left(held) => {
                self.entries.remove(&held);
            }
        }
    }

    /// The daemon is gone: what it held stays for its grace, never longer than before.
    pub(super) fn bereave(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            entry.until = entry.until.min(now + entry.grace);
        }
    }

    /// When the next address is due; `None` while none is held.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.until).min()
    }

    /// Takes out what has to be removed, and how it is known.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(Held, Proof)> {
        let mut due = Vec::new();
        self.entries.retain(|held, entry| {
            let stays = entry.until > now;
            if !stays {
                due.push((*held, entry.proof));
            }
            stays
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(1);
    const GRACE: Duration = Duration::from_millis(300);
    const PROOF: Proof = Proof::Mark(86);
    const MOMENT: Duration = Duration::from_nanos(1);

    fn held(last: u8) -> Held {
        Held {
            interface: 2,
            address: format!("10.55.0.{last}/24").parse().unwrap(),
        }
    }

    fn hold(last: u8) -> Message {
        Message::Hold {
            held: held(last),
            grace: GRACE,
            proof: PROOF,
        }
    }

    #[test]
    fn an_address_stays_for_a_lifetime_after_it_was_last_told() {
        let start = Instant::now();
        let mut book = Book::default();
        assert_eq!(book.deadline(), None);
        book.take(hold(1), start);
        assert_eq!(book.deadline(), Some(start + LIFE));
        let beat = start + Duration::from_millis(250);
        book.take(hold(1), beat);
        assert_eq!(book.deadline(), Some(beat + LIFE));
        assert_eq!(book.due(beat + LIFE - MOMENT), []);
        assert_eq!(book.due(beat + LIFE), [(held(1), PROOF)]);
        assert_eq!(book.deadline(), None);
    }

    #[test]
    fn what_the_daemon_left_is_nobody_s_to_remove() {
        let start = Instant::now();
        let mut book = Book::default();
        book.take(hold(1), start);
        book.take(hold(2), start);
        book.take(Message::Left(held(1)), start);
        assert_eq!(book.due(start + LIFE), [(held(2), PROOF)]);
    }

    #[test]
    fn without_the_daemon_it_stays_for_its_grace_and_never_longer_than_before() {
        let start = Instant::now();
        for (gone_after, stays) in [(0, 300), (699, 999), (700, 1000), (900, 1000)] {
            let mut book = Book::default();
            book.take(hold(1), start);
            book.bereave(start + Duration::from_millis(gone_after));
            let until = start + Duration::from_millis(stays);
            assert_eq!(book.deadline(), Some(until), "gone after {gone_after} ms");
        }
    }
}
