//! The cluster of the cases: what is there around a request. The fixed part is the same
//! for all; a case's context changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use policy::{
    Access, Facts, Inventory, Known, Limits, Listed, Master, Node, Nodes, Pattern,
    PatternError, Question, Request, Rival, Settings, Source, State, Submitted, Token,
    Uses, Verdict, dns_name,
};

use crate::case::{self, Case, Context};

const SERVICES: &str = "10.96.0.0/16";
const VIRTUAL_ADDRESS: &str = "192.168.220.224";
const MASTERS: [(&str, [u8; 4]); 3] = [
    ("m1", [192, 168, 220, 100]),
    ("m2", [192, 168, 220, 101]),
    ("m3", [192, 168, 220, 102]),
];
/// The names people give control-plane nodes.
const CONTROL_PLANE: &str = "(?:m|cp|master|controlplane|control-plane)-?[0-9]+";
const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// When everything is decided: an instant like any other.
const NOW: Duration = Duration::from_secs(1_800_000_000);
/// Longer than a Node may take to report an address: what the Node does not say by now,
/// it will not.
const WAITED: u64 = 5 * 60;
const READY_LEASE: u64 = 5;
const SILENT_LEASE: u64 = 900;
const UNKNOWN: &str = "the case says so";
const FACTS: [&str; 5] = ["nodes", "token", "access", "keys", "requests"];

/// Why a context cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A value is none of those that are known.
    #[error("{0}: {1:?} is not known")]
    Value(&'static str, String),
    /// A pattern is none.
    #[error("{0:?} {1}")]
    Pattern(String, PatternError),
    /// Two fields say opposite things.
    #[error("{0} contradicts {1}")]
    Contradiction(&'static str, &'static str),
}

type Staged<T> = Result<T, StageError>;

/// Everything a question needs, but the bytes.
#[derive(Debug)]
pub struct Stage {
    submitted: Submitted,
    settings: Settings,
    nodes: Nodes,
    token: Option<Token>,
    granted: BTreeSet<&'static str>,
    key_users: Vec<String>,
    ahead: usize,
    superseded_by: Option<String>,
    rivals: Vec<Rival>,
    inventory: Option<Inventory>,
    unknown: Vec<String>,
}

impl Stage {
    /// Sets up a case.
    ///
    /// # Errors
    /// Its context holds a value that is not known.
    pub fn of(case: &Case) -> Staged<Self> {
        let context = &case.context;
        if context.deleted_node && context.node.is_some() {
            return Err(StageError::Contradiction("deletedNode", "node"));
        }
        if let Some(fact) = context
            .unknown
            .iter()
            .find(|f| !FACTS.contains(&f.as_str()))
        {
            return Err(StageError::Value("unknown", fact.clone()));
        }
        Ok(Self {
            submitted: submitted(case)?,
            settings: settings(context)?,
            nodes: nodes(context),
            token: token(context)?,
            granted: granted(case),
            key_users: context.key_seen_for.iter().cloned().collect(),
            ahead: context.pending_from_requestor.unwrap_or(0),
            superseded_by: context.superseded_by.clone(),
            rivals: rivals(context)?,
            inventory: context.inventory.as_deref().map(inventory),
            unknown: context.unknown.clone(),
        })
    }

    /// What the API server holds of the request.
    #[must_use]
    pub fn submitted(&self) -> &Submitted {
        &self.submitted
    }

    /// What the operator decided.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Decides about the request in `pem`.
    #[must_use]
    pub fn decide(&self, pem: &[u8]) -> Verdict {
        let request = Request::read(pem);
        let mut question = Question {
            submitted: &self.submitted,
            request: &request,
            facts: self.facts(),
            settings: &self.settings,
            now: now(),
        };
        if let (Some(access), Known::Known(_)) =
            (question.access(), question.facts.access)
        {
            let granted = self.granted.contains(access.subresource());
            question.facts.access = Known::Known(granted);
        }
        policy::decide(&question)
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            nodes: self.known("nodes", &self.nodes),
            token: self.known("token", self.token.as_ref()),
            access: self.known("access", false),
            key_users: self.known("keys", self.key_users()),
            ahead: self.known("requests", self.ahead),
            superseded_by: self.superseded_by.as_deref(),
            rivals: self.known("requests", self.rivals.clone()),
            inventory: self.inventory.as_ref(),
        }
    }

    fn key_users(&self) -> BTreeSet<&str> {
        self.key_users.iter().map(String::as_str).collect()
    }

    fn known<T>(&self, name: &str, fact: T) -> Known<T> {
        if self.unknown.iter().any(|unknown| unknown == name) {
            Known::Unknown(UNKNOWN)
        } else {
            Known::Known(fact)
        }
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW
}

fn ago(seconds: u64) -> SystemTime {
    now() - Duration::from_secs(seconds)
}

fn submitted(case: &Case) -> Staged<Submitted> {
    let context = &case.context;
    let age = context
        .created_seconds_ago
        .or(context.node_status_age_seconds);
    let name = context.request_name.clone();
    let name = name.unwrap_or_else(|| case.name.clone());
    Ok(Submitted {
        name: name.clone(),
        uid: name,
        signer: case.signer_name.clone(),
        username: case.username.clone(),
        groups: case.groups.iter().cloned().collect(),
        usages: case.usages.clone(),
        expiration: case.expiration_seconds.map(lifetime),
        created: ago(age.unwrap_or(WAITED)),
        state: state(context)?,
    })
}

fn rivals(context: &Context) -> Staged<Vec<Rival>> {
    let all = context.rivals.iter();
    all.map(|(how, seconds)| match how.as_str() {
        "before" => Ok(Rival::Before(ago(*seconds))),
        "given" => Ok(Rival::Given(ago(*seconds))),
        "after" => Ok(Rival::After),
        other => Err(StageError::Value("rivals", other.to_owned())),
    })
    .collect()
}

/// The API server refuses what is below zero; a policy that sees it sees nothing.
fn lifetime(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn state(context: &Context) -> Staged<State> {
    let known = ["Approved", "Denied", "Failed"];
    let mut conditions = context.conditions.iter();
    if let Some(odd) = conditions.find(|each| !known.contains(&each.as_str())) {
        return Err(StageError::Value("conditions", odd.clone()));
    }
    Ok(if context.deleting {
        State::Deleting
    } else if context.has_certificate {
        State::Issued
    } else if context.conditions.is_empty() {
        State::Pending
    } else {
        State::Decided
    })
}

fn settings(context: &Context) -> Staged<Settings> {
    let fixed = case::Many::One(SERVICES.to_owned());
    let services = context.service_networks.as_ref().unwrap_or(&fixed);
    let reserved = context.reserved_addresses.iter().map(String::as_str);
    let names = context.control_plane_names.iter().map(String::as_str);
    let reprovision = context.reprovision_after_seconds;
    Ok(Settings {
        service_networks: networks("serviceNetworks", services.iter())?,
        reserved_networks: reserved
            .chain([VIRTUAL_ADDRESS])
            .map(|text| network("reservedAddresses", text))
            .collect::<Staged<_>>()?,
        reserved_names: (context.reserved_names.iter())
            .filter_map(|name| dns_name(name))
            .collect(),
        masters: MASTERS.iter().map(master).collect(),
        control_plane_names: patterns(names.chain([CONTROL_PLANE]))?,
        reprovision_after: reprovision.map(Duration::from_secs),
        allowed_names: patterns(context.regex.iter().map(String::as_str))?,
        allowed_node_names: patterns(
            context.allowed_node_names.iter().map(String::as_str),
        )?,
        allowed_networks: networks("allowedNetworks", context.allowed_networks.iter())?,
        source: source(context)?,
        ..Settings::default()
    })
}

fn master((name, address): &(&str, [u8; 4])) -> (String, Master) {
    let addresses = [IpAddr::from(*address)].into();
    ((*name).to_owned(), Master { addresses })
}

fn networks<'a>(
    field: &'static str,
    texts: impl Iterator<Item = &'a String>,
) -> Staged<Vec<policy::Network>> {
    texts.map(|text| network(field, text)).collect()
}

fn network(field: &'static str, text: &str) -> Staged<policy::Network> {
    let parsed = text.parse();
    parsed.map_err(|_| StageError::Value(field, text.to_owned()))
}

fn patterns<'a>(texts: impl Iterator<Item = &'a str>) -> Staged<Vec<Pattern>> {
    texts.map(pattern).collect()
}

fn pattern(text: &str) -> Staged<Pattern> {
    Pattern::new(text).map_err(|error| StageError::Pattern(text.to_owned(), error))
}

fn source(context: &Context) -> Staged<Source> {
    match context.inventory_use.as_deref() {
        None | Some("node") => Ok(Source::Node),
        Some("inventory") => Ok(Source::Inventory),
        Some("both") => Ok(Source::Both),
        Some("either") => Ok(Source::Either),
        Some(other) => Err(StageError::Value("inventoryUse", other.to_owned())),
    }
}

fn nodes(context: &Context) -> Nodes {
    let all = context.node.iter().chain(&context.other_nodes);
    all.map(|node| (node.name.clone(), to_node(node))).collect()
}

fn to_node(written: &case::Node) -> Node {
    let default = if written.ready {
        READY_LEASE
    } else {
        SILENT_LEASE
    };
    let renewed = ago(written.lease_age_seconds.unwrap_or(default));
    let mut node = Node::new(written.ready, renewed);
    node.control_plane =
        written.control_plane || written.labels.contains_key(CONTROL_PLANE_LABEL);
    (written.addresses.iter()).for_each(|(_, value)| node.add(value));
    node
}

fn token(context: &Context) -> Staged<Option<Token>> {
    if context.token_deleted {
        return Ok(None);
    }
    let name_pattern = context.token_name_pattern.as_deref();
    let limits = Limits {
        node_names: name_pattern.map(pattern).transpose()?,
        max_nodes: context.token_max_nodes,
        uses: if context.token_one_shot {
            Uses::Once
        } else {
            Uses::Many
        },
    };
    Ok(Some(Token {
        expires: Some(if context.token_expired {
            ago(1)
        } else {
            now() + Duration::from_secs(24 * 60 * 60)
        }),
        authenticates: !context.token_without_authentication,
        deleting: false,
        limits: Known::Known(limits),
        used_by: context.token_used_by.iter().cloned().collect(),
        used_in: context.token_used_in.iter().cloned().collect(),
    }))
}

/// kubeadm's bindings: `nodeclient` to bootstrappers, `selfnodeclient` to nodes.
fn granted(case: &Case) -> BTreeSet<&'static str> {
    let bound = [
        (Access::NodeClient, "system:bootstrappers"),
        (Access::SelfNodeClient, "system:nodes"),
    ];
    let is_in = |group: &str| case.groups.iter().any(|each| each == group);
    let granted = bound
        .into_iter()
        .filter(|(_, group)| case.context.access_granted.unwrap_or_else(|| is_in(group)));
    granted.map(|(access, _)| access.subresource()).collect()
}

fn inventory(nodes: &[case::Listed]) -> Inventory {
    let listed = nodes.iter().map(|node| {
        let mut listed = Listed {
            control_plane: node.control_plane,
            ..Listed::default()
        };
        for value in &node.has {
            match value.parse::<IpAddr>() {
                Ok(address) => _ = listed.addresses.insert(address.to_canonical()),
                Err(_) => listed.names.extend(dns_name(value)),
            }
        }
        (node.name.clone(), listed)
    });
    Inventory {
        nodes: listed.collect::<BTreeMap<_, _>>(),
    }
}
