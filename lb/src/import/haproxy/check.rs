//! How a backend's servers are watched: `option httpchk` and its kin.

use super::super::draft::{Check, Kind};
use super::words::Line;
use config::Report;

/// What the backend says of its check; what its servers say is added later.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) check: Check,
    /// The rules of `http-check` or `tcp-check` speak TLS by themselves.
    pub(super) speaks_tls: bool,
}

const LIVELIER: &str = "a check is a whole request over TLS, closed properly";

/// `option WORD`; whether it was one of a check.
pub(super) fn option(line: &Line, plan: &mut Plan, report: &mut Report) -> bool {
    let (number, text) = (line.number, line.text());
    let words = line.words();
    match words.get(1..).unwrap_or_default() {
        ["httpchk", rest @ ..] => {
            plan.check.kind = Kind::Http;
            let (method, path) = match rest {
                [] => ("OPTIONS", "/"),
                [path] => ("OPTIONS", *path),
                [method, path, ..] => (*method, *path),
            };
            plan.check.path = Some(path.to_owned());
            if let Some(host) = rest.iter().skip(2).find_map(|word| host(word)) {
                plan.check.host = Some(host);
            }
            let mut how = format!("check path {path}");
            if method != "GET" {
                how += &format!("; asked with GET, not with {method}");
            }
            report.honoured(number, &text, how);
        }
        ["ssl-hello-chk", ..] => {
            if plan.check.kind == Kind::Http {
                plan.speaks_tls = true;
                report.not_needed(number, &text, LIVELIER);
                report.trap_once(number, "option ssl-hello-chk after option httpchk: haproxy takes the last one alone, sends an SSLv3 hello and never asks for the path; api-lb asks for it");
            } else {
                plan.check.kind = Kind::Tls;
                report.honoured(number, &text, "check tls, with a whole handshake");
            }
        }
        ["tcp-check", ..] => {
            if plan.check.kind == Kind::Http {
                plan.check = Check::default();
            }
            report.honoured(number, &text, "check tcp");
        }
        [
            "ldap-check" | "mysql-check" | "pgsql-check" | "redis-check" | "smtpchk"
            | "spop-check" | "external-check",
            ..,
        ] => {
            report.unsupported(
                number,
                &text,
                "servers are checked by a connection alone",
            );
        }
        _ => return false,
    }
    true
}

/// `http-check …`.
pub(super) fn http_check(line: &Line, plan: &mut Plan, report: &mut Report) {
    let (number, text) = (line.number, line.text());
    let words = line.words();
    match words.get(1..).unwrap_or_default() {
        ["expect", "status", status] => match statuses(status) {
            Some(status) => {
                report.honoured(number, &text, format!("check status {status}"));
                plan.check.status = Some(status);
            }
            None => report.unsupported(number, &text, "200 to 399 pass"),
        },
        ["expect", "rstatus", pattern] => match classes(pattern) {
            Some(status) => {
                report.honoured(number, &text, format!("check status {status}"));
                plan.check.status = Some(status);
            }
            None => report.unsupported(number, &text, "200 to 399 pass"),
        },
        ["disable-on-404"] => report.not_needed(
            number,
            &text,
            "any answer that does not pass makes a server draining: established connections stay",
        ),
        ["send-state"] => {
            report.not_needed(number, &text, "an apiserver does not read it");
        }
        ["connect", options @ ..] => connect(number, &text, options, plan, report),
        ["send", options @ ..] => send(number, &text, options, plan, report),
        ["expect", ..] => report.unsupported(
            number,
            &text,
            "only the status is looked at; 200 to 399 pass",
        ),
        _ => report.unsupported(number, &text, "api-lb does not know it"),
    }
}

/// `tcp-check …`.
pub(super) fn tcp_check(line: &Line, plan: &mut Plan, report: &mut Report) {
    let (number, text) = (line.number, line.text());
    let words = line.words();
    match words.get(1..).unwrap_or_default() {
        ["connect", options @ ..] => {
            connect(number, &text, options, plan, report);
            if plan.speaks_tls && plan.check.kind == Kind::Tcp {
                plan.check.kind = Kind::Tls;
            }
        }
        _ => report.unsupported(
            number,
            &text,
            "nothing is sent or expected in a tcp check",
        ),
    }
}

fn connect(
    number: usize,
    text: &str,
    options: &[&str],
    plan: &mut Plan,
    report: &mut Report,
) {
    let mut left = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "ssl" => plan.speaks_tls = true,
            "default" | "linger" => {}
            "sni" => plan.check.server_name = options.next().map(|&name| name.to_owned()),
            // Ours speaks HTTP/1.1 in any case.
            "alpn" | "proto" => drop(options.next()),
            other => left.push(other),
        }
    }
    if left.is_empty() {
        let how = if plan.speaks_tls {
            "checked over TLS"
        } else {
            ""
        };
        report.honoured(number, text, how);
    } else {
        report.unsupported(number, text, format!("not honoured: {}", left.join(" ")));
    }
}

fn send(
    number: usize,
    text: &str,
    options: &[&str],
    plan: &mut Plan,
    report: &mut Report,
) {
    let mut left = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match (*option, options.next()) {
            ("meth", Some(&("GET" | "HEAD" | "OPTIONS"))) | ("ver", Some(_)) => {}
            ("uri", Some(path)) => plan.check.path = Some((*path).to_owned()),
            ("hdr", Some(name)) if name.eq_ignore_ascii_case("host") => {
                plan.check.host = options.next().map(|&host| host.to_owned());
            }
            ("hdr", Some(name)) => {
                left.push(format!("hdr {name} {}", options.next().unwrap_or(&"")));
            }
            (other, value) => left.push(format!("{other} {}", value.unwrap_or(&""))),
        }
    }
    if left.is_empty() {
        let path = plan.check.path.as_deref().unwrap_or("/");
        report.honoured(number, text, format!("check path {path}"));
    } else {
        report.unsupported(number, text, format!("not sent: {}", left.join(", ")));
    }
}

/// `Host: name` in what was smuggled into the version: `HTTP/1.1\r\nHost:\ name`.
fn host(word: &str) -> Option<String> {
    let (_, rest) = word.split_once("Host:")?;
    let host = rest.trim().split(['\r', '\n']).next()?.trim();
    (!host.is_empty()).then(|| host.to_owned())
}

/// `200`, `200-399` or `200,404`, which both write alike.
fn statuses(text: &str) -> Option<String> {
    let is_part = |part: &str| {
        let mut ends = part.splitn(2, '-');
        ends.all(|end| end.len() == 3 && end.chars().all(|c| c.is_ascii_digit()))
    };
    text.split(',').all(is_part).then(|| text.to_owned())
}

/// The patterns people write for whole classes: `^2..`, `(2|3)[0-9][0-9]`.
fn classes(pattern: &str) -> Option<String> {
    let bare = pattern.trim_start_matches('^').trim_end_matches('$');
    let tails = ["..", "[0-9][0-9]", "[0-9]{2}", r"\d\d", ""];
    let head = tails.iter().find_map(|tail| bare.strip_suffix(tail))?;
    let head = head
        .trim_start_matches(['(', '['])
        .trim_end_matches([')', ']']);
    match head {
        "2" => Some("200-299".to_owned()),
        "2|3" | "23" | "2-3" => Some("200-399".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_pass() {
        assert_eq!(statuses("200-399").as_deref(), Some("200-399"));
        assert_eq!(statuses("2xx"), None);
        for (pattern, expected) in [
            ("^2..$", Some("200-299")),
            ("(2|3)[0-9][0-9]", Some("200-399")),
            ("[23]..", Some("200-399")),
            ("4..", None),
        ] {
            assert_eq!(classes(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
