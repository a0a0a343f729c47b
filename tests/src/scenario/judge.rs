//! What becomes of a cycle: met, missed, or void because the machine, and not what is tested,
//! was late.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::{Expect, Scenario, Step};
use crate::group::{Group, Role};
use crate::prober::{self, Prober};
use crate::stalls::Stalls;
use crate::starved::Waited;

/// Who has to be on time for the address to be where it belongs.
pub(super) const KEEPERS: &[Role] = &[Role::VipDaemon, Role::ApiLb];
/// Who has to be on time for an answer to be.
pub(super) const ANSWERERS: &[Role] = &[Role::ApiLb, Role::Apiserver];
/// All of them.
const WATCHED: &[Role] = &[Role::VipDaemon, Role::ApiLb, Role::Apiserver];

/// What was measured in one cycle, by step and name.
#[derive(Debug, Clone, Default)]
pub struct Figures(pub Vec<(String, Duration)>);

/// What became of a cycle.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Everything was as claimed.
    Met(Figures),
    /// The claim does not hold: which step, and what was seen.
    Missed(String),
    /// The machine disturbed the measurement. Nothing is said about the claim.
    Void(Disturbance),
}

/// What the machine did.
#[derive(Debug, Clone)]
pub enum Disturbance {
    /// The prober was so late.
    Late(Duration),
    /// A bound of time was missed by less than the machine had held things up.
    HeldUp {
        /// What was missed.
        said: String,
        /// By so much.
        over: Duration,
        /// So long the programs in question were ready to run and had no core, or cores stood
        /// still.
        starved: Duration,
        /// So long the lab's own command took to do the fault.
        hand: Duration,
    },
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(late) => write!(f, "the prober was {late:.1?} late"),
            Self::HeldUp {
                said,
                over,
                starved,
                hand,
            } => write!(
                f,
                "{said}: {over:.1?} too long, but cores kept programs waiting for {starved:.1?} \
                 and the lab's own command took {hand:.1?}"
            ),
        }
    }
}

/// An expectation that is not met.
#[derive(Debug, Clone)]
pub(super) struct Miss {
    /// What is seen instead.
    pub(super) said: String,
    /// Of a bound of time: by how much it was missed, and who has to be on time to keep it.
    over: Option<(Duration, &'static [Role])>,
}

impl From<String> for Miss {
    fn from(said: String) -> Self {
        Self { said, over: None }
    }
}

impl Miss {
    /// A bound of time that was missed by `over`.
    pub(super) fn late(said: String, over: Duration, of: &'static [Role]) -> Self {
        Self {
            said,
            over: Some((over, of)),
        }
    }

    /// The same, with where it was seen before it.
    pub(super) fn at(mut self, place: &str) -> Self {
        self.said = format!("{place}: {}", self.said);
        self
    }
}

/// When the last fault was done, what had been waited for cores by then, and how long the lab's
/// own command took for it.
pub(super) struct Mark {
    at: Instant,
    waited: BTreeMap<(String, Role), Waited>,
    own: Waited,
    pub(super) hand: Duration,
}

impl Mark {
    /// Now.
    pub(super) fn now(group: &Group) -> Self {
        Self {
            at: Instant::now(),
            waited: group.waited(WATCHED),
            own: Waited::of(nix::unistd::getpid()),
            hand: Duration::ZERO,
        }
    }

    /// What programs of these roles have waited since, added up: an election is one program's
    /// doing after the other's. Where answers count, so do the lab's own clients. A core that
    /// stands still makes whoever is on it wait, and the kernel counts nobody's wait for it.
    fn starved(&self, group: &Group, stalls: &Stalls, of: &[Role]) -> Duration {
        let fresh = Waited::default();
        let now = group.waited(of);
        let programs = now.iter().map(|(name, waited)| {
            let before = self.waited.get(name).unwrap_or(&fresh);
            waited.since(before)
        });
        let own = match of.contains(&Role::Apiserver) {
            true => Waited::of(nix::unistd::getpid()).since(&self.own),
            false => Duration::ZERO,
        };
        programs.sum::<Duration>() + own + stalls.since(self.at)
    }
}

/// A cycle that was met, unless the prober was late since the first fault: before it nothing
/// is measured.
pub(super) fn met(figures: Figures, prober: &Prober, since: Instant) -> Outcome {
    late(prober, since).map_or(Outcome::Met(figures), Outcome::Void)
}

impl Scenario {
    /// Whether anything is claimed about where the address is. What becomes of requests is
    /// the client's to say: no stall makes one answered that was not.
    pub(super) fn is_about_the_address(&self) -> bool {
        let asks = |step: &Step| {
            let Expect {
                holder,
                without,
                gratuitous_arp,
                released,
                outage_at_most,
                moves_at_most,
                answered: _,
                failed_at_most: _,
                slow_at_most: _,
                answers_at_least: _,
                cuts_at_most: _,
                watchers: _,
            } = &step.expect;
            holder.is_some()
                || without.is_some()
                || gratuitous_arp.is_some()
                || released.is_some()
                || outage_at_most.is_some()
                || moves_at_most.is_some()
        };
        self.always.overlap_at_most.is_some() || self.step.iter().any(asks)
    }
}

/// A cycle that was missed, unless the prober was late at any time, or the machine has held up
/// for as long as it was missed by what had to be on time.
pub(super) fn missed(
    miss: Miss,
    prober: &Prober,
    begun: Instant,
    (mark, stalls): (&Mark, &Stalls),
    group: &Group,
) -> Outcome {
    if let Some(late) = late(prober, begun) {
        return Outcome::Void(late);
    }
    let starved = miss.over.map(|(_, of)| mark.starved(group, stalls, of));
    decided(miss, starved.unwrap_or_default(), mark.hand)
}

/// Held up for as long as it was missed by, a bound of time may have been kept.
fn decided(miss: Miss, starved: Duration, hand: Duration) -> Outcome {
    let Miss { said, over } = miss;
    match over {
        None => Outcome::Missed(said),
        Some((over, _)) if starved + hand >= over => Outcome::Void(Disturbance::HeldUp {
            said,
            over,
            starved,
            hand,
        }),
        Some((over, _)) => Outcome::Missed(format!(
            "{said} ({over:.1?} too long; cores kept programs waiting for {starved:.1?}, the \
             lab's own command took {hand:.1?})"
        )),
    }
}

fn late(prober: &Prober, since: Instant) -> Option<Disturbance> {
    let late = prober::lateness(&prober.probes(since, Instant::now()));
    (late > prober::GAP).then_some(Disturbance::Late(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_machine_held_up_for_as_long_is_void() {
        let ms = Duration::from_millis;
        let late = |over| Miss::late("x".to_owned(), ms(over), KEEPERS);
        for (miss, starved, hand, void) in [
            (late(10), 6, 4, true),
            (late(10), 10, 0, true),
            (late(10), 0, 10, true),
            (late(10), 6, 3, false),
            (late(1), 0, 0, false),
            // A count is no matter of time.
            (Miss::from("2 failed".to_owned()), 500, 500, false),
        ] {
            let outcome = decided(miss, ms(starved), ms(hand));
            assert_eq!(matches!(outcome, Outcome::Void(_)), void, "{outcome:?}");
            assert_eq!(matches!(outcome, Outcome::Missed(_)), !void, "{outcome:?}");
        }
    }
}
