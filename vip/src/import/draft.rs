//! What will be written: routers in our terms, and their YAML.

use serde_json::json;

/// Every router of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) fifo: Option<String>,
    pub(super) routers: Vec<Router>,
    pub(super) groups: Vec<Group>,
}

/// One `vrrp_sync_group` in our terms.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) routers: Vec<String>,
    /// Which program is told of what, as flow YAML.
    pub(super) notify: Vec<String>,
    /// `notify_priority_changes`, which its routers have where they say nothing.
    pub(super) priority_changes: Option<bool>,
}

/// One `vrrp_instance` in our terms.
#[derive(Clone, Debug, Default)]
pub(super) struct Router {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) interface: String,
    pub(super) vrid: i64,
    pub(super) version: u8,
    pub(super) priority: i64,
    /// As our files write a duration.
    pub(super) interval: String,
    pub(super) source: Option<String>,
    pub(super) peers: Vec<String>,
    /// keepalived's `check_unicast_src`.
    pub(super) peers_only: bool,
    pub(super) addresses: Vec<Placed>,
    pub(super) excluded: Vec<Placed>,
    /// The interface with the virtual hardware address; no name: the usual one.
    pub(super) virtual_mac: Option<Option<String>>,
    /// Adverts come from the interface's own hardware address all the same.
    pub(super) own_mac_sends: bool,
    pub(super) preempts: bool,
    pub(super) delay: Option<String>,
    /// The file that is to hold the password.
    pub(super) pass_file: Option<String>,
    pub(super) burst: Option<String>,
    pub(super) again: Option<String>,
    pub(super) refresh: Option<String>,
    pub(super) tracks: Vec<Track>,
    /// Which program is told of what, as flow YAML.
    pub(super) notify: Vec<String>,
    /// keepalived's `notify_priority_changes`, where it is said.
    pub(super) priority_changes: Option<bool>,
}

/// One virtual address, and what is said of its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placed {
    /// With its prefix.
    pub(super) address: String,
    pub(super) device: Option<String>,
    pub(super) label: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) broadcast: Option<String>,
}

impl Placed {
    pub(super) fn is_v6(&self) -> bool {
        self.address.contains(':')
    }

    /// A text where nothing but the address is said, else a flow mapping.
    fn yaml(&self) -> String {
        let said = [
            ("device", &self.device),
            ("label", &self.label),
            ("scope", &self.scope),
            ("broadcast", &self.broadcast),
        ];
        let address = quoted(&self.address);
        let said = said
            .iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let said: Vec<_> = said
            .map(|(key, value)| format!("{key}: {}", quoted(value)))
            .collect();
        match said.is_empty() {
            true => address,
            false => format!("{{address: {address}, {}}}", said.join(", ")),
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    pub(super) line: usize,
    /// `tcp: {address: …}` and the like, as flow YAML.
    pub(super) target: String,
    pub(super) weight: i64,
    pub(super) reverse: bool,
    /// The other keys, as flow YAML.
    pub(super) rest: Vec<String>,
}

/// A text as YAML: JSON's strings are.
pub(super) fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// A number or a duration as YAML: bare where it can be one, else as a text, which the
/// check of the result then names.
pub(super) fn number(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

impl Draft {
    /// The file.
    pub(super) fn yaml(&self, from: &str) -> String {
        let mut lines = vec![
            format!("# From {from}, by `vip-daemon import`."),
            "apiVersion: sternpost/v1".to_owned(),
            "kind: VipDaemon".to_owned(),
        ];
        let mut tracks = self.routers.iter().flat_map(|router| &router.tracks);
        let scripts = tracks.any(|track| track.target.starts_with("script:"));
        let routers = self.routers.iter().map(|router| &router.notify);
        let mut told = routers.chain(self.groups.iter().map(|group| &group.notify));
        if scripts || told.any(|notify| !notify.is_empty()) {
            lines.push("scripts: {}".to_owned());
        }
        if let Some(fifo) = &self.fifo {
            lines.push(format!("notify: {{fifo: {}}}", quoted(fifo)));
        }
        lines.push("routers:".to_owned());
        for router in &self.routers {
            lines.extend(router.yaml());
        }
        if !self.groups.is_empty() {
            lines.push("syncGroups:".to_owned());
        }
        lines.extend(self.groups.iter().map(Group::yaml));
        lines.join("\n") + "\n"
    }
}

fn list(all: &[String]) -> String {
    let all: Vec<_> = all.iter().map(|one| quoted(one)).collect();
    format!("[{}]", all.join(", "))
}

impl Group {
    fn yaml(&self) -> String {
        let (name, routers) = (quoted(&self.name), list(&self.routers));
        let notify = match self.notify.is_empty() {
            true => String::new(),
            false => format!(", notify: {{{}}}", self.notify.join(", ")),
        };
        format!("- {{name: {name}, routers: {routers}{notify}}}")
    }
}

impl Router {
    fn unicast(&self) -> Option<String> {
        if self.peers.is_empty() {
            return None;
        }
        let source = self.source.as_ref();
        let source = source.map(|source| format!("source: {}, ", quoted(source)));
        let (source, peers) = (source.unwrap_or_default(), list(&self.peers));
        let unlisted = if self.peers_only {
            ", unlisted: refuse"
        } else {
            ""
        };
        Some(format!("  unicast: {{{source}peers: {peers}{unlisted}}}"))
    }

    fn yaml(&self) -> Vec<String> {
        let mut lines = vec![
            format!("- name: {}", quoted(&self.name)),
            format!("  interface: {}", quoted(&self.interface)),
            format!("  vrid: {}", self.vrid),
            format!("  version: {}", self.version),
            format!("  priority: {}", self.priority),
            format!("  advertInterval: {}", self.interval),
        ];
        lines.extend(self.unicast());
        if let Some(file) = &self.pass_file {
            lines.push(format!("  auth: {{passFile: {}}}", quoted(file)));
        }
        let flow = |all: &[Placed]| {
            let all: Vec<_> = all.iter().map(Placed::yaml).collect();
            format!("[{}]", all.join(", "))
        };
        lines.push(format!("  addresses: {}", flow(&self.addresses)));
        if !self.excluded.is_empty() {
            lines.push(format!("  excluded: {}", flow(&self.excluded)));
        }
        if let Some(name) = &self.virtual_mac {
            let name = name.as_ref();
            let name = name.map(|name| format!("name: {}", quoted(name)));
            let from = self
                .own_mac_sends
                .then(|| "advertsFrom: interface".to_owned());
            let said: Vec<_> = name.into_iter().chain(from).collect();
            lines.push(format!("  virtualMac: {{{}}}", said.join(", ")));
        }
        if !self.preempts {
            lines.push("  preempt: false".to_owned());
        }
        if let Some(delay) = &self.delay {
            lines.push(format!("  preemptDelay: {delay}"));
        }
        let announce = [
            self.burst
                .as_ref()
                .map(|burst| format!("burst: {}", number(burst))),
            self.again
                .as_ref()
                .map(|again| format!("again: {}", number(again))),
            // keepalived's default is never.
            Some(format!(
                "refresh: {}",
                number(self.refresh.as_deref().unwrap_or("0s"))
            )),
        ];
        let announce: Vec<_> = announce.into_iter().flatten().collect();
        lines.push(format!("  announce: {{{}}}", announce.join(", ")));
        let mut notify = self.notify.clone();
        if self.priority_changes == Some(true) {
            notify.push("priorityChanges: true".to_owned());
        }
        if !notify.is_empty() {
            lines.push(format!("  notify: {{{}}}", notify.join(", ")));
        }
        if !self.tracks.is_empty() {
            lines.push("  track:".to_owned());
        }
        for track in &self.tracks {
            let mut keys =
                vec![track.target.clone(), format!("weight: {}", track.weight)];
            if track.reverse {
                keys.push("reverse: true".to_owned());
            }
            keys.extend(track.rest.iter().cloned());
            lines.push(format!("  - {{{}}}", keys.join(", ")));
        }
        lines
    }
}
