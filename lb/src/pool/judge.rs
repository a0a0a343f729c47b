//! From the results of checks to the state of one server. Decides; checks nothing.

use std::num::NonZeroU32;

use probe::Reach;

use super::State;

/// Counts results in a row. The first result decides at once; from then on `rise` passes
/// lead up and `fall` failures away from up. How bad a failing server looks is judged by
/// the best of the last `fall` results, so that one lost SYN does not make a draining
/// server unreachable and cut what it still serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Judge {
    rise: NonZeroU32,
    fall: NonZeroU32,
    state: State,
    passes: u32,
    failures: u32,
    /// Results in a row that were silent or worse.
    silent: u32,
    /// Results in a row that were unreachable.
    unreachable: u32,
}

impl Judge {
    /// Knows nothing yet.
    #[must_use]
    pub const fn new(rise: NonZeroU32, fall: NonZeroU32) -> Self {
        Self {
            rise,
            fall,
            state: State::Unknown,
            passes: 0,
            failures: 0,
            silent: 0,
            unreachable: 0,
        }
    }

    /// Whether the last results say otherwise than the state, or nothing is known.
    #[must_use]
    pub fn is_wavering(&self) -> bool {
        match self.state {
            State::Unknown => true,
            State::Up => self.failures > 0,
            State::Draining | State::Hung | State::Unreachable | State::Disabled => {
                self.passes > 0
            }
        }
    }

    /// What it has come to.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The same knowledge under other limits, for a reload.
    #[must_use]
    pub const fn with_limits(self, rise: NonZeroU32, fall: NonZeroU32) -> Self {
        Self { rise, fall, ..self }
    }

    /// Takes one result in and says the state that follows. A check that could not be made
    /// ([`Reach::Unknown`]) says nothing about the server and changes nothing.
    pub fn record(&mut self, passed: bool, reach: Reach) -> State {
        if passed {
            self.pass();
        } else if reach != Reach::Unknown {
            self.fail(reach);
        }
        self.state
    }

    /// Traffic met failure after failure, no answer between: it is not waited for `fall`
    /// checks. From then on the checks decide, and `rise` passes lead up again.
    pub fn observe(&mut self, reach: Reach) -> State {
        let fall = self.fall.get();
        self.state = match reach {
            Reach::Unreachable => State::Unreachable,
            Reach::Silent => State::Hung,
            Reach::Answered | Reach::Unknown => return self.state,
        };
        (self.passes, self.failures, self.silent) = (0, fall, fall);
        self.unreachable = if reach == Reach::Unreachable { fall } else { 0 };
        self.state
    }

    fn pass(&mut self) {
        (self.failures, self.silent, self.unreachable) = (0, 0, 0);
        self.passes = self.passes.saturating_add(1);
        if self.state == State::Unknown || self.passes >= self.rise.get() {
            self.state = State::Up;
        }
    }

    fn fail(&mut self, reach: Reach) {
        self.passes = 0;
        let is_silent = matches!(reach, Reach::Silent | Reach::Unreachable);
        let is_unreachable = reach == Reach::Unreachable;
        self.failures = self.failures.saturating_add(1);
        self.silent = if is_silent {
            self.silent.saturating_add(1)
        } else {
            0
        };
        self.unreachable = if is_unreachable {
            self.unreachable.saturating_add(1)
        } else {
            0
        };
        self.state = self.after_failure();
    }

    fn after_failure(&self) -> State {
        let needed = if self.state == State::Unknown {
            1
        } else {
            self.fall.get()
        };
        if self.failures < needed {
            return self.state;
        }
        if self.unreachable >= needed {
            State::Unreachable
        } else if self.silent >= needed {
            State::Hung
        } else {
            State::Draining
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Draining, Hung, Unknown, Unreachable, Up};

    /// One letter per result: p passed, a answered, s silent, u unreachable, l local.
    fn states(rise: u32, fall: u32, results: &str) -> Vec<State> {
        let limit = |n| NonZeroU32::new(n).unwrap();
        let mut judge = Judge::new(limit(rise), limit(fall));
        let reach = |letter| match letter {
            'p' | 'a' => Reach::Answered,
            's' => Reach::Silent,
            'u' => Reach::Unreachable,
            _ => Reach::Unknown,
        };
        results
            .chars()
            .map(|letter| judge.record(letter == 'p', reach(letter)))
            .collect()
    }

    #[test]
    fn what_traffic_says_counts_at_once_and_the_checks_decide_from_then_on() {
        let limit = |n| NonZeroU32::new(n).unwrap();
        for (observed, first, then) in [
            (Reach::Unreachable, Unreachable, [Unreachable, Up]),
            (Reach::Silent, Hung, [Hung, Up]),
            (Reach::Answered, Up, [Up, Up]),
            (Reach::Unknown, Up, [Up, Up]),
        ] {
            let mut judge = Judge::new(limit(2), limit(3));
            judge.record(true, Reach::Answered);
            assert_eq!(judge.observe(observed), first, "{observed:?}");
            let passes = [(); 2].map(|()| judge.record(true, Reach::Answered));
            assert_eq!(passes, then, "{observed:?}");
        }
        let mut judge = Judge::new(limit(2), limit(3));
        judge.record(true, Reach::Answered);
        judge.observe(Reach::Unreachable);
        assert_eq!(judge.record(false, Reach::Answered), Draining);
    }

    #[test]
    fn table() {
        for (rise, fall, results, expected) in [
            (2, 2, "p", vec![Up]),
            (2, 2, "u", vec![Unreachable]),
            (2, 2, "s", vec![Hung]),
            (2, 2, "a", vec![Draining]),
            (2, 2, "l", vec![Unknown]),
            (2, 2, "lp", vec![Unknown, Up]),
            // One row on each side of rise and fall.
            (2, 2, "puu", vec![Up, Up, Unreachable]),
            (2, 3, "puuu", vec![Up, Up, Up, Unreachable]),
            (1, 1, "pup", vec![Up, Unreachable, Up]),
            (2, 2, "upp", vec![Unreachable, Unreachable, Up]),
            (
                3,
                2,
                "uppp",
                vec![Unreachable, Unreachable, Unreachable, Up],
            ),
            (2, 2, "upup", vec![Unreachable; 4]),
            (2, 2, "pupu", vec![Up; 4]),
            // The best of the last `fall` results says how bad it is.
            (2, 2, "psu", vec![Up, Up, Hung]),
            (2, 2, "pus", vec![Up, Up, Hung]),
            (2, 2, "pau", vec![Up, Up, Draining]),
            (2, 2, "pua", vec![Up, Up, Draining]),
            (2, 2, "paauu", vec![Up, Up, Draining, Draining, Unreachable]),
            (2, 2, "paasu", vec![Up, Up, Draining, Draining, Hung]),
            (2, 2, "puusa", vec![Up, Up, Unreachable, Hung, Draining]),
            (2, 2, "puuss", vec![Up, Up, Unreachable, Hung, Hung]),
            // What could not be made neither counts nor interrupts.
            (2, 2, "pulu", vec![Up, Up, Up, Unreachable]),
            (2, 2, "pllll", vec![Up; 5]),
        ] {
            assert_eq!(
                states(rise, fall, results),
                expected,
                "{rise} {fall} {results}"
            );
        }
    }
}
