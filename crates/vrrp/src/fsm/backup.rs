//! Backup (RFC 9568 section 6.4.2): listens, and takes over when the Active is silent.

use std::net::IpAddr;
use std::time::Instant;

use super::mode::{Backup, FaultEnds, Mode};
use super::step::Step;
use super::{Action, Event, Leftover, Note, Preempt, Reason, timers};
use crate::packet::Advert;
use crate::{AdvertInterval, Priority, State, Version};

impl Step<'_> {
    pub(super) fn backup(&mut self, mut backup: Backup, event: Event<'_>) -> Mode {
        match event {
            Event::Advert { from, advert } => self.heard(&mut backup, from, advert),
            Event::Take => return self.promote(State::Backup, Reason::HandedOver),
            Event::Rise => return self.promote(State::Backup, Reason::Together),
            Event::Deadline if self.now >= backup.due() => return self.silence(backup),
            Event::Priority(priority) => self.rebase(&mut backup, priority),
            Event::Yield { hold } => backup.held = Some(self.now + hold),
            // What is left of a run before this one is no longer whole, or gone: it is
            // let go of, so that nothing renews it.
            Event::Foreign | Event::AddressLost => self.drop_leftover(&mut backup),
            Event::Stranger { from, advert } if advert.priority.is_release() => {
                self.stranger_released(&mut backup, from, advert);
            }
            Event::Stranger { from, advert } => {
                self.drop_leftover(&mut backup);
                self.hold_back(&mut backup, from, advert);
            }
            Event::Fault => {
                self.drop_leftover(&mut backup);
                self.moved(State::Backup, State::Fault, Reason::Fault);
                return Mode::Fault(FaultEnds::WhenTold);
            }
            Event::Stop => {
                self.drop_leftover(&mut backup);
                return self.stopped(State::Backup);
            }
            Event::Deadline | Event::Start { .. } | Event::Recover | Event::Fall => {
                self.note(Note::NoMatter);
            }
        }
        Mode::Backup(backup)
    }

    fn heard(&mut self, backup: &mut Backup, from: IpAddr, advert: &Advert) {
        if from == self.rules.source {
            return self.note(Note::OwnSource);
        }
        if advert.priority.is_release() {
            return self.released(backup);
        }
        self.drop_leftover(backup);
        if advert.priority.is_owner() && self.rules.priority.is_owner() {
            self.note(Note::TwoOwners);
        }
        let lower = advert.priority < self.rules.priority;
        if lower && !self.tolerates_lower(backup) {
            backup.then = Reason::Preempted;
            return self.note(Note::LowerDiscarded);
        }
        if !lower {
            backup.delayed = None;
        }
        self.follow(backup, advert.interval);
    }

    /// The Active stops: the highest of the Backups is the first to take over.
    fn released(&self, backup: &mut Backup) {
        backup.down = self.now + self.skew(backup.following);
        backup.then = Reason::ActiveReleased;
    }

    /// Is an Active of lower priority followed at this time?
    fn tolerates_lower(&self, backup: &mut Backup) -> bool {
        let delayed = match self.preempt() {
            Preempt::Never => return true,
            Preempt::AtOnce => None,
            Preempt::After(delay) => {
                Some(*backup.delayed.get_or_insert_with(|| self.now + delay))
            }
        };
        let before = |end: Option<Instant>| end.is_some_and(|end| self.now < end);
        before(delayed) || before(backup.held)
    }

    fn follow(&mut self, backup: &mut Backup, interval: AdvertInterval) {
        let adopted = match self.rules.version {
            Version::V2 => self.rules.interval,
            Version::V3 => interval,
        };
        if adopted != backup.following {
            backup.following = adopted;
            self.note(Note::IntervalAdopted(adopted));
        }
        backup.down = self.now + self.down(adopted);
        backup.then = Reason::ActiveDown;
    }

    /// The timer has fired. A loop that is late by an interval has not heard what an
    /// Active said in it: it listens once before it takes over.
    fn silence(&mut self, mut backup: Backup) -> Mode {
        let late = self.now.saturating_duration_since(backup.due());
        if late < backup.following.duration() || backup.then == Reason::NobodyElse {
            return self.promote(State::Backup, backup.then);
        }
        self.note(Note::Late(late));
        backup.down = self.now + self.listen(backup.following);
        backup.then = Reason::NobodyElse;
        Mode::Backup(backup)
    }

    /// A new priority has another skew; the timer that runs is shifted by the
    /// difference.
    fn rebase(&mut self, backup: &mut Backup, priority: Priority) {
        let Some(before) = self.set_priority(priority) else {
            return self.note(Note::NoMatter);
        };
        let old = timers::skew(self.rules.version, before, backup.following);
        backup.down = backup.down + self.skew(backup.following) - old;
    }

    /// Somebody else is Active: addresses of a run before this one must not stay.
    fn drop_leftover(&mut self, backup: &mut Backup) {
        match std::mem::take(&mut backup.leftover) {
            Leftover::None => {}
            Leftover::Ours => self.act(Action::Release),
        }
    }
}
