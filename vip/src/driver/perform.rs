//! What the driver does: the state machine's actions, in order, and the record of them.

use std::time::Duration;

use daemon::chain;
use daemon::limit::Verdict as Say;
use tokio::time::Instant;
use vrrp::State;
use vrrp::fsm::{Action, Actions, Event, Note, Reason};

use super::{Driver, Effects, Failure, RENEW, Record};
use crate::claim::{self, Verdict, Wish};
use crate::flight::{Decision, What};
use crate::notify::News;

/// How long a router whose interface refused an address stays at fault.
const RETRY: Duration = Duration::from_secs(5);

impl<E: Effects> Driver<E> {
    pub(super) fn handle(&mut self, event: Event<'_>) {
        let now = Instant::now();
        let (ours, before) = (self.machine.priority(), self.machine.state());
        let decision = Decision::about(&event, ours, before);
        let actions = self.machine.handle(event, now.into_std());
        let decision = decision.led_to(self.machine.state(), &actions);
        self.flight.record(What::Decision(decision), now);
        self.perform(actions);
        self.tell_checked();
        self.tell_group();
        self.publish();
    }

    fn perform(&mut self, actions: Actions) {
        let mut refused = false;
        for action in actions {
            match action {
                // The kernel would keep it for the peers until the link is back, and then
                // tell them something that was true long ago.
                Action::Advertise(_) if !self.running => {}
                Action::Advertise(priority) => {
                    let checksum = self.checksum();
                    let sent = self.effects.advertise(priority, checksum);
                    if self.outcome("advertise", sent).is_some() {
                        self.keep(|record| {
                            record.counts.sent += 1;
                            record.counts.sent_release +=
                                u64::from(priority.is_release());
                        });
                    }
                }
                Action::Acquire => refused = !self.acquire(),
                // Nobody must send to an address that is not here.
                Action::Announce if refused => {}
                Action::Announce => {
                    let announced = self.effects.announce();
                    self.outcome("announce", announced);
                    self.keep(|record| record.counts.announcements += 1);
                }
                Action::Release => self.release(),
                Action::Moved { from, to, reason } => self.moved(from, to, reason),
                Action::Note(note) => self.note(note),
            }
        }
        if refused {
            self.refused();
        }
    }

    /// The kernel does not take an address: for a while this is no place for any of them.
    pub(super) fn refused(&mut self) {
        self.broken_until = Some(Instant::now() + RETRY);
        self.link(self.running);
    }

    /// Puts the addresses there, if the claim allows; false when the kernel refuses.
    pub(super) fn acquire(&mut self) -> bool {
        match claim::decide(Wish::Hold, self.fence) {
            Verdict::Leave => true,
            Verdict::Hold => {
                self.renew_at = Some(Instant::now() + RENEW);
                let acquired = self.effects.acquire();
                self.outcome("acquire", acquired).is_some()
            }
        }
    }

    fn release(&mut self) {
        // First: from here on nothing may renew, which would put them back.
        self.renew_at = None;
        let released = self.effects.release();
        self.outcome("release", released);
    }

    fn moved(&mut self, from: State, to: State, reason: Reason) {
        let (router, reason_name) = (&self.name, reason.name());
        tracing::info!(router, %from, %to, reason = reason_name, "state changed");
        self.fell(from, to, reason);
        self.record.send_modify(|record| {
            record.since = Instant::now();
            record.reason = reason;
        });
        self.tell_moved(to, reason);
    }

    /// A full queue costs a notice, never an election. Half of it is for transitions alone: a
    /// rival makes as much of the rest as it sends adverts.
    pub(super) fn tell(&self, news: News) {
        if let Some(moves) = &self.moves {
            let has_room = match news {
                News::Moved(_) => true,
                News::Aside { .. } => moves.capacity() > moves.max_capacity() / 2,
            };
            let told = has_room && moves.try_send(news).is_ok();
            self.keep(|record| record.counts.untold += u64::from(!told));
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Late(late) => {
                let router = &self.name;
                tracing::warn!(router, ?late, "woke too late to act at once");
            }
            Note::TwoOwners | Note::OwnSource | Note::AddressLostTooOften => {
                if let Some(suppressed) = self.may_say("note") {
                    let router = &self.name;
                    tracing::error!(router, suppressed, "{note:?}");
                }
            }
            Note::NoMatter
            | Note::LowerDiscarded
            | Note::IntervalAdopted(_)
            | Note::AnswerDeferred => {
                tracing::debug!(router = self.name, ?note, "noted");
            }
        }
    }

    /// Counts and logs a failure; passes a success on.
    pub(super) fn outcome<T>(
        &mut self,
        deed: &'static str,
        outcome: Result<T, Failure>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.record
                    .send_if_modified(|record| record.failing.remove(deed).is_some());
                Some(value)
            }
            Err(failure) => {
                let text = chain(&failure);
                self.flight.record(What::Failed { deed }, Instant::now());
                if let Some(suppressed) = self.may_say(deed) {
                    tracing::error!(router = self.name, deed, suppressed, "{text}");
                }
                self.keep(|record| {
                    *record.counts.failures.entry(deed).or_default() += 1;
                    record.failing.insert(deed, text);
                });
                None
            }
        }
    }

    pub(super) fn may_say(&mut self, class: &'static str) -> Option<u64> {
        match self.limiter.admit(class, Instant::now().into_std()) {
            Say::Say { suppressed } => Some(suppressed),
            Say::Hush => None,
        }
    }

    /// Keeps what is read when somebody looks. It wakes nobody: with adverts every 10 ms
    /// that would cost as much as sending them.
    pub(super) fn keep(&self, change: impl FnOnce(&mut Record)) {
        self.record.send_if_modified(|record| {
            change(record);
            false
        });
    }

    /// Tells where the router stands, if it stands elsewhere than before.
    pub(super) fn publish(&self) {
        let state = self.machine.state();
        let (standing, running) = (self.standing, self.running);
        let holding = self.renew_at.is_some();
        let waits_for = self.waits_for();
        let told = self.record.send_if_modified(|record| {
            let same = record.state == state
                && record.priority == standing.priority
                && record.out == standing.out
                && record.running == running
                && record.holding == holding
                && record.waits_for == waits_for;
            if same {
                return false;
            }
            record.state = state;
            record.priority = standing.priority;
            record.out = standing.out;
            record.running = running;
            record.holding = holding;
            record.waits_for = waits_for;
            true
        });
        if let Some(channel) = self.channel.as_ref().filter(|_| told) {
            channel.changed();
        }
    }
}
