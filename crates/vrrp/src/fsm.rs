//! The state machine of one virtual router (RFC 9568 section 6.4).

mod event;
mod settings;

pub use event::{Action, Actions, Event, Leftover, Note, Reason};
pub use settings::{Announcing, Preempt, Settings};

use std::time::Instant;

use crate::{Priority, State};

/// One virtual router. It has neither clock nor socket: it is told what happened and
/// when, says what to do, and says when it wants to be asked again.
#[derive(Debug, Clone)]
pub struct Router {
    settings: Settings,
}

impl Router {
    /// A router in Initialize.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What `event`, at `now`, makes of this router, and what to do about it.
    pub fn handle(&mut self, _event: Event<'_>, _now: Instant) -> Actions {
        Actions::default()
    }

    /// When [`Event::Deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        State::Initialize
    }

    /// The priority it has at the moment.
    pub fn priority(&self) -> Priority {
        self.settings.priority
    }
}
