//! What is read of the programs' own answers; what else they say is left alone.

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

pub(super) fn servers(value: &Value) -> Option<Vec<Server>> {
    let backends = value.get("backends")?.as_array()?;
    let mut all = Vec::new();
    for backend in backends {
        all.extend(Vec::<Server>::deserialize(backend.get("servers")?).ok()?);
    }
    Some(all)
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
