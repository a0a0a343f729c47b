//! Kubeconfigs whose identity lies in files of its own: they hold no secret, and a renewed
//! certificate needs no new kubeconfig.

use serde_json::json;

use super::yaml::yaml;
use crate::layout;
use crate::resource::{File, Owner};
use crate::spec::Cluster;

/// `/etc/kubernetes/NAME.conf`, for the identity in `NAME.crt` and `NAME.key` below the
/// folder of certificates.
pub(super) fn kubeconfig(cluster: &Cluster, server: &str, name: &str) -> File {
    let (certificate, key) = (layout::certificate(name), layout::key(name));
    let content = text(cluster, server, name, [&certificate, &key]);
    File::public(layout::kubeconfig(name), content)
}

/// The same for an identity that its owner renews, both in one file; with the rights that kubelet
/// gives it.
pub(super) fn renewed(cluster: &Cluster, server: &str, name: &str, pem: &str) -> File {
    File {
        path: layout::kubeconfig(name),
        mode: 0o600,
        owner: Owner::Root,
        content: text(cluster, server, name, [pem, pem]),
    }
}

fn text(
    cluster: &Cluster,
    server: &str,
    name: &str,
    [certificate, key]: [&str; 2],
) -> String {
    yaml(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": cluster.name,
            "cluster": {
                "server": server,
                "certificate-authority": layout::certificate("ca"),
            },
        }],
        "users": [{
            "name": name,
            "user": {
                "client-certificate": certificate,
                "client-key": key,
            },
        }],
        "contexts": [{
            "name": cluster.name,
            "context": {"cluster": cluster.name, "user": name},
        }],
        "current-context": cluster.name,
    }))
}
