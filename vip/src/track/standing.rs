//! What verdicts make of the configured priority. Pure.

use probe::Verdict;
use vrrp::Priority;

use crate::config::Effect;

/// What a router runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The priority.
    pub priority: Priority,
    /// The priority it has when nothing makes it stay out.
    pub able: Priority,
    /// Why it stays out, if it does.
    pub out: Option<Out>,
}

/// Why a router leaves the address to the others. It still takes it when there are none:
/// never nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// A check of weight 0 fails.
    Fault,
    /// A check of weight 0 has no verdict yet.
    Undecided,
    /// `vip-daemon release`.
    Released,
    /// Another router of its sync group stays out.
    Together,
}

impl Out {
    const ALL: [Self; 4] = [Self::Fault, Self::Undecided, Self::Released, Self::Together];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|out| out.name() == name)
    }

    /// Name for logs, metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Undecided => "undecided",
            Self::Released => "released",
            Self::Together => "together",
        }
    }
}

/// Decides what the verdicts make of the configured priority. No verdict yet counts as
/// failed.
pub fn standing(
    base: Priority,
    verdicts: &[(Effect, Option<Verdict>)],
    released: bool,
) -> Standing {
    let fails = |verdict: Option<Verdict>| verdict != Some(Verdict::Up);
    let weights = verdicts.iter().map(|(effect, verdict)| match effect {
        Effect::Weight(weight) if (*weight < 0) == fails(*verdict) => *weight,
        Effect::Weight(_) | Effect::Fault => 0,
    });
    let mut faults = verdicts
        .iter()
        .filter(|(effect, verdict)| *effect == Effect::Fault && fails(*verdict))
        .map(|(_, verdict)| verdict.map_or(Out::Undecided, |_| Out::Fault));
    let out = match released {
        true => Some(Out::Released),
        // One that fails says more than one that is not known yet.
        false => faults
            .clone()
            .find(|out| *out == Out::Fault)
            .or(faults.next()),
    };
    let able = base.adjusted(weights.sum());
    let priority = match out {
        Some(_) => Priority::MIN,
        None => able,
    };
    Standing {
        priority,
        able,
        out,
    }
}

/// What a number does, as keepalived's `track_file`: multiplied by the weight it is added;
/// at −254 or below, or with weight 0 at anything but 0, it is a fault.
pub fn weighed(value: i64, weight: Effect) -> (Effect, Verdict) {
    /// What keepalived allows a product to be.
    const MOST: i64 = 253;
    const LEAST: i64 = -MOST;
    match weight {
        Effect::Fault if value == 0 => (Effect::Fault, Verdict::Up),
        Effect::Fault => (Effect::Fault, Verdict::Down),
        Effect::Weight(weight) => {
            let product = value.saturating_mul(weight.into());
            let amount = i32::try_from(product.clamp(LEAST, MOST)).unwrap_or(0);
            match product {
                ..LEAST => (Effect::Fault, Verdict::Down),
                LEAST..0 => (Effect::Weight(amount), Verdict::Down),
                0.. => (Effect::Weight(amount), Verdict::Up),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Effect::{Fault, Weight};
    use Verdict::{Down, Up};

    fn of(
        base: u8,
        verdicts: &[(Effect, Option<Verdict>)],
        released: bool,
    ) -> (u8, Option<Out>) {
        let standing = standing(Priority::new(base), verdicts, released);
        (standing.priority.get(), standing.out)
    }

    #[test]
    fn k1_k2_k5_weights_are_summed_and_clamped() {
        for (base, verdicts, priority) in [
            (200, &[][..], 200),
            (200, &[(Weight(-120), Some(Up))], 200),
            (200, &[(Weight(-120), Some(Down))], 80),
            (200, &[(Weight(-120), None)], 80),
            (100, &[(Weight(50), Some(Up))], 150),
            (100, &[(Weight(50), Some(Down))], 100),
            (100, &[(Weight(50), None)], 100),
            (
                100,
                &[(Weight(-30), Some(Down)), (Weight(-40), Some(Down))],
                30,
            ),
            (
                100,
                &[(Weight(-30), Some(Down)), (Weight(50), Some(Up))],
                120,
            ),
            (100, &[(Weight(-254), Some(Down))], 1),
            (200, &[(Weight(254), Some(Up))], 254),
            (255, &[(Weight(-254), Some(Down))], 255),
        ] {
            assert_eq!(
                of(base, verdicts, false),
                (priority, None),
                "{base} {verdicts:?}"
            );
        }
    }

    #[test]
    fn k3_fault_and_release_stay_out_with_the_lowest_priority() {
        for (base, verdicts, released, expected) in [
            (200, &[(Fault, Some(Up))][..], false, (200, None)),
            (200, &[(Fault, Some(Down))], false, (1, Some(Out::Fault))),
            (200, &[(Fault, None)], false, (1, Some(Out::Undecided))),
            (
                200,
                &[(Fault, None), (Fault, Some(Down))],
                false,
                (1, Some(Out::Fault)),
            ),
            (255, &[(Fault, Some(Down))], false, (1, Some(Out::Fault))),
            (200, &[(Fault, Some(Up))], true, (1, Some(Out::Released))),
            (200, &[(Fault, Some(Down))], true, (1, Some(Out::Released))),
        ] {
            assert_eq!(
                of(base, verdicts, released),
                expected,
                "{base} {verdicts:?}"
            );
        }
    }

    #[test]
    fn one_that_stays_out_has_the_priority_that_it_will_have_again() {
        let verdicts = [(Weight(-120), Some(Down)), (Fault, Some(Down))];
        for released in [false, true] {
            let standing = standing(Priority::new(200), &verdicts, released);
            assert_eq!(standing.priority, Priority::MIN);
            assert_eq!(standing.able, Priority::new(80));
        }
    }

    #[test]
    fn a_number_counts_times_its_weight_as_in_keepalived() {
        for (value, weight, came_to) in [
            (0, Fault, (Fault, Up)),
            (1, Fault, (Fault, Down)),
            (-1, Fault, (Fault, Down)),
            (0, Weight(-10), (Weight(0), Up)),
            (5, Weight(-10), (Weight(-50), Down)),
            (-5, Weight(-10), (Weight(50), Up)),
            (253, Weight(-1), (Weight(-253), Down)),
            (254, Weight(-1), (Fault, Down)),
            (300, Weight(1), (Weight(253), Up)),
            (i64::MIN, Weight(-1), (Weight(253), Up)),
            (i64::MAX, Weight(-1), (Fault, Down)),
        ] {
            assert_eq!(weighed(value, weight), came_to, "{value} {weight:?}");
        }
    }
}
