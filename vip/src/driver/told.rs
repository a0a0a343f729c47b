//! What others are told of a router's state: scripts, the FIFO, events, `status`, metrics.
//!
//! keepalived's users know one FAULT: the router cannot serve. For the state machine a
//! failed check without a weight is none: such a router listens on as a Backup, and takes
//! the addresses when nobody else does. What is told is the FAULT that scripts wait for,
//! as long as it does not hold the addresses.

use std::net::IpAddr;

use vrrp::fsm::Reason;
use vrrp::packet::Advert;
use vrrp::{Priority, State};

use super::{Driver, Effects};
use crate::notify::{Aside, Move, News, Subject};
use crate::track::Out;

impl<E: Effects> Driver<E> {
    /// The state that is told for one of the machine's.
    fn outward(&self, state: State) -> State {
        let failed = match self.standing.out {
            Some(Out::Fault) => true,
            Some(Out::Together) => self.failed_beside(),
            // What nobody knows yet is no fault that anybody is told of.
            Some(Out::Released | Out::Undecided) | None => false,
        };
        match state {
            State::Backup if failed => State::Fault,
            State::Initialize | State::Backup | State::Active | State::Fault => state,
        }
    }

    /// Tells of a transition of the machine, unless others know of the state already.
    pub(super) fn tell_moved(&mut self, to: State, reason: Reason) {
        let outward = self.outward(to);
        let reason = match (to, outward) {
            (State::Backup, State::Fault) => Reason::Fault,
            _told_as_it_is => reason,
        };
        self.tell_state(outward, reason);
    }

    /// Tells of what has become of the checks of a router that stays what it is.
    pub(super) fn tell_checked(&mut self) {
        let outward = self.outward(self.machine.state());
        let reason = match outward {
            State::Fault => Reason::Fault,
            State::Initialize | State::Backup | State::Active => Reason::Recovered,
        };
        self.tell_state(outward, reason);
    }

    fn tell_state(&mut self, to: State, reason: Reason) {
        let from = std::mem::replace(&mut self.told, to);
        if from == to {
            return;
        }
        self.tell(News::Moved(Move {
            subject: Subject::Router(self.name.clone()),
            from,
            to,
            reason,
            // Scripts know the priority of a router at fault as what it will be again.
            priority: match to {
                State::Backup | State::Active => self.machine.priority(),
                State::Fault | State::Initialize => self.own.able,
            },
        }));
        self.record.send_modify(|record| record.tell(to, reason));
    }

    /// An Active that hears a router which should yield: the two did not hear each other.
    pub(super) fn tell_lower(&self, from: IpAddr, advert: &Advert) {
        let ours = (self.machine.priority(), self.source);
        let lower = (advert.priority, from) < ours && !advert.priority.is_release();
        if lower && self.machine.state() == State::Active {
            self.tell(News::Aside {
                router: self.name.clone(),
                aside: Aside::LowerHeard,
                priority: self.machine.priority(),
            });
        }
    }

    /// The priority that it has when nothing makes it stay out has changed.
    pub(super) fn tell_priority(&self, priority: Priority) {
        let aside = match self.machine.state() {
            State::Active => Aside::ActivePriority,
            State::Backup | State::Fault | State::Initialize => Aside::BackupPriority,
        };
        self.tell(News::Aside {
            router: self.name.clone(),
            aside,
            priority,
        });
    }
}
