//! Truth on the wire: does anybody else say to have our addresses?
//!
//! An Active that hears another host answer or announce one of them announces it again, no
//! more often than the state machine allows, and it is counted and named. A Backup asks now
//! and then who has them: two answers are a conflict that the two may not see, and none is an
//! Active that advertises what it does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
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

/// Questions in a row without an answer until that is said: one may be lost.
const SILENT: u32 = 2;

/// Answers that are remembered from one question.
const HOSTS: usize = 256;

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
    /// Those that are being asked for.
    asked: Vec<IpAddr>,
    answers: BTreeSet<(IpAddr, Mac)>,
    /// Questions in a row that nobody answered, by address.
    unanswered: BTreeMap<IpAddr, u32>,
}

impl Inquiry {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: now + ASK,
            asked: Vec::new(),
            answers: BTreeSet::new(),
            unanswered: BTreeMap::new(),
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
                let rested = self.contradicted.is_none_or(|last| now >= last + EVERY);
                // After a stall, whoever says so may have taken over.
                if rested || self.is_late() {
                    self.contradicted = Some(now);
                    self.handle(Event::Foreign);
                }
            }
            State::Backup if !self.inquiry.asked.is_empty() => {
                if self.inquiry.answers.len() < HOSTS {
                    self.inquiry.answers.insert((claimant.ip, mac));
                }
            }
            State::Backup | State::Fault | State::Initialize => {}
        }
    }

    /// It is time to ask, or to look at what was answered.
    pub(super) fn inquire(&mut self, now: Instant) {
        let due = std::mem::replace(&mut self.inquiry, Inquiry::new(now));
        if self.machine.state() != State::Backup {
            return self.unanswered(Vec::new());
        }
        self.inquiry.unanswered = due.unanswered;
        if due.asked.is_empty() {
            let asked = self.effects.probe();
            // What was not sent is not answered, and says nothing about anybody.
            self.inquiry.asked = self.outcome("probe", asked).unwrap_or_default();
            if !self.inquiry.asked.is_empty() {
                self.inquiry.at = now + ANSWERS;
            }
            return;
        }
        let advertised = self.advertised(now);
        let mut silent = Vec::new();
        for ip in due.asked {
            let said = due.answers.iter().filter(|(about, _)| *about == ip);
            let hosts: Vec<_> = said.map(|(_, mac)| *mac).collect();
            if hosts.len() > 1 {
                self.conflict("two hosts answer for the address", &hosts);
            }
            let questions = self.inquiry.unanswered.entry(ip).or_default();
            *questions = match hosts.is_empty() && advertised {
                true => questions.saturating_add(1),
                false => 0,
            };
            if *questions >= SILENT {
                silent.push(ip);
            }
        }
        self.unanswered(silent);
    }

    /// Is an Active heard at all? One that waits for its sync group may hear none.
    fn advertised(&self, now: Instant) -> bool {
        let heard = self.record.borrow().heard;
        heard.is_some_and(|heard| heard.is_fresh(now))
    }

    /// An Active advertises, and nobody answers for these addresses: clients reach nothing.
    fn unanswered(&mut self, addresses: Vec<IpAddr>) {
        let before = self.record.borrow().unanswered.clone();
        if before == addresses {
            return;
        }
        let router = &self.name;
        let names: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        match addresses.is_empty() {
            true => tracing::info!(router, "every address is answered for again"),
            false => tracing::warn!(
                router,
                addresses = names,
                "a router advertises the address, and nobody answers for it"
            ),
        }
        self.record
            .send_modify(|record| record.unanswered = addresses);
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
