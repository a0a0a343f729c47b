//! Every file of cases in the folder, and what must not pass.
//!
//! Leaves to the tests of bootstrap-signer: the same requests at a real API server.

use std::fs;

use csr_cases::{Tally, try_all};
use serde_json::{Value, json};

/// How many there are in `own.json`, so that none is lost.
const OWN: usize = 182;

#[test]
fn every_case_of_the_folder_is_decided_as_it_expects() {
    for (file, count) in [("csr.json", 61), ("own.json", OWN)] {
        let text = fs::read_to_string(format!("cases/{file}")).unwrap();
        let tried = try_all(&text).unwrap();
        let failed: Vec<String> = tried
            .iter()
            .filter_map(|each| {
                Some(format!("{}: {}", each.name, each.outcome.as_ref().err()?))
            })
            .collect();
        assert!(failed.is_empty(), "{file}:\n{}", failed.join("\n"));
        assert_eq!(tried.len(), count, "{file}");
    }
}

/// Every reason is the reason of a case.
#[test]
fn no_reason_is_without_a_case() {
    let mut reasons = std::collections::BTreeSet::new();
    for file in ["csr.json", "own.json"] {
        let text = fs::read_to_string(format!("cases/{file}")).unwrap();
        for tried in try_all(&text).unwrap() {
            reasons.extend(tried.outcome.ok().map(|verdict| verdict.reason));
        }
    }
    let missing: Vec<_> = policy::Reason::ALL
        .iter()
        .filter(|reason| !reasons.contains(reason))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_is_not_known_fails_by_name() {
    for (change, said) in [
        (json!({"colour": "blue"}), "unknown field `colour`"),
        (
            json!({"context": {"colour": "blue"}}),
            "unknown field `colour`",
        ),
        (
            json!({"context": {"node": {"name": "a", "colour": 1}}}),
            "unknown field `colour`",
        ),
        (json!({"sans": {"colour": []}}), "unknown field `colour`"),
        (json!({"key": "p999"}), "key: \"p999\" is not known"),
        (
            json!({"context": {"csrMutation": "bent"}}),
            "context.csrMutation: \"bent\"",
        ),
        (
            json!({"context": {"csrExt": "odd"}}),
            "context.csrExt: \"odd\"",
        ),
        (
            json!({"context": {"extraRDN": {"XX": "y"}}}),
            "context.extraRDN: \"XX\"",
        ),
        (
            json!({"context": {"conditions": ["Odd"]}}),
            "conditions: \"Odd\"",
        ),
        (
            json!({"context": {"rivals": [["beside", 1]]}}),
            "rivals: \"beside\"",
        ),
        (
            json!({"context": {"unknown": ["moon"]}}),
            "unknown: \"moon\"",
        ),
        (json!({"sans": {"ip": ["10.0.0"]}}), "sans.ip: \"10.0.0\""),
        (json!({"expected": "perhaps"}), "unknown variant `perhaps`"),
        (
            json!({"expected": "deny"}),
            "expected deny, got approve: NewNode",
        ),
        (
            json!({"expectedReason": "Renewal"}),
            "expected approve (Renewal), got",
        ),
    ] {
        let tried = try_all(&json!([with(change)]).to_string()).unwrap();
        let problem = tried[0].outcome.as_ref().unwrap_err().to_string();
        assert!(problem.contains(said), "{said}: {problem}");
        assert_eq!(Tally::of(&tried).to_string(), "0 passed, 1 failed");
    }
    let good = try_all(&json!([with(json!({}))]).to_string()).unwrap();
    assert_eq!(Tally::of(&good).to_string(), "1 passed, 0 failed");
}

fn with(change: Value) -> Value {
    let mut case = json!({
        "name": "changed",
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "username": "system:bootstrap:abc123",
        "groups": ["system:bootstrappers", "system:authenticated"],
        "usages": ["digital signature", "client auth"],
        "subject_cn": "system:node:new-1",
        "subject_o": ["system:nodes"],
        "key": "p256",
        "expected": "approve",
    });
    if let (Value::Object(case), Value::Object(change)) = (&mut case, change) {
        case.extend(change);
    }
    case
}
