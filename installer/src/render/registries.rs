//! Registries, as containerd asks them: whom to trust, and who is asked before them. A folder for
//! each, which is read with every pull.

use serde::{Serialize, Serializer};

use crate::resource::{File, Resource};
use crate::spec::{Cluster, Mirror, is_loopback};

/// The folder that containerd's configuration names.
pub(super) const CERTS: &str = "/etc/containerd/certs.d";

/// `hosts.toml`. What stands at its head is said of `server`, and of the registry itself where
/// there is none.
#[derive(Serialize)]
struct Hosts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ca: &'a [String],
    #[serde(skip_serializing_if = "Before::is_empty")]
    host: Before<'a>,
}

/// Who is asked before it, in the order of the file.
struct Before<'a> {
    mirrors: &'a [Mirror],
    ca: &'a [String],
}

#[derive(Serialize)]
struct Host<'a> {
    capabilities: [&'static str; 2],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    override_path: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ca: &'a [String],
}

impl Before<'_> {
    fn is_empty(&self) -> bool {
        self.mirrors.is_empty()
    }
}

impl Serialize for Before<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let host = |mirror: &Mirror| Host {
            capabilities: ["pull", "resolve"],
            override_path: mirror.is_whole,
            ca: self.ca,
        };
        let all = self.mirrors.iter();
        serializer.collect_map(all.map(|mirror| (&mirror.url, host(mirror))))
    }
}

pub(super) fn resources(cluster: &Cluster) -> Vec<Resource> {
    let files = cluster.enclosed.trusted.iter();
    let place = |name: &str| format!("{CERTS}/_default/{name}");
    let mut all: Vec<_> = files
        .clone()
        .map(|file| File::public(place(&file.name), file.text.clone()).into())
        .collect();
    let ca: Vec<_> = files.map(|file| place(&file.name)).collect();
    // For all that have no folder of their own.
    if !ca.is_empty() {
        all.push(hosts("_default", None, &[], &ca));
    }
    for (registry, mirrors) in &cluster.mirrors {
        all.push(hosts(registry, server(registry), mirrors, &ca));
    }
    all
}

fn hosts(
    registry: &str,
    server: Option<String>,
    mirrors: &[Mirror],
    ca: &[String],
) -> Resource {
    let hosts = Hosts {
        server,
        ca,
        host: Before { mirrors, ca },
    };
    let text = toml::to_string(&hosts).unwrap_or_default();
    File::public(format!("{CERTS}/{registry}/hosts.toml"), text).into()
}

/// Where a registry is itself. Docker's has another name than its images say. Of one on the host
/// itself, which speaks TLS or does not, containerd has an order of its own: it is left with that.
fn server(registry: &str) -> Option<String> {
    match registry {
        "docker.io" => Some("https://registry-1.docker.io".to_owned()),
        _ if is_loopback(registry) => None,
        _ => Some(format!("https://{registry}")),
    }
}

#[cfg(test)]
mod tests {
    use toml::Value;

    use super::*;

    fn mirror(url: &str, is_whole: bool) -> Mirror {
        Mirror {
            url: url.to_owned(),
            is_whole,
        }
    }

    fn text(resource: Resource) -> (String, String) {
        let file = resource.file().unwrap();
        (file.path.clone(), file.content.clone())
    }

    /// containerd asks in the order of the lines.
    #[test]
    fn mirrors_are_asked_in_their_order_and_trusted_as_the_registry() {
        let mirrors = [
            mirror("https://z.example.org/v2/k8s", true),
            mirror("https://a.example.org", false),
        ];
        let ca = ["/etc/containerd/certs.d/_default/house.crt".to_owned()];
        let server = server("registry.k8s.io");
        let (path, said) = text(hosts("registry.k8s.io", server, &mirrors, &ca));
        assert_eq!(path, "/etc/containerd/certs.d/registry.k8s.io/hosts.toml");
        let heads: Vec<_> = said.lines().filter(|line| line.starts_with('[')).collect();
        let first = "[host.\"https://z.example.org/v2/k8s\"]";
        assert_eq!(heads, [first, "[host.\"https://a.example.org\"]"], "{said}");
        let read: Value = said.parse::<toml::Table>().unwrap().into();
        let trusted = Value::from(ca.to_vec());
        assert_eq!(read.get("server"), Some(&"https://registry.k8s.io".into()));
        assert_eq!(read.get("ca"), Some(&trusted));
        let both = Value::from(vec!["pull", "resolve"]);
        for Mirror { url, is_whole } in &mirrors {
            let host = read.get("host").and_then(|all| all.get(url)).unwrap();
            assert_eq!(host.get("capabilities"), Some(&both), "{url}");
            assert_eq!(host.get("ca"), Some(&trusted), "{url}");
            let path = host.get("override_path").and_then(Value::as_bool);
            assert_eq!(path.unwrap_or_default(), *is_whole, "{url}");
        }
    }

    /// containerd's hosts.md: the server is the registry itself where none is named, and one on the
    /// loopback address is asked without TLS.
    #[test]
    fn a_registry_on_the_host_itself_is_asked_as_containerd_does() {
        for (registry, wanted) in [
            ("localhost", None),
            ("localhost:5000", None),
            ("127.0.0.1:5000", None),
            ("127.1.2.3", None),
            (
                "localhost.example.org:5000",
                Some("https://localhost.example.org:5000"),
            ),
            ("192.0.2.1:5000", Some("https://192.0.2.1:5000")),
        ] {
            assert_eq!(server(registry).as_deref(), wanted, "{registry}");
        }
        let near = [mirror("https://a.example.org", false)];
        let (_, said) = text(hosts("localhost:5000", None, &near, &[]));
        assert!(!said.contains("server"), "{said}");
    }

    #[test]
    fn nothing_is_said_that_nobody_has_written() {
        let near = [mirror("https://a.example.org", false)];
        let (_, said) = text(hosts("docker.io", server("docker.io"), &near, &[]));
        assert!(said.contains("\"https://registry-1.docker.io\""), "{said}");
        assert!(!said.contains("ca ="), "{said}");
        let (_, said) = text(hosts("_default", None, &[], &["/a".to_owned()]));
        assert_eq!(said, "ca = [\"/a\"]\n");
    }
}
