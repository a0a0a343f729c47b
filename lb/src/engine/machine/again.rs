//! A machine that stands again where another one stood, in the next process image.

use super::super::wheel::Tick;
use super::{Machine, Phase};

impl Machine {
    /// What it waits for is what `was` waited for already: the deadline stays. With it the
    /// deadline, when it is so.
    pub(in crate::engine) const fn waits_since(&mut self, was: &Self) -> Option<Tick> {
        match (&mut self.phase, was.phase) {
            (Phase::Header { deadline }, Phase::Header { deadline: old })
            | (Phase::Hello { deadline }, Phase::Hello { deadline: old })
            | (Phase::Waiting { deadline }, Phase::Waiting { deadline: old }) => {
                *deadline = old;
                Some(old)
            }
            (
                Phase::Header { .. }
                | Phase::Hello { .. }
                | Phase::Waiting { .. }
                | Phase::Dialling { .. }
                | Phase::Silent { .. }
                | Phase::Relaying { .. },
                _,
            ) => None,
        }
    }
}
