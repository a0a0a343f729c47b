//! What is laid down for the check of a cluster's Pods: a namespace, in it a Pod on every
//! node, and a Service before them with a port on every node.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use daemon::rfc3339;
use serde_json::{Value, json};

use crate::pod;

/// What all of it is labelled with, by which the next run finds what a broken one has left.
const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "sternpost-verify");
/// The DaemonSet, its container and the Service.
const NAME: &str = "check";
/// The port of the Service.
pub(super) const SERVICE_PORT: u16 = 80;
/// nobody, on every system.
const USER: u32 = 65534;
pub(super) const NAMESPACES: &str = "/api/v1/namespaces";

/// What the namespace of a run begins with; the milliseconds since 1970 follow, when it began.
const SPACE: &str = "sternpost-verify-";
/// What the image of a run begins with; its namespace follows.
const IMAGE: &str = "sternpost.invalid/check:";

/// A check's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Workload {
    /// The namespace of this run.
    pub(super) namespace: String,
}

impl Workload {
    /// That of a run that begins at `now`.
    pub(super) fn begun(now: SystemTime) -> Self {
        Self {
            namespace: format!("{SPACE}{:x}", milliseconds(now)),
        }
    }

    /// The image of its Pods: of this run alone, so that the end of one takes nothing from
    /// another. The name can be no registry's (RFC 2606).
    pub(super) fn image(&self) -> String {
        format!("{IMAGE}{}", self.namespace)
    }

    /// Each object with the path of its list, in the order in which they are made: the
    /// Service first, so that DNS knows it when the first Pod asks.
    pub(super) fn objects(&self) -> [(String, Value); 3] {
        let namespace = &self.namespace;
        let (label, value) = LABEL;
        let labels = json!({label: value});
        let within = json!({"name": NAME, "namespace": namespace, "labels": labels});
        let space = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {
                label: value,
                // Its Pods ask for nothing that the strictest refuse.
                "pod-security.kubernetes.io/enforce": "restricted",
            }},
        });
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": within,
            "spec": {
                "type": "NodePort",
                "ipFamilyPolicy": "PreferDualStack",
                "selector": labels,
                "ports": [{"port": SERVICE_PORT, "targetPort": pod::PORT}],
            },
        });
        let set = json!({
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": within,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": self.pod()},
            },
        });
        [
            (NAMESPACES.to_owned(), space),
            (format!("{NAMESPACES}/{namespace}/services"), service),
            (
                format!("/apis/apps/v1/namespaces/{namespace}/daemonsets"),
                set,
            ),
        ]
    }

    fn pod(&self) -> Value {
        json!({
            // Every node is looked at, whatever it is kept free for.
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            // It holds nothing that would have to be put away.
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": NAME,
                "image": self.image(),
                // It is there, or nowhere.
                "imagePullPolicy": "Never",
                "ports": [{"containerPort": pod::PORT}],
                "readinessProbe": {
                    "httpGet": {"path": "/", "port": pod::PORT},
                    "periodSeconds": 1,
                },
                "resources": {
                    "requests": {"cpu": "10m", "memory": "16Mi"},
                    "limits": {"memory": "64Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        })
    }

    /// The namespace itself.
    pub(super) fn path(&self) -> String {
        format!("{NAMESPACES}/{}", self.namespace)
    }

    /// Its Pods.
    pub(super) fn pods(&self) -> String {
        format!("{}/pods", self.path())
    }

    /// Its Service.
    pub(super) fn service(&self) -> String {
        format!("{}/services/{NAME}", self.path())
    }

    /// The Service's name for whoever asks DNS.
    pub(super) fn name(&self, domain: &str) -> String {
        format!("{NAME}.{}.svc.{domain}", self.namespace)
    }
}

/// Where the API shows what runs like this one have made.
pub(super) fn earlier() -> String {
    let (label, value) = LABEL;
    // The only sign in it that would not be taken as it is in a query (RFC 3986).
    let label = label.replace('/', "%2F");
    format!("{NAMESPACES}?labelSelector={label}%3D{value}")
}

/// The namespaces that a run has left which ended before it took them away: those made
/// before `oldest`.
pub(super) fn left(list: &Value, oldest: SystemTime) -> Vec<String> {
    let oldest = rfc3339(oldest);
    let name = |one: &Value| {
        let made = one.pointer("/metadata/creationTimestamp")?.as_str()?;
        let name = one.pointer("/metadata/name")?.as_str()?;
        // As texts, times in UTC with the same places have their order.
        let long_ago = made.get(..SECONDS)? < oldest.get(..SECONDS)?;
        long_ago.then(|| name.to_owned())
    };
    let items = list.get("items").and_then(Value::as_array);
    items.into_iter().flatten().filter_map(name).collect()
}

/// Images that such a run has left, of those that a node has, by their names.
pub(super) fn left_images(names: &str, oldest: SystemTime) -> Vec<String> {
    let old = |name: &&str| {
        let number = name
            .strip_prefix(IMAGE)
            .and_then(|run| run.strip_prefix(SPACE));
        let begun = number.and_then(|number| u128::from_str_radix(number, 16).ok());
        begun.is_some_and(|begun| begun < milliseconds(oldest))
    };
    names.lines().filter(old).map(str::to_owned).collect()
}

fn milliseconds(time: SystemTime) -> u128 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis()
}

/// Characters of a time up to its seconds (RFC 3339).
const SECONDS: usize = 19;

/// The Service's addresses, and its port on every node.
pub(super) fn service(object: &Value) -> Option<(Vec<IpAddr>, u16)> {
    let all = object.pointer("/spec/clusterIPs")?.as_array()?;
    let addresses = all.iter().map(|one| one.as_str()?.parse().ok());
    let port = object.pointer("/spec/ports/0/nodePort")?.as_u64()?;
    Some((addresses.collect::<Option<_>>()?, u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn workload() -> Workload {
        Workload {
            namespace: "sternpost-verify-1".to_owned(),
        }
    }

    /// Every object lies where its path says, and is found again by its label.
    #[test]
    fn objects_fit_together() {
        let objects = workload().objects();
        let (label, value) = LABEL;
        for (path, object) in &objects {
            let labels = object.pointer("/metadata/labels").unwrap();
            assert_eq!(labels.get(label).unwrap(), value);
            let inside = object.pointer("/metadata/namespace");
            assert_eq!(
                inside.is_some(),
                path.contains("sternpost-verify-1"),
                "{path}"
            );
        }
        let [_, (_, service), (_, set)] = &objects;
        let chosen = service.pointer("/spec/selector").unwrap();
        assert_eq!(chosen, set.pointer("/spec/selector/matchLabels").unwrap());
        assert_eq!(
            chosen,
            set.pointer("/spec/template/metadata/labels").unwrap()
        );
        let container = set.pointer("/spec/template/spec/containers/0").unwrap();
        assert_eq!(container.get("image").unwrap(), &workload().image());
        let wanted = "/api/v1/namespaces?labelSelector=app.kubernetes.io%2Fmanaged-by%3D\
                      sternpost-verify";
        assert_eq!(earlier(), wanted);
    }

    /// What Pod Security asks of a restricted Pod.
    #[test]
    fn its_pods_are_let_in_by_the_strictest() {
        let pod = workload().pod();
        for (path, wanted) in [
            ("/securityContext/runAsNonRoot", json!(true)),
            (
                "/securityContext/seccompProfile/type",
                json!("RuntimeDefault"),
            ),
            (
                "/containers/0/securityContext/allowPrivilegeEscalation",
                json!(false),
            ),
            (
                "/containers/0/securityContext/capabilities/drop",
                json!(["ALL"]),
            ),
        ] {
            assert_eq!(pod.pointer(path), Some(&wanted), "{path}");
        }
    }

    #[test]
    fn only_what_is_old_was_left() {
        let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let made = |name: &str, at: SystemTime| json!({"metadata": {"name": name, "creationTimestamp": rfc3339(at)}});
        let list = json!({"items": [
            made("old", now - Duration::from_secs(1)),
            made("young", now),
        ]});
        assert_eq!(left(&list, now), ["old"]);
        let image = |at: SystemTime| Workload::begun(at).image();
        let (old, young) = (image(now - Duration::from_millis(1)), image(now));
        let others = "docker.io/library/nginx:1\nsternpost.invalid/check:mine\n";
        let names = format!("{old}\n{young}\n{others}");
        assert_eq!(left_images(&names, now), [old]);
        assert!(left(&json!({}), now).is_empty());
    }

    #[test]
    fn a_service_has_addresses_and_a_port() {
        let object = json!({"spec": {"clusterIPs": ["10.96.0.7", "fd00::7"],
            "ports": [{"port": 80, "nodePort": 30123}]}});
        let (addresses, port) = service(&object).unwrap();
        assert_eq!((addresses.len(), port), (2, 30123));
        assert_eq!(service(&json!({"spec": {"clusterIPs": ["None"]}})), None);
    }
}
