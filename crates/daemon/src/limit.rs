//! How often a noisy line may be said: a decision, with the time as an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Lets `burst` lines of each class through per `window` and counts the rest.
#[derive(Debug)]
pub struct Limiter<C> {
    burst: u32,
    window: Duration,
    classes: BTreeMap<C, Class>,
}

#[derive(Debug)]
struct Class {
    opened: Instant,
    said: u32,
    suppressed: u64,
}

/// Whether to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Say it, and that so many of its class were not said since the last.
    Say {
        /// Lines of this class kept back since one was said.
        suppressed: u64,
    },
    /// Keep it back; it is counted.
    Hush,
}

/// Classes kept at once, in case they are made from what peers send: beyond it the
/// one whose window opened first is forgotten.
const CLASSES: usize = 1024;

impl<C: Ord + Clone> Limiter<C> {
    /// `burst` lines of one class per `window`.
    pub fn new(burst: u32, window: Duration) -> Self {
        Self {
            burst,
            window,
            classes: BTreeMap::new(),
        }
    }

    /// Whether a line of `class` may be said at `now`.
    pub fn admit(&mut self, class: C, now: Instant) -> Verdict {
        if self.classes.len() >= CLASSES && !self.classes.contains_key(&class) {
            self.forget_oldest();
        }
        let entry = self.classes.entry(class).or_insert(Class {
            opened: now,
            said: 0,
            suppressed: 0,
        });
        if now.saturating_duration_since(entry.opened) >= self.window {
            entry.opened = now;
            entry.said = 0;
        }
        if entry.said >= self.burst {
            entry.suppressed += 1;
            return Verdict::Hush;
        }
        entry.said += 1;
        Verdict::Say {
            suppressed: std::mem::take(&mut entry.suppressed),
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.classes.iter().min_by_key(|(_, class)| class.opened);
        if let Some(class) = oldest.map(|(class, _)| class.clone()) {
            self.classes.remove(&class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Hush, Say};

    #[test]
    fn burst_then_hush_then_says_how_many() {
        let start = Instant::now();
        let mut limiter = Limiter::new(2, Duration::from_secs(10));
        for (millis, class, verdict) in [
            (0, "refused", Say { suppressed: 0 }),
            (1, "refused", Say { suppressed: 0 }),
            (2, "refused", Hush),
            (2, "reset", Say { suppressed: 0 }),
            (9_999, "refused", Hush),
            (10_000, "refused", Say { suppressed: 2 }),
            (10_001, "refused", Say { suppressed: 0 }),
            (10_002, "refused", Hush),
            (19_999, "refused", Hush),
            (20_000, "refused", Say { suppressed: 2 }),
        ] {
            let now = start + Duration::from_millis(millis);
            assert_eq!(limiter.admit(class, now), verdict, "{class} at {millis} ms");
        }
    }

    #[test]
    fn forgets_the_oldest_class_when_full() {
        let start = Instant::now();
        let mut limiter = Limiter::new(1, Duration::from_secs(3600));
        for class in 0..CLASSES {
            let now = start + Duration::from_millis(u64::try_from(class).unwrap());
            assert_eq!(limiter.admit(class, now), Say { suppressed: 0 });
        }
        let later = start + Duration::from_secs(60);
        assert_eq!(limiter.admit(CLASSES, later), Say { suppressed: 0 });
        assert_eq!(limiter.classes.len(), CLASSES);
        assert_eq!(limiter.admit(1, later), Hush);
        assert_eq!(limiter.admit(0, later), Say { suppressed: 0 });
    }

    #[test]
    fn a_clock_that_goes_back_hushes_rather_than_floods() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut limiter = Limiter::new(1, Duration::from_secs(10));
        assert_eq!(limiter.admit((), start), Say { suppressed: 0 });
        assert_eq!(limiter.admit((), start - Duration::from_secs(30)), Hush);
    }
}
