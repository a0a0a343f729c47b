//! Frontends and backends of all that was read.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::address::{Host, Place, place};
use super::super::draft::{self, Backend, Draft, Frontend, Route};
use super::super::{Surroundings, servers};
use super::admission;
use super::map::Map;
use super::server::Entry;
use super::upstream::{self, Upstream};
use config::Report;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// nginx's own: `proxy_timeout 10m`, which cuts watches that are quiet.
const NGINX_IDLE: Duration = Duration::from_secs(10 * 60);

/// What servers lead to.
pub(super) struct Targets {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) maps: Vec<Map>,
}

/// Makes frontends and backends of all that was read.
pub(super) fn build(
    targets: &Targets,
    entries: Vec<Entry>,
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let passed: Vec<String> = entries
        .iter()
        .filter_map(|entry| Some(entry.target.clone()?.1))
        .collect();
    let maps = targets.maps.iter();
    let (used_maps, idle_maps): (Vec<&Map>, Vec<&Map>) =
        maps.partition(|map| passed.contains(&map.variable));
    let mapped = used_maps.iter().flat_map(|map| map.targets());
    let used: Vec<&str> = passed.iter().map(String::as_str).chain(mapped).collect();
    for map in used_maps {
        map.report(report);
    }
    for map in idle_maps {
        map.report_idle(report);
    }
    for upstream in &targets.upstreams {
        if !used.contains(&upstream.name.as_str()) {
            idle(upstream, report);
        }
    }
    for entry in entries {
        let outer = report.within(entry.file.clone());
        self::entry(entry, targets, draft, around, report);
        report.within(outer);
    }
}

fn idle(upstream: &Upstream, report: &mut Report) {
    let text = format!("upstream {}", upstream.name);
    report.not_needed(upstream.line, &text, "no server of `stream` leads to it");
    for server in &upstream.servers {
        let text = format!("server {}", server.written);
        report.not_needed(server.line, &text, "nothing leads to it");
    }
}

fn entry(
    entry: Entry,
    targets: &Targets,
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let Some((line, target)) = &entry.target else {
        report.unsupported(entry.line, "server", "it leads nowhere, so it is left out");
        return;
    };
    let (line, text) = (*line, format!("proxy_pass {target}"));
    if entry.binds.is_empty() {
        report.unsupported(
            entry.line,
            "server",
            "nothing is listened on, so it is left out",
        );
        return;
    }
    let map = targets.maps.iter().find(|map| map.variable == *target);
    let lead = |target: &str, draft: &mut Draft, report: &mut Report| {
        lead(
            &entry,
            (line, target),
            &targets.upstreams,
            draft,
            around,
            report,
        )
    };
    let default = match map {
        None => target.as_str(),
        Some(map) => map.fallback(report).unwrap_or(target),
    };
    let Some((name, backend)) = lead(default, draft, report) else {
        report.unsupported(line, &text, "no server has an address, so it is left out");
        return;
    };
    let mut routes = Vec::new();
    for (names, target) in map.map(Map::routes).unwrap_or_default() {
        match lead(target, draft, report) {
            Some((_, backend)) => routes.push(Route { names, backend }),
            None => report.unsupported(
                line,
                &format!("{text}: {target}"),
                "no server has an address, so its names go to the default",
            ),
        }
    }
    report.honoured(line, &text, format!("backend {backend}"));
    let taken: Vec<&str> = draft.frontends.iter().map(|f| f.name.as_str()).collect();
    draft.frontends.push(Frontend {
        name: draft::name(&name, &taken),
        terms: admission::terms(&entry.shared, entry.accepts_proxy, report),
        binds: entry.binds,
        backend,
        routes,
    });
}

/// The names of a target and of its backend, which is written where it is not.
fn lead(
    entry: &Entry,
    (line, target): (usize, &str),
    upstreams: &[Upstream],
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Option<(String, String)> {
    let single;
    let upstream = match upstreams.iter().find(|upstream| upstream.name == target) {
        Some(upstream) => upstream,
        None => {
            single = alone(entry.file.clone(), line, target);
            &single
        }
    };
    let backend = backend(entry, upstream, draft, around, report)?;
    Some((upstream.name.clone(), backend))
}

/// `proxy_pass ADDRESS` without an upstream.
fn alone(file: Option<String>, line: usize, target: &str) -> Upstream {
    let server = upstream::Server {
        file,
        line,
        written: target.to_owned(),
        place: place(target),
        weight: None,
        slow_start: None,
        max_connections: None,
        backup: false,
        disabled: false,
    };
    Upstream {
        line,
        balance: None,
        name: target.to_owned(),
        servers: vec![server],
    }
}

/// The name of the backend; none without a server.
fn backend(
    entry: &Entry,
    upstream: &Upstream,
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Option<String> {
    let plain = draft::name(&upstream.name, &[]);
    if draft.backends.iter().any(|known| known.name == plain) {
        return Some(plain);
    }
    let (line, idle) = entry.shared.idle.unwrap_or((entry.line, NGINX_IDLE));
    if entry.shared.idle.is_none() {
        report.trap_once(line, "nginx cuts connections that are quiet for 10 minutes (proxy_timeout), watches among them; api-lb does not: timeouts.idle is off");
    } else if idle < HOUR {
        report.trap_once(line, format!("connections quiet for {} are cut, as nginx does: watches, `kubectl logs -f` and `exec` among them; remove timeouts.idle, or write an hour", config::Period(idle)));
    }
    let mut backend = Backend {
        name: plain.clone(),
        balance: upstream.balance,
        send_proxy: entry.shared.sends_proxy.then_some("v1"),
        slow_start: upstream.servers.iter().find_map(|server| server.slow_start),
        connect: entry.shared.connect,
        idle: entry.shared.idle.map(|(_, time)| time),
        ..Backend::default()
    };
    for (number, server) in (1..).zip(&upstream.servers) {
        let outer = report.within(server.file.clone());
        add_server(number, server, &mut backend, around, report);
        report.within(outer);
    }
    report.trap_once(upstream.line, "nginx checks no server: one that hangs is given clients for ever; for kube-apiservers write check https with /readyz");
    if backend.servers.is_empty() {
        return None;
    }
    draft.backends.push(backend);
    Some(plain)
}

fn add_server(
    number: usize,
    server: &upstream::Server,
    backend: &mut Backend,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let name = match &server.place {
        Some(Place {
            host: Host::Name(name),
            ..
        }) => name.clone(),
        Some(_) | None => format!("s{number}"),
    };
    let taken: Vec<&str> = backend.servers.iter().map(|s| s.name.as_str()).collect();
    let name = draft::name(&name, &taken);
    let written = servers::Written {
        line: server.line,
        text: format!("server {}", server.written),
        address: &server.written,
    };
    let known = servers::address(server.place.clone(), None, around);
    let made = |name, address: SocketAddr| draft::Server {
        name,
        address,
        weight: server.weight,
        max_connections: server.max_connections,
        backup: server.backup,
        disabled: server.disabled,
    };
    servers::add(&written, name, known, made, backend, report);
}
