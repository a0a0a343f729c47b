//! What can be asked of a master, or of a host with a member of etcd: each check is a question
//! to one of its programs, and what is made of the answer; a function of values.

use std::time::{Duration, SystemTime};

use daemon::rfc3339;
use serde_json::Value;

use super::{Verdict, store};
use crate::agent::Question;
use crate::render;
use crate::spec::{APISERVER_PORT, Cluster, Etcd, Host, Role};

/// A leader renews its lease every 2 s and loses it after 15 s: older is nobody's.
const LEASE: Duration = Duration::from_secs(15);
/// Characters of a time up to its seconds, RFC 3339 in UTC; as texts they have its order.
const SECONDS: usize = 19;
/// What tells nodes of the control plane apart.
const ROLE: &str = "node-role.kubernetes.io/control-plane";

/// Something that must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Every member of etcd takes a write, as a host with one sees them.
    Store,
    /// They are members of one cluster.
    OneStore,
    /// The etcd of others answers the API server of a host.
    Adopted {
        /// `https://…`
        server: String,
    },
    /// An API server is ready: the one of a host, or whichever an address leads to.
    Ready {
        /// In words.
        what: String,
        /// `https://…`
        server: String,
    },
    /// Every host that is to be a node is one, and ready.
    Nodes,
    /// Somebody leads.
    Leader(&'static str),
}

impl Check {
    /// Those of a host, what others rest on first; none of one that is a node alone.
    #[must_use]
    pub fn of(cluster: &Cluster, host: &Host) -> Vec<Self> {
        let url = |address| {
            let address = std::net::SocketAddr::new(address, APISERVER_PORT);
            format!("https://{address}")
        };
        let mut all = Vec::new();
        if host.is(Role::Etcd) {
            all.extend([Self::Store, Self::OneStore]);
        }
        if !host.is(Role::ControlPlane) {
            return all;
        }
        if cluster.etcd != Etcd::Hosts {
            let server = url(host.address());
            all.push(Self::Adopted { server });
        }
        all.extend(cluster.with(Role::ControlPlane).map(|host| Self::Ready {
            what: format!("API server of {}", host.name),
            server: url(host.address()),
        }));
        all.extend(cluster.endpoint.urls().into_iter().map(|server| {
            let by = server.trim_start_matches("https://");
            let what = format!("API through {by}");
            Self::Ready { what, server }
        }));
        let leaders = ["kube-controller-manager", "kube-scheduler"];
        all.extend(leaders.map(Self::Leader));
        all.push(Self::Nodes);
        all
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Store | Self::Adopted { .. } => "etcd".to_owned(),
            Self::OneStore => "members of etcd".to_owned(),
            Self::Ready { what, .. } => what.clone(),
            Self::Nodes => "nodes".to_owned(),
            Self::Leader(name) => format!("leader of {name}"),
        }
    }

    /// Whether it comes by itself, some time after hosts came up or one was lost: a leader when
    /// a lease has run out, a node when its network is there.
    #[must_use]
    pub fn comes_by_itself(&self) -> bool {
        match self {
            Self::Leader(_) | Self::Nodes => true,
            Self::Store | Self::OneStore | Self::Adopted { .. } | Self::Ready { .. } => {
                false
            }
        }
    }

    /// What its host is asked, or why that is not asked.
    ///
    /// # Errors
    /// With the reason.
    pub fn question(&self, cluster: &Cluster) -> Result<Question, &'static str> {
        let api = |server: Option<&String>, path: &str| Question::Api {
            server: server.cloned(),
            path: path.to_owned(),
        };
        let members = || cluster.with(Role::Etcd).map(render::store);
        match self {
            Self::Store => Ok(Question::Health(members().collect())),
            Self::OneStore => Ok(Question::Members(members().collect())),
            Self::Adopted { server } => Ok(api(Some(server), "/readyz/etcd")),
            Self::Ready { server, .. } => Ok(api(Some(server), "/readyz")),
            Self::Nodes if cluster.with(Role::Node).next().is_none() => {
                Err("no host is to be a node")
            }
            Self::Nodes => Ok(api(None, "/api/v1/nodes")),
            Self::Leader(name) => {
                let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
                Ok(api(None, &format!("{leases}/{name}")))
            }
        }
    }

    /// What the answer means at `now`.
    #[must_use]
    pub fn judge(&self, cluster: &Cluster, said: &Value, now: SystemTime) -> Verdict {
        let judged = match self {
            Self::Store => store::writes(cluster, said),
            Self::OneStore => store::is_one(said),
            Self::Adopted { .. } => (said == "ok")
                .then(|| Verdict::Good("it answers the API server".to_owned())),
            Self::Ready { .. } => {
                (said == "ok").then(|| Verdict::Good("ready".to_owned()))
            }
            Self::Nodes => nodes(cluster, said),
            Self::Leader(_) => leader(said, now),
        };
        judged.unwrap_or_else(|| Verdict::Bad("an answer of another form".to_owned()))
    }
}

/// What makes the node of `host` what its description says, where it is something else. What
/// it has besides is somebody's.
fn lacks(host: &Host, node: &Value) -> Option<String> {
    let name = &host.name;
    let has = |key: &str, value: &str| {
        let labels = node.pointer("/metadata/labels");
        labels.and_then(|all| all.get(key)?.as_str()) == Some(value)
    };
    let missing = host.labels.iter().find(|(key, value)| !has(key, value));
    if let Some((key, value)) = missing {
        return Some(format!(
            "kubectl label --overwrite node {name} {key}={value}"
        ));
    }
    if host.is(Role::ControlPlane) && !has(ROLE, "") {
        return Some(format!("kubectl label --overwrite node {name} {ROLE}="));
    }
    let there = node.pointer("/spec/taints").and_then(Value::as_array);
    let is = |wanted: &str| {
        let mut all = there.into_iter().flatten();
        all.any(|one| {
            let part = |key| one.get(key).and_then(Value::as_str).unwrap_or_default();
            let bare = format!("{}:{}", part("key"), part("effect"));
            let whole = format!("{}={}:{}", part("key"), part("value"), part("effect"));
            wanted == whole || (wanted == bare && part("value").is_empty())
        })
    };
    let missing = host.taints.iter().find(|taint| !is(taint))?;
    Some(format!("kubectl taint --overwrite node {name} {missing}"))
}

fn nodes(cluster: &Cluster, said: &Value) -> Option<Verdict> {
    let items = said.get("items")?.as_array()?;
    let node = |host: &Host| {
        let name = |one: &&Value| {
            one.pointer("/metadata/name") == Some(&Value::from(&*host.name))
        };
        items.iter().find(name)
    };
    let ready = |host: &Host| {
        let node = node(host)?;
        let conditions = node.pointer("/status/conditions")?.as_array()?;
        let ready = |one: &&Value| one.get("type") == Some(&Value::from("Ready"));
        let status = conditions.iter().find(ready)?.get("status")?;
        (status == "True").then_some(())
    };
    let all: Vec<_> = cluster.with(Role::Node).collect();
    let bad = all.iter().filter(|host| ready(host).is_none());
    let bad: Vec<_> = bad.map(|host| host.name.as_str()).collect();
    if !bad.is_empty() {
        return Some(Verdict::Bad(format!("not ready: {}", bad.join(", "))));
    }
    let lacking = all.iter().find_map(|host| lacks(host, node(host)?));
    Some(match lacking {
        None => Verdict::Good(format!("{} ready", all.len())),
        Some(way_out) => Verdict::Bad(format!(
            "{} ready, and not all are as described: {way_out}",
            all.len()
        )),
    })
}

fn leader(said: &Value, now: SystemTime) -> Option<Verdict> {
    let holder = said.pointer("/spec/holderIdentity")?.as_str()?;
    let renewed = said.pointer("/spec/renewTime")?.as_str()?.get(..SECONDS)?;
    let oldest = rfc3339(now.checked_sub(LEASE)?);
    let name = holder.split('_').next().unwrap_or(holder);
    Some(
        match (holder.is_empty(), renewed >= oldest.get(..SECONDS)?) {
            (true, _) => Verdict::Bad("nobody".to_owned()),
            (false, true) => Verdict::Good(name.to_owned()),
            (false, false) => {
                Verdict::Bad(format!("{name} has not renewed since {renewed}Z"))
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;

    #[test]
    fn each_answer_has_its_verdict() {
        let text = include_str!("../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let member = |health: bool| json!({"endpoint": "https://a", "health": health, "error": "slow"});
        let status = |cluster: u64| json!({"Endpoint": "https://a", "Status": {"header": {"cluster_id": cluster}}});
        let lease = |who: &str, age: u64| {
            let renewed = rfc3339(now - Duration::from_secs(age));
            json!({"spec": {"holderIdentity": who, "renewTime": renewed}})
        };
        let node = |status: &str| {
            let nodes = cluster.with(Role::Node).map(|host| {
                json!({"metadata": {"name": host.name},
                    "status": {"conditions": [{"type": "Ready", "status": status}]}})
            });
            json!({"items": nodes.collect::<Vec<_>>()})
        };
        let ready = || Check::Ready {
            what: "x".to_owned(),
            server: "https://x".to_owned(),
        };
        let adopted = || Check::Adopted {
            server: "https://x".to_owned(),
        };
        let leader = || Check::Leader("kube-scheduler");
        for (check, said, good) in [
            (
                Check::Store,
                json!([member(true), member(true), member(true)]),
                true,
            ),
            (Check::Store, json!([member(true), member(true)]), false),
            (
                Check::Store,
                json!([member(true), member(false), member(true)]),
                false,
            ),
            (Check::Store, json!({}), false),
            (Check::OneStore, json!([status(7), status(7)]), true),
            (
                Check::OneStore,
                json!([status(7), status(8), status(7)]),
                false,
            ),
            (Check::OneStore, json!([]), false),
            (Check::OneStore, json!([{"Endpoint": "https://a"}]), false),
            (adopted(), json!("ok"), true),
            (adopted(), json!("[-]etcd failed: reason withheld"), false),
            (ready(), json!("ok"), true),
            (ready(), json!("[-]etcd failed"), false),
            (leader(), lease("m1_5", 15), true),
            (leader(), lease("m1_5", 16), false),
            (leader(), lease("", 0), false),
            (leader(), json!({}), false),
            (Check::Nodes, node("True"), true),
            (Check::Nodes, node("Unknown"), false),
            (Check::Nodes, json!({"items": []}), false),
        ] {
            let verdict = check.judge(&cluster, &said, now);
            assert_eq!(
                matches!(verdict, Verdict::Good(_)),
                good,
                "{verdict:?} of {said}"
            );
        }
    }

    #[test]
    fn what_a_node_lacks_of_its_description_is_named() {
        let text = "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
            balancer: {mode: none}\nhosts:\n\
            - name: m1\n  addresses: [192.0.2.1]\n  roles: [etcd, controlPlane, node]\n  \
            labels: {disk: ssd}\n  taints: [\"gpu=a:NoExecute\", \"b:NoSchedule\"]\n";
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let whole = json!({
            "metadata": {"name": "m1", "labels": {"disk": "ssd", ROLE: "", "more": "x"}},
            "spec": {"taints": [
                {"key": "c", "effect": "NoSchedule"},
                {"key": "gpu", "value": "a", "effect": "NoExecute"},
                {"key": "b", "effect": "NoSchedule"},
            ]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        for (path, wanted) in [
            (None, None),
            (
                Some("/metadata/labels/disk"),
                Some("kubectl label --overwrite node m1 disk=ssd"),
            ),
            (
                Some("/metadata/labels/node-role.kubernetes.io~1control-plane"),
                Some(
                    "kubectl label --overwrite node m1 node-role.kubernetes.io/control-plane=",
                ),
            ),
            (
                Some("/spec/taints/1/value"),
                Some("kubectl taint --overwrite node m1 gpu=a:NoExecute"),
            ),
            (
                Some("/spec/taints/2/effect"),
                Some("kubectl taint --overwrite node m1 b:NoSchedule"),
            ),
        ] {
            let mut node = whole.clone();
            if let Some(path) = path {
                *node.pointer_mut(path).unwrap() = json!("another");
            }
            let said = match nodes(&cluster, &json!({"items": [node]})).unwrap() {
                Verdict::Good(_) => None,
                Verdict::Bad(said) => Some(said),
                Verdict::Skipped(why) => panic!("{why}"),
            };
            let way_out = said.as_deref().and_then(|said| said.rsplit(": ").next());
            assert_eq!(way_out, wanted, "{path:?}: {said:?}");
        }
    }

    /// Whoever has a member is asked for all of them, wherever it is; of an etcd of others the
    /// API servers are asked.
    #[test]
    fn every_etcd_is_asked_for_by_somebody() {
        let cluster = |text| crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let apart = cluster(
            "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
             balancer: {mode: none}\nhosts:\n\
             - {name: e1, addresses: [192.0.2.1], roles: [etcd]}\n\
             - {name: m1, addresses: [192.0.2.2], roles: [controlPlane]}\n\
             - {name: n1, addresses: [192.0.2.3], roles: [node]}\n",
        );
        let checks: Vec<_> = apart
            .hosts
            .iter()
            .map(|host| Check::of(&apart, host))
            .collect();
        assert_eq!(checks[0], [Check::Store, Check::OneStore]);
        let member = "https://192.0.2.1:2379".to_owned();
        let asked = checks[0][0].question(&apart);
        assert_eq!(asked, Ok(Question::Health(vec![member])));
        let named = |checks: &[Check]| checks.iter().any(|one| one.name() == "etcd");
        assert!(!named(&checks[1]) && checks[1].len() > 3);
        assert!(checks[2].is_empty());
        let external = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spec/external.yaml");
        let external = crate::spec::read(external.as_ref()).unwrap().cluster;
        let checks = Check::of(&external, &external.hosts[0]);
        let server = "https://192.0.2.21:6443".to_owned();
        let path = "/readyz/etcd".to_owned();
        let asked = checks[0].question(&external);
        let server = Some(server);
        assert_eq!(asked, Ok(Question::Api { server, path }));
    }
}
