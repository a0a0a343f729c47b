//! The commands that ask the daemon that runs.

use std::path::Path;

use daemon::terminal::{fail, say};
use daemon::{chain, client, exit, table};
use serde_json::{Value, json};

use super::{OfRouter, on_runtime};

pub(super) fn status(socket: &Path, json: bool) -> u8 {
    match on_runtime(client::get(socket, "/status")) {
        Ok(Ok(status)) if json => {
            say(&format!("{status:#}"));
            exit::DONE
        }
        Ok(Ok(status)) => {
            say(&readable(&status));
            exit::DONE
        }
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

pub(super) fn release(socket: &Path, router: Option<&str>, resume: bool) -> u8 {
    let body = json!({ "router": router, "resume": resume });
    match on_runtime(client::post(socket, "/release", &body)) {
        Ok(Ok(answer)) => {
            say(&readable(&answer));
            exit::DONE
        }
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

/// Status again and again; ends with the first that fails, or with an interrupt.
pub(super) fn watch(socket: &Path, json: bool) -> u8 {
    const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
    /// Clears a terminal and puts the cursor home (ECMA-48).
    const CLEAR: &str = "\x1b[2J\x1b[H";
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    loop {
        if terminal {
            say(CLEAR);
        }
        let code = status(socket, json);
        let waited = on_runtime(pause(EVERY));
        if code != exit::DONE || waited.is_err() {
            return code;
        }
    }
}

/// Has the daemon replaced, and waits until the new program answers.
pub(super) fn replace(socket: &Path) -> u8 {
    const LOOKS: u32 = 200;
    const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
    let since = |status: &Value| text(status, "since");
    let before = match on_runtime(client::get(socket, "/status")) {
        Ok(Ok(status)) => since(&status),
        Ok(Err(error)) => return fail(exit::FAILED, &chain(&error)),
        Err(error) => return fail(exit::FAILED, &error.to_string()),
    };
    // The old program ends without an answer when all goes well.
    let posted = on_runtime(client::post(socket, "/upgrade", &json!({})));
    if let Ok(Err(error @ client::ClientError::Refused { .. })) = posted {
        return fail(exit::FAILED, &chain(&error));
    }
    for _ in 0..LOOKS {
        if let Ok(Ok(status)) = on_runtime(client::get(socket, "/status"))
            && since(&status) != before
        {
            if status.get("wentBack").is_some_and(Value::is_string) {
                let why = text(&status, "wentBack");
                let said = "the new program did not come up; the old program goes on";
                return fail(exit::FAILED, &format!("{said}: {why}"));
            }
            say(&format!("upgraded, version {}", text(&status, "version")));
            return exit::DONE;
        }
        if let Err(error) = on_runtime(pause(LOOK)) {
            return fail(exit::FAILED, &error.to_string());
        }
    }
    fail(
        exit::FAILED,
        "the new program does not answer; its log may say why",
    )
}

/// Events until the daemon does not answer.
pub(super) fn events(socket: &Path, past: bool) -> u8 {
    let mut after = 0;
    loop {
        let body = json!({ "after": after });
        let answer = match on_runtime(client::post(socket, "/events", &body)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return fail(exit::FAILED, &chain(&error)),
            Err(error) => return fail(exit::FAILED, &error.to_string()),
        };
        let none = Vec::new();
        let events = answer.get("events").and_then(Value::as_array);
        for event in events.unwrap_or(&none) {
            say(&event.to_string());
            after = event.get("event").and_then(Value::as_u64).unwrap_or(after);
        }
        if past {
            return exit::DONE;
        }
    }
}

/// Prints what the daemon tells of each router: text as it is, everything else as JSON.
pub(super) fn told(of: &OfRouter, path: &str, key: &str, indent: &str) -> u8 {
    let body = json!({ "router": of.router });
    let answer = match on_runtime(client::post(&of.socket.socket, path, &body)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return fail(exit::FAILED, &chain(&error)),
        Err(error) => return fail(exit::FAILED, &error.to_string()),
    };
    let none = Vec::new();
    let routers = answer.get("routers").and_then(Value::as_array);
    for router in routers.unwrap_or(&none) {
        if !indent.is_empty() {
            say(&text(router, "name"));
        }
        let lines = router.get(key).and_then(Value::as_array);
        for line in lines.unwrap_or(&none) {
            match line.as_str() {
                Some(line) => say(&format!("{indent}{line}")),
                None => say(&format!("{indent}{line}")),
            }
        }
    }
    exit::DONE
}

pub(super) fn hand_over(socket: &Path, body: &Value) -> u8 {
    let none = Vec::new();
    match on_runtime(client::post(socket, "/yield", body)) {
        Ok(Ok(answer)) => {
            let all = answer.get("handovers").and_then(Value::as_array);
            let rows: Vec<_> = all
                .unwrap_or(&none)
                .iter()
                .map(|one| [text(one, "name"), text(one, "how"), text(one, "to")])
                .collect();
            say(table::render(["ROUTER", "HOW", "TO"], &rows).trim_end());
            exit::DONE
        }
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

/// A line per router, and a line for whatever needs a person.
fn readable(status: &Value) -> String {
    let none = Vec::new();
    let routers = status
        .get("routers")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    let rows: Vec<_> = routers
        .iter()
        .map(|router| {
            [
                text(router, "name"),
                text(router, "interface"),
                text(router, "vrid"),
                text(router, "state"),
                format!(
                    "{}/{}",
                    text(router, "priority"),
                    text(router, "configuredPriority")
                ),
                text(router, "reason"),
                text(router, "since"),
            ]
        })
        .collect();
    let head = [
        "ROUTER",
        "INTERFACE",
        "VRID",
        "STATE",
        "PRIORITY",
        "REASON",
        "SINCE",
    ];
    let mut page = table::render(head, &rows);
    for router in routers {
        for key in [
            "out",
            "waitsFor",
            "lacks",
            "failing",
            "alarm",
            "heldBackBy",
            "conflict",
            "unanswered",
            "foreign",
            "unsafe",
        ] {
            let value = router.get(key).filter(|value| !value.is_null());
            if value.is_some_and(|value| *value != json!({}) && *value != json!([])) {
                let (name, value) = (text(router, "name"), text(router, key));
                page.push_str(&format!("{name}: {key}: {value}\n"));
            }
        }
    }
    page.trim_end().to_owned()
}

fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// Begins inside the runtime, which a timer needs.
async fn pause(time: std::time::Duration) {
    tokio::time::sleep(time).await;
}
