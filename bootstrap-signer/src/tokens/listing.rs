//! Tokens as `token list` shows them: everything but their secrets.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::SystemTime;

use serde_json::{Value, json};
use token::Expiry;

use super::store::Listed;

pub(super) fn json(listed: &Listed, now: SystemTime) -> Value {
    let Listed { stored, notes, .. } = listed;
    let usages = stored.usages.iter().map(|usage| usage.name());
    json!({
        "id": stored.id,
        "secretName": listed.name,
        "expires": expires(stored.expiry),
        "expired": listed.is_over(now),
        "usages": usages.collect::<Vec<_>>(),
        "groups": stored.groups,
        "description": stored.description,
        "nodeNames": notes.get(token::NODE_NAMES),
        "maxNodes": notes.get(token::MAX_NODES),
        "oneShot": notes.get(token::ONE_SHOT),
        "usedBy": notes.get(token::USED_BY),
    })
}

fn expires(expiry: Expiry) -> String {
    match expiry {
        Expiry::Never => "never".to_owned(),
        Expiry::At(end) => token::rfc3339(end),
        Expiry::Unreadable => "unreadable".to_owned(),
    }
}

pub(super) fn table(tokens: &[Listed], now: SystemTime) -> String {
    let mut text = format!(
        "{:<8}{:<22}{:<24}{:<26}{}",
        "ID", "EXPIRES", "USAGES", "LIMITS", "DESCRIPTION"
    );
    for listed in tokens {
        let stored = &listed.stored;
        let over = if listed.is_over(now) { " (over)" } else { "" };
        let usages = stored.usages.iter().map(|usage| usage.name());
        let usages = usages.collect::<Vec<_>>().join(",");
        let _ = write!(
            text,
            "\n{:<8}{:<22}{:<24}{:<26}{}",
            stored.id.as_deref().unwrap_or("?"),
            format!("{}{over}", expires(stored.expiry)),
            usages,
            limits(listed).escape_debug().to_string(),
            stored.description.escape_debug(),
        );
    }
    text
}

/// `names=…,nodes=2/40,one-shot`, or a dash.
fn limits(listed: &Listed) -> String {
    let note = |key: &str| listed.notes.get(key);
    let uses = note(token::USED_BY).map(String::as_str).unwrap_or_default();
    let nodes = uses.split(',').filter_map(|each| each.split('/').next());
    let nodes: BTreeSet<&str> = nodes.filter(|node| !node.is_empty()).collect();
    let parts = [
        note(token::NODE_NAMES).map(|pattern| format!("names={pattern}")),
        note(token::MAX_NODES).map(|most| format!("nodes={}/{most}", nodes.len())),
        note(token::ONE_SHOT).map(|value| match value.as_str() {
            "true" if nodes.is_empty() => "one-shot".to_owned(),
            "true" => "one-shot, used".to_owned(),
            other => format!("one-shot={other}"),
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(","),
    }
}
