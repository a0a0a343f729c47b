//! A router that cannot be opened, at the start or again: what is said of it while it waits.

use daemon::chain;
use vrrp::fsm::Reason;
use vrrp::{Priority, State};

use super::Life;
use crate::driver::Lost;
use crate::linux::OpenError;
use crate::notify::{Move, News, Subject};
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
        let absent = Stance {
            state: State::Fault,
            faulty: true,
            ..Stance::ABSENT
        };
        self.stands(absent, Reason::Fault);
    }

    /// It ends while it waits: for whoever is told, as any other does.
    pub(super) fn end(&self) {
        self.stands(Stance::ABSENT, Reason::Stopped);
    }

    fn stands(&self, stance: Stance, reason: Reason) {
        let (from, to) = (self.record.borrow().told.state, stance.state);
        self.record.send_modify(|record| {
            record.state = to;
            record.tell(to, reason);
        });
        self.tell(Move {
            subject: Subject::Router(self.router.name.clone()),
            from,
            to,
            reason,
            priority: self.standing.borrow().able,
        });
        let Some(seat) = &self.seat else {
            return;
        };
        if let Some((from, to)) = seat.post(stance) {
            self.tell(Move {
                subject: Subject::Group(seat.group().to_owned()),
                from,
                to,
                reason,
                // As keepalived's scripts know it.
                priority: Priority::RELEASE,
            });
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

    fn tell(&self, moved: Move) {
        let Some(moves) = &self.moves else {
            return;
        };
        // As in a driver: a full queue costs a notice.
        let told = moves.try_send(News::Moved(moved));
        self.record.send_if_modified(|record| {
            record.counts.untold += u64::from(told.is_err());
            false
        });
    }
}
