//! `server` of `stream`: where clients come in and what they are led to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::Surroundings;
use super::super::address::{Host, Place, place};
use super::super::draft::{self, Backend, Draft, Frontend};
use super::super::report::Report;
use super::super::times::{Bare, fit, time};
use super::admission;
use super::block::Directive;
use super::upstream::{self, Upstream};

const CONNECT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);
const IDLE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// nginx's own: `proxy_timeout 10m`, which cuts watches that are quiet.
const NGINX_IDLE: Duration = Duration::from_secs(10 * 60);

/// What holds for all servers, or for one.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    connect: Option<Duration>,
    idle: Option<(usize, Duration)>,
    /// `allow` and `deny` with whom they name, in their order.
    pub(super) lists: Vec<(Directive, String)>,
    /// A zone counts the connections of each source.
    pub(super) limits_sources: bool,
    pub(super) source_connections: Option<u32>,
    pub(super) proxies: Vec<String>,
    sends_proxy: bool,
}

/// A server.
#[derive(Debug)]
pub(super) struct Entry {
    file: Option<String>,
    line: usize,
    binds: Vec<SocketAddr>,
    target: Option<(usize, String)>,
    accepts_proxy: bool,
    shared: Shared,
}

pub(super) fn read(
    directive: &Directive,
    shared: &Shared,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Entry {
    report.honoured(directive.line, "server", "a frontend");
    let mut entry = Entry {
        file: report.included(),
        line: directive.line,
        binds: vec![],
        target: None,
        accepts_proxy: false,
        shared: shared.clone(),
    };
    for inner in &directive.block {
        let (line, text) = (inner.line, inner.text());
        match inner.words()[..] {
            ["listen", address, ref rest @ ..] => {
                listen(line, address, rest, &mut entry, around, report);
            }
            ["proxy_pass", target] => {
                entry.target = Some((line, target.to_owned()));
            }
            ["server_name", ..] => {
                report.unsupported(line, &text, "clients of every name are led on")
            }
            _ => self::shared(inner, &mut entry.shared, report),
        }
    }
    entry
}

/// What may stand in `stream` and in a server.
pub(super) fn shared(directive: &Directive, shared: &mut Shared, report: &mut Report) {
    let (line, text) = (directive.line, directive.text());
    match directive.words()[..] {
        ["proxy_connect_timeout" | "proxy_timeout", value] => {
            timeout(directive, value, shared, report);
        }
        ["proxy_next_upstream", "off"] => report.unsupported(
            line,
            &text,
            "a failed dial always goes on to the next server",
        ),
        [
            "proxy_next_upstream"
            | "proxy_next_upstream_tries"
            | "proxy_next_upstream_timeout",
            ..,
        ] => report.not_needed(
            line,
            &text,
            "a failed dial goes on to the next server at once, within dialBudget",
        ),
        ["proxy_protocol", "off"] | ["ssl_preread", "off"] | ["proxy_ssl", "off"] => {
            report.honoured(line, &text, "");
        }
        ["proxy_protocol", ..] => {
            shared.sends_proxy = true;
            report.honoured(line, &text, "sendProxy: v1, of the backend");
            report.trap(line, "an apiserver does not understand a PROXY header: it ends every connection");
        }
        ["ssl_preread", ..] => report.unsupported(
            line,
            &text,
            "the name in a ClientHello chooses no backend",
        ),
        [
            "allow" | "deny" | "limit_conn" | "limit_conn_zone" | "set_real_ip_from",
            ..,
        ] => {
            admission::read(directive, shared, report);
        }
        ["tcp_nodelay", ..] => {
            report.not_needed(line, &text, "small writes never wait");
        }
        ["proxy_socket_keepalive", "on"] => {
            report.honoured(line, &text, "tcpKeepalive, which is on by default");
        }
        ["resolver" | "resolver_timeout", ..] => {
            report.unsupported(line, &text, "a name is looked up once, by the import");
        }
        ["proxy_bind", ..] => {
            report.unsupported(
                line,
                &text,
                "the kernel chooses the address to dial from",
            );
        }
        _ => idle_word(directive, report),
    }
}

/// What nginx needs and api-lb does not.
fn idle_word(directive: &Directive, report: &mut Report) {
    let (line, text) = (directive.line, directive.text());
    match directive.words()[..] {
        [
            "access_log"
            | "error_log"
            | "log_format"
            | "limit_conn_log_level"
            | "open_log_file_cache"
            | "limit_conn_dry_run",
            ..,
        ] => report.not_needed(
            line,
            &text,
            "each connection leaves its line in the journal when it ends",
        ),
        [
            "proxy_buffer_size"
            | "proxy_half_close"
            | "preread_buffer_size"
            | "preread_timeout"
            | "variables_hash_max_size"
            | "variables_hash_bucket_size"
            | "map_hash_max_size"
            | "map_hash_bucket_size"
            | "proxy_socket_keepalive",
            ..,
        ] => {
            report.not_needed(line, &text, "it tunes the inside of nginx");
        }
        _ => super::main_block::refused(directive, "api-lb does not know it", report),
    }
}

fn timeout(directive: &Directive, value: &str, shared: &mut Shared, report: &mut Report) {
    let (line, text) = (directive.line, directive.text());
    let Some(time) = time(value, Bare::Seconds) else {
        report.unsupported(line, &text, "it is not a time");
        return;
    };
    if directive.name() == "proxy_timeout" {
        let (time, shown) = fit(time, &IDLE);
        shared.idle = Some((line, time));
        report.honoured(line, &text, format!("timeouts.idle: {shown}"));
    } else {
        let (time, shown) = fit(time, &CONNECT);
        shared.connect = Some(time);
        report.honoured(line, &text, format!("timeouts.connect: {shown}"));
    }
}

fn listen(
    line: usize,
    written: &str,
    options: &[&str],
    entry: &mut Entry,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let text = format!("listen {written}");
    // nginx has no default port for streams, and a bare number is one.
    let place = match written.parse::<u16>() {
        Ok(port) => Some(Place {
            host: Host::Any,
            port: Some(port.to_string()),
        }),
        Err(_) => place(written),
    };
    let address = place.and_then(|place| {
        let port: u16 = place.port?.parse().ok().filter(|port| *port != 0)?;
        match place.host {
            Host::Any => Some((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).into()),
            Host::Ip(ip) => Some((ip, port).into()),
            Host::Name(name) => Some(((around.resolve)(&name)?, port).into()),
        }
    });
    if options.contains(&"udp") {
        let text = format!("{text} udp");
        report.unsupported(line, &text, "api-lb carries TCP; it is not listened on");
        return;
    }
    match address {
        Some(address) => {
            report.honoured(line, &text, SocketAddr::to_string(&address));
            entry.binds.push(address);
        }
        None => report.unsupported(
            line,
            &text,
            "it is no address and port here; write them as ADDRESS:PORT",
        ),
    }
    entry.accepts_proxy |= options.contains(&"proxy_protocol");
    for option in options {
        self::option(line, option, report);
    }
}

fn option(line: usize, option: &str, report: &mut Report) {
    let text = format!("listen: {option}");
    match option.split_once('=').map_or(option, |(key, _)| key) {
        "ssl" => report.unsupported(
            line,
            &text,
            "TLS passes through unopened: clients see the servers' own certificates",
        ),
        "proxy_protocol" => report.honoured(line, &text, "acceptProxy of the frontend"),
        "ipv6only" | "so_keepalive" => report.honoured(line, &text, ""),
        "reuseport" | "backlog" | "rcvbuf" | "sndbuf" | "bind" | "fastopen"
        | "deferred" => {
            report.not_needed(line, &text, "it tunes the inside of nginx");
        }
        _ => report.unsupported(line, &text, "api-lb does not know it"),
    }
}

/// Makes frontends and backends of all that was read.
pub(super) fn build(
    upstreams: &[Upstream],
    entries: Vec<Entry>,
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let used: Vec<String> = entries
        .iter()
        .filter_map(|entry| Some(entry.target.clone()?.1))
        .collect();
    for entry in entries {
        let outer = report.within(entry.file.clone());
        self::entry(entry, upstreams, draft, around, report);
        report.within(outer);
    }
    for upstream in upstreams.iter().filter(|u| !used.contains(&u.name)) {
        let text = format!("upstream {}", upstream.name);
        report.not_needed(upstream.line, &text, "no server of `stream` leads to it");
        for server in &upstream.servers {
            let text = format!("server {}", server.written);
            report.not_needed(server.line, &text, "nothing leads to it");
        }
    }
}

fn entry(
    entry: Entry,
    upstreams: &[Upstream],
    draft: &mut Draft,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let Some((line, target)) = &entry.target else {
        report.unsupported(entry.line, "server", "it leads nowhere, so it is left out");
        return;
    };
    let text = format!("proxy_pass {target}");
    let single;
    let upstream = match upstreams.iter().find(|upstream| upstream.name == *target) {
        Some(upstream) => upstream,
        None => {
            single = alone(entry.file.clone(), *line, target);
            &single
        }
    };
    if entry.binds.is_empty() {
        report.unsupported(
            entry.line,
            "server",
            "nothing is listened on, so it is left out",
        );
        return;
    }
    let Some(backend) = backend(&entry, upstream, draft, around, report) else {
        report.unsupported(*line, &text, "no server has an address, so it is left out");
        return;
    };
    report.honoured(*line, &text, format!("backend {backend}"));
    let taken: Vec<&str> = draft.frontends.iter().map(|f| f.name.as_str()).collect();
    draft.frontends.push(Frontend {
        name: draft::name(&upstream.name, &taken),
        terms: admission::terms(&entry.shared, entry.accepts_proxy, report),
        binds: entry.binds,
        backend,
    });
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
        report.trap(line, "nginx cuts connections that are quiet for 10 minutes (proxy_timeout), watches among them; api-lb does not: timeouts.idle is off");
    } else if idle < HOUR {
        report.trap(line, format!("connections quiet for {} are cut, as nginx does: watches, `kubectl logs -f` and `exec` among them; remove timeouts.idle, or write an hour", config::Period(idle)));
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
    report.trap(upstream.line, "nginx checks no server: one that hangs is given clients for ever; for kube-apiservers write check https with /readyz");
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
    let text = format!("server {}", server.written);
    let name = match &server.place {
        Some(Place {
            host: Host::Name(name),
            ..
        }) => name.clone(),
        Some(_) | None => format!("s{number}"),
    };
    let taken: Vec<&str> = backend.servers.iter().map(|s| s.name.as_str()).collect();
    let name = draft::name(&name, &taken);
    let Some((address, how)) = address(server, around) else {
        report.unsupported(
            server.line,
            &text,
            "no address is known for it; it stands in what is written as a comment",
        );
        backend.missing.push(format!(
            "- {{name: {name}, address: \"{}\"}}",
            server.written
        ));
        return;
    };
    if backend.servers.iter().any(|known| known.address == address) {
        report.unsupported(
            server.line,
            &text,
            "its address stands twice; it is left out, write a weight instead",
        );
        return;
    }
    report.honoured(server.line, &text, how);
    backend.servers.push(draft::Server {
        name,
        address,
        weight: server.weight,
        max_connections: server.max_connections,
        backup: server.backup,
        disabled: server.disabled,
    });
}

fn address(
    server: &upstream::Server,
    around: &Surroundings<'_>,
) -> Option<(SocketAddr, String)> {
    let place = server.place.clone()?;
    let port: u16 = place.port?.parse().ok().filter(|port| *port != 0)?;
    match place.host {
        Host::Any => None,
        Host::Ip(ip) => Some(((ip, port).into(), String::new())),
        Host::Name(name) => {
            let ip = (around.resolve)(&name)?;
            let how =
                format!("{name} is {ip} as of this import; it is not looked up again");
            Some(((ip, port).into(), how))
        }
    }
}
