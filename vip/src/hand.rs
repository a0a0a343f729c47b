//! The command `yield`: gives the addresses away, to a node that was told first where
//! there is a channel. Fed by [`crate::status`]; decides nothing about routers.

use std::time::Duration;

use daemon::admin::CommandError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::channel::message::Name;
use crate::driver::Handed;
use crate::fleet::Fleet;

/// How long a node with a higher priority leaves its successor alone, when nobody says.
const HOLD: Duration = Duration::from_secs(600);

/// At most a day: who wants to stay out for longer wants `release`.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The body of `POST /yield`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    /// Which router; all of them when absent.
    router: Option<String>,
    /// Only to this node.
    to: Option<String>,
    /// How long a lower one is then left alone.
    hold: Option<config::Period>,
}

/// Hands over what this node holds.
///
/// # Errors
/// There is no such router or node, or the node that was named did not accept.
pub async fn over(fleet: &Fleet, body: Value) -> Result<Value, CommandError> {
    let body = if body.is_null() { json!({}) } else { body };
    let asked: Asked = serde_json::from_value(body)
        .map_err(|error| CommandError::Invalid(error.to_string()))?;
    let to = asked.to.as_deref().map(|to| node(fleet, to)).transpose()?;
    let hold = asked.hold.map_or(HOLD, |hold| hold.0).min(LONGEST);
    let mut members = fleet.members();
    if let Some(name) = &asked.router {
        members.retain(|member| member.router.name == *name);
        if members.is_empty() {
            return Err(CommandError::NotFound(format!("there is no router {name}")));
        }
    }
    let mut answers = Vec::new();
    for member in members {
        let router = &member.router.name;
        let (to, how) = match member.hand_over(to.clone(), hold).await {
            Some(Handed::To(node)) => (Some(node.to_string()), "handedOver"),
            Some(Handed::Released(declined)) => (None, declined.name()),
            Some(Handed::NotActive) | None => (None, "notActive"),
            Some(Handed::Kept(declined)) => {
                return Err(CommandError::Conflict(format!(
                    "{router}: {declined}; the addresses stay"
                )));
            }
        };
        answers.push(json!({ "name": router, "to": to, "how": how }));
    }
    Ok(json!({ "handovers": answers }))
}

fn node(fleet: &Fleet, to: &str) -> Result<Name, CommandError> {
    let Some(channel) = fleet.channel() else {
        let problem = "no channel is configured; leave --to out for priority 0";
        return Err(CommandError::Conflict(problem.to_owned()));
    };
    let known = channel.facts().peers;
    let name = Name::new(to).filter(|name| known.contains_key(name));
    name.ok_or_else(|| {
        let known: Vec<_> = known.keys().map(Name::as_str).collect();
        let known = known.join(", ");
        CommandError::NotFound(format!("no peer {to} was heard; heard: {known}"))
    })
}
