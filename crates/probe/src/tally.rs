//! Rise and fall: from single outcomes to a verdict.

use std::num::NonZeroU32;

/// What a tally has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Healthy.
    Up,
    /// Not healthy.
    Down,
}

/// Counts outcomes in a row. It starts without a verdict, and the first outcome decides
/// at once; from then on `rise` passes in a row lead to [`Verdict::Up`] and `fall`
/// failures in a row to [`Verdict::Down`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    rise: NonZeroU32,
    fall: NonZeroU32,
    verdict: Option<Verdict>,
    against: u32,
}

impl Tally {
    /// A tally without a verdict. `rise` and `fall` count checks.
    #[must_use]
    pub fn new(rise: NonZeroU32, fall: NonZeroU32) -> Self {
        Self {
            rise,
            fall,
            verdict: None,
            against: 0,
        }
    }

    /// Takes one outcome in. Returns the verdict when it changed.
    pub fn record(&mut self, passed: bool) -> Option<Verdict> {
        let points_to = if passed { Verdict::Up } else { Verdict::Down };
        if self.verdict == Some(points_to) {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        if self.verdict.is_some() && self.against < self.needed(points_to) {
            return None;
        }
        self.against = 0;
        self.verdict = Some(points_to);
        self.verdict
    }

    /// The verdict so far; none before the first outcome.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// How many outcomes in a row speak against the verdict.
    #[must_use]
    pub fn against(&self) -> u32 {
        self.against
    }

    /// The same verdict under other limits, for a reload.
    #[must_use]
    pub fn with_limits(self, rise: NonZeroU32, fall: NonZeroU32) -> Self {
        Self { rise, fall, ..self }
    }

    fn needed(&self, verdict: Verdict) -> u32 {
        match verdict {
            Verdict::Up => self.rise.get(),
            Verdict::Down => self.fall.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Down, Up};

    fn tally(rise: u32, fall: u32) -> Tally {
        Tally::new(
            NonZeroU32::new(rise).unwrap(),
            NonZeroU32::new(fall).unwrap(),
        )
    }

    /// (rise, fall, outcomes as + and -, the change after each: U, D or .)
    const TABLE: &[(u32, u32, &str, &str)] = &[
        (1, 1, "+-+-", "UDUD"),
        (3, 3, "+", "U"),
        (3, 3, "-", "D"),
        (2, 2, "++--++", "U..D.U"),
        (2, 3, "+--+---", "U.....D"),
        (2, 3, "+---", "U..D"),
        (3, 1, "-++-+++", "D.....U"),
        (3, 1, "-+++", "D..U"),
        (2, 2, "-+-+-+", "D....."),
    ];

    #[test]
    fn table() {
        for (rise, fall, outcomes, expected) in TABLE {
            let mut tally = tally(*rise, *fall);
            let seen: String = outcomes
                .chars()
                .map(|outcome| match tally.record(outcome == '+') {
                    Some(Up) => 'U',
                    Some(Down) => 'D',
                    None => '.',
                })
                .collect();
            assert_eq!(&seen, expected, "rise {rise} fall {fall}: {outcomes}");
        }
    }

    #[test]
    fn starts_without_a_verdict_and_counts_what_speaks_against_it() {
        let mut tally = tally(2, 3);
        assert_eq!(tally.verdict(), None);
        tally.record(true);
        tally.record(false);
        tally.record(false);
        assert_eq!((tally.verdict(), tally.against()), (Some(Up), 2));
        tally.record(true);
        assert_eq!(tally.against(), 0);
    }

    #[test]
    fn new_limits_keep_the_verdict() {
        let mut tally = tally(2, 3);
        tally.record(true);
        let one = NonZeroU32::MIN;
        let mut tighter = tally.with_limits(one, one);
        assert_eq!(tighter.verdict(), Some(Up));
        assert_eq!(tighter.record(false), Some(Down));
    }
}
