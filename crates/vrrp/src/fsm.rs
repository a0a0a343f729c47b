//! The state machine of one virtual router (RFC 9568 section 6.4).
//!
//! ```text
//!                    Start, Recover (owner)
//!        ┌───────────────────────────────────────────┐
//!        │                                           ▼
//!  Initialize ── Start ──► Backup ── down timer ──► Active
//!     ▲  ▲                  ▲ │ ▲                   │ │ │
//!     │  └───── Stop ───────┼─┘ └── higher, late, ──┘ │ │
//!     │                     │ │      yield            │ │
//!     │             Recover │ │ Fault                 │ │ Stop: priority 0,
//!     │                     │ ▼                       │ │ then release
//!     └──────── Stop ────── Fault ◄── priority 0 ─────┘ │
//!     └─────────────────────────────────────────────────┘
//! ```
//!
//! What a Backup does about an advert:
//!
//! | heard | timer |
//! |---|---|
//! | priority 0 | skew only |
//! | ours or higher | down interval, with the Active's interval (VRRPv3) |
//! | lower, we do not preempt (`Never`, delayed, yielded) | the same |
//! | lower, we preempt | runs on |
//! | our addresses, from a stranger ([`Event::Stranger`]) | at least the stranger's down interval |
//! | priority 0 from that stranger | until a Backup of its kind would have taken over |
//!
//! What an Active does about it:
//!
//! | heard | |
//! |---|---|
//! | higher, or equal from a higher address | release, Backup |
//! | lower, or equal from a lower address | advert and announcement at once, announcements after 20 ms and 200 ms |
//! | priority 0 | the same |
//! | our addresses, from a stranger, within its down interval of our promotion | release, Backup |
//!
//! A promotion is announced at once, after 20 ms and after 200 ms, and as
//! [`Announcing`] says.
//!
//! Lateness: an Active that finds itself silent for the down interval of the highest that
//! may be waiting releases, and a Backup whose down timer fires an interval late listens
//! first; both then wait an interval and their skew for another Active.

mod active;
mod announcements;
mod backup;
mod event;
mod mode;
mod settings;
mod step;
mod strangers;
pub mod timers;

pub use event::{Action, Actions, Event, Leftover, Note, Reason};
pub use settings::{Announcing, Preempt, Settings};

use std::time::Instant;

use crate::{AdvertInterval, Priority, State};
use mode::Mode;
use step::Step;

/// One virtual router. It has neither clock nor socket: it is told what happened and
/// when, says what to do, and says when it wants to be asked again.
#[derive(Debug, Clone)]
pub struct Router {
    settings: Settings,
    mode: Mode,
}

impl Router {
    /// A router in Initialize.
    pub fn new(settings: Settings) -> Self {
        let priority = settings.priority.max(Priority::MIN);
        Self {
            settings: Settings {
                priority,
                ..settings
            },
            mode: Mode::Initialize,
        }
    }

    /// What `event`, at `now`, makes of this router, and what to do about it. `now` must
    /// not run backwards from call to call.
    pub fn handle(&mut self, event: Event<'_>, now: Instant) -> Actions {
        let before = std::mem::take(&mut self.mode);
        let actions = Actions::default();
        let mut step = Step {
            rules: &mut self.settings,
            now,
            actions,
        };
        self.mode = step.take(before, event);
        step.actions
    }

    /// Takes on other habits without an election: whether it preempts counts from the next
    /// advert of another, and when it announces from `now` on.
    pub fn adjust(&mut self, preempt: Preempt, announcing: Announcing, now: Instant) {
        let is_other = self.settings.preempt != preempt;
        self.settings.preempt = preempt;
        self.settings.announcing = announcing;
        match &mut self.mode {
            Mode::Active(active) => active.announcements.adjust(announcing, now),
            Mode::Backup(backup) if is_other => backup.delayed = None,
            Mode::Backup(_) | Mode::Initialize | Mode::Fault(_) => {}
        }
    }

    /// When [`Event::Deadline`] is due. It changes with every event; `None` while there
    /// is nothing to wait for.
    pub fn deadline(&self) -> Option<Instant> {
        self.mode.deadline()
    }

    /// When a Backup would take over, if no stranger kept it from its addresses.
    pub fn held_back(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Backup(backup) => (backup.due() > backup.down).then_some(backup.down),
            Mode::Initialize | Mode::Fault(_) | Mode::Active(_) => None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.mode.state()
    }

    /// The priority it has at the moment.
    pub fn priority(&self) -> Priority {
        self.settings.priority
    }

    /// The interval by which it measures the Active's silence: adopted from the Active in
    /// VRRPv3, its own otherwise.
    pub fn active_interval(&self) -> AdvertInterval {
        match &self.mode {
            Mode::Backup(backup) => backup.following,
            Mode::Initialize | Mode::Fault(_) | Mode::Active(_) => self.settings.interval,
        }
    }
}
