//! What a signer looks at once more, whoever approved.

use super::{Finding, Question, RULES};
use crate::Verdict;

/// The rules that depend on nothing but the request and what nobody may have. Those that
/// an approving person may waive are not among them.
const EXAMINED: [&str; 16] = [
    "readable",
    "key",
    "self-signature",
    "attributes",
    "extensions",
    "subject",
    "organization",
    "common-name",
    "node-name",
    "node-name-reserved",
    "usages",
    "san-client",
    "san-kinds",
    "san-count",
    "san-form",
    "san-reserved",
];

/// What keeps an approved request from being signed: it would not be a node's
/// certificate, or one in the name of the API.
#[must_use]
pub fn examine(question: &Question<'_>) -> Option<Verdict> {
    let asked = RULES.iter().filter(|rule| EXAMINED.contains(&rule.name));
    asked
        .map(|rule| rule.ask(question))
        .find_map(|finding| match finding {
            Finding::Fails(verdict) => Some(verdict),
            Finding::Passed | Finding::Skipped(_) => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_rule_s() {
        for name in EXAMINED {
            assert!(RULES.iter().any(|rule| rule.name == name), "{name}");
        }
    }
}
