//! `/metrics`: the families of api-lb.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use daemon::metrics::{Number, Text};

use crate::discover::Ledger;
use crate::limits::Limits;
use crate::pool::{Counters, State};
use crate::roster::{Back, Front, Member, View};
use crate::worker::{End, Gauges};

/// Adds frontends and servers.
pub fn view(out: &mut Text, view: &View) {
    for front in &view.frontends {
        frontend(out, front);
    }
    for back in &view.backends {
        gauge(
            out,
            "backend_queue",
            "Clients that wait for a place at a server.",
            &[("backend", &*back.meant.name)],
            back.waiting(),
        );
        for member in &back.members {
            server(out, back, member);
        }
        if let Some(ledger) = view.ledgers.get(&back.meant.name) {
            discovery(out, &back.meant.name, ledger);
        }
    }
}

/// Adds workers, limits and readiness.
pub fn process(out: &mut Text, workers: &[Arc<Gauges>], limits: &Limits, is_ready: bool) {
    gauge(
        out,
        "ready",
        "1 when /readyz answers 200.",
        &[],
        u64::from(is_ready),
    );
    gauge(
        out,
        "limit_open_files",
        "File descriptors the process may open.",
        &[],
        limits.open_files,
    );
    gauge(
        out,
        "limit_connections",
        "Connections that fit under the limit of file descriptors.",
        &[],
        limits.connections,
    );
    gauge(
        out,
        "limit_pipes",
        "Pipes that fit under it: beyond them bytes are copied instead of spliced.",
        &[],
        limits.pipes,
    );
    for (number, gauges) in workers.iter().enumerate() {
        worker(out, &number.to_string(), gauges);
    }
}

fn worker(out: &mut Text, number: &str, gauges: &Gauges) {
    let labels = [("worker", number)];
    gauge(
        out,
        "worker_stuck",
        "1 when the worker no longer obeys.",
        &labels,
        u64::from(gauges.is_stuck.load(Ordering::Relaxed)),
    );
    gauge(
        out,
        "worker_connections",
        "Connections of a worker, dialling ones included.",
        &labels,
        get(&gauges.open),
    );
    counter(
        out,
        "accept_failures_total",
        "Accepts that failed.",
        &labels,
        get(&gauges.accept_failures),
    );
    counter(
        out,
        "starved_turns_total",
        "Turns of connections put off because the kernel had no memory.",
        &labels,
        get(&gauges.starved),
    );
    counter(
        out,
        "events_dropped_total",
        "Log events of a worker dropped because the log did not keep up.",
        &labels,
        get(&gauges.events_dropped),
    );
}

fn frontend(out: &mut Text, front: &Front) {
    let name = &*front.meant.name;
    let labels = [("frontend", name)];
    traffic(out, "frontend", &labels, &front.counters);
    let sources = &front.gate.books.sources;
    gauge(
        out,
        "frontend_sources",
        "Sources that are remembered for their limits.",
        &labels,
        u64::try_from(sources.known()).unwrap_or(u64::MAX),
    );
    counter(
        out,
        "frontend_uncounted_sources_total",
        "Connections of sources for which the table had no room.",
        &labels,
        sources.uncounted(),
    );
    for end in End::ALL {
        counter(
            out,
            "ends_total",
            "Connections by how they ended.",
            &[("frontend", name), ("end", end.name())],
            front.counters.ended(end),
        );
    }
}

fn server(out: &mut Text, back: &Back, member: &Member) {
    let labels = [
        ("backend", &*back.meant.name),
        ("server", &*member.server.name),
    ];
    let [backend, server] = labels;
    traffic(out, "server", &labels, &member.server.counters);
    for state in State::ALL {
        let is_it = u64::from(state == member.state);
        let labels = [backend, server, ("state", state.name())];
        gauge(
            out,
            "server_state",
            "1 for the state the server is in.",
            &labels,
            is_it,
        );
    }
    counter(
        out,
        "server_state_changes_total",
        "Changes of a server's state.",
        &labels,
        member.changes,
    );
    counter(
        out,
        "server_dial_failures_total",
        "Dials of a server that failed or timed out.",
        &labels,
        get(&member.server.counters.dial_failures),
    );
    counter(
        out,
        "server_hedges_total",
        "Second dials made because the server kept a client waiting.",
        &labels,
        get(&member.server.counters.hedges),
    );
    counter(
        out,
        "server_failovers_total",
        "Clients that went on to another server because it was silent.",
        &labels,
        get(&member.server.counters.failovers),
    );
    for (outcome, count) in &member.checks {
        let labels = [backend, server, ("outcome", &**outcome)];
        counter(
            out,
            "server_checks_total",
            "Checks by outcome.",
            &labels,
            *count,
        );
    }
    if let Some(last) = member.last {
        let help = "How long the last check took.";
        gauge(
            out,
            "server_check_duration_seconds",
            help,
            &labels,
            last.took,
        );
    }
}

fn discovery(out: &mut Text, backend: &str, ledger: &Ledger) {
    let labels = [("backend", backend)];
    gauge(
        out,
        "discovery_servers",
        "Servers that are known from discovery.",
        &labels,
        u64::try_from(ledger.servers().len()).unwrap_or(u64::MAX),
    );
    gauge(
        out,
        "discovery_failing",
        "1 when the last answer of discovery could not be used.",
        &labels,
        u64::from(ledger.failure.is_some()),
    );
    for (outcome, count) in &ledger.answers {
        counter(
            out,
            "discovery_answers_total",
            "Answers of discovery by what became of them.",
            &[("backend", backend), ("outcome", *outcome)],
            *count,
        );
    }
}

fn traffic(out: &mut Text, what: &str, labels: &[(&str, &str)], counters: &Counters) {
    let each = [
        (
            "connections_total",
            "Connections since the start.",
            &counters.connections,
        ),
        (
            "sent_bytes_total",
            "Bytes from clients to servers.",
            &counters.sent,
        ),
        (
            "received_bytes_total",
            "Bytes from servers to clients.",
            &counters.received,
        ),
    ];
    let open = format!("{what}_connections");
    gauge(
        out,
        &open,
        "Connections open at this moment.",
        labels,
        get(&counters.open),
    );
    for (name, help, count) in each {
        counter(out, &format!("{what}_{name}"), help, labels, get(count));
    }
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn gauge(
    out: &mut Text,
    name: &str,
    help: &str,
    labels: &[(&str, &str)],
    value: impl Into<Number>,
) {
    out.gauge(&format!("api_lb_{name}"), help)
        .sample(labels, value);
}

fn counter(out: &mut Text, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
    out.counter(&format!("api_lb_{name}"), help)
        .sample(labels, value);
}
