//! `/status` as JSON.

use daemon::rfc3339;
use probe::Verdict;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::wall;
use crate::channel::Client;
use crate::config::{Effect, Router, VirtualAddress, VirtualMac};
use crate::driver::{Heard, Mac, Record};
use crate::fleet::{Fleet, Member};
use crate::track::{Out, Seen};
use crate::upgrade::back::went_back;

/// Of a router whose interval is too short for a thread that waits its turn.
const HASTY: &str = "advertInterval is not safe without real-time scheduling";

/// The whole daemon.
pub(super) fn whole(fleet: &Fleet) -> Value {
    let routers: Vec<_> = fleet
        .members()
        .iter()
        .map(|member| router(fleet, member))
        .collect();
    let refused = |fact: &std::io::Result<()>| match fact {
        Ok(()) => Value::Null,
        Err(error) => json!(error.to_string()),
    };
    let groups = fleet.groups().into_iter();
    let groups = groups.map(|(name, book)| {
        let members: Vec<_> = book.members().collect();
        json!({"name": name, "state": book.state().name(), "routers": members})
    });
    let guard = fleet.guard();
    let ledger = fleet.ledger();
    json!({
        "routers": routers,
        "syncGroups": groups.collect::<Vec<_>>(),
        "guard": {"pid": guard.pid, "starts": guard.starts, "refused": guard.refused},
        "addressMark": {
            "protocol": ledger.mark.unwrap_or(0), "kernel": ledger.marks.name(),
            "file": ledger.path, "remembered": ledger.held, "failing": ledger.failing,
        },
        "channel": fleet.channel().map(channel),
        "wentBack": went_back(),
        "realtime": fleet.realtime().is_ok(),
        "realtimeRefused": refused(fleet.realtime()),
        "memoryLocked": fleet.memory().is_ok(),
        "memoryLockRefused": refused(fleet.memory()),
    })
}

/// One router.
pub(super) fn router(fleet: &Fleet, member: &Member) -> Value {
    let record = member.record.borrow().clone();
    let config = &member.router;
    let addresses: Vec<_> = config.addresses.iter().map(ToString::to_string).collect();
    let excluded: Vec<_> = config.excluded.iter().map(ToString::to_string).collect();
    let now = Instant::now();
    let alarm = record.alarm(now);
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
        "excluded": excluded,
        "places": config.held().map(|it| place(config, it)).collect::<Vec<_>>(),
        "virtualMac": config.virtual_mac.as_ref().map(|it| virtual_mac(config, it)),
        "state": record.told.state.name(),
        "since": rfc3339(wall(record.told.since)),
        "reason": record.told.reason.name(),
        "holding": record.holding,
        "priority": record.priority.get(),
        "configuredPriority": config.priority.get(),
        "syncGroup": config.sync_group,
        "waitsFor": record.waits_for,
        "lacks": record.lacks,
        "out": record.out.map(Out::name),
        "heard": record.heard.as_ref().map(heard),
        "checksum": config.checksum.name(),
        "checksums": checksums(&record),
        "alarm": alarm.map(|it| &it.what),
        "alarmAt": alarm.map(|it| rfc3339(wall(it.at))),
        "heldBackBy": record.held_back_by(now).map(|it| it.from),
        "conflict": record.conflict.as_ref().map(conflict),
        "unanswered": record.unanswered,
        "foreign": record.foreign.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failing": record.failing,
        "unsafe": (config.needs_realtime() && fleet.realtime().is_err()).then_some(HASTY),
        "tracks": tracks,
        "counts": counts(&record),
    })
}

/// The virtual hardware address, and the interface that has it.
fn virtual_mac(router: &Router, virtual_mac: &VirtualMac) -> Value {
    json!({
        "interface": virtual_mac.name,
        "address": Mac(router.virtual_mac_address()).to_string(),
        "advertsFrom": virtual_mac.adverts_from.name(),
    })
}

/// Where and how an address is put when it is held.
fn place(router: &Router, what: &VirtualAddress) -> Value {
    let device = what.device.as_deref().unwrap_or(router.home());
    let v4 = what.ip().is_ipv4();
    json!({
        "address": what.to_string(),
        "device": device,
        "label": v4.then(|| what.label.as_deref().unwrap_or(device)),
        "scope": v4.then(|| what.scope.name()),
        "broadcast": what.broadcast,
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
            "ready": channel.taken_by(peer),
        })
    });
    json!({ "peers": peers.collect::<Vec<_>>(), "refused": facts.refused })
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

/// By peer, how many of its adverts were computed in which way.
fn checksums(record: &Record) -> Value {
    let all = record.checksums.iter().map(|(peer, heard)| {
        let ways = json!({
            "pseudo": heard.pseudo, "pseudoOfGroup": heard.pseudo_of_group,
            "rfc9568": heard.rfc9568,
        });
        (peer.to_string(), ways)
    });
    Value::Object(all.collect())
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
