//! `sternpost import env.sh`: the environment file that older instructions have a person
//! source on every machine, as a description of a cluster. Every variable gets a verdict;
//! nothing is dropped in silence.

mod assignments;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use assignments::{Assignment, assignments};

/// What became of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the description.
    Honoured,
    /// The description has no need of it.
    NotNeeded,
    /// It is understood, and cannot be taken over.
    Unsupported,
}

/// One variable, what became of it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1, where it is set for the last time.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, and what to do.
    pub why: String,
}

/// A description, and what became of each variable.
#[derive(Clone, Debug)]
pub struct Imported {
    /// `cluster.yaml`. What the file does not say, and an operator must, stands in it as a
    /// question: see [`Imported::questions`].
    pub yaml: String,
    /// One entry per variable, in the order of their lines.
    pub findings: Vec<Finding>,
    /// What an operator has to write before the description is good.
    pub questions: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Honoured => "honoured",
            Self::NotNeeded => "not needed because",
            Self::Unsupported => "unsupported",
        })
    }
}

/// Reads the text of an `env.sh`. A shell would take the last of several values, and so is
/// it here.
#[must_use]
pub fn env_sh(text: &str) -> Imported {
    let all = assignments(text);
    let mut last: BTreeMap<&str, &Assignment> = BTreeMap::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &all {
        last.insert(&one.name, one);
        *times.entry(&one.name).or_default() += 1;
    }
    let mut draft = Draft::default();
    let mut findings = Vec::new();
    for (name, one) in &last {
        let (verdict, mut why) = draft.take(name, &one.value);
        if let Some(times) = times.get(name).filter(|times| **times > 1) {
            why = format!("{why}; it is set {times} times, and the last one counts");
        }
        findings.push(Finding {
            line: one.line,
            name: (*name).to_owned(),
            verdict,
            why,
        });
    }
    draft.strangers(&last, &mut findings);
    findings.sort_by_key(|finding| finding.line);
    let questions = draft.questions();
    Imported {
        yaml: draft.yaml(),
        findings,
        questions,
    }
}

/// The description as far as it is known.
#[derive(Default)]
struct Draft {
    services: Option<String>,
    pods: Option<String>,
    node_ports: Option<String>,
    domain: Option<String>,
    dns: Option<String>,
    name: Option<String>,
    port: Option<u16>,
    leases: Option<String>,
    hosts: Vec<(String, String)>,
}

impl Draft {
    fn take(&mut self, name: &str, value: &str) -> (Verdict, String) {
        use Verdict::{Honoured, NotNeeded, Unsupported};
        let into = |key: &str| (Honoured, format!("as {key}"));
        match name {
            "SERVICE_CIDR" => {
                self.services = Some(value.to_owned());
                into("networks.services")
            }
            "CLUSTER_CIDR" => {
                self.pods = Some(value.to_owned());
                into("networks.pods")
            }
            "NODE_PORT_RANGE" => {
                self.node_ports = Some(value.to_owned());
                into("networks.nodePorts")
            }
            "CLUSTER_DNS_SVC_IP" => {
                self.dns = Some(value.to_owned());
                into("networks.dns")
            }
            "CLUSTER_DNS_DOMAIN" => {
                let domain = value.trim_end_matches('.');
                self.domain = Some(domain.to_owned());
                match domain == value {
                    true => into("networks.domain"),
                    false => (Honoured, "as networks.domain, without the dot at its end, which would be part of every name".to_owned()),
                }
            }
            "MASTER_URL" => {
                self.name = Some(value.to_owned());
                into("endpoint.name")
            }
            "KUBE_APISERVER" => self.server(value),
            "ETCD_ENDPOINTS" => self.members(value.split(',').map(|url| ("", url))),
            "ETCD_NODES" => {
                let pairs = value.split(',').map(|pair| pair.split_once('=').unwrap_or(("", pair)));
                self.members(pairs)
            }
            "NODE_IPS" => self.members(value.split_whitespace().map(|address| ("", address))),
            "CLUSTER_KUBERNETES_SVC_IP" => (NotNeeded, "it is the first address of networks.services".to_owned()),
            "NODE_IP" | "NODE_NAME" => (NotNeeded, "each host has its own entry in hosts".to_owned()),
            "FLANNEL_ETCD_PREFIX" => {
                self.leases = Some(value.trim_end_matches('/').to_owned());
                (
                    Honoured,
                    "as networks.flannel, by etcd's v3 API; where nothing else is below that key, leave it out: \
                     the API gives hosts their networks then, and nodes have no certificate for etcd"
                        .to_owned(),
                )
            }
            "BOOTSTRAP_TOKEN" => (
                Unsupported,
                "a static token cannot become a bootstrap token (ID.SECRET, 6 and 16 characters), and never expires; \
                 kubelets that have joined keep working, new ones get a token of their own"
                    .to_owned(),
            ),
            "PATH" => (NotNeeded, "units name their programs by their whole path".to_owned()),
            _ => (Unsupported, "it is none of the variables that are known; look at what uses it".to_owned()),
        }
    }

    fn server(&mut self, value: &str) -> (Verdict, String) {
        let rest = value.strip_prefix("https://").unwrap_or(value);
        let port = rest.rsplit_once(':').map(|(_, port)| port);
        match port.map(str::parse) {
            None => self.port = Some(443),
            Some(Ok(port)) => self.port = Some(port),
            Some(Err(_)) => {
                return (
                    Verdict::Unsupported,
                    "it has no port that is a number".to_owned(),
                );
            }
        }
        (Verdict::Honoured, "as endpoint.port".to_owned())
    }

    fn members<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> (Verdict, String) {
        let mut without_tls = false;
        for (name, url) in pairs {
            without_tls |= url.starts_with("http://");
            let rest = url.trim().rsplit("://").next().unwrap_or_default();
            let address = rest.rsplit_once(':').map_or(rest, |(address, _)| address);
            match self.hosts.iter_mut().find(|(known, _)| known == address) {
                Some((_, known)) if known.is_empty() => name.clone_into(known),
                Some(_) => {}
                None => self.hosts.push((address.to_owned(), name.to_owned())),
            }
        }
        let why = if without_tls {
            "as hosts with the role etcd; its members spoke without TLS, which they will not do here"
        } else {
            "as hosts with the role etcd"
        };
        (Verdict::Honoured, why.to_owned())
    }

    /// Addresses that belong to no host are left over from somebody else's cluster.
    fn strangers(&self, last: &BTreeMap<&str, &Assignment>, findings: &mut [Finding]) {
        let own = last.get("NODE_IP").map(|one| one.value.as_str());
        let stranger =
            own.filter(|own| !self.hosts.iter().any(|(address, _)| address == own));
        for finding in findings
            .iter_mut()
            .filter(|finding| finding.name == "NODE_IP")
        {
            if let Some(address) = stranger {
                finding.why =
                    format!("{}; {address} is no member's address", finding.why);
            }
        }
    }

    fn questions(&self) -> Vec<String> {
        let mut questions = vec![
            "endpoint.addresses: the virtual address, with the prefix of the hosts' subnet".to_owned(),
            "kubernetes.version: which one".to_owned(),
            "hosts: the nodes that are no members of etcd".to_owned(),
        ];
        if self.hosts.is_empty() {
            questions.push("hosts: the masters; ETCD_ENDPOINTS did not say".to_owned());
        }
        questions
    }

    fn yaml(&self) -> String {
        let mut networks = Map::new();
        let one = |value: &Option<String>| value.as_ref().map(|value| json!([value]));
        let plain = |value: &Option<String>| value.as_ref().map(|value| json!(value));
        let known = [
            ("services", one(&self.services)),
            ("pods", one(&self.pods)),
            ("nodePorts", plain(&self.node_ports)),
            ("domain", plain(&self.domain)),
            ("dns", one(&self.dns)),
            (
                "flannel",
                self.leases
                    .as_ref()
                    .map(|prefix| json!({"store": "etcd", "prefix": prefix})),
            ),
        ];
        for (key, value) in known {
            networks.extend(value.map(|value| (key.to_owned(), value)));
        }
        let mut endpoint = Map::new();
        endpoint.insert("addresses".to_owned(), json!([]));
        endpoint.extend(plain(&self.name).map(|name| ("name".to_owned(), name)));
        endpoint.extend(self.port.map(|port| ("port".to_owned(), json!(port))));
        let hosts = self.hosts.iter().enumerate();
        let hosts: Vec<Value> = hosts
            .map(|(place, (address, name))| {
                let name = match name.is_empty() {
                    true => format!("m{}", place + 1),
                    false => name.to_ascii_lowercase(),
                };
                json!({"name": name, "addresses": [address], "roles": ["etcd", "controlPlane"]})
            })
            .collect();
        crate::render::yaml(&json!({
            "apiVersion": config::API_VERSION,
            "kind": crate::spec::KIND,
            "kubernetes": {"version": ""},
            "endpoint": endpoint,
            "networks": networks,
            "hosts": hosts,
        }))
    }
}
