//! What came of a run over hosts, in words and as JSON, and its exit code.

use std::collections::BTreeMap;

use daemon::exit;
use serde_json::json;

use super::Sentence;
use super::progress::Output;
use crate::plan::{self, Plan};

/// Of each host its plan, or why there is none or it was not carried out.
pub(super) type Outcomes = BTreeMap<String, Result<Plan, String>>;

/// What was done.
pub(super) fn done(outcomes: &Outcomes) -> (String, u8) {
    let lines = outcomes.iter().map(|(host, outcome)| match outcome {
        Ok(plan) => format!("{host}: {} step(s) done", plan.steps.len()),
        Err(error) => failed(host, error),
    });
    let lines: Vec<_> = lines.collect();
    (lines.join("\n"), code(outcomes, exit::DONE))
}

/// What would be done, and which hosts `apply` does not begin as they are.
pub(super) fn planned(
    outcomes: &Outcomes,
    blocked: &BTreeMap<String, String>,
    output: Output,
) -> Result<(String, u8), Sentence> {
    let mut plans = outcomes.values().flatten();
    let pending = match plans.any(|plan| !plan.steps.is_empty()) {
        true => exit::PENDING,
        false => exit::DONE,
    };
    let text = match output {
        Output::Text => {
            let lines = outcomes.iter().map(|(host, outcome)| match outcome {
                Ok(plan) => plan::show(plan).trim_end().to_owned(),
                Err(error) => failed(host, error),
            });
            let blocked = blocked.iter().map(|(host, why)| format!("{host}: {why}"));
            lines.chain(blocked).collect::<Vec<_>>().join("\n")
        }
        Output::Json => {
            let plans: Vec<_> = outcomes.values().flatten().collect();
            let errors = outcomes.iter();
            let errors =
                errors.filter_map(|(host, one)| Some((host, one.as_ref().err()?)));
            let errors: BTreeMap<_, _> = errors.collect();
            let all = json!({"plans": plans, "failed": errors, "notBegun": blocked});
            serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?
        }
    };
    Ok((text, code(outcomes, pending)))
}

/// Why there are no plans.
pub(super) fn refused(error: String, output: Output) -> Result<(String, u8), Sentence> {
    let text = match output {
        Output::Text => error,
        Output::Json => {
            let all = json!({"plans": [], "failed": {}, "refused": error});
            serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?
        }
    };
    Ok((text, exit::FAILED))
}

fn failed(host: &str, error: &str) -> String {
    format!("{host}: FAILED: {error}")
}

/// A host that failed outweighs what is to be done on others.
fn code(outcomes: &Outcomes, otherwise: u8) -> u8 {
    match outcomes.values().any(Result::is_err) {
        true => exit::FAILED,
        false => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::plan::Step;

    fn plan(host: &str, steps: usize) -> (String, Result<Plan, String>) {
        let step = Step::Enable {
            unit: "etcd.service".to_owned(),
        };
        let plan = Plan {
            host: host.to_owned(),
            steps: vec![step; steps],
        };
        (host.to_owned(), Ok(plan))
    }

    fn lost() -> (String, Result<Plan, String>) {
        ("m3".to_owned(), Err("it is down".to_owned()))
    }

    #[test]
    fn the_exit_code_says_whether_there_is_something_to_do() {
        for (outcomes, pending, done_with) in [
            (vec![plan("m1", 0)], exit::DONE, exit::DONE),
            (
                vec![plan("m1", 0), plan("m2", 2)],
                exit::PENDING,
                exit::DONE,
            ),
            (vec![plan("m1", 2), lost()], exit::FAILED, exit::FAILED),
        ] {
            let outcomes: Outcomes = outcomes.into_iter().collect();
            for output in [Output::Text, Output::Json] {
                assert_eq!(
                    planned(&outcomes, &BTreeMap::new(), output).unwrap().1,
                    pending
                );
            }
            assert_eq!(done(&outcomes).1, done_with);
        }
    }

    #[test]
    fn each_host_is_in_the_text_and_in_the_json() {
        let outcomes: Outcomes = [plan("m1", 1), lost()].into();
        let blocked = BTreeMap::from([("m1".to_owned(), "not begun: swap".to_owned())]);
        let (text, _) = planned(&outcomes, &blocked, Output::Text).unwrap();
        assert_eq!(
            text,
            "m1: 1 step\n  enable etcd.service\nm3: FAILED: it is down\nm1: not begun: swap"
        );
        let (text, _) = planned(&outcomes, &blocked, Output::Json).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all.pointer("/plans/0/host").unwrap(), "m1");
        assert_eq!(all.pointer("/failed/m3").unwrap(), "it is down");
        assert_eq!(all.pointer("/notBegun/m1").unwrap(), "not begun: swap");
        let (text, _) = done(&outcomes);
        assert_eq!(text, "m1: 1 step(s) done\nm3: FAILED: it is down");
    }
}
