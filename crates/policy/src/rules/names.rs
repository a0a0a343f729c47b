//! The names a request asks for, by themselves.

use std::net::IpAddr;

use super::{Finding, Question};
use crate::address::never;
use crate::request::Request;
use crate::{Reason, Settings, dns_name};

const CLIENT: &str = "for serving requests";

pub(super) fn list(question: &Question<'_>) -> String {
    let Ok(request) = question.request else {
        return String::new();
    };
    let dns = request.names.dns.iter().map(|name| format!("DNS:{name:?}"));
    let addresses = request.names.addresses.iter();
    let addresses = addresses.map(|address| format!("IP:{address}"));
    let others = request.names.others.iter().map(|&kind| kind.to_owned());
    let mut all: Vec<String> = dns.chain(addresses).chain(others).collect();
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join(", ")
}

/// Names shown of a long list.
const SHOWN: usize = 10;

pub(super) fn none_for_clients(question: &Question<'_>, request: &Request) -> Finding {
    match (question.serves(), request.names.is_empty()) {
        (true, _) => Finding::Skipped("for client requests"),
        (false, true) => Finding::Passed,
        (false, false) => Finding::fails(Reason::SanOnClient, list(question)),
    }
}

pub(super) fn kinds(question: &Question<'_>, request: &Request) -> Finding {
    match request.names.others.as_slice() {
        _ if !question.serves() => Finding::Skipped(CLIENT),
        [] => Finding::Passed,
        others => Finding::fails(Reason::SanKindNotAllowed, others.join(", ")),
    }
}

pub(super) fn count(question: &Question<'_>, request: &Request) -> Finding {
    let most = question.settings.max_sans;
    match request.names.len() {
        _ if !question.serves() => Finding::Skipped(CLIENT),
        0 => Finding::fails(Reason::SanMissing, ""),
        names if names > most => {
            Finding::fails(Reason::SanTooMany, format!("{names}, at most {most}"))
        }
        _ => Finding::Passed,
    }
}

pub(super) fn form(question: &Question<'_>, request: &Request) -> Finding {
    if !question.serves() {
        return Finding::Skipped(CLIENT);
    }
    match request
        .names
        .dns
        .iter()
        .find(|name| dns_name(name).is_none())
    {
        Some(name) => Finding::fails(Reason::SanNameInvalid, format!("{name:?}")),
        None => Finding::Passed,
    }
}

/// Also when the node reports them as its own: it writes its status itself.
pub(super) fn reserved(question: &Question<'_>, request: &Request) -> Finding {
    if !question.serves() {
        return Finding::Skipped(CLIENT);
    }
    let settings = question.settings;
    let node = request.node().unwrap_or_default();
    let dns = request.names.dns.iter().filter_map(|name| dns_name(name));
    let mut dns = dns.filter_map(|name| reserved_name(settings, &name, node));
    let addresses = request.names.addresses.iter();
    let mut addresses =
        addresses.filter_map(|address| reserved_address(settings, *address, node));
    match dns.next().or_else(|| addresses.next()) {
        Some(why) => Finding::fails(Reason::SanReserved, why),
        None => Finding::Passed,
    }
}

pub(super) fn allowed(question: &Question<'_>, request: &Request) -> Finding {
    let patterns = &question.settings.allowed_names;
    let networks = &question.settings.allowed_networks;
    if !question.serves() {
        return Finding::Skipped(CLIENT);
    }
    let bad_name = request.names.dns.iter().find(|name| {
        let name = dns_name(name).unwrap_or_default();
        !patterns.is_empty() && !patterns.iter().any(|each| each.matches(&name))
    });
    let bad_address = request.names.addresses.iter().find(|address| {
        !networks.is_empty() && !networks.iter().any(|each| each.contains(**address))
    });
    match (bad_name, bad_address) {
        (Some(name), _) => Finding::fails(Reason::SanNotAllowed, format!("{name:?}")),
        (None, Some(address)) => {
            Finding::fails(Reason::SanNotAllowed, address.to_string())
        }
        (None, None) => Finding::Passed,
    }
}

/// Why `name`, in compared form, is not for `node`.
pub(super) fn reserved_name(
    settings: &Settings,
    name: &str,
    node: &str,
) -> Option<String> {
    let domain = settings.cluster_domain.as_str();
    let below = |suffix: &str| {
        let head = name.strip_suffix(suffix);
        head.is_some_and(|head| head.is_empty() || head.ends_with('.'))
    };
    let why = if ["kubernetes", "kubernetes.default"].contains(&name) {
        "the API's Service"
    } else if below("svc") || below(domain) {
        "a Service's name"
    } else if below("localhost") || name == "localhost.localdomain" {
        "every host's own name"
    } else if METADATA.contains(&name) {
        "a cloud's metadata server"
    } else if settings.reserved_names.contains(name) {
        "reserved in the configuration"
    } else if name != node && settings.masters.contains_key(name) {
        "a control-plane node's name"
    } else {
        return None;
    };
    Some(format!("{name:?} is {why}"))
}

/// Names under which clouds answer any process on a host with its credentials.
const METADATA: [&str; 3] = ["metadata", "metadata.google.internal", "instance-data"];

/// Why `address` is not for `node`.
pub(super) fn reserved_address(
    settings: &Settings,
    address: IpAddr,
    node: &str,
) -> Option<String> {
    if let Some(why) = never(address) {
        return Some(format!("{address} is {why}"));
    }
    let inside = |networks: &[crate::Network]| {
        networks
            .iter()
            .copied()
            .find(|network| network.contains(address))
    };
    if let Some(network) = inside(&settings.service_networks) {
        return Some(format!("{address} is in the Service network {network}"));
    }
    if let Some(network) = inside(&settings.reserved_networks) {
        return Some(format!("{address} is reserved ({network})"));
    }
    let address = address.to_canonical();
    let mut masters = settings.masters.iter();
    let other = masters.find(|(name, master)| {
        name.as_str() != node && master.addresses.contains(&address)
    });
    other.map(|(name, _)| format!("{address} is the apiserver's on {name}"))
}
