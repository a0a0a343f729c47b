//! What a router remembers in each state.

use std::time::{Duration, Instant};

use super::announcements::Announcements;
use super::strangers::Strangers;
use super::{Leftover, Reason, Settings};
use crate::{AdvertInterval, State};

/// Addresses put back within [`LOSS_WINDOW`] before something else is taken to be in
/// charge of the interface.
const LOSSES: usize = 5;
/// See [`LOSSES`]; the fault that follows lasts as long.
pub(super) const LOSS_WINDOW: Duration = Duration::from_secs(60);

/// A state and what belongs to it.
#[derive(Debug, Clone, Default)]
pub(super) enum Mode {
    #[default]
    Initialize,
    Fault(FaultEnds),
    Backup(Backup),
    Active(Active),
}

/// What ends a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultEnds {
    /// Who reported it.
    WhenTold,
    /// Time: the router has found it itself.
    At(Instant),
}

#[derive(Debug, Clone)]
pub(super) struct Backup {
    /// Active_Down_Timer.
    pub(super) down: Instant,
    /// Why the router becomes Active when the timer fires.
    pub(super) then: Reason,
    /// Active_Adver_Interval.
    pub(super) following: AdvertInterval,
    /// A lower Active has been followed, and is until then: [`super::Preempt::After`].
    pub(super) delayed: Option<Instant>,
    /// Told to leave a lower Active alone until then.
    pub(super) held: Option<Instant>,
    /// Who has advertised our addresses and is not listened to.
    pub(super) strangers: Strangers,
    pub(super) leftover: Leftover,
}

#[derive(Debug, Clone)]
pub(super) struct Active {
    /// When it found nobody there; `None` where the addresses were given to it: whoever had
    /// them was there before any stranger that is heard from then on.
    pub(super) alone: Option<Instant>,
    /// The last advert.
    pub(super) sent: Instant,
    /// Adver_Timer.
    pub(super) next: Instant,
    pub(super) announcements: Announcements,
    pub(super) losses: Losses,
}

impl Mode {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Initialize => State::Initialize,
            Self::Fault(_) => State::Fault,
            Self::Backup(_) => State::Backup,
            Self::Active(_) => State::Active,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Initialize | Self::Fault(FaultEnds::WhenTold) => None,
            Self::Fault(FaultEnds::At(end)) => Some(*end),
            Self::Backup(backup) => Some(backup.due()),
            Self::Active(active) => {
                let announce = active.announcements.deadline();
                Some(announce.map_or(active.next, |at| at.min(active.next)))
            }
        }
    }
}

impl Backup {
    /// Listens for `wait`, then becomes Active for the reason `then`.
    pub(super) fn waiting(
        rules: &Settings,
        now: Instant,
        wait: Duration,
        then: Reason,
    ) -> Self {
        Self {
            down: now + wait,
            then,
            following: rules.interval,
            delayed: None,
            held: None,
            strangers: Strangers::default(),
            leftover: Leftover::None,
        }
    }

    /// When everybody that was heard counts as silent.
    pub(super) fn due(&self) -> Instant {
        let strangers = self.strangers.silent();
        strangers.map_or(self.down, |at| at.max(self.down))
    }
}

impl Active {
    pub(super) fn since(rules: &Settings, now: Instant, reason: Reason) -> Self {
        Self {
            alone: (reason != Reason::HandedOver).then_some(now),
            sent: now,
            next: now + rules.interval.duration(),
            announcements: Announcements::after_promotion(rules.announcing, now),
            losses: Losses::default(),
        }
    }
}

/// When addresses were lost of late.
#[derive(Debug, Clone, Default)]
pub(super) struct Losses(Vec<Instant>);

impl Losses {
    /// One more. Is it one too many?
    pub(super) fn too_many(&mut self, now: Instant) -> bool {
        self.0
            .retain(|at| now.saturating_duration_since(*at) < LOSS_WINDOW);
        if self.0.len() >= LOSSES {
            return true;
        }
        self.0.push(now);
        false
    }
}
