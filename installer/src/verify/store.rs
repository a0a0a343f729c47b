//! What is made of what the members of etcd say.

use serde_json::Value;

use super::Verdict;
use crate::spec::{Cluster, Role};
use crate::status;

/// Whether all members take a write.
pub(super) fn writes(cluster: &Cluster, said: &Value) -> Option<Verdict> {
    let of = cluster.with(Role::Etcd).count();
    let members = said.as_array()?;
    let well = |one: &&Value| one.get("health").and_then(Value::as_bool) == Some(true);
    let good = members.iter().filter(well).count();
    let ill = members.iter().find(|one| !well(one));
    Some(match ill {
        None if good == of => Verdict::Good(format!("{good}/{of} take a write")),
        None => Verdict::Bad(format!("{good}/{of} take a write")),
        Some(ill) => {
            let endpoint = ill.get("endpoint").and_then(Value::as_str)?;
            let error = ill
                .get("error")
                .and_then(Value::as_str)
                .unwrap_or("unhealthy");
            Verdict::Bad(format!("{good}/{of} take a write; {endpoint}: {error}"))
        }
    })
}

/// Whether all that answer are of one cluster: two of them both take writes, and each is well to
/// itself.
pub(super) fn is_one(said: &Value) -> Option<Verdict> {
    let clusters = status::clusters(said)?;
    let parts = clusters.values().map(|members| members.join(" and "));
    let parts: Vec<_> = parts.collect();
    Some(match parts.as_slice() {
        [] => Verdict::Bad("none says what it is".to_owned()),
        [_] => Verdict::Good("all of one cluster".to_owned()),
        several => Verdict::Bad(format!(
            "of {} clusters, which know nothing of each other: {}",
            several.len(),
            several.join("; ")
        )),
    })
}
