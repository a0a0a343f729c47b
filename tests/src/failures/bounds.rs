//! What a proxy has to keep in each scene.

use super::figures::{Figures, SLOW};
use super::hostile;
use super::scene::Scene;

/// One bound, and the figure that is held to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// What it is of.
    pub what: &'static str,
    /// The figure; none where the proxy does not tell it.
    pub is: Option<f64>,
    /// What it has to be.
    pub limit: Limit,
    /// Where it holds.
    pub holds: Holds,
    /// Of a bound of time, the seconds by which it is missed. No stall of a machine makes a
    /// count another.
    late: Option<f64>,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// This, or less.
    AtMost(f64),
    /// This, or more.
    AtLeast(f64),
}

/// Where a bound holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// On any machine, and with short faults.
    Everywhere,
    /// With faults of their whole length on a machine that has no other work.
    Published,
}

/// What becomes of the bounds that hold everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All are kept.
    Kept,
    /// Each that is missed is so by no more than the machine kept programs waiting for a core:
    /// neither kept nor missed.
    HeldUp(String),
    /// Some are missed.
    Missed(String),
}

/// Of what has not happened in time: no bound is kept.
const MISSING: f64 = f64::INFINITY;
/// On a server are about twenty of the sixty that last.
const ON_ONE: f64 = 32.0;
/// (rise + 1) × interval × (1 + jitter), and a check.
const RETURNED: f64 = 3.5;
/// From the last word of a host or server until those are cut that wait for it.
const FOUND_OUT: f64 = 3.0;

impl Bound {
    /// Of a count, or a share.
    fn most(what: &'static str, is: f64, most: f64) -> Self {
        Self {
            what,
            is: Some(is),
            limit: Limit::AtMost(most),
            holds: Holds::Everywhere,
            late: None,
        }
    }

    fn least(what: &'static str, is: f64, least: f64) -> Self {
        Self {
            limit: Limit::AtLeast(least),
            ..Self::most(what, is, 0.0)
        }
    }

    /// Of seconds.
    fn within(what: &'static str, is: f64, most: f64) -> Self {
        Self {
            late: Some(is - most),
            ..Self::most(what, is, most)
        }
    }

    /// Of what not every proxy tells.
    fn told(what: &'static str, is: Option<f64>, most: f64) -> Self {
        Self {
            is,
            ..Self::most(what, 0.0, most)
        }
    }

    fn published(self) -> Self {
        Self {
            holds: Holds::Published,
            ..self
        }
    }

    /// Whether it is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is.is_some_and(|is| match self.limit {
            Limit::AtMost(most) => is <= most,
            Limit::AtLeast(least) => is >= least,
        })
    }

    /// As a reader is told: `failed ≤ 0`.
    #[must_use]
    pub fn words(&self) -> String {
        let (sign, limit) = match self.limit {
            Limit::AtMost(most) => ('≤', most),
            Limit::AtLeast(least) => ('≥', least),
        };
        format!("{} {sign} {limit}", self.what)
    }

    /// The same, with what it is: `failed ≤ 0: 1`.
    #[must_use]
    pub fn missed_by(&self) -> String {
        let is = self.is.map_or("not told".to_owned(), |is| is.to_string());
        format!("{}: {is}", self.words())
    }
}

impl Scene {
    /// The bounds of a scene, with the figures of a run.
    #[must_use]
    pub fn bounds(self, figures: &Figures) -> Vec<Bound> {
        let told = |what: &str| figures.more.get(what).copied();
        let more = |what: &str| told(what).unwrap_or(MISSING);
        let back_after = figures.back_after.unwrap_or(MISSING);
        let back = |most| Bound::within("back after", back_after, most);
        let slow = Bound {
            late: Some(figures.longest - SLOW.as_secs_f64()),
            ..Bound::most("slow", count(figures.slow), 0.0)
        };
        let cut = |most| Bound::most("cut", count(figures.cut), most);
        let extra = |most| Bound::told("extra dials", figures.extra, most);
        let waits = Bound::within("longest wait", figures.lasting_longest, FOUND_OUT);
        let own = match self {
            Self::Killed => {
                let longest = Bound::within("longest", figures.longest, 0.05);
                vec![cut(ON_ONE), back(RETURNED), longest.published()]
            }
            Self::Blackholed => {
                let new = Bound::least("new", count(figures.asked), 10_000.0);
                vec![new.published(), slow, cut(ON_ONE), back(RETURNED), waits]
            }
            Self::Hung => {
                let bad = figures.last_bad_after.unwrap_or(0.0);
                let bad = Bound::within("last bad after", bad, FOUND_OUT);
                vec![bad, cut(ON_ONE), back(RETURNED), waits]
            }
            Self::QueueFull => vec![slow, back(RETURNED)],
            Self::Draining => vec![
                Bound::within("newLeftAfter", more("newLeftAfter"), 2.0),
                Bound::most("cutBeforeExit", more("cutBeforeExit"), 0.0),
            ],
            Self::AllDown => vec![back(0.1)],
            Self::Overloaded => vec![cut(0.0)],
            Self::Storm => vec![extra(0.1)],
            Self::Returns => vec![
                cut(0.0),
                back(RETURNED),
                Bound::within("spreadAfter", more("spreadAfter"), 65.0 + 60.0),
            ],
            // One that forgets that a host is gone dials it for every third client.
            Self::Reloads | Self::Upgrades => vec![
                cut(0.0),
                Bound::told("deadDials", told("deadDials"), 0.0),
                extra(0.05).published(),
            ],
            Self::Hostile => vec![
                cut(0.0),
                Bound::most("reached", more("reached"), 0.0),
                Bound::most("reachedSilent", more("reachedSilent"), 0.0),
                Bound::most("memoryMiB", more("memoryMiB"), hostile::MEMORY),
                Bound::most("p99Ratio", more("p99Ratio"), 2.0).published(),
            ],
        };
        let failed = Bound::most("failed", count(figures.failed), 0.0);
        std::iter::once(failed).chain(own).collect()
    }

    /// What becomes of the bounds that hold everywhere.
    #[must_use]
    pub fn judge(self, figures: &Figures) -> Verdict {
        let bounds = self.bounds(figures).into_iter();
        let missed = |bound: &Bound| bound.holds == Holds::Everywhere && !bound.is_kept();
        let missed: Vec<Bound> = bounds.filter(missed).collect();
        let stalled = figures.stalled.unwrap_or(0.0);
        let is_excused = |bound: &Bound| bound.late.is_some_and(|late| late <= stalled);
        let said: Vec<String> = missed.iter().map(Bound::missed_by).collect();
        let said = format!(
            "{}; the machine stalled for {stalled:.3} s",
            said.join("; ")
        );
        if missed.is_empty() {
            Verdict::Kept
        } else if missed.iter().all(is_excused) {
            Verdict::HeldUp(said)
        } else {
            Verdict::Missed(said)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
const fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds that hold everywhere and that are missed.
    fn missed(scene: Scene, figures: &Figures) -> Vec<&'static str> {
        let bounds = scene.bounds(figures).into_iter();
        let missed = bounds.filter(|b| b.holds == Holds::Everywhere && !b.is_kept());
        missed.map(|bound| bound.what).collect()
    }

    /// Nothing at all was seen: what has to be there is missing.
    #[test]
    fn what_is_missing_keeps_no_bound_and_is_never_excused() {
        for (scene, expected) in [
            (Scene::Killed, &["back after"][..]),
            (Scene::Draining, &["newLeftAfter", "cutBeforeExit"]),
            (Scene::Storm, &["extra dials"]),
            (Scene::Returns, &["back after", "spreadAfter"]),
            (Scene::Upgrades, &["deadDials"]),
            (Scene::Overloaded, &[]),
            (Scene::Hostile, &["reached", "reachedSilent", "memoryMiB"]),
        ] {
            let figures = Figures {
                stalled: Some(f64::MAX),
                ..Figures::default()
            };
            assert_eq!(missed(scene, &figures), expected, "{scene:?}");
            let verdict = scene.judge(&figures);
            let is_missed = matches!(verdict, Verdict::Missed(_));
            assert_eq!(is_missed, !expected.is_empty(), "{verdict:?}");
        }
    }

    #[test]
    fn each_side_of_a_bound() {
        let killed = |cut, failed| {
            let figures = Figures {
                cut,
                failed,
                back_after: Some(3.5),
                ..Figures::default()
            };
            missed(Scene::Killed, &figures).len()
        };
        assert_eq!((killed(32, 0), killed(33, 0), killed(33, 1)), (0, 1, 2));
        // A short fault has fewer, which is no fault of the proxy.
        for (asked, is_kept) in [(9_999, false), (10_000, true)] {
            let figures = Figures {
                asked,
                ..Figures::default()
            };
            let bounds = Scene::Blackholed.bounds(&figures);
            let new = bounds.iter().find(|b| b.what == "new").unwrap();
            assert_eq!(new.is_kept(), is_kept);
            assert_eq!(missed(Scene::Blackholed, &figures), ["back after"]);
        }
    }

    #[test]
    fn only_time_is_excused_and_only_by_as_much_as_the_machine_stalled() {
        let hung = |longest, failed, stalled| {
            let figures = Figures {
                lasting_longest: longest,
                failed,
                back_after: Some(0.0),
                stalled,
                ..Figures::default()
            };
            match Scene::Hung.judge(&figures) {
                Verdict::Kept => "kept",
                Verdict::HeldUp(_) => "held up",
                Verdict::Missed(_) => "missed",
            }
        };
        for (longest, failed, stalled, expected) in [
            (3.0, 0, None, "kept"),
            (3.0, 0, Some(0.9), "kept"),
            (3.25, 0, None, "missed"),
            (3.25, 0, Some(0.24), "missed"),
            (3.25, 0, Some(0.25), "held up"),
            (3.0, 1, Some(0.9), "missed"),
            (3.25, 1, Some(0.9), "missed"),
        ] {
            let verdict = hung(longest, failed, stalled);
            assert_eq!(verdict, expected, "{longest} {failed} {stalled:?}");
        }
        for (stalled, is_excused) in [(0.19, false), (0.21, true)] {
            let slow = Figures {
                slow: 1,
                longest: 0.5,
                back_after: Some(0.0),
                stalled: Some(stalled),
                ..Figures::default()
            };
            let verdict = Scene::QueueFull.judge(&slow);
            let is_held_up = matches!(verdict, Verdict::HeldUp(_));
            assert_eq!(is_held_up, is_excused, "{verdict:?}");
        }
    }
}
