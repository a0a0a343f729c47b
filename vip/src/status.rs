//! What is seen from outside: `/status`, `/metrics`, `/livez`, `/readyz`, and the
//! command `release`. Reads the [`Fleet`] and decides nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use daemon::admin::{CommandError, Surface};
use daemon::metrics::Text;
use daemon::rfc3339;
use futures_util::future::BoxFuture;
use probe::Verdict;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use vrrp::State;

use crate::channel::Client;
use crate::channel::message::Ready;
use crate::config::Effect;
use crate::driver::{Heard, Record, chain};
use crate::explain::explain;
use crate::fleet::{Fleet, Member};
use crate::flight::dump;
use crate::hand;
use crate::track::{Out, Seen};
use crate::upgrade::upgrade;

/// How long `events` waits for the next one; then it is asked again.
const EVENTS: Duration = Duration::from_secs(5);

/// How long `release` waits for the address to be gone. It takes milliseconds.
const RELEASE: Duration = Duration::from_secs(1);

/// The daemon as its admin server sees it.
pub struct Status {
    /// What runs.
    pub fleet: Arc<Fleet>,
    /// The configuration file, for an upgrade.
    pub config: PathBuf,
}

/// The body of `POST /release`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Release {
    /// Which router; all of them when absent.
    router: Option<String>,
    /// Take part again instead.
    resume: bool,
}

impl Surface for Status {
    fn alive(&self) -> bool {
        self.fleet.members().iter().all(|member| member.alive())
    }

    fn ready(&self) -> Result<(), String> {
        for member in self.fleet.members() {
            let state = member.record.borrow().state;
            match state {
                State::Backup | State::Active => {}
                State::Initialize | State::Fault => {
                    return Err(format!("router {} is in {state}", member.router.name));
                }
            }
        }
        Ok(())
    }

    fn metrics(&self, out: &mut Text) {
        let realtime = self.fleet.realtime().is_ok();
        out.gauge(
            "vip_daemon_realtime",
            "1 when the adverts' thread is scheduled before everything else.",
        )
        .sample(&[], realtime);
        out.gauge("vip_daemon_memory_locked", "1 when memory is locked.")
            .sample(&[], self.fleet.memory().is_ok());
        let guard = self.fleet.guard();
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
        for member in self.fleet.members() {
            gauges(out, &member);
            counters(out, &member);
        }
        out.counter(
            "vip_daemon_notices_lost_total",
            "Lines of the FIFO that nobody read, and notify scripts that failed.",
        )
        .sample(&[], self.fleet.teller().lost());
        if let Some(channel) = self.fleet.channel() {
            channel_metrics(out, channel);
        }
    }

    fn status(&self) -> Value {
        let routers: Vec<_> = self
            .fleet
            .members()
            .iter()
            .map(|member| router(member))
            .collect();
        let refused = |fact: &std::io::Result<()>| match fact {
            Ok(()) => Value::Null,
            Err(error) => json!(error.to_string()),
        };
        let guard = self.fleet.guard();
        json!({
            "routers": routers,
            "guard": {"pid": guard.pid, "starts": guard.starts, "refused": guard.refused},
            "channel": self.fleet.channel().map(channel),
            "realtime": self.fleet.realtime().is_ok(),
            "realtimeRefused": refused(self.fleet.realtime()),
            "memoryLocked": self.fleet.memory().is_ok(),
            "memoryLockRefused": refused(self.fleet.memory()),
        })
    }

    fn commands(&self) -> &'static [&'static str] {
        &["events", "explain", "flight", "release", "upgrade", "yield"]
    }

    fn command(
        &self,
        name: &str,
        body: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        match name {
            "events" => {
                let after = body.get("after").and_then(Value::as_u64).unwrap_or(0);
                Box::pin(async move {
                    let events = self.fleet.teller().events().after(after, EVENTS).await;
                    Ok(json!({ "events": events }))
                })
            }
            "explain" => {
                let told = asked(&self.fleet, &body).map(|members| {
                    let now = Instant::now();
                    let told = members.iter().map(|member| {
                        let record = member.record.borrow().clone();
                        let tracks = member.tracker.seen();
                        let sentences = explain(&member.router, &record, &tracks, now);
                        json!({ "name": member.router.name, "sentences": sentences })
                    });
                    json!({ "routers": told.collect::<Vec<_>>() })
                });
                Box::pin(std::future::ready(told))
            }
            "flight" => {
                let dumped = asked(&self.fleet, &body).map(|members| {
                    let dumped = members.iter().map(|member| {
                        let entries = dump::lines(member.tracker.flight());
                        json!({ "name": member.router.name, "entries": entries })
                    });
                    json!({ "routers": dumped.collect::<Vec<_>>() })
                });
                Box::pin(std::future::ready(dumped))
            }
            "upgrade" => Box::pin(async move {
                let error = upgrade(&self.fleet, &self.config).await;
                let error = CommandError::Failed(chain(&error));
                tracing::error!("{error}");
                Err(error)
            }),
            "yield" => Box::pin(hand::over(&self.fleet, body)),
            _ => Box::pin(self.release(body)),
        }
    }
}

impl Status {
    async fn release(&self, body: Value) -> Result<Value, CommandError> {
        let body = if body.is_null() { json!({}) } else { body };
        let asked: Release = serde_json::from_value(body)
            .map_err(|error| CommandError::Invalid(error.to_string()))?;
        let mut members = self.fleet.members();
        if let Some(name) = &asked.router {
            members.retain(|member| member.router.name == *name);
            if members.is_empty() {
                return Err(CommandError::NotFound(format!("there is no router {name}")));
            }
        }
        let mut answers = Vec::new();
        for member in members {
            member.tracker.release(!asked.resume);
            let mut record = member.record.clone();
            let followed = record.wait_for(|record| {
                (record.out == Some(Out::Released)) != asked.resume
                    && (asked.resume || record.state != State::Active)
            });
            // Never nowhere: alone, it is Active again before anybody looks. That is no
            // failure, and the answer says what holds.
            let _ = timeout(RELEASE, followed).await;
            answers.push(router(&member));
        }
        Ok(json!({ "routers": answers }))
    }
}

/// The routers that `{"router": NAME}` names: all of them without a name.
fn asked(fleet: &Fleet, body: &Value) -> Result<Vec<Arc<Member>>, CommandError> {
    let mut members = fleet.members();
    if let Some(name) = body.get("router").and_then(Value::as_str) {
        members.retain(|member| member.router.name == name);
        if members.is_empty() {
            return Err(CommandError::NotFound(format!("there is no router {name}")));
        }
    }
    Ok(members)
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
        states = states.sample(&labels, record.state == state);
    }
    let labels = [("router", router)];
    for (name, help, value) in [
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
            "vip_daemon_peer_misconfigured",
            "1 once a peer was heard that is configured otherwise.",
            u64::from(record.alarm.is_some()),
        ),
    ] {
        out.gauge(name, help).sample(&labels, value);
    }
    out.gauge(
        "vip_daemon_state_since_seconds",
        "When the router went into its state, in seconds since 1970.",
    )
    .sample(&labels, seconds(wall(record.since)));
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

fn router(member: &Member) -> Value {
    let record = member.record.borrow().clone();
    let config = &member.router;
    let addresses: Vec<_> = config.addresses.iter().map(ToString::to_string).collect();
    let seen = member.tracker.seen();
    let tracks: Vec<_> = config
        .tracks
        .iter()
        .zip(&seen)
        .map(|(track, seen)| check(track, seen))
        .collect();
    json!({
        "name": config.name,
        "interface": config.interface,
        "linkUp": record.running,
        "vrid": config.vrid.get(),
        "version": config.version.number(),
        "advertInterval": config::Period(config.interval.duration()).to_string(),
        "addresses": addresses,
        "state": record.state.name(),
        "since": rfc3339(wall(record.since)),
        "reason": record.reason.name(),
        "holding": record.holding,
        "priority": record.priority.get(),
        "configuredPriority": config.priority.get(),
        "out": record.out.map(Out::name),
        "heard": record.heard.as_ref().map(heard),
        "alarm": record.alarm,
        "conflict": record.conflict.as_ref().map(conflict),
        "foreign": record.foreign.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failing": record.failing,
        "tracks": tracks,
        "counts": counts(&record),
    })
}

fn channel(channel: &Client) -> Value {
    let facts = channel.facts();
    let now = Instant::now();
    let peers = facts.peers.iter().map(|(name, peer)| {
        json!({
            "name": name.as_str(),
            "there": peer.there(now),
            "heard": peer.heard.map(|at| rfc3339(wall(at))),
            "ready": peer.routers.iter().filter(|router| router.ready == Ready::Yes).count(),
        })
    });
    json!({ "peers": peers.collect::<Vec<_>>(), "refused": facts.refused })
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

fn check(track: &crate::config::Track, seen: &Seen) -> Value {
    let effect = match seen.effect {
        Effect::Fault => json!("fault"),
        Effect::Weight(weight) => json!(weight),
    };
    json!({
        "check": track.target.name(),
        "weight": effect,
        "passed": seen.verdict == Some(Verdict::Up),
        "decided": seen.verdict.is_some(),
        "outcome": seen.last.as_ref().map(|last| last.outcome),
        "tookSeconds": seen.last.as_ref().map(|last| last.took.as_secs_f64()),
    })
}

fn conflict((what, at): &(String, Instant)) -> Value {
    json!({"what": what, "at": rfc3339(wall(*at))})
}

fn heard(heard: &Heard) -> Value {
    json!({
        "from": heard.from,
        "priority": heard.priority.get(),
        "advertInterval": config::Period(heard.interval.duration()).to_string(),
        "at": rfc3339(wall(heard.at)),
    })
}

fn counts(record: &Record) -> Value {
    let counts = &record.counts;
    json!({
        "advertsSent": counts.sent,
        "advertsAccepted": counts.accepted,
        "advertsRefused": counts.refused,
        "announcements": counts.announcements,
        "addressesLost": counts.addresses_lost,
        "conflicts": counts.conflicts,
        "handovers": counts.handovers,
        "effectsFailed": counts.failures,
    })
}

/// The time of day of an instant.
fn wall(instant: Instant) -> SystemTime {
    SystemTime::now() - instant.elapsed()
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
