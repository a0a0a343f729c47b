//! What the request says, by itself.

use std::net::IpAddr;
use std::time::Duration;

use super::{Finding, Question, names};
use crate::request::{Key, Request, SelfSignature, oid};
use crate::settings::SHORTEST_EXPIRATION;
use crate::{Reason, is_node_name};

/// Below, a key is broken (NIST SP 800-131A); above, ring does not verify, and nobody
/// waits for such a handshake.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;
/// 65537, the exponent of every generator: smaller ones have attacks of their own.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

pub(super) fn size(question: &Question<'_>) -> String {
    match question.request {
        Ok(_) => "one PEM block with one request".to_owned(),
        Err(error) => error.detail.clone(),
    }
}

pub(super) fn readable(question: &Question<'_>) -> Finding {
    match question.request {
        Ok(_) => Finding::Passed,
        Err(error) => Finding::fails(error.reason, &error.detail),
    }
}

fn of_request(question: &Question<'_>, text: impl Fn(&Request) -> String) -> String {
    question.request.as_ref().map(text).unwrap_or_default()
}

pub(super) fn key_kind(question: &Question<'_>) -> String {
    of_request(question, |request| request.key.to_string())
}

pub(super) fn key(_: &Question<'_>, request: &Request) -> Finding {
    match &request.key {
        Key::P256(_) | Key::P384(_) => Finding::Passed,
        Key::Other(_) => Finding::fails(Reason::KeyNotAllowed, request.key.to_string()),
        Key::Rsa { exponent, .. } => {
            let strong = RSA_BITS.contains(&request.key.modulus_bits());
            if strong && exponent == RSA_EXPONENT {
                Finding::Passed
            } else {
                Finding::fails(Reason::KeyTooWeak, request.key.to_string())
            }
        }
    }
}

pub(super) fn self_signature(question: &Question<'_>, request: &Request) -> Finding {
    match (request.signature, key(question, request)) {
        (SelfSignature::Valid, _) => Finding::Passed,
        (SelfSignature::Invalid, Finding::Passed | Finding::Skipped(_)) => {
            Finding::fails(Reason::SignatureInvalid, "")
        }
        (SelfSignature::Invalid, Finding::Fails(_)) => {
            Finding::Skipped("not verified for a key that is refused")
        }
    }
}

pub(super) fn attribute_list(question: &Question<'_>) -> String {
    of_request(question, |request| request.attributes.join(", "))
}

pub(super) fn attributes(_: &Question<'_>, request: &Request) -> Finding {
    match request.attributes.as_slice() {
        [] => Finding::Passed,
        others => Finding::fails(Reason::AttributeNotAllowed, others.join(", ")),
    }
}

pub(super) fn extension_list(question: &Question<'_>) -> String {
    let list = |request: &Request| {
        let oids: Vec<&str> = (request.extensions.iter())
            .map(|extension| extension.oid.as_str())
            .collect();
        oids.join(", ")
    };
    of_request(question, list)
}

/// Signers do not copy extensions but the names; one that did would make a CA of a node.
pub(super) fn extensions(_: &Question<'_>, request: &Request) -> Finding {
    let mut names = 0;
    for extension in &request.extensions {
        if extension.oid != oid::SUBJECT_ALT_NAME {
            return Finding::fails(Reason::ExtensionNotAllowed, &extension.oid);
        }
        names += 1;
    }
    if names > 1 {
        return Finding::fails(Reason::ExtensionNotAllowed, "subjectAltName twice");
    }
    Finding::Passed
}

pub(super) fn subject_text(question: &Question<'_>) -> String {
    let text = |request: &Request| {
        let parts = request.subject.iter().map(|attribute| {
            let kind = match attribute.oid.as_str() {
                oid::COMMON_NAME => "CN",
                oid::ORGANIZATION => "O",
                other => other,
            };
            format!("{kind}={:?}", attribute.value)
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    of_request(question, text)
}

/// Everything in the subject is copied into the certificate, and Go reads the last of
/// two common names where others read the first.
pub(super) fn subject(question: &Question<'_>, request: &Request) -> Finding {
    let count = |wanted: &str| request.subject_values(wanted).count();
    let exact = count(oid::COMMON_NAME) == 1
        && count(oid::ORGANIZATION) == 1
        && request.subject.len() == 2;
    if exact {
        Finding::Passed
    } else {
        Finding::fails(Reason::SubjectNotExact, subject_text(question))
    }
}

pub(super) fn organization(_: &Question<'_>, request: &Request) -> Finding {
    let mut organizations = request.subject_values(oid::ORGANIZATION);
    if organizations.any(|organization| organization != "system:nodes") {
        return Finding::fails(Reason::OrganizationNotExact, "");
    }
    Finding::Passed
}

pub(super) fn common_name(question: &Question<'_>, request: &Request) -> Finding {
    match request.node() {
        Some(_) => Finding::Passed,
        None => Finding::fails(Reason::CommonNameNotNode, subject_text(question)),
    }
}

pub(super) fn node(question: &Question<'_>) -> String {
    of_request(question, |request| {
        request.node().unwrap_or_default().to_owned()
    })
}

pub(super) fn node_name(_: &Question<'_>, request: &Request) -> Finding {
    match request.node() {
        Some(node) if !is_node_name(node) => {
            Finding::fails(Reason::NodeNameInvalid, format!("{node:?}"))
        }
        Some(_) => Finding::Passed,
        None => Finding::Skipped("no node's name"),
    }
}

/// A node may report its name as an address of its own; that must not be the API's.
pub(super) fn node_name_reserved(question: &Question<'_>, request: &Request) -> Finding {
    let Some(node) = request.node() else {
        return Finding::Skipped("no node's name");
    };
    let reserved = match node.parse::<IpAddr>() {
        Ok(address) => names::reserved_address(question.settings, address, node),
        Err(_) => names::reserved_name(question.settings, node, node),
    };
    match reserved {
        Some(why) => Finding::fails(Reason::NodeNameReserved, why),
        None => Finding::Passed,
    }
}

pub(super) fn node_name_allowed(question: &Question<'_>, request: &Request) -> Finding {
    let patterns = &question.settings.allowed_node_names;
    match request.node() {
        _ if patterns.is_empty() => Finding::Skipped("no allow-list"),
        Some(node) if patterns.iter().any(|pattern| pattern.matches(node)) => {
            Finding::Passed
        }
        Some(node) => Finding::fails(Reason::NodeNameNotAllowed, node),
        None => Finding::Skipped("no node's name"),
    }
}

pub(super) fn usage_list(question: &Question<'_>) -> String {
    question.submitted.usages.join(", ")
}

/// Kubelets before 1.27 ask for key encipherment with any key, later ones with RSA keys
/// or not at all.
pub(super) fn usages(question: &Question<'_>) -> Finding {
    let Some(signer) = question.signer() else {
        return Finding::Skipped("no signer of ours");
    };
    let mut asked: Vec<&str> = (question.submitted.usages.iter())
        .map(String::as_str)
        .collect();
    asked.sort_unstable();
    let plain = ["digital signature", signer.usage()];
    let with_encipherment = ["digital signature", "key encipherment", signer.usage()];
    let sorted = |mut usages: Vec<&'static str>| {
        usages.sort_unstable();
        usages
    };
    if asked == sorted(plain.into()) || asked == sorted(with_encipherment.into()) {
        Finding::Passed
    } else {
        Finding::fails(Reason::UsagesNotExact, usage_list(question))
    }
}

pub(super) fn expiration_asked(question: &Question<'_>) -> String {
    match question.submitted.expiration {
        Some(lifetime) => format!("{} s", lifetime.as_secs()),
        None => "not asked for".to_owned(),
    }
}

pub(super) fn expiration(question: &Question<'_>) -> Finding {
    let allowed = SHORTEST_EXPIRATION..=question.settings.max_expiration;
    let seconds = Duration::as_secs;
    match question.submitted.expiration {
        Some(lifetime) if !allowed.contains(&lifetime) => {
            let (low, high) = (seconds(allowed.start()), seconds(allowed.end()));
            let detail = format!("{} s, allowed: {low} to {high}", lifetime.as_secs());
            Finding::fails(Reason::ExpirationOutOfBounds, detail)
        }
        Some(_) => Finding::Passed,
        None => Finding::Skipped("not asked for"),
    }
}
