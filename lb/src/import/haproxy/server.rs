//! `server` and `default-server`: an address and its parameters.

use std::time::Duration;

use super::super::address::{Place, place};
use super::super::draft;
use super::super::times::{Bare, fit, time};
use super::words::Line;
use config::{Report, Verdict};

/// A `server` line; its name is looked up when it is built.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) written: String,
    pub(super) place: Option<Place>,
    pub(super) parameters: Parameters,
}

/// What a server line or its defaults say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) weight: Option<u32>,
    pub(super) slow_start: Option<Duration>,
    pub(super) max_connections: Option<u32>,
    pub(super) max_waiting: Option<u32>,
    pub(super) backup: bool,
    pub(super) disabled: bool,
    pub(super) send_proxy: Option<&'static str>,
    pub(super) is_checked: bool,
    /// The check speaks TLS.
    pub(super) check_tls: bool,
    pub(super) ca_file: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) inter: Option<Duration>,
    pub(super) fast_inter: Option<Duration>,
    pub(super) down_inter: Option<Duration>,
    pub(super) rise: Option<u32>,
    pub(super) fall: Option<u32>,
}

pub(super) fn read(
    line: &Line,
    defaults: &Parameters,
    report: &mut Report,
) -> Option<Server> {
    let words = line.words();
    let [_, name, written, rest @ ..] = &words[..] else {
        report.unsupported(
            line.number,
            &line.text(),
            "a server has a name and an address",
        );
        return None;
    };
    let mut all = defaults.clone();
    parameters(line, rest, &mut all, report);
    Some(Server {
        line: line.number,
        name: (*name).to_owned(),
        written: (*written).to_owned(),
        place: place(bare(written)),
        parameters: all,
    })
}

fn bare(written: &str) -> &str {
    ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"]
        .iter()
        .find_map(|family| written.strip_prefix(family))
        .unwrap_or(written)
}

/// Reads parameters into `all`, each with its verdict.
pub(super) fn parameters(
    line: &Line,
    rest: &[&str],
    all: &mut Parameters,
    report: &mut Report,
) {
    let words = line.words();
    let who = match words[..] {
        ["server", name, ..] => format!("server {name}"),
        _ => words.first().copied().unwrap_or_default().to_owned(),
    };
    let mut rest = rest.iter().copied();
    while let Some(option) = rest.next() {
        let (text, verdict) = match alone(option, all) {
            Some(verdict) => (format!("{who}: {option}"), verdict),
            None => {
                let value = rest.next().unwrap_or_default();
                (
                    format!("{who}: {option} {value}"),
                    valued(option, value, all),
                )
            }
        };
        report.add(line.number, text.trim_end(), verdict);
    }
}

/// Parameters without a value.
fn alone(option: &str, all: &mut Parameters) -> Option<Verdict> {
    let honoured = |how: &str| Verdict::Honoured(how.to_owned());
    let not_needed = |why: &str| Verdict::NotNeeded(why.to_owned());
    let unsupported = |what: &str| Verdict::Unsupported(what.to_owned());
    Some(match option {
        "check" => {
            all.is_checked = true;
            honoured("")
        }
        "no-check" => {
            all.is_checked = false;
            not_needed("every server is checked, by a connection at least")
        }
        "disabled" => {
            all.disabled = true;
            honoured("disabled: true")
        }
        "enabled" => {
            all.disabled = false;
            honoured("")
        }
        "check-ssl" => {
            all.check_tls = true;
            honoured("checked over TLS")
        }
        "no-check-ssl" => {
            all.check_tls = false;
            honoured("")
        }
        "ssl" => {
            all.check_tls = true;
            unsupported(
                "connections are carried as they are: a client has to speak TLS itself",
            )
        }
        "no-ssl" | "non-stick" | "no-send-proxy" | "no-send-proxy-v2"
        | "no-verifyhost" | "no-tfo" => honoured(""),
        "tfo" | "no-ssl-reuse" | "no-tls-tickets" | "force-tlsv12" | "force-tlsv13"
        | "no-sslv3" | "no-tlsv10" | "no-tlsv11" | "no-tlsv12" | "no-tlsv13"
        | "allow-0rtt" => not_needed("it tunes the inside of haproxy"),
        "backup" => {
            all.backup = true;
            honoured("backup: true")
        }
        "no-backup" => {
            all.backup = false;
            honoured("")
        }
        "send-proxy" => {
            all.send_proxy = Some("v1");
            honoured("sendProxy: v1, of the backend")
        }
        "send-proxy-v2" => {
            all.send_proxy = Some("v2");
            honoured("sendProxy: v2, of the backend")
        }
        "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" | "check-send-proxy" => {
            unsupported("the header says nothing of TLS, and checks have none")
        }
        _ => return None,
    })
}

/// Parameters with a value.
fn valued(option: &str, value: &str, all: &mut Parameters) -> Verdict {
    let honoured = |how: String| Verdict::Honoured(how);
    let not_needed = |why: &str| Verdict::NotNeeded(why.to_owned());
    let unsupported = |what: &str| Verdict::Unsupported(what.to_owned());
    match option {
        "slowstart" | "maxconn" | "maxqueue" => places(option, value, all),
        "weight" | "inter" | "fastinter" | "downinter" | "rise" | "fall" => {
            number(option, value, all)
        }
        "verify" if value == "none" => {
            all.ca_file = None;
            honoured("the check verifies no certificate".to_owned())
        }
        "verify" => honoured("the check verifies the certificate".to_owned()),
        "ca-file" => {
            all.ca_file = Some(value.to_owned());
            honoured("check caFile".to_owned())
        }
        "check-sni" | "verifyhost" => {
            all.server_name = Some(value.to_owned());
            honoured("check serverName".to_owned())
        }
        "sni" => not_needed("the client's own TLS says the name"),
        "on-marked-down" => not_needed(
            "connections to a server that is unreachable are reset; those of one that drains stay",
        ),
        "on-marked-up" => unsupported("connections stay where they are"),
        "observe" | "error-limit" | "on-error" => not_needed(
            "a failed dial goes on to the next server at once, and checks find the server within seconds",
        ),
        "minconn" => unsupported("maxConnections holds at all times"),
        "port" | "addr" | "check-alpn" | "check-proto" | "agent-port" | "agent-addr"
        | "agent-inter" => unsupported("servers are checked where their connections go"),
        "cookie" | "redir" | "alpn" | "proto" | "pool-max-conn" | "pool-purge-delay"
        | "pool-low-conn" | "max-reuse" | "ciphers" | "ciphersuites" | "ssl-min-ver"
        | "ssl-max-ver" | "curves" | "id" | "guid" | "log-proto" | "ws" => {
            not_needed("it does nothing in mode tcp without `ssl`")
        }
        "crt" => {
            unsupported("the check has no client certificate; write certFile and keyFile")
        }
        "init-addr" | "resolvers" | "resolve-prefer" | "resolve-net" | "resolve-opts" => {
            unsupported("a name is looked up once, by the import")
        }
        "tcp-ut" => not_needed("tcpUserTimeout is 30 s towards servers"),
        "source" | "usesrc" | "interface" | "namespace" => {
            unsupported("the kernel chooses the address to dial from")
        }
        "track" => unsupported("each server is checked by itself"),
        _ => unsupported("api-lb does not know it"),
    }
}

/// How much a server is given.
fn places(option: &str, value: &str, all: &mut Parameters) -> Verdict {
    let honoured = |how: String| Verdict::Honoured(how);
    let wrong = || Verdict::Unsupported("its value is not one".to_owned());
    let number = || value.parse::<u32>().ok();
    match (option, number()) {
        ("slowstart", _) => match time(value, Bare::Milliseconds) {
            Some(Duration::ZERO) => honoured("slowStart is off".to_owned()),
            Some(time) => {
                let (time, shown) = fit(time, &draft::SLOW_START);
                all.slow_start = Some(time);
                honoured(format!("slowStart: {shown}, of the backend"))
            }
            None => wrong(),
        },
        ("maxconn", Some(0)) => honoured("no limit".to_owned()),
        ("maxconn", Some(most)) => {
            let most = most.min(draft::MOST_CONNECTIONS);
            all.max_connections = Some(most);
            honoured(format!("maxConnections: {most}"))
        }
        ("maxqueue", Some(0)) => honoured("as many wait as queue.length says".to_owned()),
        ("maxqueue", Some(most)) => {
            all.max_waiting = Some(most);
            honoured("queue.length, once for all servers of the backend".to_owned())
        }
        (_, _) => wrong(),
    }
}

/// Parameters whose value is a number or a time.
fn number(option: &str, value: &str, all: &mut Parameters) -> Verdict {
    let honoured = |how: String| Verdict::Honoured(how);
    let wrong = || Verdict::Unsupported("its value is not one".to_owned());
    match option {
        "weight" => match value.parse() {
            Ok(0) => {
                all.disabled = true;
                honoured("disabled: true, since it is given nothing".to_owned())
            }
            Ok(weight @ 1..=256) => {
                all.weight = Some(weight);
                honoured(format!("weight: {weight}"))
            }
            Ok(_) | Err(_) => wrong(),
        },
        "inter" | "fastinter" | "downinter" => {
            let Some(time) = time(value, Bare::Milliseconds) else {
                return wrong();
            };
            let (kept, key) = match option {
                "fastinter" => (&mut all.fast_inter, "check.fastInterval"),
                "downinter" => (&mut all.down_inter, "check.downInterval"),
                _ => (&mut all.inter, "check.interval"),
            };
            *kept = Some(time);
            honoured(key.to_owned())
        }
        "rise" | "fall" => match value.parse().ok().filter(|n| (1..=100).contains(n)) {
            Some(count) if option == "rise" => {
                all.rise = Some(count);
                honoured("check.rise".to_owned())
            }
            Some(count) => {
                all.fall = Some(count);
                honoured("check.fall".to_owned())
            }
            None => wrong(),
        },
        _ => wrong(),
    }
}
