//! The flight recorder: the last minutes of one router, for the question why the address
//! moved, or did not.
//!
//! ```text
//!   driver: events, decisions, refusals, notices ──┐
//!   track: results of checks ──────────────────────┴▶ Flight ──▶ dump on every transition
//!                                                        └─────▶ `vip-daemon flight`
//! ```
//!
//! What repeats is counted instead of kept again, so that minutes of adverts every 10 ms
//! fit. An entry is plain data: writing one costs no memory and, on the adverts' thread,
//! some hundred nanoseconds.

pub mod dump;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use daemon::rfc3339;
use serde_json::{Value, json};
use tokio::time::Instant;
use vrrp::fsm::{Action, Event};
use vrrp::{Priority, State};

/// Entries that are kept: some minutes of a busy group.
const ENTRIES: usize = 2048;

/// Entries are kept for so long.
const AGE: Duration = Duration::from_secs(300);

/// So many entries back, one that says the same is counted up instead: a Backup hears
/// several peers in turn.
const BACK: usize = 8;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// The state machine decided.
    Decision(Decision),
    /// A datagram was turned away.
    Refused {
        /// The reason's name.
        reason: &'static str,
        /// From whom, where that is known.
        from: Option<IpAddr>,
    },
    /// The kernel told of a link or an address.
    Notice {
        /// What.
        what: &'static str,
        /// The interface's number.
        interface: u32,
        /// The address.
        address: Option<IpAddr>,
    },
    /// A check ended.
    Check {
        /// Its place in the file.
        position: usize,
        /// How.
        outcome: &'static str,
        /// Whether it was good.
        good: bool,
    },
    /// The kernel refused a deed.
    Failed {
        /// Which.
        deed: &'static str,
    },
}

/// A decision with its inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The event.
    pub event: &'static str,
    /// Whose advert it was.
    pub from: Option<IpAddr>,
    /// The priority in it, or the new one.
    pub given: Option<u8>,
    /// Our priority when it was decided.
    pub ours: u8,
    /// Before.
    pub before: State,
    /// After.
    pub after: State,
    /// What was done.
    pub done: Done,
}

/// The deeds of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    advertised: Option<u8>,
    acquired: bool,
    announced: bool,
    released: bool,
}

impl Decision {
    /// What there is to know before it is taken.
    pub fn about(event: &Event<'_>, ours: Priority, before: State) -> Self {
        let (from, given) = match event {
            Event::Advert { from, advert } | Event::Stranger { from, advert } => {
                (Some(*from), Some(advert.priority.get()))
            }
            Event::Priority(priority) => (None, Some(priority.get())),
            Event::Start { .. }
            | Event::Stop
            | Event::Deadline
            | Event::Fault
            | Event::Recover
            | Event::Foreign
            | Event::AddressLost
            | Event::Yield { .. }
            | Event::Take
            | Event::Rise
            | Event::Fall => (None, None),
        };
        Self {
            event: name(event),
            from,
            given,
            ours: ours.get(),
            before,
            after: before,
            done: Done::default(),
        }
    }

    /// What it came to.
    #[must_use]
    pub fn led_to<'a>(
        mut self,
        after: State,
        actions: impl IntoIterator<Item = &'a Action>,
    ) -> Self {
        self.after = after;
        for action in actions {
            match action {
                Action::Advertise(priority) => {
                    self.done.advertised = Some(priority.get());
                }
                Action::Acquire => self.done.acquired = true,
                Action::Announce => self.done.announced = true,
                Action::Release => self.done.released = true,
                Action::Moved { .. } | Action::Note(_) => {}
            }
        }
        self
    }
}

fn name(event: &Event<'_>) -> &'static str {
    match event {
        Event::Start { .. } => "start",
        Event::Stop => "stop",
        Event::Advert { .. } => "advert",
        Event::Deadline => "deadline",
        Event::Priority(_) => "priority",
        Event::Fault => "fault",
        Event::Recover => "recover",
        Event::Foreign => "foreign",
        Event::Stranger { .. } => "stranger",
        Event::AddressLost => "addressLost",
        Event::Yield { .. } => "yield",
        Event::Take => "take",
        Event::Rise => "rise",
        Event::Fall => "fall",
    }
}

/// Something that happened, once or again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// When first.
    pub at: Instant,
    /// When last.
    pub last: Instant,
    /// How often.
    pub times: u64,
    /// What.
    pub what: What,
}

/// The recorder of one router.
#[derive(Debug, Default)]
pub struct Flight(Mutex<VecDeque<Entry>>);

impl Flight {
    /// Records what happened at `now`.
    pub fn record(&self, what: What, now: Instant) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while entries
            .front()
            .is_some_and(|entry| now.saturating_duration_since(entry.last) > AGE)
        {
            entries.pop_front();
        }
        let mut latest = entries.iter_mut().rev().take(BACK);
        if let Some(entry) = latest.find(|entry| entry.what == what && !moves(&what)) {
            entry.times += 1;
            entry.last = now;
            return;
        }
        if entries.len() >= ENTRIES {
            entries.pop_front();
        }
        entries.push_back(Entry {
            at: now,
            last: now,
            times: 1,
            what,
        });
    }

    /// Everything there is, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().copied().collect()
    }
}

/// A transition is an entry of its own, however often it happens.
fn moves(what: &What) -> bool {
    match what {
        What::Decision(decision) => decision.before != decision.after,
        What::Refused { .. }
        | What::Notice { .. }
        | What::Check { .. }
        | What::Failed { .. } => false,
    }
}

impl Entry {
    /// As a line of a dump. `now` and `wall` are the same moment on both clocks.
    pub fn json(&self, now: Instant, wall: SystemTime) -> Value {
        let time = |at: Instant| rfc3339(wall - now.saturating_duration_since(at));
        let mut line = json!({ "at": time(self.at) });
        let what = match &self.what {
            What::Decision(decision) => decision.json(),
            What::Refused { reason, from } => {
                json!({ "what": "refused", "reason": reason, "from": from })
            }
            What::Notice {
                what,
                interface,
                address,
            } => json!({
                "what": "notice", "notice": what, "interface": interface,
                "address": address,
            }),
            What::Check {
                position,
                outcome,
                good,
            } => json!({
                "what": "check", "check": position, "outcome": outcome, "good": good,
            }),
            What::Failed { deed } => json!({ "what": "failed", "deed": deed }),
        };
        if let (Some(line), Value::Object(what)) = (line.as_object_mut(), what) {
            line.extend(what);
            if self.times > 1 {
                line.insert("times".to_owned(), self.times.into());
                line.insert("until".to_owned(), time(self.last).into());
            }
        }
        line
    }
}

impl Decision {
    fn json(&self) -> Value {
        let mut done = Vec::new();
        done.extend(
            self.done
                .advertised
                .map(|priority| format!("advertise {priority}")),
        );
        for (name, deed) in [
            ("acquire", self.done.acquired),
            ("announce", self.done.announced),
            ("release", self.done.released),
        ] {
            done.extend(deed.then(|| name.to_owned()));
        }
        json!({
            "what": "decision", "event": self.event, "from": self.from,
            "given": self.given, "priority": self.ours, "before": self.before.name(),
            "after": self.after.name(), "did": done,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(from: u8, before: State, after: State) -> What {
        What::Decision(Decision {
            event: "advert",
            from: Some(IpAddr::from([10, 0, 0, from])),
            given: Some(100),
            ours: 50,
            before,
            after,
            done: Done::default(),
        })
    }

    fn kept(flight: &Flight) -> Vec<u64> {
        flight.entries().iter().map(|entry| entry.times).collect()
    }

    #[test]
    fn what_repeats_is_counted_and_transitions_are_not() {
        let flight = Flight::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        for round in 0..1000 {
            let now = at(round * 10);
            flight.record(heard(1, State::Backup, State::Backup), now);
            flight.record(heard(2, State::Backup, State::Backup), now);
        }
        assert_eq!(kept(&flight), [1000, 1000]);
        for round in 0..2 {
            flight.record(heard(1, State::Backup, State::Active), at(10_000 + round));
        }
        assert_eq!(kept(&flight), [1000, 1000, 1, 1]);
        let first = flight.entries()[0];
        assert_eq!((first.at, first.last), (at(0), at(9990)));
    }

    #[test]
    fn it_is_bounded_in_number_and_in_age() {
        let flight = Flight::default();
        let start = Instant::now();
        for _ in 0..ENTRIES + 5 {
            flight.record(heard(1, State::Backup, State::Active), start);
        }
        assert_eq!(flight.entries().len(), ENTRIES);
        flight.record(heard(1, State::Active, State::Backup), start + AGE);
        assert_eq!(flight.entries().len(), ENTRIES);
        let later = start + AGE + Duration::from_nanos(1);
        flight.record(heard(1, State::Active, State::Backup), later);
        assert_eq!(flight.entries().len(), 2);
    }

    #[test]
    fn an_entry_is_one_line_with_its_inputs() {
        let now = Instant::now();
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let priority = Priority::new(150);
        let decision = Decision::about(&Event::Take, priority, State::Backup);
        let actions = [
            Action::Advertise(priority),
            Action::Acquire,
            Action::Announce,
        ];
        let entry = Entry {
            at: now,
            last: now,
            times: 1,
            what: What::Decision(decision.led_to(State::Active, &actions)),
        };
        assert_eq!(
            entry.json(now, wall),
            json!({
                "at": "1970-01-01T00:16:40Z", "what": "decision", "event": "take",
                "from": null, "given": null, "priority": 150, "before": "backup",
                "after": "active", "did": ["advertise 150", "acquire", "announce"],
            })
        );
    }
}
