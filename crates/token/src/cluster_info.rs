//! The ConfigMap `kube-public/cluster-info`: a kubeconfig that anybody may read, signed by
//! every live token, so that its holder knows the cluster he is about to join.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::{Stored, detached};

/// The key of what is signed.
pub const KUBECONFIG: &str = "kubeconfig";
/// Keys of signatures begin so; the token's id follows.
pub const JWS_PREFIX: &str = "jws-kubeconfig-";

/// What is to be written into the data: a value, or `None` for a key that goes.
pub type Update = BTreeMap<String, Option<String>>;

/// What must change in `data` so that exactly the live tokens sign it at `now`: empty when
/// it is as it should be, and when there is nothing to sign.
#[must_use]
pub fn cluster_info<'a>(
    data: &BTreeMap<String, String>,
    tokens: impl IntoIterator<Item = &'a Stored>,
    now: SystemTime,
) -> Update {
    let mut update = Update::new();
    let Some(content) = data.get(KUBECONFIG) else {
        return update;
    };
    let live = tokens.into_iter().filter_map(|token| token.signs(now));
    let wanted: BTreeMap<String, String> = live
        .map(|(id, secret)| (format!("{JWS_PREFIX}{id}"), detached(id, secret, content)))
        .collect();
    for key in data.keys() {
        if key.starts_with(JWS_PREFIX) && !wanted.contains_key(key) {
            update.insert(key.clone(), None);
        }
    }
    for (key, signature) in wanted {
        if data.get(&key) != Some(&signature) {
            update.insert(key, Some(signature));
        }
    }
    update
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(id: &str, expiration: &str) -> Stored {
        let fields = [
            ("token-id", id),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-signing", "true"),
            ("expiration", expiration),
        ];
        let fields = fields.map(|(key, value)| (key, value.as_bytes()));
        Stored::read(&format!("bootstrap-token-{id}"), fields)
    }

    fn apply(data: &mut BTreeMap<String, String>, update: Update) {
        for (key, value) in update {
            match value {
                Some(value) => _ = data.insert(key, value),
                None => _ = data.remove(&key),
            }
        }
    }

    #[test]
    fn signatures_follow_tokens_and_content() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let later = now + Duration::from_secs(1);
        let tokens = [token("aaaaaa", ""), token("bbbbbb", "2026-01-01T00:00:01Z")];
        let text = |text: &str| text.to_owned();
        let mut data = BTreeMap::from([
            (text("other"), text("stays")),
            (
                text("jws-kubeconfig-cccccc"),
                text("of a token that is gone"),
            ),
        ]);
        assert!(
            cluster_info(&data, &tokens, now).is_empty(),
            "nothing to sign"
        );
        data.insert(text(KUBECONFIG), text("one"));
        let update = cluster_info(&data, &tokens, now);
        assert_eq!(update.len(), 3);
        assert_eq!(update["jws-kubeconfig-cccccc"], None);
        apply(&mut data, update);
        assert!(cluster_info(&data, &tokens, now).is_empty(), "written once");
        let before = data.clone();
        data.insert(text(KUBECONFIG), text("two"));
        let update = cluster_info(&data, &tokens, now);
        assert_eq!(update.len(), 2);
        apply(&mut data, update);
        assert_ne!(
            before["jws-kubeconfig-aaaaaa"],
            data["jws-kubeconfig-aaaaaa"]
        );
        let update = cluster_info(&data, &tokens, later);
        assert_eq!(
            update.into_iter().collect::<Vec<_>>(),
            [(text("jws-kubeconfig-bbbbbb"), None)]
        );
        assert_eq!(data["other"], "stays");
    }
}
