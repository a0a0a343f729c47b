//! `server` of `stream`: where clients come in and what they are led to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::Surroundings;
use super::super::address::{Host, Place, place};
use super::super::times::{Bare, fit, time};
use super::admission;
use super::block::Directive;
use config::Report;

const CONNECT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);
const IDLE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);
/// What holds for all servers, or for one.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    pub(super) connect: Option<Duration>,
    pub(super) idle: Option<(usize, Duration)>,
    /// `allow` and `deny` with whom they name, in their order.
    pub(super) lists: Vec<(Directive, String)>,
    /// A zone counts the connections of each source.
    pub(super) limits_sources: bool,
    pub(super) source_connections: Option<u32>,
    pub(super) proxies: Vec<String>,
    pub(super) sends_proxy: bool,
}

/// A server.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: Option<String>,
    pub(super) line: usize,
    pub(super) binds: Vec<SocketAddr>,
    pub(super) target: Option<(usize, String)>,
    pub(super) accepts_proxy: bool,
    pub(super) shared: Shared,
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
            report.trap_once(line, "an apiserver does not understand a PROXY header: it ends every connection");
        }
        ["ssl_preread", ..] => {
            report.honoured(line, &text, "routes, where proxy_pass is a map of the name");
        }
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
