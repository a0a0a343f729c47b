//! Is it ours, is it open, and may this requester ask for more?

use super::{Finding, Question};
use crate::facts::Known;
use crate::{Reason, Requester, State, is_request_name};

pub(super) fn name(question: &Question<'_>) -> String {
    question.submitted.name.clone()
}

pub(super) fn signer_name(question: &Question<'_>) -> String {
    question.submitted.signer.clone()
}

pub(super) fn signer(question: &Question<'_>) -> Finding {
    match question.signer() {
        Some(_) => Finding::Passed,
        None => Finding::fails(Reason::SignerNotOurs, &question.submitted.signer),
    }
}

pub(super) fn request_name(question: &Question<'_>) -> Finding {
    let name = &question.submitted.name;
    if is_request_name(name) {
        Finding::Passed
    } else {
        Finding::fails(Reason::RequestNameOdd, format!("{name:?}"))
    }
}

pub(super) fn state(question: &Question<'_>) -> String {
    let state = match question.submitted.state {
        State::Pending => "pending",
        State::Decided => "decided",
        State::Issued => "issued",
        State::Deleting => "being deleted",
    };
    state.to_owned()
}

pub(super) fn undecided(question: &Question<'_>) -> Finding {
    match question.submitted.state {
        State::Pending => Finding::Passed,
        State::Decided => Finding::fails(Reason::AlreadyDecided, ""),
        State::Issued => Finding::fails(Reason::AlreadyIssued, ""),
        State::Deleting => Finding::fails(Reason::BeingDeleted, ""),
    }
}

pub(super) fn who(question: &Question<'_>) -> String {
    let groups: Vec<&str> = (question.submitted.groups.iter())
        .map(String::as_str)
        .collect();
    format!("{} in {}", question.submitted.username, groups.join(", "))
}

pub(super) fn requester(question: &Question<'_>) -> Finding {
    let user = &question.submitted.username;
    match question.requester() {
        Requester::Node(_) | Requester::Token(_) | Requester::Bootstrapper(_) => {
            Finding::Passed
        }
        Requester::Incomplete(group) => {
            let detail = format!("{user} is not in {group}");
            Finding::fails(Reason::RequesterGroupMissing, detail)
        }
        Requester::Unknown => Finding::fails(Reason::RequesterUnknown, user),
    }
}

pub(super) fn ahead(question: &Question<'_>) -> String {
    match question.facts.ahead {
        Known::Known(ahead) => format!("{ahead} ahead"),
        Known::Unknown(why) => why.to_owned(),
    }
}

/// What is approved does not count: five hundred nodes that join at once with one token
/// pass as fast as they are decided. What was refused counts, so that nobody has us write
/// twenty thousand denials.
pub(super) fn quota(question: &Question<'_>) -> Finding {
    let quota = question.settings.quota;
    match question.facts.ahead {
        Known::Unknown(why) => Finding::unknown("requests", why),
        Known::Known(ahead) if ahead >= quota.requests => {
            let detail = format!("{ahead} ahead, at most {}", quota.requests);
            let over = question.submitted.created.checked_add(quota.window);
            Finding::fails(Reason::QuotaExceeded, detail).again(over)
        }
        Known::Known(_) => Finding::Passed,
    }
}
