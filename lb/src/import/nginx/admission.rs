//! Who is let in: `allow`, `deny`, `limit_conn`, and whom a PROXY header is believed.

use super::super::draft::{self, Terms};
use super::super::haproxy::networks;
use super::block::Directive;
use super::server::Shared;
use config::Report;

/// Takes one of them in; lists get their verdict when all are known.
pub(super) fn read(directive: &Directive, shared: &mut Shared, report: &mut Report) {
    let (line, text) = (directive.line, directive.text());
    match directive.words()[..] {
        ["allow" | "deny", who] => {
            shared.lists.push((directive.clone(), who.to_owned()));
        }
        ["set_real_ip_from", network] => {
            shared.proxies.push(network.to_owned());
            report.honoured(line, &text, "acceptProxy");
        }
        _ => limit(directive, shared, report),
    }
}

fn limit(directive: &Directive, shared: &mut Shared, report: &mut Report) {
    let (line, text) = (directive.line, directive.text());
    let what = "only connections of one source are limited";
    match directive.words()[..] {
        [
            "limit_conn_zone",
            "$binary_remote_addr" | "$remote_addr",
            ..,
        ] => {
            shared.limits_sources = true;
            report.honoured(line, &text, "sources of the frontend");
        }
        ["limit_conn", _, most] => match most.parse::<u32>().ok().filter(|n| *n > 0) {
            Some(most) if shared.limits_sources => {
                shared.source_connections = Some(most.min(draft::MOST_CONNECTIONS));
                report.honoured(line, &text, format!("sources.maxConnections: {most}"));
            }
            Some(_) | None => report.unsupported(line, &text, what),
        },
        _ => report.unsupported(line, &text, what),
    }
}

/// What they come to for a server.
pub(super) fn terms(shared: &Shared, accepts_proxy: bool, report: &mut Report) -> Terms {
    let everybody = || vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()];
    let proxies = &shared.proxies;
    let mut terms = Terms {
        source_connections: shared.source_connections,
        ..Terms::default()
    };
    if accepts_proxy {
        terms.accept_proxy = if proxies.is_empty() {
            everybody()
        } else {
            proxies.clone()
        };
    }
    lists(&shared.lists, &mut terms, report);
    terms
}

/// nginx goes by the first that fits. `allow`s and then `deny all` are a list of who comes
/// in; `deny`s, and then nothing or `allow all`, one of who does not.
fn lists(all: &[(Directive, String)], terms: &mut Terms, report: &mut Report) {
    let (head, last) = match all.split_last() {
        Some((last, head)) if last.1 == "all" => (head, Some(last.0.name())),
        Some(_) => (all, None),
        None => return,
    };
    let list: Vec<String> = head.iter().map(|(_, who)| who.clone()).collect();
    let words: Vec<&str> = list.iter().map(String::as_str).collect();
    let are_networks = networks(&words).is_some();
    let is = |name: &str| head.iter().all(|(directive, _)| directive.name() == name);
    let how = if are_networks && last == Some("deny") && is("allow") {
        terms.allow = list;
        Some("allow of the frontend")
    } else if are_networks && last != Some("deny") && is("deny") {
        terms.deny = list;
        Some("deny of the frontend")
    } else if head.is_empty() && last == Some("allow") {
        Some("")
    } else {
        None
    };
    for (directive, _) in all {
        let (line, text) = (directive.line, directive.text());
        match how {
            Some(how) => report.honoured(line, &text, how),
            None => report.unsupported(line, &text, "everybody is let in; only a list of who comes in, or one of who does not, can be written"),
        }
    }
}
