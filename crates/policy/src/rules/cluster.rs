//! The request beside what is there: Nodes, the inventory file, other requests.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::{Finding, Question};
use crate::facts::{Known, Listed, Node, Nodes, Rival};
use crate::request::Request;
use crate::{Reason, Source, dns_name};

const NO_NODE: &str = "no node's name";

pub(super) fn node_text(question: &Question<'_>) -> String {
    let request = question.request.as_ref().ok();
    let Some(name) = request.and_then(Request::node) else {
        return String::new();
    };
    match question.facts.nodes {
        Known::Unknown(why) => format!("{name}: {why}"),
        Known::Known(nodes) => match nodes.get(name) {
            None => format!("{name}: no Node"),
            Some(node) => describe(question, name, node),
        },
    }
}

fn describe(question: &Question<'_>, name: &str, node: &Node) -> String {
    let ready = if node.ready { "Ready" } else { "not Ready" };
    let age = question.now.duration_since(node.renewed);
    let age = age.unwrap_or_default().as_secs();
    let names = node.names.iter().cloned();
    let addresses = node.addresses.iter().map(IpAddr::to_string);
    let all: Vec<String> = names.chain(addresses).collect();
    format!(
        "{name}: {ready}, renewed {age} s ago, has {}",
        all.join(", ")
    )
}

/// Its lease is fresh.
fn is_heard(question: &Question<'_>, node: &Node) -> bool {
    let silent_at = node.renewed.checked_add(question.settings.node_grace);
    silent_at.is_none_or(|at| question.now < at)
}

pub(super) fn inventory(question: &Question<'_>, request: &Request) -> Finding {
    if !question.settings.source.demands_inventory() {
        return Finding::Skipped("the inventory file is not asked");
    }
    let Some(inventory) = question.facts.inventory else {
        return Finding::unknown("inventory", "not read");
    };
    match request.node() {
        None => Finding::Skipped(NO_NODE),
        Some(node) if inventory.nodes.contains_key(node) => Finding::Passed,
        Some(node) => Finding::fails(Reason::NotInInventory, node),
    }
}

pub(super) fn node(question: &Question<'_>, request: &Request) -> Finding {
    let Some(name) = request.node() else {
        return Finding::Skipped(NO_NODE);
    };
    let nodes = match question.facts.nodes {
        Known::Unknown(why) => return Finding::unknown("nodes", why),
        Known::Known(nodes) => nodes,
    };
    match (nodes.get(name), question.requester().bootstraps()) {
        (None, true) => Finding::Passed,
        (Some(node), true) => taken(question, name, node),
        (Some(_), false) => Finding::Passed,
        (None, false) if speaks_for_itself(question, name) => Finding::Passed,
        (None, false) => Finding::fails(Reason::NodeMissing, name),
    }
}

/// A serving request needs no Node where the inventory file alone may say what is right.
fn speaks_for_itself(question: &Question<'_>, name: &str) -> bool {
    let may = match question.settings.source {
        Source::Inventory | Source::Either => question.serves(),
        Source::Node | Source::Both => false,
    };
    let inventory = question.facts.inventory;
    may && inventory.is_some_and(|inventory| inventory.nodes.contains_key(name))
}

/// Whoever has a bootstrap token could become any node that is there. Re-provisioning
/// asks for both, a silent lease and a Node that is not Ready: after an outage of the API
/// every lease is old, and nobody is gone.
fn taken(question: &Question<'_>, name: &str, node: &Node) -> Finding {
    if node.ready && is_heard(question, node) {
        return Finding::fails(Reason::NodeTaken, name);
    }
    let after = question.settings.reprovision_after;
    let free_at = after.and_then(|after| node.renewed.checked_add(after));
    match free_at {
        Some(at) if !node.ready && question.now >= at => Finding::Passed,
        Some(at) if !node.ready => {
            Finding::fails(Reason::NodeExists, name).again(Some(at))
        }
        Some(_) => Finding::fails(Reason::NodeExists, name),
        None => {
            let detail = format!("{name}; delete it, or set reprovisionAfter");
            Finding::fails(Reason::NodeExists, detail)
        }
    }
}

/// Between an approval and the Node nothing but the requests says whose a name is. So they
/// stand in line, in the order in which the API server took them, which everybody who sees
/// the later one sees: the first that is open is the only one that may get the name, and
/// once one has it, nobody else does until it had time to register. One that waits for too
/// long loses its place, to the right of going on too, some time before the next one may.
pub(super) fn name_held(question: &Question<'_>, request: &Request) -> Finding {
    let Some(name) = request.node() else {
        return Finding::Skipped(NO_NODE);
    };
    if !question.requester().bootstraps() {
        return Finding::Skipped("the requester is a node");
    }
    let rivals = match &question.facts.rivals {
        Known::Unknown(why) => return Finding::unknown("requests", why),
        Known::Known(rivals) => rivals,
    };
    let hold = question.settings.name_hold;
    let (now, made) = (question.now, question.submitted.created);
    let held = |what: &str, until: Option<SystemTime>| {
        Finding::fails(Reason::NameHeld, format!("{name}: {what}")).again(until)
    };
    for rival in rivals {
        let (what, end) = match *rival {
            Rival::Given(at) => ("given to another key", at.checked_add(hold)),
            Rival::Before(at) => (
                "another key asked before",
                at.checked_add(hold + CLOCKS_APART),
            ),
            Rival::After if made.checked_add(hold).is_some_and(|end| now < end) => {
                continue;
            }
            Rival::After => return held("another key asked since", None),
        };
        if end.is_none_or(|end| now < end) {
            return held(what, end);
        }
    }
    Finding::Passed
}

/// By so much the clocks of two masters, and an act on its way, may be apart without one of
/// them going on with the first in line while the other is at the second.
const CLOCKS_APART: Duration = Duration::from_secs(30);

/// A name or an address of the request, in compared form.
enum San {
    Name(String),
    Address(IpAddr),
}

impl San {
    fn all(request: &Request) -> impl Iterator<Item = Self> + '_ {
        let dns = request.names.dns.iter().filter_map(|name| dns_name(name));
        let addresses = request.names.addresses.iter().copied();
        dns.map(Self::Name).chain(addresses.map(Self::Address))
    }

    fn is_among(
        &self,
        node: &str,
        names: &BTreeSet<String>,
        addresses: &BTreeSet<IpAddr>,
    ) -> bool {
        match self {
            Self::Name(name) => name == node || names.contains(name),
            Self::Address(address) => addresses.contains(address),
        }
    }

    fn is_of_node(&self, name: &str, node: &Node) -> bool {
        self.is_among(name, &node.names, &node.addresses)
    }

    fn is_listed(&self, name: &str, listed: &Listed) -> bool {
        self.is_among(name, &listed.names, &listed.addresses)
    }

    /// Another node that has it.
    fn other<'a>(&'a self, nodes: &'a Nodes, own: &str) -> Option<(&'a str, &'a Node)> {
        match self {
            Self::Name(name) => nodes.with_name(name).find(|(other, _)| *other != own),
            Self::Address(address) => nodes
                .with_address(*address)
                .find(|(other, _)| *other != own),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Name(name) => format!("{name:?}"),
            Self::Address(address) => address.to_string(),
        }
    }
}

/// Asks each name of a serving request; the first that fails, denials first.
fn each_san(
    question: &Question<'_>,
    request: &Request,
    check: impl Fn(&str, &Nodes, &San) -> Finding,
) -> Finding {
    let Some(node) = request.node() else {
        return Finding::Skipped(NO_NODE);
    };
    if !question.serves() {
        return Finding::Skipped("for serving requests");
    }
    let nodes = match question.facts.nodes {
        Known::Unknown(why) => return Finding::unknown("nodes", why),
        Known::Known(nodes) => nodes,
    };
    let mut first = Finding::Passed;
    for san in San::all(request) {
        match check(node, nodes, &san) {
            Finding::Fails(verdict) if verdict.decision() == crate::Decision::Deny => {
                return Finding::Fails(verdict);
            }
            Finding::Fails(verdict) if first == Finding::Passed => {
                first = Finding::Fails(verdict);
            }
            Finding::Fails(_) | Finding::Passed | Finding::Skipped(_) => {}
        }
    }
    first
}

/// Two Nodes with one address: one of them is wrong, and the status of a Node is written
/// by whoever has its certificate. The inventory file settles it where it lists the name.
pub(super) fn claims(question: &Question<'_>, request: &Request) -> Finding {
    each_san(question, request, |own, nodes, san| {
        let listed = question.facts.inventory.and_then(|all| all.nodes.get(own));
        let settled = question.settings.source != Source::Node
            && listed.is_some_and(|listed| san.is_listed(own, listed));
        let Some((other, node)) = san.other(nodes, own).filter(|_| !settled) else {
            return Finding::Passed;
        };
        let detail = format!("{} is of {other}", san.text());
        let ours = nodes.get(own).is_some_and(|node| san.is_of_node(own, node));
        if !ours && node.ready && is_heard(question, node) {
            Finding::fails(Reason::ClaimedByOtherNode, detail)
        } else {
            Finding::fails(Reason::ClaimedTwice, detail)
        }
    })
}

pub(super) fn san_of_node(question: &Question<'_>, request: &Request) -> Finding {
    each_san(question, request, |own, nodes, san| {
        let node = nodes.get(own);
        let listed = question.facts.inventory.and_then(|all| all.nodes.get(own));
        let on_node = node.is_some_and(|node| san.is_of_node(own, node));
        let in_file = listed.is_some_and(|listed| san.is_listed(own, listed));
        match question.settings.source {
            Source::Node if on_node => Finding::Passed,
            Source::Inventory if in_file => Finding::Passed,
            Source::Both if on_node && in_file => Finding::Passed,
            Source::Either if on_node || in_file => Finding::Passed,
            // The file does not change by waiting.
            Source::Inventory => Finding::fails(Reason::SanNotOnNode, san.text()),
            Source::Both if !in_file => Finding::fails(Reason::SanNotOnNode, san.text()),
            // The Node may yet come and say so.
            Source::Node | Source::Both | Source::Either if node.is_none() => {
                Finding::fails(Reason::NodeMissing, own)
            }
            Source::Node | Source::Both | Source::Either => not_yet(question, san),
        }
    })
}

/// A kubelet that changed its address asks before its Node tells.
fn not_yet(question: &Question<'_>, san: &San) -> Finding {
    let settled = question
        .submitted
        .created
        .checked_add(question.settings.address_wait);
    match settled {
        Some(at) if question.now < at => {
            Finding::fails(Reason::SanNotOnNodeYet, san.text()).again(Some(at))
        }
        Some(_) | None => Finding::fails(Reason::SanNotOnNode, san.text()),
    }
}

pub(super) fn key_text(question: &Question<'_>) -> String {
    let request = question.request.as_ref();
    request.map_or_else(|_| String::new(), |request| request.key_id.clone())
}

/// A kubelet that bootstraps again brings the key it had: for its own name that is right.
pub(super) fn key_reuse(question: &Question<'_>, request: &Request) -> Finding {
    let users = match &question.facts.key_users {
        Known::Unknown(why) => return Finding::unknown("keys", why),
        Known::Known(users) => users,
    };
    let Some(own) = request.node() else {
        return Finding::Skipped(NO_NODE);
    };
    match users.iter().find(|user| **user != own) {
        Some(other) => Finding::fails(Reason::KeyUsedByOtherNode, *other),
        None => Finding::Passed,
    }
}

pub(super) fn superseded(question: &Question<'_>) -> Finding {
    match question.facts.superseded_by {
        Some(newer) => Finding::fails(Reason::Superseded, newer),
        None => Finding::Passed,
    }
}
