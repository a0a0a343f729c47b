//! The format of a case. Every field is described in `docs/csr-cases.md`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// Unique in its file.
    pub name: String,
    /// `spec.signerName`.
    pub signer_name: String,
    /// `spec.username`.
    pub username: String,
    /// `spec.groups`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// `spec.usages`.
    #[serde(default)]
    pub usages: Vec<String>,
    /// Common names, in order.
    #[serde(rename = "subject_cn", default)]
    pub subject_cn: Many<String>,
    /// Organizations, in order.
    #[serde(rename = "subject_o", default)]
    pub subject_o: Many<String>,
    /// subjectAltName; without names the request has no extension.
    #[serde(default)]
    pub sans: Sans,
    /// The key's kind.
    pub key: String,
    /// `spec.expirationSeconds`.
    #[serde(default)]
    pub expiration_seconds: Option<i64>,
    /// What is there around the request.
    #[serde(default)]
    pub context: Context,
    /// What a strict policy decides.
    pub expected: Expected,
    /// The reason's name, where the case is about it.
    #[serde(default)]
    pub expected_reason: Option<String>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// Where it comes from, for people.
    #[serde(default)]
    pub source: String,
}

/// What a strict policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expected {
    /// Written as approved.
    Approve,
    /// Written as denied.
    Deny,
    /// Nothing is written yet.
    Wait,
    /// Nothing is written, now or later.
    Ignore,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Wait => "wait",
            Self::Ignore => "ignore",
        })
    }
}

/// One value or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Many<T> {
    /// One, alone.
    One(T),
    /// A list.
    List(Vec<T>),
}

impl<T> Many<T> {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        match self {
            Self::One(one) => std::slice::from_ref(one).iter(),
            Self::List(list) => list.iter(),
        }
    }
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// Names asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sans {
    /// `dNSName`s.
    pub dns: Vec<String>,
    /// `iPAddress`es.
    pub ip: Vec<String>,
    /// `uniformResourceIdentifier`s.
    pub uri: Vec<String>,
    /// `rfc822Name`s.
    pub email: Vec<String>,
}

/// What is there around the request, where it differs from the fixed context.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Context {
    /// The Node object of the request's node, or of the requester's.
    pub node: Option<Node>,
    /// Other Node objects.
    pub other_nodes: Vec<Node>,
    /// The node's object was there and is gone; stands beside `node: null`.
    pub deleted_node: bool,
    /// The Node was made anew under its name.
    pub node_uid_changed: bool,
    /// Seconds the request has waited for its Node to report what it asks for.
    pub node_status_age_seconds: Option<u64>,
    /// Seconds since the request was made.
    pub created_seconds_ago: Option<u64>,
    /// Further attributes of the subject, by their short names.
    #[serde(rename = "extraRDN")]
    pub extra_rdn: BTreeMap<String, String>,
    /// An extension asked for, as openssl writes it.
    pub csr_ext: Option<String>,
    /// What is done to the finished request.
    pub csr_mutation: Option<String>,
    /// The token's node-name pattern.
    pub token_name_pattern: Option<String>,
    /// The token's most nodes.
    pub token_max_nodes: Option<usize>,
    /// The node names the token was used for.
    pub token_used_by: Vec<String>,
    /// The names of the requests that used it.
    pub token_used_in: Vec<String>,
    /// The token is good for one certificate.
    pub token_one_shot: bool,
    /// The token has expired.
    pub token_expired: bool,
    /// The token's Secret is gone.
    pub token_deleted: bool,
    /// The token may not authenticate.
    pub token_without_authentication: bool,
    /// Types of the request's conditions.
    pub conditions: Vec<String>,
    /// `status.certificate` is there.
    pub has_certificate: bool,
    /// `metadata.deletionTimestamp` is there.
    pub deleting: bool,
    /// The node that used this key before.
    pub key_seen_for: Option<String>,
    /// Older requests of this requester that are pending or were refused.
    pub pending_from_requestor: Option<usize>,
    /// A newer request for the same node.
    pub superseded_by: Option<String>,
    /// Other keys for the same name: `before`, `after` or `given`, and how long ago.
    pub rivals: Vec<(String, u64)>,
    /// `metadata.name`, where it is not the case's.
    pub request_name: Option<String>,
    /// The answer to the SubjectAccessReview, where it is not that of kubeadm's bindings.
    #[serde(alias = "sarAllowed")]
    pub access_granted: Option<bool>,
    /// Allow-list of DNS names.
    pub regex: Option<String>,
    /// Allow-list of addresses.
    pub allowed_networks: Vec<String>,
    /// Allow-list of node names.
    pub allowed_node_names: Vec<String>,
    /// The Service networks.
    #[serde(alias = "serviceCIDR", alias = "serviceCidr", alias = "serviceNetwork")]
    pub service_networks: Option<Many<String>>,
    /// Addresses nobody may have, besides those of the fixed context.
    #[serde(alias = "controlPlaneVIP", alias = "vip")]
    pub reserved_addresses: Many<String>,
    /// Names nobody may have.
    pub reserved_names: Many<String>,
    /// Names of control-plane nodes, besides those of the fixed context.
    pub control_plane_names: Vec<String>,
    /// Silent nodes may be made anew after that many seconds.
    pub reprovision_after_seconds: Option<u64>,
    /// The inventory file.
    pub inventory: Option<Vec<Listed>>,
    /// What says which names a node has: node, inventory, both or either.
    pub inventory_use: Option<String>,
    /// Facts that are not known: nodes, token, access, keys, requests.
    pub unknown: Vec<String>,
    /// For people.
    pub note: String,
}

/// A Node object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Node {
    /// `metadata.name`.
    pub name: String,
    /// `status.addresses`: type and value.
    #[serde(default)]
    pub addresses: Vec<(String, String)>,
    /// The condition `Ready`.
    #[serde(default = "ready")]
    pub ready: bool,
    /// Seconds since its lease was renewed: 5 when Ready, 900 when not.
    pub lease_age_seconds: Option<u64>,
    /// Its labels; one of them makes a control-plane node.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// It carries that label.
    #[serde(default)]
    pub control_plane: bool,
}

fn ready() -> bool {
    true
}

/// A node of the inventory file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// It is a control-plane node.
    #[serde(default)]
    pub control_plane: bool,
    /// Its names and addresses.
    #[serde(default)]
    pub has: Vec<String>,
}
