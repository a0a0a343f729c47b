//! `/metrics`.

use daemon::metrics::Text;
use probe::Verdict;
use tokio::time::Instant;
use vrrp::State;

use super::{seconds, wall};
use crate::channel::Client;
use crate::driver::Record;
use crate::fleet::{Fleet, Member};
use crate::track::Out;

/// Writes down everything that is counted and measured.
pub(super) fn write(fleet: &Fleet, out: &mut Text) {
    let realtime = fleet.realtime().is_ok();
    out.gauge(
        "vip_daemon_realtime",
        "1 when the adverts' thread is scheduled before everything else.",
    )
    .sample(&[], realtime);
    out.gauge("vip_daemon_memory_locked", "1 when memory is locked.")
        .sample(&[], fleet.memory().is_ok());
    let guard = fleet.guard();
    out.gauge(
        "vip_daemon_guard_up",
        "1 while the process that removes the addresses of a dead daemon runs.",
    )
    .sample(&[], guard.pid.is_some());
    out.counter(
        "vip_daemon_guard_starts_total",
        "Times it was started; once, unless it died.",
    )
    .sample(&[], guard.starts);
    let ledger = fleet.ledger();
    out.gauge(
        "vip_daemon_addresses_remembered",
        "Addresses that are known as ours by a file, as no mark of the kernel's says so.",
    )
    .sample(&[], u64::try_from(ledger.held).unwrap_or(u64::MAX));
    out.gauge(
        "vip_daemon_ledger_failing",
        "1 while that file cannot be written.",
    )
    .sample(&[], ledger.failing.is_some());
    for (group, book) in fleet.groups() {
        let mut states = out.gauge(
            "vip_daemon_sync_group_state",
            "1 for the state the sync group is in.",
        );
        for state in State::ALL {
            let labels = [("group", group.as_str()), ("state", state.name())];
            states = states.sample(&labels, book.state() == state);
        }
    }
    for member in fleet.members() {
        gauges(out, &member);
        counters(out, &member);
    }
    out.counter(
        "vip_daemon_notices_lost_total",
        "Lines of the FIFO that nobody read, and notify scripts that failed.",
    )
    .sample(&[], fleet.teller().lost());
    if let Some(channel) = fleet.channel() {
        channel_metrics(out, channel);
    }
}

fn gauges(out: &mut Text, member: &Member) {
    let router = member.router.name.as_str();
    let record = member.record.borrow().clone();
    let mut states = out.gauge(
        "vip_daemon_router_state",
        "1 for the state the router is in.",
    );
    for state in State::ALL {
        let labels = [("router", router), ("state", state.name())];
        states = states.sample(&labels, record.told.state == state);
    }
    let labels = [("router", router)];
    for (name, help, value) in levels(member, &record) {
        out.gauge(name, help).sample(&labels, value);
    }
    out.gauge(
        "vip_daemon_state_since_seconds",
        "When the router went into its state, in seconds since 1970.",
    )
    .sample(&labels, seconds(wall(record.told.since)));
    let mut checks = out.gauge(
        "vip_daemon_check_passed",
        "1 while the tracked check counts as passed.",
    );
    for (track, seen) in member.router.tracks.iter().zip(member.tracker.seen()) {
        let name = track.target.name();
        let labels = [("router", router), ("check", name.as_str())];
        checks = checks.sample(&labels, seen.verdict == Some(Verdict::Up));
    }
}

/// What goes up and down, as name, help and value.
fn levels(member: &Member, record: &Record) -> [(&'static str, &'static str, u64); 9] {
    [
        (
            "vip_daemon_holding",
            "1 while the addresses are on the interface by our hand.",
            u64::from(record.holding),
        ),
        (
            "vip_daemon_link_up",
            "1 while the interface can be used.",
            record.running.into(),
        ),
        (
            "vip_daemon_priority",
            "The priority the router advertises with.",
            record.priority.get().into(),
        ),
        (
            "vip_daemon_configured_priority",
            "The priority before tracking.",
            member.router.priority.get().into(),
        ),
        (
            "vip_daemon_released",
            "1 while the router was told to stay out.",
            u64::from(record.out == Some(Out::Released)),
        ),
        (
            "vip_daemon_waits_for_sync_group",
            "1 while the router would be active, and others of its group would not.",
            u64::from(!record.waits_for.is_empty()),
        ),
        (
            "vip_daemon_lacks_interface",
            "1 while the router waits for its interface, or for an address there.",
            u64::from(record.lacks.is_some()),
        ),
        (
            "vip_daemon_unanswered_addresses",
            "Addresses that another router advertises and nobody answers for.",
            u64::try_from(record.unanswered.len()).unwrap_or(u64::MAX),
        ),
        (
            "vip_daemon_peer_misconfigured",
            "1 while a peer is heard that is configured otherwise, and a minute longer.",
            u64::from(record.alarm(Instant::now()).is_some()),
        ),
    ]
}

fn counters(out: &mut Text, member: &Member) {
    let router = member.router.name.as_str();
    let counts = member.record.borrow().counts.clone();
    let kinds = [
        ("release", counts.sent_release),
        ("claim", counts.sent - counts.sent_release),
    ];
    for (kind, count) in kinds {
        out.counter("vip_daemon_adverts_sent_total", "Adverts sent.")
            .sample(&[("router", router), ("kind", kind)], count);
    }
    for (name, help, count) in [
        (
            "vip_daemon_adverts_accepted_total",
            "Adverts accepted.",
            counts.accepted,
        ),
        (
            "vip_daemon_announcements_total",
            "Bursts of gratuitous ARP.",
            counts.announcements,
        ),
        (
            "vip_daemon_addresses_lost_total",
            "Times somebody took our address away.",
            counts.addresses_lost,
        ),
        (
            "vip_daemon_conflicts_total",
            "Times somebody else said on the wire to have our address.",
            counts.conflicts,
        ),
    ] {
        out.counter(name, help).sample(&[("router", router)], count);
    }
    for (reason, count) in &counts.refused {
        out.counter(
            "vip_daemon_adverts_refused_total",
            "Datagrams turned away, by reason.",
        )
        .sample(&[("router", router), ("reason", reason)], *count);
    }
    for ((to, reason), count) in &counts.transitions {
        out.counter(
            "vip_daemon_transitions_total",
            "Changes of state, by reason.",
        )
        .sample(
            &[("router", router), ("to", to), ("reason", reason)],
            *count,
        );
    }
    for (how, count) in &counts.handovers {
        out.counter(
            "vip_daemon_handovers_total",
            "Times the addresses were to be given away, by how it went on.",
        )
        .sample(&[("router", router), ("how", how)], *count);
    }
    for (deed, count) in &counts.failures {
        out.counter(
            "vip_daemon_effects_failed_total",
            "Effects the kernel refused.",
        )
        .sample(&[("router", router), ("effect", deed)], *count);
    }
    out.histogram("vip_daemon_lateness_seconds", "How late the driver woke.")
        .sample(&[("router", router)], &member.lateness);
}

fn channel_metrics(out: &mut Text, channel: &Client) {
    let facts = channel.facts();
    let now = Instant::now();
    for (name, peer) in &facts.peers {
        out.gauge(
            "vip_daemon_channel_peer_up",
            "1 while the peer is heard over the channel.",
        )
        .sample(&[("peer", name.as_str())], peer.there(now));
    }
    for (reason, count) in &facts.refused {
        out.counter(
            "vip_daemon_channel_refused_total",
            "Messages of the channel that were not listened to, by reason.",
        )
        .sample(&[("reason", reason)], *count);
    }
    out.histogram(
        "vip_daemon_handover_seconds",
        "From letting go of the addresses to their being held by the successor.",
    )
    .sample(&[], channel.took());
}
