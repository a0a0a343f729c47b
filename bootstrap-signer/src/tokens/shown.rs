//! What is seen of looking after tokens from outside.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use daemon::metrics::Text;

use super::work::Ended;

/// What it shows.
#[derive(Debug, Default)]
pub struct Shown {
    ended: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

impl Shown {
    /// An act ended.
    pub fn ended(&self, act: &'static str, ended: &Ended) {
        let mut counts = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((act, ended.name())).or_default() += 1;
    }

    /// Adds to `/metrics`.
    pub fn metrics(&self, out: &mut Text) {
        let counts = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        for ((act, result), count) in counts.iter() {
            out.counter(
                "bootstrap_signer_token_acts_total",
                "Signatures of cluster-info and deletions of tokens, by how they ended.",
            )
            .sample(&[("act", act), ("result", result)], *count);
        }
    }
}
