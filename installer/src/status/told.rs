//! What is read of the programs' own answers; what else they say is left alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Member;

/// The state of a server that serves.
pub(super) const UP: &str = "up";

/// A virtual router of vip-daemon.
#[derive(Deserialize)]
pub(super) struct Router {
    pub(super) name: String,
    pub(super) holding: bool,
}

/// A server of api-lb.
#[derive(Deserialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) state: String,
}

pub(super) fn routers(value: &Value) -> Option<Vec<Router>> {
    Vec::deserialize(value.get("routers")?).ok()
}

/// Whether a vip-daemon says that it holds an address.
pub fn holds(value: &Value) -> bool {
    routers(value).is_some_and(|all| all.iter().any(|router| router.holding))
}

pub(super) fn servers(value: &Value) -> Option<Vec<Server>> {
    let backends = value.get("backends")?.as_array()?;
    let mut all = Vec::new();
    for backend in backends {
        all.extend(Vec::<Server>::deserialize(backend.get("servers")?).ok()?);
    }
    Some(all)
}

/// The servers that an api-lb does not count as up, each with what it is to it.
#[must_use]
pub fn down(said: &Value) -> Option<BTreeMap<String, String>> {
    let all = servers(said)?.into_iter();
    let down = all.filter(|server| server.state != UP);
    Some(down.map(|server| (server.name, server.state)).collect())
}

/// The one member of an answer of `etcdctl endpoint status`. Fields that are 0 or false are
/// left out of it.
pub(super) fn member(value: &Value) -> Option<Member> {
    let [one] = value.as_array()?.as_slice() else {
        return None;
    };
    let status = one.get("Status")?;
    let id = status.pointer("/header/member_id")?.as_u64()?;
    let leader = status.get("leader").and_then(Value::as_u64).unwrap_or(0);
    let learner = status.get("isLearner").and_then(Value::as_bool);
    Some(match (leader, learner.unwrap_or(false)) {
        (0, _) => Member::Leaderless,
        (_, true) => Member::Learner,
        (leader, false) if leader == id => Member::Leader,
        (_, false) => Member::Follower,
    })
}

/// The endpoints of such an answer, by the clusters that their members are of.
#[must_use]
pub fn clusters(value: &Value) -> Option<BTreeMap<u64, Vec<String>>> {
    let mut all: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for one in value.as_array()? {
        let endpoint = one.get("Endpoint")?.as_str()?.to_owned();
        let cluster = one.pointer("/Status/header/cluster_id")?.as_u64()?;
        all.entry(cluster).or_default().push(endpoint);
    }
    Some(all)
}

/// Whether a node takes Pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    Yes,
    /// It does not, with what is said about that.
    No(String),
}

/// The nodes of an answer of the API.
pub(super) fn nodes(value: &Value) -> Option<BTreeMap<String, Ready>> {
    let items = value.get("items")?.as_array()?;
    let node = |one: &Value| {
        let name = one.pointer("/metadata/name")?.as_str()?;
        Some((name.to_owned(), ready(one)))
    };
    items.iter().map(node).collect()
}

fn ready(node: &Value) -> Ready {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let text = |one: &Value, key: &str| one.get(key)?.as_str().map(str::to_owned);
    let kind = |one: &&Value| text(one, "type").as_deref() == Some("Ready");
    let Some(condition) = conditions.find(kind) else {
        return Ready::No("its kubelet has said nothing yet".to_owned());
    };
    match text(condition, "status").as_deref() {
        Some("True") => Ready::Yes,
        Some(_) | None => {
            let why = text(condition, "message").or_else(|| text(condition, "reason"));
            Ready::No(why.unwrap_or_else(|| "nobody says why".to_owned()))
        }
    }
}
