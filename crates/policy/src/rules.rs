//! The rules, one named function each, in the order in which they are asked.
//!
//! Gates come first: they find out whether the request is anybody's business, and the
//! first that does not let it pass decides. Then every check is asked; one that denies
//! outweighs all that wait, since it would deny after the waiting too.

mod cluster;
mod content;
mod examine;
mod gates;
mod identity;
mod names;

use std::time::SystemTime;

pub use examine::examine;

use crate::facts::{Access, Facts};
use crate::request::{Request, Unreadable};
use crate::{Decision, Reason, Requester, Settings, Signer, Submitted, Verdict};

/// All that a decision depends on.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The object.
    pub submitted: &'a Submitted,
    /// Its PEM text, read.
    pub request: &'a Result<Request, Unreadable>,
    /// What is known of the cluster.
    pub facts: Facts<'a>,
    /// What the operator decided.
    pub settings: &'a Settings,
    /// The time of the decision.
    pub now: SystemTime,
}

impl<'a> Question<'a> {
    /// Who asks.
    #[must_use]
    pub fn requester(&self) -> Requester<'a> {
        Requester::of(self.submitted, self.settings)
    }

    /// What the request is for, if it is one of our signers.
    #[must_use]
    pub fn signer(&self) -> Option<Signer> {
        let signer = Signer::named(&self.submitted.signer);
        signer.filter(|signer| self.settings.signers.contains(signer))
    }

    /// The SubjectAccessReview that this question needs the answer of.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        match (self.signer()?, self.requester()) {
            (Signer::Client, Requester::Node(_)) => Some(Access::SelfNodeClient),
            (Signer::Client, Requester::Token(_) | Requester::Bootstrapper(_)) => {
                Some(Access::NodeClient)
            }
            (Signer::Client, Requester::Incomplete(_) | Requester::Unknown)
            | (Signer::Serving, _) => None,
        }
    }

    fn serves(&self) -> bool {
        self.signer() == Some(Signer::Serving)
    }
}

/// What a rule finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing against it.
    Passed,
    /// Not asked of such a request, and why.
    Skipped(&'static str),
    /// This would be the verdict.
    Fails(Verdict),
}

impl Finding {
    fn fails(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Fails(Verdict {
            reason,
            detail: detail.into(),
            again: None,
        })
    }

    fn unknown(what: &'static str, why: &'static str) -> Self {
        Self::fails(Reason::FactsUnknown, format!("{what}: {why}"))
    }

    fn again(self, at: Option<SystemTime>) -> Self {
        match self {
            Self::Fails(verdict) => Self::Fails(Verdict {
                again: at,
                ..verdict
            }),
            Self::Passed | Self::Skipped(_) => self,
        }
    }
}

/// When a rule's finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// First, and alone.
    Gate,
    /// With all the others.
    Check,
}

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// As `explain` and the manual call it.
    pub name: &'static str,
    /// When it counts.
    pub stage: Stage,
    input: fn(&Question<'_>) -> String,
    check: Check,
}

#[derive(Debug, Clone, Copy)]
enum Check {
    /// Looks at the object.
    Object(fn(&Question<'_>) -> Finding),
    /// Looks into the request, which must be readable.
    Content(fn(&Question<'_>, &Request) -> Finding),
}

impl Rule {
    const fn gate(
        name: &'static str,
        input: fn(&Question<'_>) -> String,
        check: fn(&Question<'_>) -> Finding,
    ) -> Self {
        Self {
            name,
            stage: Stage::Gate,
            input,
            check: Check::Object(check),
        }
    }

    const fn object(
        name: &'static str,
        input: fn(&Question<'_>) -> String,
        check: fn(&Question<'_>) -> Finding,
    ) -> Self {
        Self {
            name,
            stage: Stage::Check,
            input,
            check: Check::Object(check),
        }
    }

    const fn content(
        name: &'static str,
        input: fn(&Question<'_>) -> String,
        check: fn(&Question<'_>, &Request) -> Finding,
    ) -> Self {
        Self {
            name,
            stage: Stage::Check,
            input,
            check: Check::Content(check),
        }
    }

    fn ask(&self, question: &Question<'_>) -> Finding {
        match (self.check, question.request) {
            (Check::Object(check), _) => check(question),
            (Check::Content(check), Ok(request)) => check(question, request),
            (Check::Content(_), Err(_)) => {
                Finding::Skipped("the request is not readable")
            }
        }
    }
}

/// Every rule, in the order of the manual.
pub const RULES: &[Rule] = &[
    Rule::gate("signer", gates::signer_name, gates::signer),
    Rule::gate("request-name", gates::name, gates::request_name),
    Rule::gate("undecided", gates::state, gates::undecided),
    Rule::gate("requester", gates::who, gates::requester),
    Rule::gate("quota", gates::ahead, gates::quota),
    Rule::object("readable", content::size, content::readable),
    Rule::content("key", content::key_kind, content::key),
    Rule::content("self-signature", content::key_kind, content::self_signature),
    Rule::content("attributes", content::attribute_list, content::attributes),
    Rule::content("extensions", content::extension_list, content::extensions),
    Rule::content("subject", content::subject_text, content::subject),
    Rule::content("organization", content::subject_text, content::organization),
    Rule::content("common-name", content::subject_text, content::common_name),
    Rule::content("node-name", content::node, content::node_name),
    Rule::content(
        "node-name-reserved",
        content::node,
        content::node_name_reserved,
    ),
    Rule::content(
        "node-name-allowed",
        content::node,
        content::node_name_allowed,
    ),
    Rule::object("usages", content::usage_list, content::usages),
    Rule::object("expiration", content::expiration_asked, content::expiration),
    Rule::content("san-client", names::list, names::none_for_clients),
    Rule::content("san-kinds", names::list, names::kinds),
    Rule::content("san-count", names::list, names::count),
    Rule::content("san-form", names::list, names::form),
    Rule::content("san-reserved", names::list, names::reserved),
    Rule::content("san-allowed", names::list, names::allowed),
    Rule::content("own-name", identity::who_for_whom, identity::own_name),
    Rule::content("control-plane", content::node, identity::control_plane),
    Rule::object("token-live", identity::token_text, identity::token_live),
    Rule::content("token-scope", identity::token_text, identity::token_scope),
    Rule::content("token-uses", identity::token_text, identity::token_uses),
    Rule::content("inventory", content::node, cluster::inventory),
    Rule::content("node", cluster::node_text, cluster::node),
    Rule::content("name-held", content::node, cluster::name_held),
    Rule::content("claims", names::list, cluster::claims),
    Rule::content("san-of-node", cluster::node_text, cluster::san_of_node),
    Rule::content("key-reuse", cluster::key_text, cluster::key_reuse),
    Rule::object("superseded", gates::name, cluster::superseded),
    Rule::object("access", identity::access_text, identity::access),
];

/// Decides.
#[must_use]
pub fn decide(question: &Question<'_>) -> Verdict {
    let findings = RULES.iter().map(|rule| (rule.stage, rule.ask(question)));
    weigh(question, findings)
}

/// Weighs findings as they come, and asks no further than a gate or a denial.
fn weigh(
    question: &Question<'_>,
    findings: impl Iterator<Item = (Stage, Finding)>,
) -> Verdict {
    let mut waits: Option<Verdict> = None;
    for (stage, finding) in findings {
        let Finding::Fails(verdict) = finding else {
            continue;
        };
        match (stage, verdict.decision()) {
            (Stage::Gate, _) | (Stage::Check, Decision::Deny) => return verdict,
            (Stage::Check, Decision::Wait | Decision::Ignore | Decision::Approve) => {
                waits = Some(sooner(waits, verdict));
            }
        }
    }
    waits.unwrap_or_else(|| approval(question))
}

/// The first reason to wait, with the first time at which one of them may be over.
fn sooner(first: Option<Verdict>, next: Verdict) -> Verdict {
    let Some(first) = first else { return next };
    let again = [first.again, next.again].into_iter().flatten().min();
    Verdict { again, ..first }
}

fn approval(question: &Question<'_>) -> Verdict {
    let reason = match (question.serves(), question.requester().bootstraps()) {
        (true, _) => Reason::Serving,
        (false, true) => Reason::NewNode,
        (false, false) => Reason::Renewal,
    };
    let node = question.request.as_ref().ok().and_then(Request::node);
    Verdict {
        reason,
        detail: node.unwrap_or_default().to_owned(),
        again: None,
    }
}

/// What one rule saw and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The rule's name.
    pub rule: &'static str,
    /// What it looked at.
    pub input: String,
    /// What it found.
    pub finding: Finding,
}

/// A decision with every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Every rule, also those behind the one that decides.
    pub lines: Vec<Line>,
    /// The decision.
    pub verdict: Verdict,
}

/// Decides, and says what every rule found. The verdict is that of [`decide`].
#[must_use]
pub fn explain(question: &Question<'_>) -> Explanation {
    let lines: Vec<Line> = RULES
        .iter()
        .map(|rule| Line {
            rule: rule.name,
            input: (rule.input)(question),
            finding: rule.ask(question),
        })
        .collect();
    let findings = lines.iter().map(|line| line.finding.clone());
    let stages = RULES.iter().map(|rule| rule.stage);
    let verdict = weigh(question, stages.zip(findings));
    Explanation { lines, verdict }
}
