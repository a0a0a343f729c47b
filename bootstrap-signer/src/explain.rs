//! An explanation as people and programs read it.

use policy::{Explanation, Finding, Line, Verdict};
use serde_json::{Value, json};

/// Input that is shown on a line of its rule; the rest is in the JSON.
const SHOWN: usize = 100;

/// A line per rule, and the verdict last.
#[must_use]
pub fn text(explanation: &Explanation) -> String {
    let mut page = format!("{:<20}{:<9}{}\n", "RULE", "RESULT", "INPUT");
    for line in &explanation.lines {
        page.push_str(&of_line(line));
    }
    page.push_str(&explanation.verdict.to_string());
    page
}

fn of_line(line: &Line) -> String {
    let (rule, result) = (line.rule, result(&line.finding));
    let input = printable(&line.input);
    let head = format!("{rule:<20}{result:<9}{input}");
    match &line.finding {
        Finding::Passed => format!("{}\n", head.trim_end()),
        Finding::Skipped(why) => format!("{rule:<20}{result:<9}({why})\n"),
        Finding::Fails(verdict) => {
            let because = format!("{}: {}", verdict.reason, verdict.reason.sentence());
            format!("{}\n{:29}{because}\n", head.trim_end(), "")
        }
    }
}

fn result(finding: &Finding) -> &'static str {
    match finding {
        Finding::Passed => "pass",
        Finding::Skipped(_) => "skip",
        Finding::Fails(verdict) => verdict.decision().name(),
    }
}

/// What a requester wrote, safe for a terminal.
fn printable(text: &str) -> String {
    let shown = text.chars().take(SHOWN);
    let mut line: String = shown
        .flat_map(|c| {
            let odd = c.is_control() || !c.is_ascii();
            let kept = (!odd).then_some(c);
            kept.into_iter()
                .chain(odd.then(|| c.escape_unicode()).into_iter().flatten())
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push_str("...");
    }
    line
}

/// The same, whole.
#[must_use]
pub fn json(explanation: &Explanation) -> Value {
    let rules: Vec<Value> = explanation.lines.iter().map(json_line).collect();
    json!({ "rules": rules, "verdict": json_verdict(&explanation.verdict) })
}

fn json_line(line: &Line) -> Value {
    let (why, verdict) = match &line.finding {
        Finding::Passed => (None, None),
        Finding::Skipped(why) => (Some(*why), None),
        Finding::Fails(verdict) => (None, Some(json_verdict(verdict))),
    };
    json!({
        "rule": line.rule,
        "input": line.input,
        "result": result(&line.finding),
        "why": why,
        "verdict": verdict,
    })
}

fn json_verdict(verdict: &Verdict) -> Value {
    json!({
        "decision": verdict.decision().name(),
        "reason": verdict.reason.name(),
        "sentence": verdict.reason.sentence(),
        "detail": verdict.detail,
        "again": verdict.again.map(daemon::rfc3339),
    })
}
