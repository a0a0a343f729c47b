//! The proxies' configurations, as alike as their languages allow.

use std::fmt::Write as _;
use std::path::Path;

use super::{Lines, frontend, servers};

/// haproxy, plain or made to splice.
pub(super) fn haproxy(
    threads: usize,
    splice: bool,
    lines: Lines,
    manners: &[usize],
) -> String {
    let maxconn = if splice { 3_000 } else { 9_950 };
    let mut text = format!("global\n  nbthread {threads}\n  maxconn {maxconn}\n");
    if splice {
        text += "  tune.pipesize 1048576\n";
    }
    text += "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n";
    if lines == Lines::On {
        text += "  log stdout format raw local0\n  option tcplog\n";
    }
    if splice {
        text += "  option splice-request\n  option splice-response\n";
    }
    for &manner in manners {
        let _ = write!(
            text,
            "listen l{manner}\n  bind {} backlog 65535\n  balance roundrobin\n",
            frontend(manner)
        );
        for (number, address) in servers(manner) {
            let _ = writeln!(text, "  server s{number} {address} check");
        }
    }
    text
}

/// nginx's stream module.
pub(super) fn nginx(
    peers: &Path,
    scratch: &Path,
    threads: usize,
    manners: &[usize],
) -> String {
    let (peers, scratch) = (peers.display(), scratch.display());
    let mut text = format!(
        "load_module {peers}/root/usr/lib/nginx/modules/ngx_stream_module.so;\n\
         daemon off;\nmaster_process {};\nuser root;\nworker_processes {threads};\n\
         pid {scratch}/nginx.pid;\nerror_log stderr error;\nworker_rlimit_nofile 20000;\n\
         events {{ worker_connections 20000; }}\nstream {{\n  proxy_timeout 1h;\n",
        if threads == 1 { "off" } else { "on" },
    );
    for &manner in manners {
        let _ = writeln!(text, "  upstream u{manner} {{");
        for (_, address) in servers(manner) {
            let _ = writeln!(text, "    server {address};");
        }
        let _ = writeln!(
            text,
            "  }}\n  server {{ listen {} backlog=65535; proxy_pass u{manner}; }}",
            frontend(manner)
        );
    }
    text + "}\n"
}

/// This project's.
pub(super) fn ours(
    scratch: &Path,
    threads: usize,
    (lines, recorded): (Lines, Lines),
    manners: &[usize],
) -> String {
    let word = |lines| match lines {
        Lines::Off => "off",
        Lines::On => "on",
    };
    let (lines, recorded) = (word(lines), word(recorded));
    let mut text = format!(
        "apiVersion: sternpost/v1\nkind: ApiLb\nworkers: {threads}\n\
         socket: {}/api-lb.sock\nlog: {{connections: {lines}}}\n\
         flightRecorder: {{connections: {recorded}}}\nfrontends:\n",
        scratch.display()
    );
    for &manner in manners {
        let bind = frontend(manner);
        let _ = writeln!(
            text,
            "- {{name: f{manner}, bind: [\"{bind}\"], backend: b{manner}}}"
        );
    }
    text += "backends:\n";
    for &manner in manners {
        let _ = writeln!(
            text,
            "- name: b{manner}\n  balance: roundrobin\n  check: {{tcp: {{}}, interval: 2s}}\n  servers:"
        );
        for (number, address) in servers(manner) {
            let _ = writeln!(text, "  - {{name: s{number}, address: \"{address}\"}}");
        }
    }
    text
}
