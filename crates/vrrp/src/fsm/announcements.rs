//! When an Active announces its addresses again.
//!
//! Two Backups that time out together both become Active and both announce. The one that
//! yields may be the last to have done so, and every neighbour then sends to a router
//! without the address until the next announcement. So an announcement is made again
//! shortly after, when another that was Active has fallen silent: after a promotion,
//! since the advert of a rival may have come just before it, or been lost, after each sign of
//! another Active, and after a silence of our own in which there may have been one.

use std::time::{Duration, Instant};

use super::Announcing;

/// By then the burst of a rival is out: it follows its advert within about a millisecond.
const SOON: Duration = Duration::from_millis(20);
/// And once more, for an Active that was slow to yield.
const LATER: Duration = Duration::from_millis(200);
/// Signs come with every advert while a partition lasts one way. Within a window this
/// many are answered at once, all others together at its end.
const WINDOW: Duration = Duration::from_secs(1);
const AT_ONCE_PER_WINDOW: u8 = 5;

/// What is still to be announced, and how much was of late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announcements {
    refresh: Option<Duration>,
    regular: Option<Instant>,
    soon: Option<Instant>,
    later: Option<Instant>,
    deferred: Option<Instant>,
    window: Option<Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    ends: Instant,
    answered: u8,
}

impl Announcements {
    /// Of a router that has become Active, and announced, at `now`.
    pub(super) fn after_promotion(announcing: Announcing, now: Instant) -> Self {
        let first = announcing.second.or(announcing.refresh);
        Self {
            refresh: announcing.refresh,
            regular: first.map(|delay| now + delay),
            soon: Some(now + SOON),
            later: Some(now + LATER),
            deferred: None,
            window: None,
        }
    }

    /// From here on in these distances; what is due before stays due.
    pub(super) fn adjust(&mut self, announcing: Announcing, now: Instant) {
        self.refresh = announcing.refresh;
        let next = announcing.refresh.map(|every| now + every);
        self.regular = [self.regular, next].into_iter().flatten().min();
    }

    /// There is a sign of another Active. Is it to be answered at once?
    pub(super) fn contradicted(&mut self, now: Instant) -> bool {
        let fresh = Window {
            ends: now + WINDOW,
            answered: 0,
        };
        let window = self
            .window
            .filter(|window| now < window.ends)
            .unwrap_or(fresh);
        let at_once = window.answered < AT_ONCE_PER_WINDOW;
        if at_once {
            self.window = Some(Window {
                answered: window.answered + 1,
                ..window
            });
            self.soon = Some(now + SOON);
            self.later = Some(now + LATER);
        } else {
            self.deferred = Some(window.ends.max(now + SOON));
        }
        at_once
    }

    /// We were silent for so long that another may have been Active, and may have announced
    /// before it yielded unheard: due at once, and then as after any sign of another.
    pub(super) fn doubted(&mut self, now: Instant) {
        if self.contradicted(now) {
            self.deferred = Some(now);
        }
    }

    /// Takes out what is due at `now`. Was anything?
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = |at: &mut Instant| *at <= now;
        let soon = self.soon.take_if(is_due).is_some();
        let later = self.later.take_if(is_due).is_some();
        let regular = self.regular.take_if(is_due).is_some();
        if regular {
            self.regular = self.refresh.map(|every| now + every);
        }
        let deferred = self.deferred.take_if(is_due).is_some();
        soon || later || regular || deferred
    }

    /// The next one.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.regular, self.soon, self.later, self.deferred]
            .into_iter()
            .flatten()
            .min()
    }
}
