//! One step of the machine: an event, a time, a state before and a state after. What is
//! common to all states; Backup and Active have files of their own.

use std::time::{Duration, Instant};

use super::mode::{Active, Backup, FaultEnds, Mode};
use super::{Action, Actions, Event, Leftover, Note, Preempt, Reason, Settings, timers};
use crate::{AdvertInterval, Priority, State};

pub(super) struct Step<'r> {
    pub(super) rules: &'r mut Settings,
    pub(super) now: Instant,
    pub(super) actions: Actions,
}

impl Step<'_> {
    pub(super) fn take(&mut self, before: Mode, event: Event<'_>) -> Mode {
        match self.punctual(before, &event) {
            Mode::Initialize => self.initialize(event),
            Mode::Fault(ends) => self.fault(ends, event),
            Mode::Backup(backup) => self.backup(backup, event),
            Mode::Active(active) => self.active(active, event),
        }
    }

    /// An Active that was silent for so long that another may have taken over has lost
    /// its claim: it releases, and listens before it comes back. Unless it has read its
    /// sockets dry, which comes before a deadline, and nobody was there: to let go of
    /// addresses that nobody has taken would leave them nowhere. It announces them again
    /// then: who had taken them and yielded to an advert of ours may have announced last.
    fn punctual(&mut self, mut before: Mode, event: &Event<'_>) -> Mode {
        let Mode::Active(active) = &mut before else {
            return before;
        };
        if self.now < active.sent + self.overtaken() {
            return before;
        }
        let late = self.now.saturating_duration_since(active.next);
        self.note(Note::Late(late));
        if matches!(event, Event::Deadline) && late < self.rules.patience {
            active.announcements.doubted(self.now);
            return before;
        }
        self.release(State::Active, State::Backup, Reason::Late);
        let wait = self.listen(self.rules.interval);
        Mode::Backup(Backup::waiting(
            self.rules,
            self.now,
            wait,
            Reason::NobodyElse,
        ))
    }

    fn initialize(&mut self, event: Event<'_>) -> Mode {
        match event {
            Event::Start { leftover } => {
                self.begin(State::Initialize, Reason::Started, leftover)
            }
            Event::Priority(priority) => {
                self.set_priority(priority);
                Mode::Initialize
            }
            Event::Stop
            | Event::Advert { .. }
            | Event::Deadline
            | Event::Fault
            | Event::Recover
            | Event::Foreign
            | Event::Stranger { .. }
            | Event::AddressLost
            | Event::Yield { .. }
            | Event::Take
            | Event::Rise
            | Event::Fall => {
                self.note(Note::NoMatter);
                Mode::Initialize
            }
        }
    }

    fn fault(&mut self, ends: FaultEnds, event: Event<'_>) -> Mode {
        match (event, ends) {
            (Event::Recover, FaultEnds::WhenTold) => {
                self.begin(State::Fault, Reason::Recovered, Leftover::None)
            }
            (Event::Deadline, FaultEnds::At(end)) if self.now >= end => {
                self.begin(State::Fault, Reason::Recovered, Leftover::None)
            }
            (Event::Fault, _) => Mode::Fault(FaultEnds::WhenTold),
            (Event::Stop, _) => self.stopped(State::Fault),
            (Event::Priority(priority), _) => {
                self.set_priority(priority);
                Mode::Fault(ends)
            }
            (
                Event::Start { .. }
                | Event::Advert { .. }
                | Event::Deadline
                | Event::Recover
                | Event::Foreign
                | Event::Stranger { .. }
                | Event::AddressLost
                | Event::Yield { .. }
                | Event::Take
                | Event::Rise
                | Event::Fall,
                _,
            ) => {
                self.note(Note::NoMatter);
                Mode::Fault(ends)
            }
        }
    }

    /// Into the race: the owner is Active at once, everybody else listens for a down
    /// interval (RFC 9568 section 6.4.1).
    fn begin(&mut self, from: State, reason: Reason, leftover: Leftover) -> Mode {
        if self.rules.priority.is_owner() {
            return self.promote(from, reason);
        }
        self.moved(from, State::Backup, reason);
        let wait = self.down(self.rules.interval);
        let backup = Backup::waiting(self.rules, self.now, wait, Reason::ActiveDown);
        Mode::Backup(Backup { leftover, ..backup })
    }

    /// Becomes Active. The advert goes first, so that a rival yields before it has
    /// announced; then the addresses, and only then whoever is told of them.
    pub(super) fn promote(&mut self, from: State, reason: Reason) -> Mode {
        self.act(Action::Advertise(self.rules.priority));
        self.act(Action::Acquire);
        self.act(Action::Announce);
        self.moved(from, State::Active, reason);
        Mode::Active(Active::since(self.rules, self.now, reason))
    }

    pub(super) fn release(&mut self, from: State, to: State, reason: Reason) {
        self.act(Action::Release);
        self.moved(from, to, reason);
    }

    pub(super) fn stopped(&mut self, from: State) -> Mode {
        self.moved(from, State::Initialize, Reason::Stopped);
        Mode::Initialize
    }

    /// Takes on a priority; the one before it, if that was another.
    pub(super) fn set_priority(&mut self, priority: Priority) -> Option<Priority> {
        let before = self.rules.priority;
        self.rules.priority = priority.max(Priority::MIN);
        (self.rules.priority != before).then_some(before)
    }

    pub(super) fn preempt(&self) -> Preempt {
        match self.rules.priority.is_owner() {
            true => Preempt::AtOnce,
            false => self.rules.preempt,
        }
    }

    pub(super) fn skew(&self, active: AdvertInterval) -> Duration {
        timers::skew(self.rules.version, self.rules.priority, active)
    }

    pub(super) fn down(&self, active: AdvertInterval) -> Duration {
        timers::down(self.rules.version, self.rules.priority, active)
    }

    fn overtaken(&self) -> Duration {
        let Settings {
            version,
            priority,
            interval,
            ..
        } = *self.rules;
        timers::overtaken(version, priority, self.preempt(), interval)
    }

    pub(super) fn listen(&self, active: AdvertInterval) -> Duration {
        timers::listen(self.rules.version, self.rules.priority, active)
    }

    pub(super) fn moved(&mut self, from: State, to: State, reason: Reason) {
        self.act(Action::Moved { from, to, reason });
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn note(&mut self, note: Note) {
        self.act(Action::Note(note));
    }
}
