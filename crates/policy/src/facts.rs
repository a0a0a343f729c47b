//! What is known of the cluster when a question is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use crate::{Pattern, dns_name};

/// A fact, or why it is not known. What is not known never denies and never approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<T> {
    /// It is this.
    Known(T),
    /// Not known, and why.
    Unknown(&'static str),
}

/// All facts of one question.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The Node objects.
    pub nodes: Known<&'a Nodes>,
    /// The token the requester's name speaks of; `None` when there is none of that name.
    pub token: Known<Option<&'a Token>>,
    /// The answer to the SubjectAccessReview of [`crate::Question::access`].
    pub access: Known<bool>,
    /// Nodes for which the request's key was used, in requests or certificates.
    pub key_users: Known<BTreeSet<&'a str>>,
    /// Older requests of the same requester, made within the quota's window before now,
    /// that are pending or were refused.
    pub ahead: Known<usize>,
    /// A newer pending request of the same requester for the same signer and node.
    pub superseded_by: Option<&'a str>,
    /// Other keys that bootstrap identities ask with for the same name.
    pub rivals: Known<Vec<Rival>>,
    /// The inventory file.
    pub inventory: Option<&'a Inventory>,
}

impl Facts<'_> {
    /// Nothing is known.
    #[must_use]
    pub fn unknown(why: &'static str) -> Self {
        Self {
            nodes: Known::Unknown(why),
            token: Known::Unknown(why),
            access: Known::Unknown(why),
            key_users: Known::Unknown(why),
            ahead: Known::Unknown(why),
            superseded_by: None,
            rivals: Known::Unknown(why),
            inventory: None,
        }
    }
}

/// A request for the same name by a bootstrap identity with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// It is pending, was made before this one, and at this time.
    Before(SystemTime),
    /// It is pending, and was made after this one.
    After,
    /// It was approved at this time.
    Given(SystemTime),
}

/// What a SubjectAccessReview asks: may the requester `create` this subresource of
/// `certificatesigningrequests` in `certificates.k8s.io`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// `nodeclient`: client certificates for nodes.
    NodeClient,
    /// `selfnodeclient`: a client certificate for itself.
    SelfNodeClient,
}

impl Access {
    /// The subresource.
    #[must_use]
    pub fn subresource(self) -> &'static str {
        match self {
            Self::NodeClient => "nodeclient",
            Self::SelfNodeClient => "selfnodeclient",
        }
    }
}

/// A Node object, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its names besides `metadata.name`, in compared form.
    pub names: BTreeSet<String>,
    /// Its addresses, in canonical form.
    pub addresses: BTreeSet<IpAddr>,
    /// The condition `Ready` is `True`.
    pub ready: bool,
    /// When its lease was last renewed; its creation when it has none.
    pub renewed: SystemTime,
    /// It carries the label of a control-plane node.
    pub control_plane: bool,
}

impl Node {
    /// A node without addresses.
    #[must_use]
    pub fn new(ready: bool, renewed: SystemTime) -> Self {
        Self {
            names: BTreeSet::new(),
            addresses: BTreeSet::new(),
            ready,
            renewed,
            control_plane: false,
        }
    }

    /// Adds a value of `status.addresses`, of whatever type: a hostname may be an
    /// address. What is neither is nobody's, and left out.
    pub fn add(&mut self, value: &str) {
        match value.parse::<IpAddr>() {
            Ok(address) => _ = self.addresses.insert(address.to_canonical()),
            Err(_) => self.names.extend(dns_name(value)),
        }
    }
}

/// All Node objects, by name and by what they claim.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    by_name: BTreeMap<String, Node>,
    by_dns: BTreeMap<String, BTreeSet<String>>,
    by_address: BTreeMap<IpAddr, BTreeSet<String>>,
}

impl Nodes {
    /// The node called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.by_name.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Puts a node in, in place of one of the same name.
    pub fn insert(&mut self, name: &str, node: Node) {
        self.remove(name);
        for dns in &node.names {
            let claimed = self.by_dns.entry(dns.clone()).or_default();
            claimed.insert(name.to_owned());
        }
        for address in &node.addresses {
            let claimed = self.by_address.entry(*address).or_default();
            claimed.insert(name.to_owned());
        }
        self.by_name.insert(name.to_owned(), node);
    }

    /// Takes a node out.
    pub fn remove(&mut self, name: &str) {
        let Some(node) = self.by_name.remove(name) else {
            return;
        };
        for dns in &node.names {
            release(&mut self.by_dns, dns, name);
        }
        for address in &node.addresses {
            release(&mut self.by_address, address, name);
        }
    }

    /// The nodes that have `dns`, in compared form, as their name or among their names.
    pub fn with_name<'a>(
        &'a self,
        dns: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let own = self
            .by_name
            .get_key_value(dns)
            .map(|(name, _)| name.as_str());
        let others = self.by_dns.get(dns).into_iter().flatten();
        let names = own.into_iter().chain(others.map(String::as_str));
        names.filter_map(|name| Some((name, self.by_name.get(name)?)))
    }

    /// The nodes that have `address`.
    pub fn with_address(&self, address: IpAddr) -> impl Iterator<Item = (&str, &Node)> {
        let names = self.by_address.get(&address.to_canonical());
        let names = names.into_iter().flatten();
        names.filter_map(|name| Some((name.as_str(), self.by_name.get(name)?)))
    }
}

fn release<K: Ord>(index: &mut BTreeMap<K, BTreeSet<String>>, key: &K, name: &str) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

impl FromIterator<(String, Node)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (String, Node)>>(nodes: I) -> Self {
        let mut all = Self::default();
        for (name, node) in nodes {
            all.insert(&name, node);
        }
        all
    }
}

/// A bootstrap token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// When it ends; `None`: never.
    pub expires: Option<SystemTime>,
    /// `usage-bootstrap-authentication` is `true`.
    pub authenticates: bool,
    /// Its Secret is being deleted.
    pub deleting: bool,
    /// What it is limited to; unknown when its annotations cannot be read.
    pub limits: Known<Limits>,
    /// The node names it was used for.
    pub used_by: BTreeSet<String>,
    /// The requests it was used by, by their `metadata.uid`: one of them may be asked about again, since who uses
    /// a token says so before the decision is written.
    pub used_in: BTreeSet<String>,
}

/// What a token is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The node names it is for; `None`: any.
    pub node_names: Option<Pattern>,
    /// How many differently named nodes it may make; `None`: any number.
    pub max_nodes: Option<usize>,
    /// What is left once it was used.
    pub uses: Uses,
}

/// How often a token may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uses {
    /// Any number of times, for the same name too.
    #[default]
    Many,
    /// For one certificate.
    Once,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            expires: None,
            authenticates: true,
            deleting: false,
            limits: Known::Known(Limits::default()),
            used_by: BTreeSet::new(),
            used_in: BTreeSet::new(),
        }
    }
}

/// The inventory file: the nodes there are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By node name.
    pub nodes: BTreeMap<String, Listed>,
}

/// One node of the inventory file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// It is a control-plane node.
    pub control_plane: bool,
    /// Its names besides its own, in compared form.
    pub names: BTreeSet<String>,
    /// Its addresses, in canonical form.
    pub addresses: BTreeSet<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_follow_their_nodes() {
        let mut nodes = Nodes::default();
        let mut node = Node::new(true, SystemTime::UNIX_EPOCH);
        for value in ["Node-A.example.", "::ffff:10.0.0.11", "fd00:0:0::11", "?"] {
            node.add(value);
        }
        nodes.insert("node-a", node);
        let by_name = |nodes: &Nodes, name: &str| nodes.with_name(name).count();
        let by_address =
            |nodes: &Nodes, text: &str| nodes.with_address(text.parse().unwrap()).count();
        assert_eq!(by_name(&nodes, "node-a"), 1);
        assert_eq!(by_name(&nodes, "node-a.example"), 1);
        assert_eq!(by_address(&nodes, "10.0.0.11"), 1);
        assert_eq!(by_address(&nodes, "fd00::11"), 1);
        nodes.insert("node-a", Node::new(true, SystemTime::UNIX_EPOCH));
        assert_eq!(by_name(&nodes, "node-a.example"), 0);
        assert_eq!(by_address(&nodes, "10.0.0.11"), 0);
        nodes.remove("node-a");
        assert!(nodes.is_empty() && nodes.by_address.is_empty());
    }
}
