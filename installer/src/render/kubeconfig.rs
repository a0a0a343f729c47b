//! Kubeconfigs whose identity lies in files of its own: they hold no secret, and a renewed
//! certificate needs no new kubeconfig.

use serde_json::json;

use super::yaml::yaml;
use crate::layout;
use crate::resource::File;
use crate::spec::Cluster;

/// `/etc/kubernetes/NAME.conf`, for the identity in `NAME.crt` and `NAME.key` below the
/// folder of certificates.
pub(super) fn kubeconfig(cluster: &Cluster, server: &str, name: &str) -> File {
    let content = yaml(&json!({
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
                "client-certificate": layout::certificate(name),
                "client-key": layout::key(name),
            },
        }],
        "contexts": [{
            "name": cluster.name,
            "context": {"cluster": cluster.name, "user": name},
        }],
        "current-context": cluster.name,
    }));
    File::public(layout::kubeconfig(name), content)
}
