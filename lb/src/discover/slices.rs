//! The EndpointSlices of a service as the API tells them, and the servers they name
//! (discovery.k8s.io/v1). Decides; reads no socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_json::Value;

/// The port of an apiserver's endpoints.
const PORT: &str = "https";

/// All slices, and up to which event they are known.
#[derive(Debug, Default)]
pub(super) struct Slices {
    by_name: BTreeMap<String, BTreeSet<SocketAddr>>,
    /// Where a watch goes on; nothing is known, when absent.
    pub(super) version: Option<String>,
}

/// What an event says besides what the slices hold then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The slices are as they say from here on.
    Taken,
    /// Only that time has passed.
    Bookmark,
    /// The server no longer knows what came after the version: all is to be read anew.
    Gone,
    /// The server ends the watch with this status.
    Status(u16),
}

/// What came is not what the API says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Slice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

#[derive(Deserialize)]
struct Slice {
    metadata: Meta,
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    name: String,
    resource_version: String,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: ListMeta,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
}

#[derive(Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Deserialize)]
struct Port {
    name: Option<String>,
    port: Option<u16>,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

impl Slices {
    /// The servers that all slices name together.
    pub(super) fn servers(&self) -> BTreeSet<SocketAddr> {
        self.by_name.values().flatten().copied().collect()
    }

    /// Takes a whole list.
    pub(super) fn list(&mut self, text: &[u8]) -> Result<(), Malformed> {
        let list: List = serde_json::from_slice(text)
            .map_err(|_| Malformed("the list is not one of EndpointSlices"))?;
        let each = list.items.into_iter();
        self.by_name = each
            .map(|slice| {
                let servers = slice.servers();
                (slice.metadata.name, servers)
            })
            .collect();
        self.version = Some(list.metadata.resource_version);
        Ok(())
    }

    /// Takes a line of a watch.
    pub(super) fn event(&mut self, line: &[u8]) -> Result<Event, Malformed> {
        let broken = Malformed("the watch sends no event");
        let Line { kind, object } = serde_json::from_slice(line).map_err(|_| broken)?;
        match kind.as_str() {
            "ADDED" | "MODIFIED" | "DELETED" => {
                let slice: Slice = serde_json::from_value(object)
                    .map_err(|_| Malformed("the watch sends no EndpointSlice"))?;
                self.version = Some(slice.metadata.resource_version.clone());
                if kind == "DELETED" {
                    self.by_name.remove(&slice.metadata.name);
                } else {
                    let servers = slice.servers();
                    self.by_name.insert(slice.metadata.name, servers);
                }
                Ok(Event::Taken)
            }
            "BOOKMARK" => {
                let mark: Bookmark =
                    serde_json::from_value(object).map_err(|_| broken)?;
                self.version = Some(mark.metadata.resource_version);
                Ok(Event::Bookmark)
            }
            "ERROR" => {
                let status: Status =
                    serde_json::from_value(object).map_err(|_| broken)?;
                let code = status.code.unwrap_or(500);
                // 504: the server's cache is not yet where the watch was.
                if code == GONE {
                    self.version = None;
                    return Ok(Event::Gone);
                }
                Ok(Event::Status(code))
            }
            _ => Err(broken),
        }
    }
}

/// The version is older than what the server keeps (RFC 9110, section 15.5.11).
pub(super) const GONE: u16 = 410;

impl Slice {
    /// Those that are ready, or do not say that they are not.
    fn servers(&self) -> BTreeSet<SocketAddr> {
        let ports = self.ports.as_deref().unwrap_or_default();
        let named = ports.iter().find(|p| p.name.as_deref() == Some(PORT));
        let only = ports.first().filter(|_| ports.len() == 1);
        let Some(port) = named.or(only).and_then(|port| port.port) else {
            return BTreeSet::new();
        };
        let endpoints = self.endpoints.iter().flatten();
        let ready = endpoints.filter(|e| e.conditions.ready != Some(false));
        let addresses = ready.flat_map(|endpoint| &endpoint.addresses);
        // Slices of names (addressType FQDN) hold nothing that can be connected to.
        let addresses = addresses.filter_map(|text| text.parse::<IpAddr>().ok());
        addresses.map(|ip| SocketAddr::new(ip, port)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kube-apiserver 1.36 writes it.
    const SLICE: &str = r#"{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"kubernetes","namespace":"default","uid":"6d2c","resourceVersion":"214","generation":2,"labels":{"kubernetes.io/service-name":"kubernetes"}},"addressType":"IPv4","endpoints":[{"addresses":["192.0.2.1"],"conditions":{"ready":true}},{"addresses":["192.0.2.2"],"conditions":{}}],"ports":[{"name":"https","protocol":"TCP","port":6443}]}"#;

    fn list(items: &str) -> String {
        format!(
            r#"{{"kind":"EndpointSliceList","metadata":{{"resourceVersion":"300"}},"items":[{items}]}}"#
        )
    }

    fn event(kind: &str, object: &str) -> String {
        format!(r#"{{"type":"{kind}","object":{object}}}"#)
    }

    fn servers(slices: &Slices) -> String {
        let each: Vec<String> =
            slices.servers().iter().map(ToString::to_string).collect();
        each.join(" ")
    }

    #[test]
    fn a_list_and_the_events_after_it() {
        let mut slices = Slices::default();
        slices.list(list(SLICE).as_bytes()).unwrap();
        assert_eq!(servers(&slices), "192.0.2.1:6443 192.0.2.2:6443");
        assert_eq!(slices.version.as_deref(), Some("300"));
        let six = SLICE
            .replace("\"name\":\"kubernetes\"", "\"name\":\"kubernetes-6\"")
            .replace("192.0.2.1", "2001:db8::1")
            .replace("\"conditions\":{}", "\"conditions\":{\"ready\":false}")
            .replace("214", "301");
        let only = r#"{"metadata":{"name":"kubernetes","resourceVersion":"302"},"endpoints":null,"ports":null}"#;
        let mark = r#"{"kind":"EndpointSlice","metadata":{"resourceVersion":"350"}}"#;
        let gone = r#"{"kind":"Status","code":410,"reason":"Expired"}"#;
        let slow = r#"{"kind":"Status","code":504}"#;
        let both = "192.0.2.1:6443 192.0.2.2:6443 [2001:db8::1]:6443";
        for (kind, object, expected, then, version) in [
            ("ADDED", six.as_str(), Event::Taken, both, Some("301")),
            ("BOOKMARK", mark, Event::Bookmark, both, Some("350")),
            (
                "MODIFIED",
                only,
                Event::Taken,
                "[2001:db8::1]:6443",
                Some("302"),
            ),
            ("DELETED", &six, Event::Taken, "", Some("301")),
            ("ERROR", slow, Event::Status(504), "", Some("301")),
            ("ERROR", gone, Event::Gone, "", None),
        ] {
            let said = slices.event(event(kind, object).as_bytes());
            assert_eq!(said, Ok(expected), "{kind}");
            assert_eq!(servers(&slices), then, "{kind}");
            assert_eq!(slices.version.as_deref(), version, "{kind}");
        }
    }

    #[test]
    fn what_is_no_server_is_passed_over() {
        for (from, to) in [
            ("\"https\"", "\"metrics\""),
            ("192.0.2.1", "master.example.com"),
            ("\"ready\":true", "\"ready\":null"),
        ] {
            let mut slices = Slices::default();
            slices
                .list(list(&SLICE.replace(from, to)).as_bytes())
                .unwrap();
            let left = slices.servers().len();
            assert_eq!(left, if from == "192.0.2.1" { 1 } else { 2 }, "{to}");
        }
        let two = r#""ports":[{"name":"a","port":1},{"name":"b","port":2}]"#;
        let at = SLICE.find("\"ports\"").unwrap();
        let text = format!("{}{two}}}", &SLICE[..at]);
        let mut slices = Slices::default();
        slices.list(list(&text).as_bytes()).unwrap();
        assert!(slices.servers().is_empty());
    }

    #[test]
    fn nonsense_changes_nothing() {
        let mut slices = Slices::default();
        slices.list(list(SLICE).as_bytes()).unwrap();
        for text in ["", "{}", "[]", "null", "{\"type\":\"ADDED\"}", "\u{0}"] {
            assert!(slices.event(text.as_bytes()).is_err(), "{text}");
            assert!(slices.list(text.as_bytes()).is_err(), "{text}");
        }
        let other = event("RENAMED", SLICE);
        assert!(slices.event(other.as_bytes()).is_err());
        assert_eq!(slices.servers().len(), 2);
    }
}
