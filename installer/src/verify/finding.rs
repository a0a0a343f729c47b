//! What a check has found: for people a line, for machines an object.

use std::time::{Duration, Instant};

use serde::Serialize;

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict", content = "said")]
pub enum Verdict {
    /// It is so.
    Good(String),
    /// It is not so.
    Bad(String),
    /// It could not be asked.
    Skipped(&'static str),
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Where, or by whom.
    pub host: String,
    /// What is to be so.
    pub check: String,
    /// Whether it is.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took, ms.
    pub milliseconds: u64,
}

impl Finding {
    /// What was found on `host`, after a time.
    #[must_use]
    pub fn new(
        host: &str,
        check: impl Into<String>,
        verdict: Verdict,
        took: Duration,
    ) -> Self {
        Self {
            host: host.to_owned(),
            check: check.into(),
            verdict,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// What `check` finds on `host`, and how long it takes for that.
    pub fn timed(
        host: &str,
        name: impl Into<String>,
        check: impl FnOnce() -> Verdict,
    ) -> Self {
        let begun = Instant::now();
        let verdict = check();
        Self::new(host, name, verdict, begun.elapsed())
    }

    /// Whether something is not as it is to be.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Bad(_))
    }
}

impl Verdict {
    /// Good with the one text, or bad with the other.
    pub(super) fn of(result: Result<String, String>) -> Self {
        match result {
            Ok(said) => Self::Good(said),
            Err(said) => Self::Bad(said),
        }
    }
}

/// A finding for people.
#[must_use]
pub fn line(finding: &Finding) -> String {
    let Finding {
        host,
        check,
        verdict,
        milliseconds,
    } = finding;
    let said = match verdict {
        Verdict::Good(said) => format!("good: {said}"),
        Verdict::Bad(said) => format!("BAD: {said}"),
        Verdict::Skipped(why) => format!("skipped: {why}"),
    };
    format!("{host}  {check:<34} {milliseconds:>5} ms  {said}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_finding_is_a_line_and_an_object() {
        let took = Duration::from_millis(12);
        let bad = Verdict::Bad("no answer".to_owned());
        let finding = Finding::new("m1", "DNS", bad, took);
        let wanted = "m1  DNS                                   12 ms  BAD: no answer";
        assert_eq!(line(&finding), wanted);
        let wanted = json!({"host": "m1", "check": "DNS", "verdict": "bad",
            "said": "no answer", "milliseconds": 12});
        assert_eq!(serde_json::to_value(&finding).unwrap(), wanted);
        assert!(finding.is_bad());
        let skipped = Finding::new("m1", "DNS", Verdict::Skipped("no Pods"), took);
        assert!(line(&skipped).ends_with("skipped: no Pods") && !skipped.is_bad());
    }
}
