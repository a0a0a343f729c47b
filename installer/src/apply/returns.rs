//! Hosts that come in without a certificate while the API knows their name: whether the Node that
//! stands is theirs, and what became of what their kubelet has asked for.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use thiserror::Error;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use crate::spec::{Host, Role};

/// Where the requests for the first certificates of kubelets are.
pub const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests\
     ?fieldSelector=spec.signerName%3Dkubernetes.io/kube-apiserver-client-kubelet";
/// How those begin whom a bootstrap token speaks for.
const BOOTSTRAPS: &str = "system:bootstrap:";
/// How the user of a node is called.
const NODE: &str = "system:node:";

/// A Node, by what the API says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    ready: bool,
    addresses: Vec<IpAddr>,
}

/// What is asked for by whoever says that a host is the node of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// The Node is to stay.
    Stays,
    /// It goes, and the host comes in as a new one.
    Goes,
}

/// What is on a host of the node that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: it was installed anew, or reset.
    Nothing,
    /// Its kubelet, and with it what Pods have: their addresses are from the network of a Node that
    /// goes, and a new one gets another.
    Pods,
}

/// Why a host without a certificate is not begun.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Taken {
    /// It may be the one.
    #[error(
        "not begun: it has no certificate of this cluster that holds, and the Node {name} stands \
         ({how}): no token is given a name that is taken. If this host was {name}: {first}apply \
         with --replace {name}, which deletes the Node first, as \"kubectl delete node {name}\" does"
    )]
    Stands {
        /// Whose name it is.
        name: String,
        /// How the Node is.
        how: &'static str,
        /// What is to be done before.
        first: String,
    },
    /// It is not.
    #[error(
        "not begun: the Node {name} is ready at {at}, which are none of this host's addresses: \
         another machine runs as {name}. End its kubelet first, or give this host another name"
    )]
    Elsewhere {
        /// Whose name it is.
        name: String,
        /// The addresses that the Node has.
        at: String,
    },
}

impl Standing {
    /// Where the API says whether there is a Node of that name.
    #[must_use]
    pub fn path(name: &str) -> String {
        format!("/api/v1/nodes?fieldSelector=metadata.name%3D{name}")
    }

    /// The Node of an answer at [`Standing::path`]; nothing when there is none.
    #[must_use]
    pub fn listed(list: &Value, name: &str) -> Option<Self> {
        let mut items = list.get("items")?.as_array()?.iter();
        let named = |one: &&Value| text(one, "/metadata/name") == Some(name);
        let node = items.find(named)?;
        let addresses = all(node, "/status/addresses");
        let addresses = addresses.filter_map(|one| text(one, "/address")?.parse().ok());
        Some(Self {
            ready: is(node, "Ready"),
            addresses: addresses.collect(),
        })
    }

    /// Nothing when the Node may go.
    ///
    /// # Errors
    /// With why the host is not begun.
    pub fn gives_way(&self, host: &Host, stale: Stale, left: Left) -> Result<(), Taken> {
        let name = host.name.clone();
        let here = self.addresses.iter().any(|at| host.addresses.contains(at));
        // What was reset or installed anew a moment ago is taken for ready still.
        if self.ready && !here {
            let at: Vec<_> = self.addresses.iter().map(IpAddr::to_string).collect();
            let at = at.join(", ");
            return Err(Taken::Elsewhere { name, at });
        }
        let how = if self.ready { "ready" } else { "not ready" };
        match (stale, left) {
            (Stale::Goes, Left::Nothing) => Ok(()),
            (Stale::Stays, _) | (Stale::Goes, Left::Pods) => Err(Taken::Stands {
                first: before(host, left),
                name,
                how,
            }),
        }
    }
}

/// What a host is to give up before it comes in as a new node. One with a member of etcd keeps that.
fn before(host: &Host, left: Left) -> String {
    match left {
        Left::Nothing => String::new(),
        Left::Pods if host.is(Role::Etcd) => {
            "apply without its role node, whose Pods a new Node has other addresses for, give it \
             back, and "
                .to_owned()
        }
        Left::Pods => format!(
            "\"sternpost reset --host {}\", since a new Node has other addresses for the Pods \
             that it ran, then ",
            host.name
        ),
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nobody has decided yet.
    Waits,
    /// It was approved.
    Approved,
    /// It was denied, for this reason.
    Denied(String),
}

/// What a kubelet has asked for with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The request's name.
    pub name: String,
    /// What became of it.
    pub answered: Answered,
}

impl Asked {
    /// Those for a node of an answer at [`REQUESTS`], the latest last.
    #[must_use]
    pub fn listed(list: &Value, node: &str) -> Vec<Self> {
        let user = format!("{NODE}{node}");
        let of_it = |one: &&Value| {
            let asks = text(one, "/spec/username").unwrap_or_default();
            asks.starts_with(BOOTSTRAPS) && subject(one).as_deref() == Some(&*user)
        };
        let mut found: Vec<_> = all(list, "/items").filter(of_it).collect();
        found.sort_by_key(|one| text(one, "/metadata/creationTimestamp"));
        let asked = found.into_iter().filter_map(|one| {
            Some(Self {
                name: text(one, "/metadata/name")?.to_owned(),
                answered: answered(one),
            })
        });
        asked.collect()
    }

    /// Where it is in the API.
    #[must_use]
    pub fn path(&self) -> String {
        let (list, _) = REQUESTS.split_once('?').unwrap_or((REQUESTS, ""));
        format!("{list}/{}", self.name)
    }

    /// In words, of the latest one, for whoever looks into a kubelet that has no certificate.
    #[must_use]
    pub fn told(latest: Option<&Self>) -> String {
        let Some(Self { name, answered }) = latest else {
            return "it has asked the API for none: \"journalctl -u kubelet\" there says why"
                .to_owned();
        };
        match answered {
            Answered::Denied(why) => format!("{name} was denied: {why}"),
            Answered::Approved => format!(
                "{name} is approved: \"journalctl -u kubelet\" there, and of \
                 bootstrap-signer on a master"
            ),
            Answered::Waits => format!(
                "{name} waits: \"bootstrap-signer explain --csr {name}\" on a master says for what"
            ),
        }
    }
}

fn answered(request: &Value) -> Answered {
    let denied = all(request, "/status/conditions")
        .find(|one| text(one, "/type") == Some("Denied"));
    match denied {
        Some(denied) => {
            let part = |at| text(denied, at).unwrap_or_default();
            Answered::Denied(format!("{}, {}", part("/reason"), part("/message")))
        }
        None if is(request, "Approved") => Answered::Approved,
        None => Answered::Waits,
    }
}

/// The common name that is asked for.
fn subject(request: &Value) -> Option<String> {
    let pem = STANDARD.decode(text(request, "/spec/request")?).ok()?;
    let (_, block) = parse_x509_pem(&pem).ok()?;
    let (_, request) = X509CertificationRequest::from_der(&block.contents).ok()?;
    let subject = &request.certification_request_info.subject;
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

fn is(object: &Value, condition: &str) -> bool {
    let of = |one: &Value| {
        text(one, "/type") == Some(condition) && text(one, "/status") == Some("True")
    };
    all(object, "/status/conditions").any(of)
}

fn all<'a>(object: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    object
        .pointer(at)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'a>(object: &'a Value, at: &str) -> Option<&'a str> {
    object.pointer(at)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SPEC: &str = include_str!("../../tests/spec/whole.yaml");

    fn node(name: &str, ready: &str, address: &str) -> Value {
        json!({"items": [{
            "metadata": {"name": name},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": address},
                    {"type": "Hostname", "address": name},
                ],
                "conditions": [
                    {"type": "MemoryPressure", "status": "True"},
                    {"type": "Ready", "status": ready},
                ],
            },
        }]})
    }

    #[test]
    fn a_node_gives_way_to_its_own_host_when_that_is_asked_for() {
        let cluster = crate::spec::parse("cluster.yaml", SPEC).unwrap().cluster;
        let host = cluster.hosts.iter().find(|host| host.name == "n1").unwrap();
        let own = host.address().to_string();
        let stands = |how| {
            let (name, first) = ("n1".to_owned(), String::new());
            Err(Taken::Stands { name, how, first })
        };
        let elsewhere = || {
            let (name, at) = ("n1".to_owned(), "192.0.2.99".to_owned());
            Err(Taken::Elsewhere { name, at })
        };
        for (ready, at, stale, wanted) in [
            ("True", own.as_str(), Stale::Stays, stands("ready")),
            ("Unknown", own.as_str(), Stale::Stays, stands("not ready")),
            ("Unknown", own.as_str(), Stale::Goes, Ok(())),
            ("True", own.as_str(), Stale::Goes, Ok(())),
            // It has another address, and nobody is there.
            ("False", "192.0.2.99", Stale::Goes, Ok(())),
            ("True", "192.0.2.99", Stale::Goes, elsewhere()),
            ("True", "192.0.2.99", Stale::Stays, elsewhere()),
        ] {
            let standing = Standing::listed(&node("n1", ready, at), "n1").unwrap();
            let gives_way = standing.gives_way(host, stale, Left::Nothing);
            assert_eq!(gives_way, wanted, "{ready} at {at}");
        }
        let told = stands("ready").unwrap_err().to_string();
        assert!(told.contains("the Node n1 stands (ready)"), "{told}");
        assert_eq!(Standing::listed(&json!({"items": []}), "n1"), None);
        assert_eq!(Standing::listed(&node("n10", "True", &own), "n1"), None);
        // Its Pods are ended before, whatever is asked for.
        let standing = Standing::listed(&node("n1", "False", &own), "n1").unwrap();
        let mut store = host.clone();
        store.roles.push(Role::Etcd);
        for (host, first) in [
            (
                host,
                "If this host was n1: \"sternpost reset --host n1\", since",
            ),
            (
                &store,
                "If this host was n1: apply without its role node, whose Pods",
            ),
        ] {
            for stale in [Stale::Goes, Stale::Stays] {
                let told = standing.gives_way(host, stale, Left::Pods).unwrap_err();
                assert!(told.to_string().contains(first), "{told}");
            }
        }
    }

    fn request(node: &str, username: &str, name: &str, created: &str) -> Value {
        let profile =
            pki::Profile::client(&format!("system:node:{node}"), &["system:nodes"]);
        let key = pki::PrivatePem::generate(pki::KeyKind::P256).unwrap();
        let pem = pki::request(&profile, key.expose()).unwrap();
        json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"username": username, "request": STANDARD.encode(pem)},
        })
    }

    #[test]
    fn the_latest_request_of_a_kubelet_says_how_it_stands() {
        let token = "system:bootstrap:07401b";
        let of = |conditions: &Value| {
            let mut latest = request("n1", token, "b", "2026-01-02T00:00:00Z");
            latest["status"] = json!({ "conditions": conditions });
            let first = request("n1", token, "a", "2026-01-01T00:00:00Z");
            let another = request("n10", token, "c", "2026-01-03T00:00:00Z");
            let renewal = request("n1", "system:node:n1", "d", "2026-01-03T00:00:00Z");
            let list = json!({"items": [latest, first, another, renewal]});
            let asked = Asked::listed(&list, "n1");
            let names: Vec<_> = asked.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names, ["a", "b"]);
            Asked::told(asked.last())
        };
        let denied = json!([{"type": "Denied", "status": "True", "reason": "NodeTaken",
            "message": "bootstrap-signer: a Ready node has this name"}]);
        for (conditions, wanted) in [
            (json!([]), "b waits: \"bootstrap-signer explain --csr b\""),
            (
                denied,
                "b was denied: NodeTaken, bootstrap-signer: a Ready node",
            ),
            (
                json!([{"type": "Approved", "status": "True"}]),
                "b is approved",
            ),
        ] {
            let told = of(&conditions);
            assert!(told.contains(wanted), "{told}");
        }
        let none = Asked::told(None);
        assert!(none.contains("it has asked the API for none"), "{none}");
        assert!(Asked::listed(&json!({"items": [{"spec": {}}]}), "n1").is_empty());
    }

    #[test]
    fn a_request_is_where_its_list_is() {
        let name = "node-csr-x".to_owned();
        let answered = Answered::Waits;
        let wanted = "/apis/certificates.k8s.io/v1/certificatesigningrequests/node-csr-x";
        assert_eq!(Asked { name, answered }.path(), wanted);
    }
}
