//! What the scenarios measured, as it is kept, and the table that is made of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Scenario;
use crate::bench::{Circumstances, Spread};
use crate::group::Role;

/// What all scenarios measured.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What was measured, and where.
    #[serde(flatten)]
    pub circumstances: Circumstances,
    /// By the scenario's name.
    pub scenarios: BTreeMap<String, Entry>,
}

/// What one scenario measured.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    claim: String,
    /// Whether its API servers are stand-ins.
    stand_in: bool,
    met: u32,
    void: u32,
    /// Milliseconds of each cycle, by what was measured.
    figures: BTreeMap<String, Vec<f64>>,
}

impl Entry {
    /// What cycles of a scenario measured; `void` ones are only counted.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        void: u32,
        measured: &BTreeMap<String, Vec<Duration>>,
    ) -> Self {
        let millis = |took: &Duration| (took.as_secs_f64() * 1e4).round() / 10.0;
        let mut runs = scenario.node.iter().flat_map(|node| &node.runs);
        let stand_in = runs.any(|role| *role == Role::Apiserver);
        let figures = measured.iter();
        let figures =
            figures.map(|(name, all)| (name.clone(), all.iter().map(millis).collect()));
        Self {
            claim: scenario.claim.clone(),
            stand_in,
            met: scenario.cycles,
            void,
            figures: figures.collect(),
        }
    }

    /// What a later step finds as an earlier one has left it is told once.
    fn measured(&self) -> String {
        let mut before = BTreeMap::new();
        let told = self.figures.iter().filter_map(|(name, all)| {
            let what = name.splitn(3, ' ').last().unwrap_or(name);
            if before.insert(what, all) == Some(all) {
                return None;
            }
            let Spread { low, median, high } = Spread::of(all.iter().copied())?;
            Some(format!("{name} {low:.1} / {median:.1} / {high:.1}"))
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

impl Record {
    /// The table, for its place in the page.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{}\n\n| scenario | what is claimed | cycles (void) | measured, ms: min / median / max |\n\
             |---|---|---|---|\n",
            self.circumstances
        );
        for (name, entry) in &self.scenarios {
            let Entry {
                claim, met, void, ..
            } = entry;
            let servers = match entry.stand_in {
                true => " (API servers: STAND-IN)",
                false => "",
            };
            let _ = writeln!(
                text,
                "| `{name}` | {claim}{servers} | {met} ({void}) | {} |",
                entry.measured()
            );
        }
        text
    }
}
