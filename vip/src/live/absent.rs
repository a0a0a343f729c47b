//! A router that cannot be opened, at the start or again: what is said of it while it waits.

use daemon::chain;
use vrrp::fsm::Reason;
use vrrp::{Priority, State};

use super::Life;
use crate::driver::Lost;
use crate::linux::OpenError;
use crate::notify::{Move, Subject};
use crate::sync::Stance;

impl Life {
    /// It has lost what it cannot do without.
    pub(super) fn step_out(&self, lost: Lost) {
        let (router, interface) = (&self.router.name, &self.router.interface);
        let lost = lost.name();
        tracing::warn!(router, interface, lost, "stepped out; waiting for it");
    }

    /// It cannot take part yet: for its group, and for whoever is told, that is a fault.
    pub(super) fn stand_by(&self, error: &OpenError) {
        tracing::warn!(
            router = self.router.name,
            "{}; waiting for it",
            chain(error)
        );
        self.lacks(Some(error));
        let (before, fault) = (State::Initialize, State::Fault);
        self.record.send_modify(|record| {
            record.state = fault;
            record.tell(fault, Reason::Fault);
        });
        let priority = self.record.borrow().priority;
        let subject = Subject::Router(self.router.name.clone());
        self.tell(subject, before, fault, priority);
        let Some(seat) = &self.seat else {
            return;
        };
        let absent = Stance {
            state: fault,
            faulty: true,
            ..Stance::ABSENT
        };
        if let Some((before, after)) = seat.post(absent) {
            let subject = Subject::Group(seat.group().to_owned());
            // As keepalived's scripts know it.
            self.tell(subject, before, after, Priority::RELEASE);
        }
    }

    /// What it waits for, for `status`; nothing once it is open.
    pub(super) fn lacks(&self, error: Option<&OpenError>) {
        let lacks = error.map(|error| chain(error));
        self.record.send_if_modified(|record| {
            let other = record.lacks != lacks;
            record.lacks = lacks;
            other
        });
    }

    fn tell(&self, subject: Subject, from: State, to: State, priority: Priority) {
        let Some(moves) = &self.moves else {
            return;
        };
        let moved = Move {
            subject,
            from,
            to,
            reason: Reason::Fault,
            priority,
        };
        // As in a driver: a full queue costs a notice.
        let told = moves.try_send(moved);
        self.record.send_if_modified(|record| {
            record.counts.untold += u64::from(told.is_err());
            false
        });
    }
}
