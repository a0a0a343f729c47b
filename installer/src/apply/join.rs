//! What a host that is to become a node shows the API: a bootstrap token, made for this run,
//! and gone a day or two later.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;
use token::{DEFAULT_GROUP, Limits, NAMESPACE, PREFIX, Spec, TYPE, Token, Usage};

use crate::facts::hexadecimal;
use crate::layout;
use crate::plan::{Plan, Step};
use crate::render::{INVENTORY, documents, yaml};
use crate::resource::Shared;
use crate::spec::Cluster;

/// A token is the same all day, so that a run that was broken off goes on with it.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Whole days that a token is good for after the one it was made in.
const DAYS_AFTER: u32 = 1;

/// The token of the day, and what is written with it.
#[derive(Debug)]
pub(super) struct Join<'a> {
    cluster: &'a Cluster,
    authority: &'a str,
    token: Token,
    expires: SystemTime,
}

/// The key of the channel between vip-daemons, from a key that the masters alone have: every
/// run knows it, and none has to keep it.
pub(super) fn channel_key(key: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, b"sternpost channel of vip-daemons");
    format!("{}\n", hexadecimal(tag.as_ref()))
}

impl<'a> Join<'a> {
    /// The token of the day of `now` (UTC), from a key that the masters alone have; `authority`
    /// is the certificate that a node knows the cluster by.
    pub(super) fn new(
        cluster: &'a Cluster,
        authority: &'a str,
        key: &str,
        now: SystemTime,
    ) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let day = since.as_secs() / DAY.as_secs();
        let today = UNIX_EPOCH + Duration::from_secs(day * DAY.as_secs());
        Self {
            cluster,
            authority,
            token: Token::derived(key.as_bytes(), &format!("sternpost join {day}")),
            expires: today + DAY * (DAYS_AFTER + 1),
        }
    }

    /// The objects that make the token one, and tell its holder which cluster he joins.
    pub(super) fn objects(&self) -> String {
        let spec = Spec {
            token: self.token.clone(),
            expires: Some(self.expires),
            usages: BTreeSet::from(Usage::ALL),
            groups: BTreeSet::from([DEFAULT_GROUP.to_owned()]),
            description: "for the nodes that sternpost apply lets join".to_owned(),
            limits: Limits::default(),
        };
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": TYPE,
            "metadata": {
                "name": format!("{PREFIX}{}", self.token.id()),
                "namespace": NAMESPACE,
                "annotations": spec.annotations(),
            },
            "stringData": spec.data(),
        });
        let info = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cluster-info", "namespace": "kube-public"},
            "data": {"kubeconfig": yaml(&json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "", "cluster": self.cluster_entry(&self.cluster.server_from_elsewhere())}],
            }))},
        });
        documents(&[secret, info])
    }

    /// The kubeconfig that kubelet asks for its first certificate with. `server` is where it
    /// goes on to find the API.
    pub(super) fn kubeconfig(&self, server: &str) -> String {
        let name = &self.cluster.name;
        yaml(&json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {
                "server": server,
                "certificate-authority": layout::certificate("ca"),
            }}],
            "users": [{"name": "kubelet-bootstrap", "user": {"token": self.token.expose()}}],
            "contexts": [{
                "name": name,
                "context": {"cluster": name, "user": "kubelet-bootstrap"},
            }],
            "current-context": name,
        }))
    }

    fn cluster_entry(&self, server: &str) -> serde_json::Value {
        json!({
            "server": server,
            "certificate-authority-data": STANDARD.encode(self.authority),
        })
    }
}

/// Whether a master lets new nodes in as it is: it has the token of the day and knows of them, and
/// what reads that has read it.
#[must_use]
pub fn lets_in(plan: &Plan) -> bool {
    let read = ["sternpost-addons.service", "bootstrap-signer.service"];
    let token = Shared::Token.paths();
    !plan.steps.iter().any(|step| match step {
        Step::Share { paths } => token.iter().any(|(path, _)| paths.contains(path)),
        Step::Write { path, .. } => path == INVENTORY,
        Step::Start { unit, .. }
        | Step::Restart { unit, .. }
        | Step::Reload { unit, .. } => read.contains(&unit.as_str()),
        Step::Folder { .. }
        | Step::Keep { .. }
        | Step::Issue { .. }
        | Step::Install { .. }
        | Step::Enable { .. }
        | Step::Remove { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = include_str!("../../tests/spec/whole.yaml");

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_lasts_its_day_and_the_next() {
        let cluster = crate::spec::parse("cluster.yaml", SPEC).unwrap().cluster;
        let join = |seconds| Join::new(&cluster, "PEM", "key", at(seconds));
        let (midnight, noon) = (20_000 * 86_400, 20_000 * 86_400 + 43_200);
        for (seconds, same) in [
            (midnight - 1, false),
            (midnight, true),
            (midnight + 86_399, true),
            (midnight + 86_400, false),
        ] {
            let token = join(seconds).token;
            assert_eq!(token == join(noon).token, same, "{seconds}");
        }
        assert_eq!(join(noon).expires, at(midnight + 2 * 86_400));
        let other = Join::new(&cluster, "PEM", "another key", at(noon));
        assert_ne!(other.token, join(noon).token);
    }

    #[test]
    fn the_channel_s_key_is_the_cluster_s_own_and_long_enough() {
        let key = channel_key("key");
        assert_eq!(key, channel_key("key"));
        assert_ne!(key, channel_key("another key"));
        // 32 octets, and the end of the line.
        assert_eq!(key.len(), 65);
    }

    #[test]
    fn the_secret_is_a_token_and_the_kubeconfig_has_it() {
        let cluster = crate::spec::parse("cluster.yaml", SPEC).unwrap().cluster;
        let join = Join::new(&cluster, "PEM", "key", at(1_790_000_000));
        let objects = join.objects();
        for wanted in [
            "bootstrap.kubernetes.io/token",
            "usage-bootstrap-authentication: 'true'",
            "auth-extra-groups: system:bootstrappers:kubeadm:default-node-token",
            "name: cluster-info",
            &STANDARD.encode("PEM"),
        ] {
            let plain = objects.replace('"', "'");
            assert!(plain.contains(wanted), "no {wanted} in\n{objects}");
        }
        let kubeconfig = join.kubeconfig("https://192.0.2.1:6443");
        assert!(kubeconfig.contains(&join.token.expose()), "{kubeconfig}");
        assert!(!format!("{join:?}").contains(join.token.secret().expose()));
    }
}
