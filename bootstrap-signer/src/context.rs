//! What `explain` is told of a cluster it does not ask: the file behind `--context`.
//! What the file does not say is not known, and the request waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;
use std::time::SystemTime;

use config::{Document, Errors, KeyPath, Period};
use policy::{
    Access, Facts, Known, Limits, Node, Nodes, Pattern, Question, Requester, Rival,
    Token, Uses,
};
use serde::{Deserialize, Deserializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What `kind` says.
pub const KIND: &str = "ExplainContext";

const UNSAID: &str = "the context file does not say";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    now: Option<Time>,
    nodes: Option<Vec<NodeEntry>>,
    tokens: Option<Vec<TokenEntry>>,
    granted: Option<Vec<Right>>,
    key_used_by: Option<BTreeSet<String>>,
    ahead: Option<usize>,
    superseded_by: Option<String>,
    given: Option<Time>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeEntry {
    name: String,
    ready: bool,
    renewed: Period,
    #[serde(default)]
    control_plane: bool,
    #[serde(default)]
    addresses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenEntry {
    id: String,
    expires: Option<Time>,
    #[serde(default = "yes")]
    authentication: bool,
    node_names: Option<String>,
    max_nodes: Option<usize>,
    #[serde(default)]
    one_shot: bool,
    #[serde(default)]
    used_by: BTreeSet<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Right {
    #[serde(rename = "nodeclient")]
    NodeClient,
    #[serde(rename = "selfnodeclient")]
    SelfNodeClient,
}

/// A time as RFC 3339 writes it.
#[derive(Debug, Clone, Copy)]
struct Time(SystemTime);

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|time| Self(time.into()))
            .map_err(|_| "is not a time; write it like \"2026-01-31T12:00:00Z\"")
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A context that was read.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time of the decision.
    pub now: SystemTime,
    nodes: Option<Nodes>,
    tokens: Option<BTreeMap<String, Token>>,
    granted: Option<Vec<Right>>,
    key_used_by: Option<BTreeSet<String>>,
    ahead: Option<usize>,
    superseded_by: Option<String>,
    given: Option<SystemTime>,
}

impl Context {
    /// Reads the file at `path`; `clock` stands in for a time that it does not say.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path, clock: SystemTime) -> Result<Self, Errors> {
        convert(config::read(path, KIND)?, clock)
    }

    /// The same for a text that errors call `name`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str, clock: SystemTime) -> Result<Self, Errors> {
        convert(config::parse(name, text, KIND)?, clock)
    }

    /// The facts of a question, all but the inventory.
    #[must_use]
    pub fn facts<'a>(&'a self, question: &Question<'_>) -> Facts<'a> {
        let token = self
            .tokens
            .as_ref()
            .map(|tokens| match question.requester() {
                Requester::Token(id) => tokens.get(id),
                Requester::Node(_)
                | Requester::Bootstrapper(_)
                | Requester::Incomplete(_)
                | Requester::Unknown => None,
            });
        let right = question.access().map(|access| match access {
            Access::NodeClient => Right::NodeClient,
            Access::SelfNodeClient => Right::SelfNodeClient,
        });
        let granted = self.granted.as_ref();
        let users = self.key_used_by.as_ref();
        Facts {
            nodes: known(self.nodes.as_ref()),
            token: known(token),
            access: known(granted.map(|all| right.is_some_and(|one| all.contains(&one)))),
            key_users: known(users.map(|all| all.iter().map(String::as_str).collect())),
            ahead: known(self.ahead),
            superseded_by: self.superseded_by.as_deref(),
            rivals: Known::Known(self.given.map(Rival::Given).into_iter().collect()),
            inventory: None,
        }
    }
}

fn known<T>(fact: Option<T>) -> Known<T> {
    fact.map_or(Known::Unknown(UNSAID), Known::Known)
}

fn convert(document: Document<File>, clock: SystemTime) -> Result<Context, Errors> {
    let Document { file, source } = document;
    let mut errors = Errors::new();
    let now = file.now.map_or(clock, |time| time.0);
    let nodes = file.nodes.map(|nodes| {
        let nodes = nodes.into_iter().map(|entry| node(entry, now));
        nodes.collect::<Nodes>()
    });
    let list = KeyPath::root().key("tokens");
    let tokens = file.tokens.map(|tokens| {
        let mut all = BTreeMap::new();
        for (place, entry) in tokens.into_iter().enumerate() {
            let at = list.index(place).key("nodeNames");
            let pattern = entry.node_names.as_deref().map(Pattern::new).transpose();
            let pattern = pattern.map_err(|error| source.error(&at, error.to_string()));
            if let Some(pattern) = errors.keep(pattern) {
                all.insert(entry.id.clone(), token(entry, pattern));
            }
        }
        all
    });
    errors.or(Context {
        now,
        nodes,
        tokens,
        granted: file.granted,
        key_used_by: file.key_used_by,
        ahead: file.ahead,
        superseded_by: file.superseded_by,
        given: file.given.map(|time| time.0),
    })
}

fn node(entry: NodeEntry, now: SystemTime) -> (String, Node) {
    let renewed = now.checked_sub(entry.renewed.0);
    let mut node = Node::new(entry.ready, renewed.unwrap_or(SystemTime::UNIX_EPOCH));
    node.control_plane = entry.control_plane;
    entry.addresses.iter().for_each(|value| node.add(value));
    (entry.name, node)
}

fn token(entry: TokenEntry, node_names: Option<Pattern>) -> Token {
    let uses = if entry.one_shot {
        Uses::Once
    } else {
        Uses::Many
    };
    Token {
        expires: entry.expires.map(|time| time.0),
        authenticates: entry.authentication,
        deleting: false,
        limits: Known::Known(Limits {
            node_names,
            max_nodes: entry.max_nodes,
            uses,
        }),
        used_by: entry.used_by,
        used_in: BTreeSet::new(),
    }
}
