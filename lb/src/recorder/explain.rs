//! From entries of the recorder to an account for people: of one server, or of one
//! connection and what its server went through meanwhile.

use std::net::SocketAddr;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds around a connection in which what befell its server matters.
const AROUND: f64 = 10.0;

/// Lines at most; the last ones count.
const LINES: usize = 200;

/// An account of a connection (its id, its client's address or the source that the server
/// saw) or of a server (`NAME` or `BACKEND/NAME`). None when nothing is known of it.
#[must_use]
pub fn explain(entries: &[Value], what: &str) -> Option<String> {
    let ends = entries.iter().filter(|entry| word(entry, "kind") == "end");
    if let Some(end) = ends.rev().find(|end| is_connection(end, what)) {
        return Some(connection(end, entries));
    }
    let about: Vec<&Value> = entries.iter().filter(|e| is_server(e, what)).collect();
    (!about.is_empty()).then(|| {
        let head = format!("server {what}: what is known, oldest first\n");
        head + &lines(&about)
    })
}

fn is_connection(end: &Value, what: &str) -> bool {
    let is_address = what.parse::<SocketAddr>().is_ok();
    let is_id = end
        .get("id")
        .and_then(Value::as_u64)
        .is_some_and(|id| id.to_string() == what);
    is_id || (is_address && (word(end, "client") == what || word(end, "source") == what))
}

fn is_server(entry: &Value, what: &str) -> bool {
    let (backend, server) = (word(entry, "backend"), word(entry, "server"));
    !server.is_empty() && (server == what || format!("{backend}/{server}") == what)
}

fn connection(end: &Value, entries: &[Value]) -> String {
    let seconds = |key: &str| end.get(key).and_then(Value::as_f64);
    let mut text = format!(
        "connection {}\n  {}  accepted from {} at {} ({})\n",
        end.get("id").unwrap_or(&Value::Null),
        word(end, "accepted"),
        word(end, "client"),
        word(end, "bind"),
        word(end, "frontend"),
    );
    let dials = end.get("dials").and_then(Value::as_u64).unwrap_or(0);
    let server = word(end, "server");
    match seconds("connected") {
        Some(after) => {
            text += &format!(
                "  {:>9}  connected to {}/{server} at dial {dials}",
                plus(after),
                word(end, "backend")
            );
            text += &format!("; the server saw {}\n", word(end, "source"));
        }
        None => text += &format!("             never connected; {dials} dials\n"),
    }
    match seconds("firstByte") {
        Some(after) => {
            text += &format!("  {:>9}  the server's first byte\n", plus(after))
        }
        None => text += "             not a byte came from a server\n",
    }
    let lasted = seconds("lasted").unwrap_or(0.0);
    text += &format!(
        "  {:>9}  ended: {}, with {} bytes sent and {} received\n",
        plus(lasted),
        meaning(word(end, "end")),
        end.get("sent").unwrap_or(&Value::Null),
        end.get("received").unwrap_or(&Value::Null),
    );
    let (Some(from), Some(to)) = (at(end, "accepted"), at(end, "at")) else {
        return text;
    };
    let around = |entry: &&Value| {
        let time = at(entry, "at").unwrap_or(f64::NAN);
        let is_near = time >= from - AROUND && time <= to + AROUND;
        let is_same = word(entry, "backend") == word(end, "backend")
            && (server.is_empty() || word(entry, "server") == server);
        word(entry, "kind") != "end" && is_near && is_same
    };
    let about: Vec<&Value> = entries.iter().filter(around).collect();
    if !about.is_empty() {
        let whom = if server.is_empty() {
            "the servers"
        } else {
            "its server"
        };
        text += &format!("meanwhile {whom}:\n{}", lines(&about));
    }
    text
}

fn plus(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("+{:.1} ms", seconds * 1000.0)
    } else {
        format!("+{seconds:.2} s")
    }
}

/// Entries as lines; equal ones in a row are one.
fn lines(entries: &[&Value]) -> String {
    let mut all: Vec<(String, String, u64)> = Vec::new();
    for entry in entries {
        let sentence = sentence(entry);
        match all.last_mut() {
            Some((_, known, count)) if *known == sentence => *count += 1,
            Some(_) | None => all.push((word(entry, "at").to_owned(), sentence, 1)),
        }
    }
    let left_out = all.len().saturating_sub(LINES);
    let mut text = String::new();
    if left_out > 0 {
        text += &format!("  ({left_out} lines before these)\n");
    }
    for (at, sentence, count) in all.iter().skip(left_out) {
        let times = if *count > 1 {
            format!(", {count} times")
        } else {
            String::new()
        };
        text += &format!("  {at}  {sentence}{times}\n");
    }
    text
}

fn sentence(entry: &Value) -> String {
    let who = format!("{}/{}", word(entry, "backend"), word(entry, "server"));
    match word(entry, "kind") {
        "change" => format!(
            "{who} was {} and is {}, {}",
            word(entry, "from"),
            word(entry, "to"),
            word(entry, "why"),
        ),
        "check" => format!("{who} checked: {}", word(entry, "outcome")),
        "dialFailed" => format!("{who} dialled in vain: {}", word(entry, "error")),
        "end" => format!("{who}: a connection ended: {}", word(entry, "end")),
        other => format!("{who}: {other}"),
    }
}

/// What an end means; the word itself, where it says all.
fn meaning(end: &str) -> String {
    let means = match end {
        "clientClosed" => "both sides closed in order, the client first",
        "serverClosed" => "both sides closed in order, the server first",
        "clientReset" => "the client reset it",
        "serverReset" => "the server reset it",
        "clientGone" => "the client no longer acknowledged",
        "serverGone" => "the server no longer acknowledged",
        "serverUnreachable" => "cut, because checks found its server unreachable",
        "serverHung" => "cut, because its server hung and owed it an answer",
        "dialFailed" => "every server was tried and refused",
        "dialBudget" => "no server took it within dialBudget",
        "noServer" => "there was no server to try",
        "noResources" => "no descriptor or memory was left for its server",
        "denied" => "allow or deny of the frontend",
        "idle" => "quiet for longer than timeouts.idle",
        "killed" => "by an operator",
        "shutdown" => "api-lb stopped first",
        _ => return end.to_owned(),
    };
    format!("{end} ({means})")
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Seconds since 1970.
fn at(entry: &Value, key: &str) -> Option<f64> {
    let time = OffsetDateTime::parse(word(entry, key), &Rfc3339).ok()?;
    Some((time - OffsetDateTime::UNIX_EPOCH).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entries() -> Vec<Value> {
        vec![
            json!({"kind": "check", "at": "2026-01-01T00:00:00Z", "backend": "b", "server": "m1", "outcome": "passed"}),
            json!({"kind": "check", "at": "2026-01-01T00:00:01Z", "backend": "b", "server": "m1", "outcome": "passed"}),
            json!({"kind": "check", "at": "2026-01-01T00:01:00Z", "backend": "b", "server": "m2", "outcome": "passed"}),
            json!({"kind": "dialFailed", "at": "2026-01-01T00:01:01Z", "backend": "b", "server": "m1", "error": "connection refused"}),
            json!({"kind": "change", "at": "2026-01-01T00:01:02Z", "backend": "b", "server": "m1", "from": "up", "to": "unreachable", "why": "check: connection refused"}),
            json!({"kind": "end", "at": "2026-01-01T00:01:03Z", "accepted": "2026-01-01T00:01:00Z", "id": 42, "client": "10.0.0.9:40000", "source": "10.0.0.1:50000", "bind": "10.0.0.1:6443", "frontend": "f", "backend": "b", "server": "m1", "dials": 1, "connected": 0.0004, "firstByte": 0.002, "lasted": 3.0, "sent": 517, "received": 2000, "end": "serverUnreachable"}),
        ]
    }

    #[test]
    fn a_connection_by_its_three_names_with_what_befell_its_server() {
        let all = entries();
        let account = explain(&all, "42").unwrap();
        for name in ["10.0.0.9:40000", "10.0.0.1:50000"] {
            assert_eq!(explain(&all, name).as_deref(), Some(&*account));
        }
        for part in [
            "connection 42",
            "+0.4 ms  connected to b/m1 at dial 1; the server saw 10.0.0.1:50000",
            "+3.00 s  ended: serverUnreachable (cut, because checks found",
            "b/m1 was up and is unreachable, check: connection refused",
            "b/m1 dialled in vain: connection refused",
        ] {
            assert!(account.contains(part), "{part}\n{account}");
        }
        // A minute earlier, and another server: neither matters.
        assert!(!account.contains("checked: passed"), "{account}");
    }

    #[test]
    fn a_server_by_its_name_with_what_repeats_in_one_line() {
        let all = entries();
        let account = explain(&all, "b/m1").unwrap();
        assert!(
            account.contains("b/m1 checked: passed, 2 times"),
            "{account}"
        );
        assert!(
            account.contains("a connection ended: serverUnreachable"),
            "{account}"
        );
        assert!(explain(&all, "m1").is_some());
        for unknown in ["m9", "43", "", "10.0.0.9:1", "b/"] {
            assert_eq!(explain(&all, unknown), None, "{unknown}");
        }
    }
}
