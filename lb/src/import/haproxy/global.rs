//! `global`: how the process runs, mostly what a unit says for ours.

use super::super::draft::Draft;
use super::super::times::{Bare, fit, time};
use super::Section;
use super::words::Line;
use config::Report;
use std::time::Duration;

const DRAIN: std::ops::RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(60 * 60);

pub(super) fn read(section: &Section, draft: &mut Draft, report: &mut Report) {
    for line in &section.lines {
        directive(line, draft, report);
    }
}

fn directive(line: &Line, draft: &mut Draft, report: &mut Report) {
    let (number, text) = (line.number, line.text());
    match line.words()[..] {
        ["nbthread", threads] => {
            match threads.parse().ok().filter(|n| (1..=64).contains(n)) {
                Some(threads) => {
                    draft.workers = Some(threads);
                    report.honoured(number, &text, format!("workers: {threads}"));
                }
                None => {
                    report.unsupported(number, &text, "1 to 64 workers may be written")
                }
            }
        }
        ["maxconn", most] => match most.parse::<u32>().ok().filter(|most| *most > 0) {
            Some(most) => {
                let most = most.min(super::super::draft::MOST_CONNECTIONS);
                draft.max_connections = Some(most);
                report.honoured(number, &text, format!("maxConnections: {most}"));
            }
            None => report.unsupported(number, &text, "its value is not one"),
        },
        ["hard-stop-after", after] => match time(after, Bare::Milliseconds) {
            Some(after) => {
                let (after, shown) = fit(after, &DRAIN);
                draft.drain_timeout = Some(after);
                report.honoured(number, &text, format!("drainTimeout: {shown}"));
            }
            None => report.unsupported(number, &text, "it is not a time"),
        },
        ["setenv" | "presetenv", ..] => report.unsupported(
            number,
            &text,
            "lines below that use it are read without it; set it in the shell that runs the import",
        ),
        [word, ..] => match known(word) {
            Some(why) => report.not_needed(number, &text, why),
            None => report.unsupported(number, &text, "api-lb does not know it"),
        },
        [] => {}
    }
}

/// Why api-lb can do without it.
fn known(word: &str) -> Option<&'static str> {
    let why = match word {
        "log" | "log-tag" | "log-send-hostname" => {
            "the log goes to the journal, which hands it on to syslog where ForwardToSyslog is set"
        }
        "daemon" | "master-worker" | "pidfile" | "nbproc" => {
            "systemd runs the process, in the foreground, and reload and upgrade keep it"
        }
        "user" | "group" | "uid" | "gid" | "chroot" | "setcap" => {
            "the unit runs it as a user of its own, without a file system to write to"
        }
        "ulimit-n" | "fd-hard-limit" | "maxsock" => {
            "as many connections are taken as LimitNOFILE in the unit allows; more wait in the listener's queue"
        }
        "stats" => "commands go to /run/sternpost/api-lb.sock, which is always there",
        "ssl-default-bind-ciphers"
        | "ssl-default-bind-ciphersuites"
        | "ssl-default-bind-options"
        | "ssl-default-server-ciphers"
        | "ssl-default-server-ciphersuites"
        | "ssl-default-server-options"
        | "ssl-default-bind-curves"
        | "ssl-dh-param-file"
        | "ssl-server-verify"
        | "crt-base"
        | "ca-base"
        | "issuers-chain-path" => "TLS passes through unopened",
        "spread-checks" | "max-spread-checks" => {
            "each server is checked on a clock of its own"
        }
        "server-state-file" | "server-state-base" => {
            "a reload keeps states and counters in the process"
        }
        "node" | "description" | "unsetenv" | "resetenv" | "localpeer" => {
            "it changes nothing of what is balanced"
        }
        "cpu-map" | "thread-groups" | "noepoll" | "nosplice" | "busy-polling"
        | "numa-cpu-mapping" | "maxpipes" | "nopoll" | "noreuseport" | "zero-warning"
        | "strict-limits" | "quiet" | "no-memory-trimming" | "h1-case-adjust"
        | "profiling.tasks" | "profiling.memory" => "it tunes the inside of haproxy",
        word if word.starts_with("tune.") => "it tunes the inside of haproxy",
        _ => return None,
    };
    Some(why)
}
