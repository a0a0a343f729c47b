//! `use_backend`: where the name in a ClientHello leads becomes a route of the frontend. Any
//! other condition has no equal.

use std::net::SocketAddr;

use super::super::Surroundings;
use super::super::draft::{self, Draft};
use super::words::Line;
use super::{Kind, Proxy, build};
use crate::hello::Pattern;
use config::Report;

/// A `use_backend` whose condition is of names alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) names: Vec<String>,
    pub(super) backend: String,
}

impl Route {
    /// Reads `use_backend NAME if …`. `lines` has the section's ACLs.
    pub(super) fn read(line: &Line, lines: &[Line]) -> Option<Self> {
        let words = line.words();
        let ["use_backend", backend, "if", test @ ..] = &words[..] else {
            return None;
        };
        let each = test.split(|word| matches!(*word, "or" | "||"));
        let names: Option<Vec<Vec<String>>> =
            each.map(|one| condition(one, lines)).collect();
        Some(Self {
            line: line.number,
            text: line.text(),
            names: names?.concat(),
            backend: (*backend).to_owned(),
        })
    }
}

/// The names of one condition: `{ req.ssl_sni -i NAME … }`, or an ACL that is this.
fn condition(test: &[&str], lines: &[Line]) -> Option<Vec<String>> {
    match test {
        ["{", inner @ .., "}"] => names(inner),
        [name] => acl(name, lines),
        _ => None,
    }
}

/// The names of an ACL, when it is of names alone; lines of one name add up.
pub(super) fn acl(name: &str, lines: &[Line]) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for line in lines {
        match line.words()[..] {
            ["acl", known, ref test @ ..] if known == name => all.extend(names(test)?),
            _ => {}
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Whole names: parts of them (`-m end`, `-m reg`) have no equal.
fn names(test: &[&str]) -> Option<Vec<String>> {
    let [
        "req.ssl_sni" | "req_ssl_sni" | "req.ssl_sni,lower",
        rest @ ..,
    ] = test
    else {
        return None;
    };
    let rest = match rest {
        ["-i", "-m", "str", rest @ ..] | ["-m", "str", "-i", rest @ ..] => rest,
        ["-m", "str", rest @ ..] | ["-i", rest @ ..] => rest,
        rest => rest,
    };
    let is_name = |name: &&str| !name.starts_with("*.") && Pattern::new(name).is_some();
    let are_names = !rest.is_empty() && rest.iter().all(is_name);
    are_names.then(|| rest.iter().map(|&name| name.to_owned()).collect())
}

/// The routes of a frontend, their backends written where they are not.
pub(super) fn build(
    front: &Proxy,
    proxies: &[Proxy],
    binds: &[SocketAddr],
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Vec<draft::Route> {
    let mut routes = Vec::new();
    for route in &front.settings.routes {
        let is_it = |p: &&Proxy| p.kind != Kind::Frontend && p.name == route.backend;
        let target = proxies.iter().find(is_it);
        let backend = target.and_then(|target| {
            build::backend(target, &front.settings, binds, draft, around, report)
        });
        let Some(backend) = backend else {
            let what = "there is no such backend with a server; clients of these names go elsewhere";
            report.unsupported(route.line, &route.text, what);
            continue;
        };
        report.honoured(route.line, &route.text, "a route of the frontend");
        routes.push(draft::Route {
            names: route.names.clone(),
            backend,
        });
    }
    routes
}
