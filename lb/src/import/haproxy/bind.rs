//! `bind`: where clients come in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::Surroundings;
use super::super::address::{Host, place};
use super::words::Line;
use config::Report;

/// A `bind` line.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    pub(super) line: usize,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) accepts_proxy: bool,
}

/// More ports than a frontend of apiservers has are a mistake.
const PORTS: usize = 64;

pub(super) fn read(
    line: &Line,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Option<Bind> {
    let number = line.number;
    let words = line.words();
    let (places, options) = words.get(1..)?.split_first()?;
    let mut addresses = Vec::new();
    for written in places.split(',') {
        let text = format!("bind {written}");
        match one(written, options, around) {
            Some(all) => {
                let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
                report.honoured(number, &text, shown.join(" "));
                addresses.extend(all);
            }
            None => report.unsupported(
                number,
                &text,
                "it is no address and port here; write them as ADDRESS:PORT",
            ),
        }
    }
    parameters(number, options, report);
    (!addresses.is_empty()).then_some(Bind {
        line: number,
        addresses,
        accepts_proxy: options.contains(&"accept-proxy"),
    })
}

/// Whether a line binds an IPv6 address.
pub(super) fn is_of_six(line: &Line) -> bool {
    let words = line.words();
    let places = words.get(1).copied().unwrap_or_default();
    let is_six = |place: &str| place.starts_with('[') || place.contains("::");
    words.first() == Some(&"bind")
        && (places.split(',').any(is_six)
            || words.iter().any(|word| matches!(*word, "v4v6" | "v6only"))
            || places.contains("ipv6@")
            || places.contains("tcp6@"))
}

/// Whether `src` is a proxy in this rule: before a PROXY header is read, which comes after all
/// rules of connections. Where only some binds await one, none is written to.
pub(super) fn sees_proxies(rule: &Line, lines: &[Line]) -> bool {
    let is_bind = |line: &&Line| line.words().first() == Some(&"bind");
    let mut binds = lines.iter().filter(is_bind).peekable();
    rule.words().get(1) == Some(&"connection")
        && binds.peek().is_some()
        && binds.all(|bind| bind.words().contains(&"accept-proxy"))
}

fn one(
    written: &str,
    options: &[&str],
    around: &Surroundings<'_>,
) -> Option<Vec<SocketAddr>> {
    let bare = ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"]
        .iter()
        .find_map(|family| written.strip_prefix(family))
        .unwrap_or(written);
    let place = place(bare)?;
    let port = place.port?;
    let (first, last) = port.split_once('-').unwrap_or((&port, &port));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    let ports = first..=last;
    if first == 0 || ports.is_empty() || ports.len() > PORTS {
        return None;
    }
    let six = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let four = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let hosts = match place.host {
        Host::Any if options.contains(&"v6only") => vec![six],
        Host::Any => vec![four],
        Host::Ip(ip) if ip == six && options.contains(&"v4v6") => vec![six, four],
        Host::Ip(ip) => vec![ip],
        Host::Name(name) => vec![(around.resolve)(&name)?],
    };
    let each = hosts.into_iter();
    Some(
        each.flat_map(|host| ports.clone().map(move |port| (host, port).into()))
            .collect(),
    )
}

fn parameters(number: usize, options: &[&str], report: &mut Report) {
    let mut options = options.iter().copied();
    while let Some(option) = options.next() {
        let value = match option {
            "v4v6" | "v6only" => {
                report.honoured(number, option, "");
                continue;
            }
            "transparent" => {
                let why = "binds need no address of this host (IP_FREEBIND)";
                report.not_needed(number, option, why);
                continue;
            }
            "tfo" | "defer-accept" | "prefer-client-ciphers" => {
                report.not_needed(number, option, "it tunes the inside of haproxy");
                continue;
            }
            "accept-proxy" => {
                report.honoured(number, option, "acceptProxy of the frontend");
                report.trap_once(number, "accept-proxy believes everybody who can reach it; name your proxies in acceptProxy instead of all networks");
                continue;
            }
            "ssl" => {
                report.unsupported(number, option, "TLS passes through unopened: clients see the servers' own certificates");
                continue;
            }
            _ => options.next().unwrap_or_default(),
        };
        let text = format!("{option} {value}").trim_end().to_owned();
        match option {
            "name" | "id" | "description" | "guid-prefix" => {
                report.not_needed(number, &text, "it changes nothing of what is balanced");
            }
            "maxconn" => report.unsupported(number, &text, "as many come in as the frontend lets in; write its maxConnections"),
            "backlog" | "nice" | "process" | "thread" | "shards" | "mss"
            | "gid" | "uid" | "user" | "group" | "mode" | "level" | "severity-output" => {
                report.not_needed(number, &text, "it tunes the inside of haproxy");
            }
            "tcp-ut" => report.not_needed(number, &text, "frontends[].tcpUserTimeout is 15 minutes, so that slow readers are not cut"),
            "interface" => report.unsupported(number, &text, "the bind is reached by every interface; write the address of this one"),
            "crt" | "ca-file" | "verify" | "alpn" | "ciphers" | "ciphersuites"
            | "ssl-min-ver" | "ssl-max-ver" | "curves" | "crt-list" => {
                report.not_needed(number, &text, "TLS passes through unopened");
            }
            _ => report.unsupported(number, &text, "api-lb does not know it"),
        }
    }
}
