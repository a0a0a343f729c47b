//! Active (RFC 9568 section 6.4.3): advertises, and yields to whoever is higher.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::time::Duration;

use super::mode::{Active, Backup, FaultEnds, LOSS_WINDOW, Mode};
use super::step::Step;
use super::{Action, Event, Note, Reason};
use crate::packet::Advert;
use crate::{AdvertInterval, Dialect, Priority, State, Version};

/// The shortest interval there is: adverts that are due to others' adverts are never
/// closer together, so that no peer can make us flood the segment.
const SHORTEST_GAP: Duration = Duration::from_millis(10);

impl Step<'_> {
    pub(super) fn active(&mut self, mut active: Active, event: Event<'_>) -> Mode {
        match event {
            Event::Advert { from, advert } => return self.rival(active, from, advert),
            Event::AddressLost => return self.lost(active),
            Event::Stop => {
                self.step_down(State::Initialize, Reason::Stopped);
                return Mode::Initialize;
            }
            Event::Fault => {
                self.step_down(State::Fault, Reason::Fault);
                return Mode::Fault(FaultEnds::WhenTold);
            }
            Event::Yield { hold } => return self.give_way(hold, Reason::Yielded),
            Event::Fall => return self.give_way(Duration::ZERO, Reason::Together),
            Event::Deadline => self.due(&mut active),
            Event::Foreign => self.contradict(&mut active),
            Event::Priority(priority) => match self.set_priority(priority) {
                Some(_) => self.advertise_soon(&mut active),
                None => self.note(Note::NoMatter),
            },
            Event::Stranger { from, advert } if self.came_second(&active, advert) => {
                return self.step_back(from, advert);
            }
            // It may have announced them, or has just let go of them: hosts are to find us again.
            // Of two that both say so, they would find the one and the other in turn.
            Event::Stranger { from, advert } if self.goes_before(from, advert) => {
                self.contradict(&mut active);
            }
            Event::Start { .. }
            | Event::Stranger { .. }
            | Event::Recover
            | Event::Take
            | Event::Rise => {
                self.note(Note::NoMatter);
            }
        }
        Mode::Active(active)
    }

    fn due(&mut self, active: &mut Active) {
        if self.now >= active.next {
            self.advertise(active);
        }
        if active.announcements.take_due(self.now) {
            self.act(Action::Announce);
        }
    }

    /// The next advert is counted from when this one was due, so that lateness does not
    /// add up; unless that, too, has passed, or this one was not due yet.
    fn advertise(&mut self, active: &mut Active) {
        self.act(Action::Advertise(self.rules.priority));
        let interval = self.rules.interval.duration();
        let due = active.next.min(self.now) + interval;
        active.next = if due > self.now {
            due
        } else {
            self.now + interval
        };
        active.sent = self.now;
    }

    /// At once, or as soon as there is a gap to the last one.
    fn advertise_soon(&mut self, active: &mut Active) {
        let earliest = active.sent + SHORTEST_GAP;
        if self.now < earliest {
            active.next = active.next.min(earliest);
            return self.note(Note::AnswerDeferred);
        }
        self.advertise(active);
    }

    fn rival(&mut self, mut active: Active, from: IpAddr, advert: &Advert) -> Mode {
        if from == self.rules.source {
            self.note(Note::OwnSource);
            return Mode::Active(active);
        }
        let ours = self.rules.priority;
        if advert.priority.is_owner() && ours.is_owner() {
            self.note(Note::TwoOwners);
        }
        let by_priority = advert.priority.cmp(&ours);
        match by_priority.then(from.cmp(&self.rules.source)) {
            Ordering::Greater => {
                let reason = match by_priority {
                    Ordering::Greater => Reason::HigherPriority,
                    Ordering::Equal | Ordering::Less => Reason::HigherAddress,
                };
                self.yield_to(advert.interval, reason)
            }
            Ordering::Less | Ordering::Equal => {
                self.assert_claim(&mut active, advert.priority);
                Mode::Active(active)
            }
        }
    }

    /// A rival that should yield, or that has just released. RFC 3768 would answer only
    /// the latter.
    fn assert_claim(&mut self, active: &mut Active, theirs: Priority) {
        let silent = match self.rules.version {
            Version::V2 => !self.rules.dialects.has(Dialect::AssertInV2),
            Version::V3 => false,
        };
        if silent && !theirs.is_release() {
            return self.note(Note::LowerDiscarded);
        }
        self.advertise_soon(active);
        self.contradict(active);
    }

    /// Priority 0 is the lowest.
    fn goes_before(&self, from: IpAddr, advert: &Advert) -> bool {
        let by_priority = self.rules.priority.cmp(&advert.priority);
        by_priority.then(self.rules.source.cmp(&from)).is_gt()
    }

    fn contradict(&mut self, active: &mut Active) {
        if active.announcements.contradicted(self.now) {
            self.act(Action::Announce);
        }
    }

    fn yield_to(&mut self, interval: AdvertInterval, reason: Reason) -> Mode {
        self.release(State::Active, State::Backup, reason);
        let following = match self.rules.version {
            Version::V2 => self.rules.interval,
            Version::V3 => interval,
        };
        let wait = self.down(following);
        let backup = Backup::waiting(self.rules, self.now, wait, Reason::ActiveDown);
        Mode::Backup(Backup {
            following,
            ..backup
        })
    }

    /// Tells the Backups first: the address is gone from here as soon as they act.
    fn step_down(&mut self, to: State, reason: Reason) {
        self.act(Action::Advertise(Priority::RELEASE));
        self.release(State::Active, to, reason);
    }

    fn give_way(&mut self, hold: Duration, reason: Reason) -> Mode {
        self.step_down(State::Backup, reason);
        let wait = self.down(self.rules.interval);
        let backup = Backup::waiting(self.rules, self.now, wait, Reason::ActiveDown);
        Mode::Backup(Backup {
            held: Some(self.now + hold),
            ..backup
        })
    }

    /// Put back at once, without an election; but whoever takes an address away again
    /// and again is in charge of the interface, and we are not.
    fn lost(&mut self, mut active: Active) -> Mode {
        if active.losses.too_many(self.now) {
            self.note(Note::AddressLostTooOften);
            self.step_down(State::Fault, Reason::AddressLost);
            return Mode::Fault(FaultEnds::At(self.now + LOSS_WINDOW));
        }
        self.act(Action::Acquire);
        self.act(Action::Announce);
        Mode::Active(active)
    }
}
