//! From proxies to frontends and backends of ours.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::draft::{self, Backend, Draft, Frontend, Kind as CheckKind, Terms};
use super::super::servers;
use super::super::times::fit;
use super::super::{PublicPage, Surroundings};
use super::proxy::Settings;
use super::server::Server;
use super::watching::check;
use super::{Kind, Proxy, routes};
use config::Report;

pub(super) const CONNECT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);
const IDLE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);

/// Watches and `kubectl logs -f` are quiet for longer than a shorter time.
const HOUR: Duration = Duration::from_secs(60 * 60);

pub(super) fn build(
    proxies: &[Proxy],
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let entries = proxies.iter().filter(|proxy| proxy.kind != Kind::Backend);
    for proxy in entries {
        entry(proxy, proxies, draft, around, report);
    }
    let leads_to = |proxy: &&Proxy| {
        let is_named = |other: &Proxy| {
            let settings = &other.settings;
            let name = settings.default_backend.as_ref();
            let mut routes = settings.routes.iter();
            other.kind != Kind::Backend
                && (name.is_some_and(|(_, name)| *name == proxy.name)
                    || routes.any(|route| route.backend == proxy.name))
        };
        proxies.iter().any(is_named)
    };
    let backends = proxies.iter().filter(|proxy| proxy.kind == Kind::Backend);
    for proxy in backends.filter(|proxy| !leads_to(proxy)) {
        left_out(proxy, proxies, report);
    }
}

/// A backend that nothing leads to, or only a condition.
fn left_out(proxy: &Proxy, proxies: &[Proxy], report: &mut Report) {
    let is_meant = |other: &Proxy| other.settings.conditional.contains(&proxy.name);
    let is_meant = proxies.iter().any(is_meant);
    let servers = &proxy.settings.servers;
    let servers = servers
        .iter()
        .map(|s| (s.line, format!("server {} {}", s.name, s.written)));
    let head = (proxy.line, format!("backend {}", proxy.name));
    for (line, text) in std::iter::once(head).chain(servers) {
        if is_meant {
            let what = "only a condition leads to it, so it is left out";
            report.unsupported(line, &text, what);
        } else {
            report.not_needed(line, &text, "no frontend leads to it");
        }
    }
}

/// A frontend or a `listen`.
fn entry(
    proxy: &Proxy,
    proxies: &[Proxy],
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let settings = &proxy.settings;
    let what = if proxy.kind == Kind::Listen {
        "listen"
    } else {
        "frontend"
    };
    let text = format!("{what} {}", proxy.name);
    let target = match &settings.default_backend {
        _ if !settings.servers.is_empty() => Some(proxy),
        Some((line, name)) => {
            let found = proxies
                .iter()
                .find(|other| other.kind != Kind::Frontend && other.name == *name);
            if found.is_none() {
                let what =
                    format!("there is no backend {name}; clients of {text} find nobody");
                report.unsupported(*line, &text, what);
            }
            found
        }
        None => first_route(proxy, proxies, report),
    };
    let binds: Vec<SocketAddr> = settings
        .binds
        .iter()
        .flat_map(|bind| bind.addresses.clone())
        .collect();
    let Some(target) = target else {
        page(proxy, &text, &binds, draft, around, report);
        return;
    };
    if binds.is_empty() {
        report.unsupported(proxy.line, &text, "nothing is bound, so it is left out");
        return;
    }
    let Some(backend) = backend(target, settings, &binds, draft, around, report) else {
        let what = "no server has an address, so it is left out";
        report.unsupported(target.line, &text, what);
        return;
    };
    let routes = routes::build(proxy, proxies, &binds, draft, around, report);
    let taken: Vec<&str> = draft.frontends.iter().map(|f| f.name.as_str()).collect();
    draft.frontends.push(Frontend {
        name: draft::name(&proxy.name, &taken),
        binds: unique(binds, draft),
        backend,
        routes,
        terms: terms(proxy, report),
    });
}

/// Where the first name leads, when nothing is said of other clients.
fn first_route<'a>(
    proxy: &Proxy,
    proxies: &'a [Proxy],
    report: &mut Report,
) -> Option<&'a Proxy> {
    let first = proxy.settings.routes.first()?;
    let is_it = |p: &&Proxy| p.kind != Kind::Frontend && p.name == first.backend;
    let found = proxies.iter().find(is_it)?;
    let text = format!("{}: no default_backend", proxy.name);
    let what = format!(
        "haproxy closes clients of other names; here they go to {}",
        found.name
    );
    report.unsupported(proxy.line, &text, what);
    Some(found)
}

fn terms(proxy: &Proxy, report: &mut Report) -> Terms {
    let settings = &proxy.settings;
    let from_proxies = settings
        .binds
        .iter()
        .filter(|bind| bind.accepts_proxy)
        .count();
    let everybody = vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()];
    let accept_proxy = if from_proxies == 0 {
        vec![]
    } else if from_proxies == settings.binds.len() {
        let proxies = &settings.admission.proxies;
        Some(proxies)
            .filter(|proxies| !proxies.is_empty())
            .cloned()
            .unwrap_or(everybody)
    } else {
        let text = format!("{}: accept-proxy of one bind", proxy.name);
        let what = "it holds for a whole frontend, so it is left out; make two of it";
        report.unsupported(proxy.line, &text, what);
        vec![]
    };
    Terms {
        max_connections: settings.max_connections,
        max_rate: settings.max_rate,
        source_connections: proxy.sources.connections,
        source_rate: proxy.sources.rate,
        source_table: proxy.sources.table,
        allow: settings.admission.allow.clone(),
        deny: settings.admission.deny.clone(),
        accept_proxy,
        tls_only: settings.admission.tls_only,
        hello: settings.admission.hello,
    }
}

/// The header that servers are sent; none beside a check that speaks without it.
fn send_proxy(
    settings: &Settings,
    kind: CheckKind,
    report: &mut Report,
) -> Option<&'static str> {
    let server = settings
        .servers
        .iter()
        .find(|s| s.parameters.send_proxy.is_some())?;
    let version = server.parameters.send_proxy;
    let is_same = |s: &Server| s.parameters.send_proxy == version;
    if kind == CheckKind::Tcp && settings.servers.iter().all(is_same) {
        return version;
    }
    let text = format!("server {}: its PROXY header", server.name);
    report.unsupported(server.line, &text, "it is not written: all servers of a backend get one, and the check has to be tcp (an apiserver does not understand it)");
    None
}

/// What answers by itself: the page of statistics, or a monitor.
fn page(
    proxy: &Proxy,
    text: &str,
    binds: &[SocketAddr],
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let line = proxy
        .settings
        .binds
        .first()
        .map_or(proxy.line, |bind| bind.line);
    if let (true, Some(first)) = (proxy.settings.stats.is_on, draft.admin) {
        let what = format!("there is one page, and that is at {first}");
        return report.unsupported(line, text, what);
    }
    match binds.first() {
        Some(bind) if proxy.settings.stats.is_on => {
            let loopback = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), bind.port());
            draft.passwords.clone_from(&proxy.settings.stats.passwords);
            let is_wanted = around.public_page == PublicPage::Kept;
            if bind.ip().is_loopback() || is_wanted {
                draft.admin = Some(*bind);
                report.honoured(line, text, format!("admin.address: {bind}"));
            } else {
                draft.admin = Some(loopback);
                report.unsupported(line, text, format!("the page is written to {loopback}, for this host alone: {bind} would show it to everybody in clear text; write admin.tls, or import with --allow-plain-stats"));
            }
        }
        Some(_) if proxy.settings.is_monitor => report.not_needed(
            line,
            text,
            "whoever asked there asks /readyz on admin.address",
        ),
        Some(_) | None => {
            report.unsupported(line, text, "it leads to no server, so it is left out");
        }
    }
}

/// Addresses that no frontend has yet: two may not listen on one.
fn unique(binds: Vec<SocketAddr>, draft: &Draft) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = Vec::new();
    let taken: Vec<SocketAddr> = draft
        .frontends
        .iter()
        .flat_map(|f| f.binds.clone())
        .collect();
    for bind in binds {
        if !all.contains(&bind) && !taken.contains(&bind) {
            all.push(bind);
        }
    }
    all
}

/// The name of the backend, which is written once; none without a server.
pub(super) fn backend(
    proxy: &Proxy,
    front: &Settings,
    binds: &[SocketAddr],
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Option<String> {
    let settings = &proxy.settings;
    let taken: Vec<&str> = draft.backends.iter().map(|b| b.name.as_str()).collect();
    let plain = draft::name(&proxy.name, &[]);
    if taken.contains(&plain.as_str()) {
        return Some(plain);
    }
    let mut backend = Backend {
        name: plain,
        balance: settings.balance,
        slow_start: settings
            .servers
            .iter()
            .find_map(|s| s.parameters.slow_start),
        queue_length: waiting(&settings.servers),
        queue_timeout: settings.queue,
        connect: settings
            .connect
            .or(front.connect)
            .map(|time| fit(time, &CONNECT).0),
        idle: idle(front, settings, report),
        ..Backend::default()
    };
    for server in &settings.servers {
        add_server(server, binds, &mut backend, around, report);
    }
    check(settings, &mut backend, report);
    backend.send_proxy = send_proxy(settings, backend.check.kind, report);
    if backend.servers.is_empty() {
        return None;
    }
    let name = backend.name.clone();
    draft.backends.push(backend);
    Some(name)
}

/// haproxy has a queue for each server, ours is one for all of them.
fn waiting(servers: &[Server]) -> Option<u32> {
    let each = servers
        .iter()
        .filter_map(|server| server.parameters.max_waiting);
    let all = each.reduce(u32::saturating_add)?;
    Some(all.min(draft::MOST_WAITING))
}

/// haproxy ends a connection when the shorter of both times has passed without a byte
/// either way; a tunnel's time stands in for both.
fn idle(front: &Settings, back: &Settings, report: &mut Report) -> Option<Duration> {
    let sides = [front.client, back.server];
    let shorter = sides.into_iter().flatten().min_by_key(|(_, time)| *time);
    let (line, time) = back.tunnel.or(front.tunnel).or(shorter)?;
    let (time, shown) = fit(time, &IDLE);
    if time < HOUR {
        report.trap_once(line, format!("connections quiet for {shown} are cut, as haproxy does: watches, `kubectl logs -f` and `exec` among them; remove timeouts.idle, or write an hour"));
    }
    Some(time)
}

fn add_server(
    server: &Server,
    binds: &[SocketAddr],
    backend: &mut Backend,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let taken: Vec<&str> = backend.servers.iter().map(|s| s.name.as_str()).collect();
    let name = draft::name(&server.name, &taken);
    // Without a port haproxy dials the one that the client came to.
    let port = binds.first().map(SocketAddr::port);
    let known = servers::address(server.place.clone(), port, around);
    let written = servers::Written {
        line: server.line,
        text: format!("server {} {}", server.name, server.written),
        address: &server.written,
    };
    let parameters = &server.parameters;
    let made = |name, address| draft::Server {
        name,
        address,
        weight: parameters.weight,
        max_connections: parameters.max_connections,
        backup: parameters.backup,
        disabled: parameters.disabled,
    };
    servers::add(&written, name, known, made, backend, report);
}
