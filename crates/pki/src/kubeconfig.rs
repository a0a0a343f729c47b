//! The file a client of Kubernetes reads: where the server is, whom to trust, who it is.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use crate::Issued;

/// A kubeconfig for one cluster and one user, with certificates and key embedded.
/// `Debug` does not show the key.
#[derive(Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kubeconfig {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    clusters: [Named<ClusterEntry>; 1],
    users: [Named<UserEntry>; 1],
    contexts: [Named<ContextEntry>; 1],
    current_context: String,
}

#[derive(Clone, Serialize)]
struct Named<T> {
    name: String,
    #[serde(flatten)]
    entry: T,
}

#[derive(Clone, Serialize)]
struct ClusterEntry {
    cluster: Cluster,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: String,
}

#[derive(Clone, Serialize)]
struct UserEntry {
    user: User,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: String,
    client_key_data: String,
}

#[derive(Clone, Serialize)]
struct ContextEntry {
    context: Context,
}

#[derive(Clone, Serialize)]
struct Context {
    cluster: String,
    user: String,
}

impl Kubeconfig {
    /// For `user` at `server` (such as `https://192.168.220.224:6443`), trusting `ca_pem`.
    /// The entry of the user is called by the cluster as well: in a file of several clusters
    /// each has an administrator of its own.
    #[must_use]
    pub fn new(
        cluster: &str,
        server: &str,
        ca_pem: &str,
        user: &str,
        identity: &Issued,
    ) -> Self {
        let context = format!("{user}@{cluster}");
        Self {
            api_version: "v1",
            kind: "Config",
            clusters: [named(
                cluster,
                ClusterEntry {
                    cluster: trusting(server, ca_pem),
                },
            )],
            users: [named(
                &context,
                UserEntry {
                    user: identified_by(identity),
                },
            )],
            contexts: [named(
                &context,
                ContextEntry {
                    context: joining(cluster, &context),
                },
            )],
            current_context: context,
        }
    }

    /// As YAML, keys sorted as kubectl sorts them. It holds the key: mode 0600.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        // Serialising plain strings and lists of them cannot fail.
        let value = serde_json::to_value(self).unwrap_or_default();
        render(&value, 0, &mut text);
        text
    }
}

impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kubeconfig({})", self.current_context)
    }
}

fn named<T>(name: &str, entry: T) -> Named<T> {
    Named {
        name: name.to_owned(),
        entry,
    }
}

fn trusting(server: &str, ca_pem: &str) -> Cluster {
    Cluster {
        server: server.to_owned(),
        certificate_authority_data: STANDARD.encode(ca_pem),
    }
}

fn identified_by(identity: &Issued) -> User {
    User {
        client_certificate_data: STANDARD.encode(&identity.certificate_pem),
        client_key_data: STANDARD.encode(identity.key_pem.expose()),
    }
}

fn joining(cluster: &str, user: &str) -> Context {
    Context {
        cluster: cluster.to_owned(),
        user: user.to_owned(),
    }
}

/// Block style, two spaces a level, every string in double quotes as JSON writes them,
/// which YAML reads the same.
fn render(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let below = value.is_object() || value.is_array();
                let parting = if below { "\n" } else { " " };
                text.push_str(&format!("{indent}{key}:{parting}"));
                render(value, depth + usize::from(value.is_object()), text);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut block = String::new();
                render(item, depth + 1, &mut block);
                text.push_str(&format!("{indent}- {}", block.trim_start()));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&format!("{value}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Authority, Profile};

    fn identity() -> Issued {
        let authority = Authority::new("ca", SystemTime::UNIX_EPOCH).unwrap();
        let profile = Profile::client("admin", &[]);
        authority.issue(&profile, SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn yaml_in_full() {
        let identity = identity();
        let kubeconfig =
            Kubeconfig::new("k8s", "https://[fd00::1]:6443", "CA\n", "me", &identity);
        let expected = format!(
            r#"apiVersion: "v1"
clusters:
- cluster:
    certificate-authority-data: "Q0EK"
    server: "https://[fd00::1]:6443"
  name: "k8s"
contexts:
- context:
    cluster: "k8s"
    user: "me@k8s"
  name: "me@k8s"
current-context: "me@k8s"
kind: "Config"
users:
- name: "me@k8s"
  user:
    client-certificate-data: "{}"
    client-key-data: "{}"
"#,
            STANDARD.encode(&identity.certificate_pem),
            STANDARD.encode(identity.key_pem.expose()),
        );
        assert_eq!(kubeconfig.to_yaml(), expected);
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let kubeconfig = Kubeconfig::new("k8s", "https://x", "CA", "me", &identity());
        assert_eq!(format!("{kubeconfig:?}"), "Kubeconfig(me@k8s)");
    }
}
