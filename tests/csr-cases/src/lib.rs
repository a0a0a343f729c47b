//! Worked cases of certificate requests: a request, its context and what a strict policy
//! decides.
//!
//! ```text
//! file.json ──case──▶ Case ──forge──▶ PEM bytes ─┐
//!                       └────stage──▶ facts ─────┼──▶ policy::decide ──▶ expected or not
//! ```
//!
//! A field, a key, a mutation or an extension that is not known fails its case by name:
//! a case that is read by half would pass for the wrong reason. The format and how each
//! oddity becomes bytes stand in `docs/csr-cases.md`.

pub mod case;
pub mod forge;
pub mod stage;

use std::fmt;

use policy::{Decision, Verdict};
use serde_json::Value;

use case::{Case, Expected};

/// What became of one case.
#[derive(Debug)]
pub struct Tried {
    /// Its name, or its place in the file.
    pub name: String,
    /// The verdict, or why there is none.
    pub outcome: Result<Verdict, Problem>,
}

/// Why a case failed.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not of the format.
    #[error("cannot be read: {0}")]
    Case(#[from] serde_json::Error),
    /// Its bytes cannot be made.
    #[error("cannot be made: {0}")]
    Forge(#[from] forge::ForgeError),
    /// Its context says nothing that is known.
    #[error("cannot be set up: {0}")]
    Stage(#[from] stage::StageError),
    /// The policy decided otherwise.
    #[error("expected {expected}, got {verdict}")]
    Otherwise {
        /// What the case expects.
        expected: String,
        /// What was decided.
        verdict: Verdict,
    },
}

/// Tries every case of a file's text.
///
/// # Errors
/// The text is no JSON list; what is wrong inside a case fails that case alone.
pub fn try_all(text: &str) -> Result<Vec<Tried>, serde_json::Error> {
    let cases: Vec<Value> = serde_json::from_str(text)?;
    let each = cases.into_iter().enumerate();
    Ok(each.map(|(place, value)| try_one(place, value)).collect())
}

fn try_one(place: usize, value: Value) -> Tried {
    let name = value.get("name").and_then(Value::as_str);
    Tried {
        name: name.map_or_else(|| format!("case {place}"), str::to_owned),
        outcome: outcome(value),
    }
}

fn outcome(value: Value) -> Result<Verdict, Problem> {
    let case: Case = serde_json::from_value(value)?;
    let pem = forge::pem(&case)?;
    let stage = stage::Stage::of(&case)?;
    let verdict = stage.decide(&pem);
    if satisfies(&case, &verdict) {
        Ok(verdict)
    } else {
        let reason = case.expected_reason.map(|reason| format!(" ({reason})"));
        Err(Problem::Otherwise {
            expected: format!("{}{}", case.expected, reason.unwrap_or_default()),
            verdict,
        })
    }
}

/// Nothing is written for either of wait and ignore, so `ignore` is satisfied by both.
fn satisfies(case: &Case, verdict: &Verdict) -> bool {
    let decided = match (case.expected, verdict.decision()) {
        (Expected::Approve, Decision::Approve)
        | (Expected::Deny, Decision::Deny)
        | (Expected::Wait, Decision::Wait)
        | (Expected::Ignore, Decision::Wait | Decision::Ignore) => true,
        (
            Expected::Approve | Expected::Deny | Expected::Wait | Expected::Ignore,
            Decision::Approve | Decision::Deny | Decision::Wait | Decision::Ignore,
        ) => false,
    };
    let wanted = case.expected_reason.as_deref();
    decided && wanted.is_none_or(|reason| reason == verdict.reason.name())
}

/// How many passed and failed; prints as the last line of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases decided as expected.
    pub passed: usize,
    /// The others.
    pub failed: usize,
}

impl Tally {
    /// Of all cases.
    #[must_use]
    pub fn of(tried: &[Tried]) -> Self {
        let passed = tried.iter().filter(|each| each.outcome.is_ok()).count();
        Self {
            passed,
            failed: tried.len().saturating_sub(passed),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}
