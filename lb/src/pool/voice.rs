//! What all workers together have heard of a server. Ticks are those of the data path, from the
//! start of its crew on; 0 stands for never.

use std::sync::atomic::{AtomicU32, Ordering};

/// Clients that a server lets down in a row until that is told.
const STRIKES: u32 = 3;

/// When a server last spoke, and whom it has let down since.
#[derive(Debug, Default)]
pub struct Voice {
    spoke: AtomicU32,
    /// The latest question that was answered.
    answered: AtomicU32,
    strikes: AtomicU32,
}

impl Voice {
    /// It let a client down. Whether that makes too many in a row; the count begins anew then.
    #[must_use]
    pub fn strike(&self) -> bool {
        let is_out = self.strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES;
        if is_out {
            self.strikes.store(0, Ordering::Relaxed);
        }
        is_out
    }

    /// It said its first byte to somebody, who had asked at tick `asked`, where that is known.
    pub fn speaks(&self, asked: Option<u32>, now: u32) {
        set(&self.spoke, now);
        set(&self.strikes, 0);
        if let Some(asked) = asked
            && self.answered().is_none_or(|last| is_later(asked, last))
        {
            set(&self.answered, asked);
        }
    }

    /// All of it, as numbers: when it spoke, what it answered, its strikes.
    #[must_use]
    pub fn keep(&self) -> [u32; 3] {
        [&self.spoke, &self.answered, &self.strikes].map(|n| n.load(Ordering::Relaxed))
    }

    /// The inverse of [`Voice::keep`].
    pub fn restore(&self, [spoke, answered, strikes]: [u32; 3]) {
        self.spoke.store(spoke, Ordering::Relaxed);
        self.answered.store(answered, Ordering::Relaxed);
        self.strikes.store(strikes, Ordering::Relaxed);
    }

    /// When it last said a first byte.
    #[must_use]
    pub fn spoke(&self) -> Option<u32> {
        Some(self.spoke.load(Ordering::Relaxed)).filter(|tick| *tick != 0)
    }

    /// When the youngest question was asked that it has answered.
    #[must_use]
    pub fn answered(&self) -> Option<u32> {
        Some(self.answered.load(Ordering::Relaxed)).filter(|tick| *tick != 0)
    }
}

/// Written only when it changes: what is only read is in the caches of all workers.
fn set(place: &AtomicU32, value: u32) {
    if place.load(Ordering::Relaxed) != value {
        place.store(value, Ordering::Relaxed);
    }
}

/// Ticks wrap; none of two that are compared is half of their range away.
const fn is_later(one: u32, other: u32) -> bool {
    one.wrapping_sub(other) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_strikes_without_a_word_between() {
        let voice = Voice::default();
        assert_eq!([(); 2].map(|()| voice.strike()), [false, false]);
        voice.speaks(None, 7);
        let strikes = [(); 7].map(|()| voice.strike());
        assert_eq!(strikes, [false, false, true, false, false, true, false]);
    }

    #[test]
    fn the_youngest_question_that_was_answered() {
        let voice = Voice::default();
        assert_eq!((voice.spoke(), voice.answered()), (None, None));
        for (asked, now, expected) in [
            (Some(5), 9, Some(5)),
            (Some(3), 10, Some(5)),
            (None, 11, Some(5)),
            (Some(u32::MAX), 12, Some(5)),
            (Some(8), 12, Some(8)),
        ] {
            voice.speaks(asked, now);
            assert_eq!(voice.spoke(), Some(now));
            assert_eq!(voice.answered(), expected, "{asked:?}");
        }
    }
}
