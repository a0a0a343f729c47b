//! Truth on the wire: does anybody else say to have our addresses?
//!
//! An Active that hears another host answer or announce one of them announces it again, no
//! more often than the state machine allows, and it is counted and named. A Backup asks now
//! and then who has them: two answers are a conflict that the two may not see.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use vrrp::State;
use vrrp::fsm::Event;

use super::{Driver, Effects};
use crate::linux::Claimant;

/// Between two questions of a Backup: one small broadcast, against a fault that nobody
/// else looks for.
const ASK: Duration = Duration::from_secs(10);

/// Hosts answer within a millisecond or two; slow ones within this.
const ANSWERS: Duration = Duration::from_secs(1);

/// Between two answers to frames. A rival sends adverts too, which are answered by
/// themselves: frames must not use up all answers of a second.
const EVERY: Duration = Duration::from_secs(1);

/// Hosts that are remembered from one question.
const HOSTS: usize = 16;

/// A hardware address, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A Backup's question and its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inquiry {
    /// When to ask again, or to look at the answers.
    pub(super) at: Instant,
    asked: bool,
    answers: BTreeSet<Mac>,
}

impl Inquiry {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: now + ASK,
            asked: false,
            answers: BTreeSet::new(),
        }
    }
}

impl<E: Effects> Driver<E> {
    /// Somebody says to have one of our addresses.
    pub(super) fn claimed(&mut self, claimant: Claimant) {
        let mac = Mac(claimant.mac);
        if self.effects.is_us(claimant.mac) {
            return;
        }
        match self.machine.state() {
            State::Active => {
                self.conflict("another host has our address", &[mac]);
                let now = Instant::now();
                if self.contradicted.is_none_or(|last| now >= last + EVERY) {
                    self.contradicted = Some(now);
                    self.handle(Event::Foreign);
                }
            }
            State::Backup if self.inquiry.asked => {
                if self.inquiry.answers.len() < HOSTS {
                    self.inquiry.answers.insert(mac);
                }
            }
            State::Backup | State::Fault | State::Initialize => {}
        }
    }

    /// It is time to ask, or to look at what was answered.
    pub(super) fn inquire(&mut self, now: Instant) {
        let due = std::mem::replace(&mut self.inquiry, Inquiry::new(now));
        if self.machine.state() != State::Backup {
            return;
        }
        if !due.asked {
            let asked = self.effects.probe();
            self.outcome("probe", asked);
            self.inquiry.asked = true;
            self.inquiry.at = now + ANSWERS;
            return;
        }
        let hosts: Vec<_> = due.answers.into_iter().collect();
        if hosts.len() > 1 {
            self.conflict("two hosts answer for the address", &hosts);
        }
    }

    fn conflict(&mut self, what: &'static str, hosts: &[Mac]) {
        let names: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let text = format!("{what}: {names}");
        self.keep(|record| {
            record.counts.conflicts += 1;
            record.conflict = Some((text, Instant::now()));
        });
        if let Some(suppressed) = self.may_say("conflict") {
            let router = &self.name;
            tracing::warn!(router, hosts = names, suppressed, "{what}");
        }
    }
}
