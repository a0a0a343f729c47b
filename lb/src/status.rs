//! `/status` as JSON, and the same as a table for people.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use daemon::rfc3339;
use serde_json::{Map, Value, json};

use crate::limits::Limits;
use crate::order::Mode;
use crate::pool::{Counters, Rank};
use crate::roster::{Back, Front, Member, View};
use crate::surface::Phase;
use crate::upgrade::History;
use crate::worker::End;

/// The keys of api-lb in `/status`.
#[must_use]
pub fn json(
    view: &View,
    phase: Phase,
    ready: Result<(), String>,
    connections: u64,
    limits: &Limits,
    history: &History,
) -> Value {
    json!({
        "phase": phase.name(),
        "ready": ready.is_ok(),
        "notReadyBecause": ready.err(),
        "connections": connections,
        "limits": {
            "openFiles": limits.open_files,
            "connections": limits.connections,
            "pipes": limits.pipes,
        },
        "upgrades": history.json(),
        "frontends": view.frontends.iter().map(frontend).collect::<Vec<_>>(),
        "backends": view.backends.iter().map(|back| backend(back, view)).collect::<Vec<_>>(),
    })
}

fn frontend(front: &Front) -> Value {
    let ended =
        |end: End| (front.counters.ended(end) > 0).then(|| front.counters.ended(end));
    let ends: Map<String, Value> = End::ALL
        .into_iter()
        .filter_map(|end| Some((end.name().to_owned(), json!(ended(end)?))))
        .collect();
    let binds: Vec<&SocketAddr> = front.meant.binds.iter().collect();
    let mut all = traffic(&front.counters);
    all.insert("name".to_owned(), json!(&*front.meant.name));
    all.insert("bind".to_owned(), json!(binds));
    all.insert("backend".to_owned(), json!(&*front.meant.backend));
    all.insert("ends".to_owned(), Value::Object(ends));
    Value::Object(all)
}

fn backend(back: &Back, view: &View) -> Value {
    json!({
        "name": &*back.meant.name,
        "balance": back.meant.balance.name(),
        "waiting": back.waiting(),
        "discovery": discovery(back, view),
        "servers": back.members.iter().map(server).collect::<Vec<_>>(),
    })
}

/// What is known of servers besides those of the file; null where nothing is sought.
fn discovery(back: &Back, view: &View) -> Value {
    let sought = back.meant.discovery.as_ref();
    let known = sought.zip(view.ledgers.get(&back.meant.name));
    let known = known.map(|(discovery, ledger)| {
        json!({
            "source": discovery.source.name(),
            "servers": ledger.servers(),
            "from": ledger.from.name(),
            "answered": ledger.answered.map(rfc3339),
            "failure": ledger.failure,
            "file": discovery.file,
        })
    });
    known.unwrap_or_default()
}

fn server(member: &Member) -> Value {
    let check = member.last.map(|last| {
        json!({
            "at": rfc3339(last.at),
            "outcome": last.outcome.name(),
            "detail": last.outcome.to_string(),
            "seconds": last.took.as_secs_f64(),
        })
    });
    let mut all = traffic(&member.server.counters);
    all.insert("name".to_owned(), json!(&*member.server.name));
    all.insert("address".to_owned(), json!(member.server.address));
    let terms = member.server.terms;
    all.insert("weight".to_owned(), json!(member.server.weight));
    all.insert("backup".to_owned(), json!(terms.rank == Rank::Backup));
    all.insert("maxConnections".to_owned(), json!(terms.max_connections));
    all.insert("origin".to_owned(), json!(member.meant.origin.name()));
    all.insert("state".to_owned(), json!(member.state.name()));
    all.insert("since".to_owned(), json!(rfc3339(member.since)));
    all.insert("stateChanges".to_owned(), json!(member.changes));
    all.insert("check".to_owned(), check.unwrap_or_default());
    let ordered =
        json!({"mode": member.will.mode.map(Mode::name), "weight": member.will.weight});
    all.insert("ordered".to_owned(), ordered);
    let failures = member.server.counters.dial_failures.load(Ordering::Relaxed);
    all.insert("dialFailures".to_owned(), json!(failures));
    let hedges = member.server.counters.hedges.load(Ordering::Relaxed);
    all.insert("hedges".to_owned(), json!(hedges));
    let failovers = member.server.counters.failovers.load(Ordering::Relaxed);
    all.insert("failovers".to_owned(), json!(failovers));
    Value::Object(all)
}

fn traffic(counters: &Counters) -> Map<String, Value> {
    let get = |count: &AtomicU64| json!(count.load(Ordering::Relaxed));
    let rate = counters.recent.rate();
    let rate = json!({
        "connections": rate.connections,
        "sentBytes": rate.sent,
        "receivedBytes": rate.received,
    });
    Map::from_iter([
        ("rate".to_owned(), rate),
        ("recent".to_owned(), json!(counters.recent.connections())),
        ("open".to_owned(), get(&counters.open)),
        ("connections".to_owned(), get(&counters.connections)),
        ("sentBytes".to_owned(), get(&counters.sent)),
        ("receivedBytes".to_owned(), get(&counters.received)),
    ])
}

/// The answer of `/status` in 80 columns. What is missing in it is left out, so that the
/// command line of one version can ask a daemon of another.
#[must_use]
pub fn table(status: &Value, now: SystemTime) -> String {
    let mut text = headline(status);
    if let Some(refused) = status.pointer("/config/refused").filter(|r| !r.is_null()) {
        text += &format!(
            "the file on disk is not what runs: {}\n",
            word(refused, "error")
        );
    }
    text.extend(list(status, "routers").iter().map(router_line));
    text.push('\n');
    let frontends: Vec<[String; 5]> =
        list(status, "frontends").iter().map(front_row).collect();
    text += &daemon::table::render(
        ["FRONTEND", "BIND", "BACKEND", "OPEN", "TOTAL"],
        &frontends,
    );
    text.push('\n');
    let servers: Vec<[String; 6]> = list(status, "backends")
        .iter()
        .flat_map(|back| {
            list(back, "servers")
                .iter()
                .map(|s| server_row(back, s, now))
        })
        .collect();
    let head = ["SERVER", "ADDRESS", "STATE", "FOR", "OPEN", "LAST CHECK"];
    text + &daemon::table::render(head, &servers)
}

fn headline(status: &Value) -> String {
    let ready = match status.get("ready").and_then(Value::as_bool) {
        Some(true) => "ready".to_owned(),
        _ => format!("not ready: {}", word(status, "notReadyBecause")),
    };
    format!(
        "api-lb {}, {}, {ready}; {} connections\n",
        word(status, "version"),
        word(status, "phase"),
        word(status, "connections"),
    )
}

fn router_line(router: &Value) -> String {
    let addresses: Vec<String> = list(router, "addresses").iter().map(plain).collect();
    let owner = match router.get("owner").and_then(Value::as_str) {
        Some("here") => "is here".to_owned(),
        Some(host) => format!("is at {host}"),
        None => "is nobody knows where".to_owned(),
    };
    let (name, state) = (word(router, "name"), word(router, "state"));
    format!("{} {owner} ({name}: {state})\n", addresses.join(", "))
}

fn front_row(front: &Value) -> [String; 5] {
    let binds: Vec<String> = list(front, "bind").iter().map(plain).collect();
    let [name, backend] = ["name", "backend"].map(|key| word(front, key));
    [
        name,
        binds.join(" "),
        backend,
        word(front, "open"),
        word(front, "connections"),
    ]
}

fn server_row(back: &Value, server: &Value, now: SystemTime) -> [String; 6] {
    let check = server.get("check").filter(|check| !check.is_null());
    [
        format!("{}/{}", word(back, "name"), word(server, "name")),
        word(server, "address"),
        word(server, "state"),
        age(&word(server, "since"), now),
        word(server, "open"),
        check.map_or_else(|| "none yet".to_owned(), |check| word(check, "detail")),
    ]
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn word(value: &Value, key: &str) -> String {
    value.get(key).map_or_else(|| "-".to_owned(), plain)
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// How long ago, in its two largest units.
fn age(since: &str, now: SystemTime) -> String {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let Ok(since) = OffsetDateTime::parse(since, &Rfc3339) else {
        return "-".to_owned();
    };
    let seconds = (OffsetDateTime::from(now) - since).whole_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn ages() {
        let since = "1970-01-01T00:00:00Z";
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3599, "59m59s"),
            (3600, "1h0m"),
            (86_399, "23h59m"),
            (86_400, "1d0h"),
        ] {
            assert_eq!(
                age(since, UNIX_EPOCH + Duration::from_secs(seconds)),
                expected
            );
        }
        assert_eq!(age("yesterday", UNIX_EPOCH), "-");
        assert_eq!(age("1970-01-02T00:00:00Z", UNIX_EPOCH), "0s");
    }

    #[test]
    fn a_table_fits_80_columns_and_leaves_out_what_is_missing() {
        let server = json!({
            "name": "m1", "address": "[2001:db8:1234:5678:9abc:def0:1234:5678]:6443",
            "state": "unreachable", "since": "1970-01-01T00:00:00Z", "open": 3,
            "check": {"detail": "the certificate is signed by no trusted authority"},
        });
        let status = json!({
            "version": "0.1.0", "phase": "accepting", "ready": false,
            "notReadyBecause": "no server is up or draining", "connections": 3,
            "frontends": [{"name": "k8s-api", "bind": ["192.168.220.224:6443"]}],
            "backends": [{"name": "k8s-api", "servers": [server]}],
            "routers": [
                {"name": "api", "addresses": ["192.168.220.224/24"], "state": "backup",
                    "owner": "192.168.220.101"},
                {"name": "v6", "addresses": ["2001:db8::1/64"], "state": "active",
                    "owner": "here"},
                {"name": "new", "addresses": ["10.0.0.1/24"], "state": "fault"},
            ],
        });
        let text = table(&status, UNIX_EPOCH + Duration::from_secs(61));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(
            text.contains("not ready: no server is up or draining"),
            "{text}"
        );
        assert!(
            text.contains("k8s-api/m1") && text.contains("unreachable  1m1s"),
            "{text}"
        );
        for line in [
            "192.168.220.224/24 is at 192.168.220.101 (api: backup)",
            "2001:db8::1/64 is here (v6: active)",
            "10.0.0.1/24 is nobody knows where (new: fault)",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!table(&json!({}), UNIX_EPOCH).is_empty());
    }
}
