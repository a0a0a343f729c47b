//! Who asks for whom, and with which right.

use super::{Finding, Question};
use crate::facts::{Known, Limits, Token, Uses};
use crate::request::Request;
use crate::{Reason, Requester, Signer};

const NO_TOKEN: &str = "the requester is no bootstrap token";

pub(super) fn who_for_whom(question: &Question<'_>) -> String {
    let request = question.request.as_ref().ok();
    let node = request.and_then(Request::node).unwrap_or_default();
    format!("{} for {node:?}", question.submitted.username)
}

pub(super) fn own_name(question: &Question<'_>, request: &Request) -> Finding {
    match (question.requester(), question.signer()) {
        (Requester::Node(own), _) if request.node() != Some(own) => {
            Finding::fails(Reason::RequesterNotThisNode, who_for_whom(question))
        }
        (Requester::Token(_) | Requester::Bootstrapper(_), Some(Signer::Serving)) => {
            Finding::fails(Reason::ServingForBootstrap, &question.submitted.username)
        }
        (Requester::Node(_), _)
        | (
            Requester::Token(_) | Requester::Bootstrapper(_),
            Some(Signer::Client) | None,
        )
        | (Requester::Incomplete(_) | Requester::Unknown, _) => Finding::Passed,
    }
}

/// Control-plane nodes hold the cluster's keys; they are set up, they do not join.
pub(super) fn control_plane(question: &Question<'_>, request: &Request) -> Finding {
    let Some(node) = request.node() else {
        return Finding::Skipped("no node's name");
    };
    if !question.requester().bootstraps() {
        return Finding::Skipped("the requester is a node");
    }
    let settings = question.settings;
    let listed = question.facts.inventory.and_then(|all| all.nodes.get(node));
    let there = match question.facts.nodes {
        Known::Known(nodes) => nodes.get(node),
        Known::Unknown(_) => None,
    };
    let reserved = settings.masters.contains_key(node)
        || (settings.control_plane_names.iter()).any(|each| each.matches(node))
        || listed.is_some_and(|listed| listed.control_plane)
        || there.is_some_and(|there| there.control_plane);
    if reserved {
        Finding::fails(Reason::ControlPlaneName, node)
    } else {
        Finding::Passed
    }
}

pub(super) fn token_text(question: &Question<'_>) -> String {
    match (question.requester(), question.facts.token) {
        (Requester::Token(id), Known::Known(Some(token))) => {
            format!("{id}, used by {}", token.used_by.len())
        }
        (Requester::Token(id), Known::Known(None)) => format!("{id} is not there"),
        (Requester::Token(id), Known::Unknown(why)) => format!("{id}: {why}"),
        (
            Requester::Node(_)
            | Requester::Bootstrapper(_)
            | Requester::Incomplete(_)
            | Requester::Unknown,
            _,
        ) => String::new(),
    }
}

pub(super) fn token_live(question: &Question<'_>) -> Finding {
    let Requester::Token(id) = question.requester() else {
        return Finding::Skipped(NO_TOKEN);
    };
    let token = match question.facts.token {
        Known::Unknown(why) => return Finding::unknown("token", why),
        Known::Known(None) => return Finding::fails(Reason::TokenUnknown, id),
        Known::Known(Some(token)) => token,
    };
    let live = |at| at > question.now;
    match token {
        Token { deleting: true, .. } => Finding::fails(Reason::TokenUnknown, id),
        Token {
            authenticates: false,
            ..
        } => Finding::fails(Reason::TokenNotForAuthentication, id),
        Token {
            expires: Some(at), ..
        } if !live(*at) => Finding::fails(Reason::TokenExpired, id),
        Token { .. } => Finding::Passed,
    }
}

/// What limits the requester's token; `Err` is what the rule finds instead.
fn limited<'a>(question: &Question<'a>) -> Result<(&'a Token, &'a Limits), Finding> {
    match (question.requester(), question.facts.token) {
        (Requester::Token(_), Known::Known(Some(token))) => match &token.limits {
            Known::Known(limits) => Ok((token, limits)),
            Known::Unknown(why) => Err(Finding::unknown("token's limits", why)),
        },
        (Requester::Token(_), Known::Known(None) | Known::Unknown(_)) => {
            Err(Finding::Skipped("the token is not known"))
        }
        (
            Requester::Node(_)
            | Requester::Bootstrapper(_)
            | Requester::Incomplete(_)
            | Requester::Unknown,
            _,
        ) => Err(Finding::Skipped(NO_TOKEN)),
    }
}

pub(super) fn token_scope(question: &Question<'_>, request: &Request) -> Finding {
    let (_, limits) = match limited(question) {
        Ok(found) => found,
        Err(finding) => return finding,
    };
    match (&limits.node_names, request.node()) {
        (Some(pattern), Some(node)) if !pattern.matches(node) => {
            let detail = format!("{node:?} does not match {pattern}");
            Finding::fails(Reason::TokenNameMismatch, detail)
        }
        (None | Some(_), _) => Finding::Passed,
    }
}

pub(super) fn token_uses(question: &Question<'_>, request: &Request) -> Finding {
    let (token, limits) = match limited(question) {
        Ok(found) => found,
        Err(finding) => return finding,
    };
    let used = token.used_by.len();
    let ours = token.used_in.contains(&question.submitted.uid);
    if limits.uses == Uses::Once && used > 0 && !ours {
        return Finding::fails(Reason::TokenSpent, "good for one certificate");
    }
    let again = request
        .node()
        .is_some_and(|node| token.used_by.contains(node));
    match limits.max_nodes {
        Some(most) if !again && used >= most => {
            let detail = format!("used for {used} names, at most {most}");
            Finding::fails(Reason::TokenSpent, detail)
        }
        Some(_) | None => Finding::Passed,
    }
}

pub(super) fn access_text(question: &Question<'_>) -> String {
    question.access().map_or_else(String::new, |access| {
        format!("create certificatesigningrequests/{}", access.subresource())
    })
}

pub(super) fn access(question: &Question<'_>) -> Finding {
    match (question.access(), question.facts.access) {
        (None, _) => Finding::Skipped("serving requests need no right but the name's"),
        (Some(_), Known::Known(true)) => Finding::Passed,
        (Some(_), Known::Unknown(why)) => Finding::unknown("access", why),
        (Some(_), Known::Known(false)) => {
            Finding::fails(Reason::AccessNotGranted, access_text(question))
        }
    }
}
