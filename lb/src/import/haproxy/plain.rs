//! Options, and directives that say the same wherever they stand.

use super::Kind;
use super::check;
use super::proxy::{Scene, Settings};
use super::words::Line;
use config::Report;

const REQUESTS: &str = "api-lb carries TCP and looks at no request";
const IDLE_HTTP: &str = "it does nothing in mode tcp";

impl Settings {
    pub(super) fn option(
        &mut self,
        line: &Line,
        scene: &Scene<'_>,
        report: &mut Report,
    ) -> bool {
        let (number, text) = (line.number, line.text());
        if check::option(line, &mut self.plan, report) {
            return true;
        }
        let words = line.words();
        match words.get(1).copied().unwrap_or_default() {
            "tcplog" | "httplog" => log(line, scene, report),
            "dontlognull" | "dontlog-normal" | "logasap" | "log-separate-errors"
            | "log-health-checks" | "socket-stats" => report.not_needed(
                number,
                &text,
                "each connection and each change of a server leaves its line, with a named end to filter by",
            ),
            "redispatch" | "transparent" => report.not_needed(
                number,
                &text,
                "a failed dial goes on to the next server by itself",
            ),
            "tcpka" | "clitcpka" | "srvtcpka" => {
                report.honoured(number, &text, "tcpKeepalive, which is on by default");
            }
            "splice-auto" | "splice-request" | "splice-response" | "tcp-smart-accept"
            | "tcp-smart-connect" | "nolinger" | "contstats" | "abortonclose"
            | "allbackups" | "independent-streams" | "idle-close-on-response" => {
                report.not_needed(number, &text, "it tunes the inside of haproxy");
            }
            "forwardfor" | "http-server-close" | "httpclose" | "http-keep-alive"
            | "http-buffer-request" | "http-no-delay" | "http-pretend-keepalive"
            | "http-use-htx" | "http-ignore-probes" | "http-use-proxy-header"
            | "forceclose" | "originalto" | "persist" | "prefer-last-server"
            | "accept-invalid-http-request" | "accept-invalid-http-response"
            | "checkcache" | "http_proxy" | "h1-case-adjust-bogus-client"
            | "h1-case-adjust-bogus-server" | "http-restrict-req-hdr-names" => {
                http(line, scene, report);
            }
            _ => return false,
        }
        true
    }
}

fn log(line: &Line, scene: &Scene<'_>, report: &mut Report) {
    let (number, text) = (line.number, line.text());
    report.not_needed(
        number,
        &text,
        "each connection leaves its line when it ends",
    );
    if !scene.has_log {
        report.trap_once(
            number,
            "haproxy logs nothing here: no `log` line says where to",
        );
    }
    if scene.kind == Kind::Backend {
        report.trap_once(
            number,
            "haproxy ignores this in a backend: the frontend decides",
        );
    }
}

pub(super) fn http(line: &Line, scene: &Scene<'_>, report: &mut Report) {
    let (number, text) = (line.number, line.text());
    if scene.is_http {
        report.unsupported(number, &text, REQUESTS);
    } else {
        report.not_needed(number, &text, IDLE_HTTP);
    }
}

/// `no option …` and `no log`: what is off there is off here, or cannot be.
pub(super) fn no(line: &Line, report: &mut Report) -> bool {
    let (number, text) = (line.number, line.text());
    report.not_needed(
        number,
        &text,
        "it turns off what api-lb does in its own way",
    );
    true
}

/// Directives of one word and its values.
pub(super) fn plain(line: &Line, scene: &Scene<'_>, report: &mut Report) -> bool {
    let (number, text) = (line.number, line.text());
    match line.words().first().copied().unwrap_or_default() {
        "log" | "log-format" | "log-tag" | "error-log-format" | "log-format-sd"
        | "log-steps" => {
            report.not_needed(
                number,
                &text,
                "the log goes to the journal, which hands it on to syslog where ForwardToSyslog is set",
            );
        }
        "retries" => report.not_needed(
            number,
            &text,
            "a failed dial goes on to the next server at once, within dialBudget",
        ),
        "fullconn" | "backlog" => report.not_needed(
            number,
            &text,
            "as many connections are taken as LimitNOFILE in the unit allows; more wait in the listener's queue",
        ),
        "description" | "id" | "guid" => {
            report.not_needed(number, &text, "it changes nothing of what is balanced");
        }
        "hash-type" => report.not_needed(
            number,
            &text,
            "balance source always hashes so that a server that leaves moves its own clients alone",
        ),
        "source" => {
            report.unsupported(number, &text, "the kernel chooses the address to dial from");
        }
        "disabled" => report.unsupported(
            number,
            &text,
            "the proxy is off in haproxy and on in what is written; remove it there",
        ),
        "enabled" => report.honoured(number, &text, ""),
        "errorfile" | "errorloc" | "errorloc302" | "errorloc303" | "errorfiles"
        | "http-error" | "http-request" | "http-response" | "http-after-response"
        | "redirect" | "cookie" | "capture" | "compression" | "http-reuse" | "filter"
        | "unique-id-format" | "unique-id-header" | "appsession" | "rspadd" | "reqadd"
        | "rspdel" | "reqdel" | "reqrep" | "rsprep" | "monitor" | "http-send-name-header"
        | "max-keep-alive-queue" | "retry-on" => http(line, scene, report),
        "stick-table" | "stick" => report.unsupported(
            number,
            &text,
            "no table of clients is kept; each connection is balanced by itself",
        ),
        _ => return false,
    }
    true
}
