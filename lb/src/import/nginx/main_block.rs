//! What stands outside of `stream`: how the process runs, and `http`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::draft::Draft;
use super::super::times::{Bare, fit, time};
use super::block::Directive;
use config::Report;

const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60 * 60);

pub(super) fn directive(directive: &Directive, draft: &mut Draft, report: &mut Report) {
    let (line, text) = (directive.line, directive.text());
    match directive.words()[..] {
        ["worker_processes", "auto"] => {
            report.honoured(line, &text, "workers: one per CPU, at most 4");
        }
        ["worker_processes", count] => {
            match count.parse().ok().filter(|n| (1..=64).contains(n)) {
                Some(count) => {
                    draft.workers = Some(count);
                    report.honoured(line, &text, format!("workers: {count}"));
                }
                None => report.unsupported(line, &text, "1 to 64 workers may be written"),
            }
        }
        ["worker_shutdown_timeout", after] => match time(after, Bare::Seconds) {
            Some(after) => {
                let (after, shown) = fit(after, &DRAIN);
                draft.drain_timeout = Some(after);
                let how = format!(
                    "drainTimeout: {shown}, of a stop; a reload cuts no connection"
                );
                report.honoured(line, &text, how);
            }
            None => report.unsupported(line, &text, "it is not a time"),
        },
        ["events"] => events(directive, report),
        ["http"] => http(directive, report),
        ["mail"] => refused(directive, "api-lb carries TCP and nothing else", report),
        [
            "user" | "pid" | "daemon" | "master_process" | "lock_file",
            ..,
        ] => report.not_needed(
            line,
            &text,
            "systemd runs the process, as a user of its own",
        ),
        ["error_log" | "debug_points", ..] => {
            report.not_needed(line, &text, "the log goes to the journal");
        }
        [
            "worker_rlimit_nofile"
            | "worker_rlimit_core"
            | "worker_priority"
            | "worker_cpu_affinity"
            | "working_directory",
            ..,
        ] => {
            report.not_needed(line, &text, "the unit sets it (LimitNOFILE and the like)");
        }
        [
            "load_module" | "pcre_jit" | "thread_pool" | "timer_resolution"
            | "ssl_engine" | "env",
            ..,
        ] => report.not_needed(line, &text, "it tunes the inside of nginx"),
        _ => refused(directive, "api-lb does not know it", report),
    }
}

fn events(directive: &Directive, report: &mut Report) {
    report.not_needed(directive.line, "events", "api-lb has one way of waiting");
    for inner in &directive.block {
        let why = match inner.name() {
            "worker_connections" => {
                "as many connections are taken as LimitNOFILE in the unit allows"
            }
            _ => "it tunes the inside of nginx",
        };
        report.not_needed(inner.line, &inner.text(), why);
    }
}

/// A listener that only answers whether nginx lives is what the admin listener does; all
/// else of HTTP is no business of a TCP balancer.
fn http(directive: &Directive, report: &mut Report) {
    report.not_needed(
        directive.line,
        "http",
        "the admin listener is all of HTTP there is",
    );
    for inner in &directive.block {
        if inner.name() == "server" && is_health(inner) {
            every(inner, &mut |line, text| {
                report.not_needed(
                    line,
                    text,
                    "/livez, /readyz and /status on admin.address answer that",
                );
            });
        } else if inner.block.is_empty() && inner.name() != "include" {
            let why = "it does nothing without servers of HTTP";
            report.not_needed(inner.line, &inner.text(), why);
        } else {
            refused(inner, "api-lb carries TCP and serves no HTTP", report);
        }
    }
}

fn is_health(server: &Directive) -> bool {
    let known = |inner: &Directive| {
        matches!(
            inner.name(),
            "return"
                | "stub_status"
                | "access_log"
                | "allow"
                | "deny"
                | "default_type"
                | "add_header"
        )
    };
    server.block.iter().all(|inner| match inner.name() {
        "location" => inner.block.iter().all(known),
        "listen" | "server_name" | "access_log" => true,
        _ => false,
    })
}

/// A directive and all in its block.
pub(super) fn refused(directive: &Directive, what: &str, report: &mut Report) {
    every(directive, &mut |line, text| {
        report.unsupported(line, text, what)
    });
}

fn every(directive: &Directive, each: &mut dyn FnMut(usize, &str)) {
    each(directive.line, &directive.text());
    for inner in &directive.block {
        every(inner, each);
    }
}
