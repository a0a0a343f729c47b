//! `upstream`: servers that stand in for one another.

use std::time::Duration;

use super::super::address::{Place, place};
use super::super::draft;
use super::super::times::{Bare, fit, time};
use super::block::Directive;
use config::Report;

#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) balance: Option<&'static str>,
    pub(super) servers: Vec<Server>,
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) file: Option<String>,
    pub(super) line: usize,
    pub(super) written: String,
    pub(super) place: Option<Place>,
    pub(super) weight: Option<u32>,
    pub(super) slow_start: Option<Duration>,
    pub(super) max_connections: Option<u32>,
    pub(super) backup: bool,
    pub(super) disabled: bool,
}

pub(super) fn read(directive: &Directive, report: &mut Report) -> Upstream {
    let name = directive
        .words()
        .get(1)
        .copied()
        .unwrap_or_default()
        .to_owned();
    report.honoured(directive.line, &directive.text(), format!("backend {name}"));
    let mut upstream = Upstream {
        line: directive.line,
        name,
        balance: None,
        servers: vec![],
    };
    for inner in &directive.block {
        let (line, text) = (inner.line, inner.text());
        match inner.words()[..] {
            ["server", address, ref rest @ ..] => {
                upstream.servers.push(server(inner, address, rest, report));
            }
            ["least_conn"] | ["least_time", ..] => {
                upstream.balance = Some("leastconn");
                report.honoured(line, &text, "balance: leastconn");
            }
            ["hash", "$remote_addr" | "$binary_remote_addr", ..] => {
                upstream.balance = Some("source");
                report.honoured(line, &text, "balance: source");
            }
            ["random", ..] | ["hash", ..] => {
                report.unsupported(line, &text, "balance roundrobin is written instead");
            }
            ["zone", ..] => report.not_needed(
                line,
                &text,
                "all workers share what is known of servers",
            ),
            _ => super::main_block::refused(inner, "api-lb does not know it", report),
        }
    }
    upstream
}

fn server(
    directive: &Directive,
    written: &str,
    rest: &[&str],
    report: &mut Report,
) -> Server {
    let mut server = Server {
        file: report.included(),
        line: directive.line,
        written: written.to_owned(),
        place: place(written),
        weight: None,
        slow_start: None,
        max_connections: None,
        backup: false,
        disabled: false,
    };
    for option in rest {
        server.option(option, report);
    }
    server
}

impl Server {
    fn option(&mut self, option: &str, report: &mut Report) {
        let text = format!("server {}: {option}", self.written);
        let line = self.line;
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "weight" => match value.parse().ok().filter(|n| (1..=256).contains(n)) {
                Some(weight) => {
                    self.weight = Some(weight);
                    report.honoured(line, &text, "");
                }
                None => report.unsupported(line, &text, "1 to 256 may be written"),
            },
            "down" => {
                self.disabled = true;
                report.honoured(line, &text, "disabled: true");
            }
            "max_fails" | "fail_timeout" => report.not_needed(
                line,
                &text,
                "servers are checked, and a failed dial goes on to the next at once",
            ),
            "max_conns" => match value.parse::<u32>() {
                Ok(0) => report.honoured(line, &text, "no limit"),
                Ok(most) => {
                    let most = most.min(draft::MOST_CONNECTIONS);
                    self.max_connections = Some(most);
                    report.honoured(line, &text, format!("maxConnections: {most}"));
                }
                Err(_) => report.unsupported(line, &text, "its value is not one"),
            },
            "backup" => {
                self.backup = true;
                report.honoured(line, &text, "backup: true");
            }
            "slow_start" => match time(value, Bare::Seconds) {
                Some(time) => {
                    let (time, shown) = fit(time, &draft::SLOW_START);
                    self.slow_start = Some(time);
                    let how = format!("slowStart: {shown}, of the backend");
                    report.honoured(line, &text, how);
                }
                None => report.unsupported(line, &text, "it is not a time"),
            },
            "resolve" | "service" => {
                report.unsupported(
                    line,
                    &text,
                    "a name is looked up once, by the import",
                );
            }
            _ => report.unsupported(line, &text, "api-lb does not know it"),
        }
    }
}
