//! Moving together with the other routers of a sync group: what they are told of this
//! one, and what this one does about them.

use tokio::time::Instant;
use vrrp::fsm::Reason;
use vrrp::{Priority, State};

use super::handover::Cause;
use super::{Driver, Effects, Ended};
use crate::notify::{Move, News, Subject};
use crate::sync::{Around, Seat, Stance};
use crate::track::Standing;

/// A router's part in a group.
pub(super) struct Together {
    seat: Seat,
    around: Around,
    falls: u64,
    /// What the others were told.
    ready: bool,
    /// Its timer has fired, and it waits for the others since then.
    waiting: bool,
}

/// What a router whose timer has fired does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// What its state machine says.
    Own,
    /// It takes over, having waited for the others.
    Together,
    /// It waits for the others.
    Wait,
}

/// The next change in the group; for ever without one.
pub(super) async fn changed(together: &mut Option<Together>) {
    match together {
        Some(together) => together.seat.changed().await,
        None => std::future::pending().await,
    }
}

impl Together {
    pub(super) fn new(seat: Seat) -> Self {
        // What was before is nothing that has happened to this router.
        let falls = seat.around().falls;
        Self {
            around: Around {
                falls,
                ..Around::default()
            },
            seat,
            falls: 0,
            ready: false,
            waiting: false,
        }
    }

    /// Does the router wait, and would go on waiting?
    pub(super) fn waits(&self) -> bool {
        self.waiting && !self.seat.missing().is_empty()
    }
}

impl<E: Effects> Driver<E> {
    /// Looks at the others.
    pub(super) fn beside(&mut self) -> Option<Ended> {
        let together = self.together.as_mut()?;
        let around = together.seat.around();
        let before = std::mem::replace(&mut together.around, around);
        if around.faulty != before.faulty {
            self.link(self.running);
        }
        if (around.out, around.failed) != (before.out, before.failed) {
            self.stand(self.own);
        }
        if around.falls > before.falls && self.machine.state() == State::Active {
            return self.hand_over(Cause::Together);
        }
        self.publish();
        None
    }

    /// What is left of a standing beside the others.
    pub(super) fn beside_others(&self, own: Standing) -> Standing {
        let together = self.together.as_ref();
        together.map_or(own, |together| together.around.standing(own))
    }

    /// Is another router of the group unable?
    pub(super) fn faulty_beside(&self) -> bool {
        let together = self.together.as_ref();
        together.is_some_and(|together| together.around.faulty)
    }

    /// Does a check without a weight of another router of the group fail?
    pub(super) fn failed_beside(&self) -> bool {
        let together = self.together.as_ref();
        together.is_some_and(|together| together.around.failed)
    }

    /// The timer has fired: may the router act?
    pub(super) fn turn(&mut self) -> Turn {
        let backup = self.machine.state() == State::Backup;
        match &mut self.together {
            Some(together) if backup => {
                let waited = std::mem::replace(&mut together.waiting, true);
                if !together.seat.missing().is_empty() {
                    self.tell_group();
                    return Turn::Wait;
                }
                together.waiting = false;
                if waited { Turn::Together } else { Turn::Own }
            }
            Some(_) | None => Turn::Own,
        }
    }

    /// When the others need wait for it no longer, though a stranger keeps it from its
    /// addresses; `None` once they know.
    pub(super) fn kept(&self) -> Option<Instant> {
        self.together.as_ref().filter(|together| !together.ready)?;
        self.machine.held_back().map(Instant::from_std)
    }

    /// It has lost its addresses; the others follow, unless it was one that followed, or a
    /// stranger has them: that one is on this network alone.
    pub(super) fn fell(&mut self, from: State, to: State, reason: Reason) {
        if let Some(together) = &mut self.together
            && from == State::Active
            && to != State::Initialize
            && !matches!(reason, Reason::Together | Reason::StrangerFirst)
        {
            together.falls += 1;
        }
    }

    /// Tells the others how this router stands.
    pub(super) fn tell_group(&mut self) {
        let deadline = self.machine.held_back().or(self.machine.deadline());
        let state = self.machine.state();
        let due = deadline.is_some_and(|at| Instant::from_std(at) <= Instant::now());
        let Some(together) = &mut self.together else {
            return;
        };
        let ready = state == State::Backup && due;
        together.ready = ready;
        together.waiting &= ready;
        let moved = together.seat.post(Stance {
            state,
            ready,
            faulty: self.faulty,
            out: self.own.out,
            falls: together.falls,
        });
        let Some((from, to)) = moved else {
            return;
        };
        let group = together.seat.group().to_owned();
        let reason = self.record.borrow().reason;
        tracing::info!(group, %from, %to, "the sync group changed");
        self.tell(News::Moved(Move {
            subject: Subject::Group(group),
            from,
            to,
            reason,
            // As keepalived's scripts know it.
            priority: Priority::RELEASE,
        }));
    }

    /// Whom the router waits for; nobody when its time has not come.
    pub(super) fn waits_for(&self) -> Vec<String> {
        match &self.together {
            Some(together) if together.waiting => together.seat.missing(),
            Some(_) | None => Vec::new(),
        }
    }
}
