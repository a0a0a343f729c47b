//! What is seen of the cluster, object by object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use policy::{Node, Submitted, Token};

use crate::certificates::Validity;

/// What can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// CertificateSigningRequests.
    Requests,
    /// Nodes.
    Nodes,
    /// Leases of nodes.
    Leases,
    /// Secrets of bootstrap tokens.
    Tokens,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Nodes, Self::Leases, Self::Tokens];

    /// As logs and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Nodes => "nodes",
            Self::Leases => "leases",
            Self::Tokens => "tokens",
        }
    }
}

/// A request as it stands in the API.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What the policy looks at.
    pub submitted: Submitted,
    /// The PEM text; empty once it was read.
    pub pem: Vec<u8>,
    /// `metadata.resourceVersion`: what a decision is about.
    pub version: String,
    /// It was denied.
    pub denied: bool,
    /// When it was approved.
    pub approved: Option<SystemTime>,
    /// Who decided, when that was another program.
    pub stranger: Option<String>,
    /// How long its certificate is good, once it has one.
    pub issued: Option<Validity>,
    /// The requester's own uid, which a SubjectAccessReview must carry too.
    pub requester_uid: String,
    /// Further names of the requester that a SubjectAccessReview must carry.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What a token's Secret says of its uses, and which version of it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// The annotation, as it is written.
    pub used_by: String,
}

/// Something that was seen.
#[derive(Debug)]
pub enum Change {
    /// A request is there, or is different.
    Request(Box<Seen>),
    /// All requests are read once more, for those there was no room for.
    ReadAgain,
    /// One of them.
    Again(Box<Seen>),
    /// A Node is there, or is different.
    Node(String, Node),
    /// A node renewed its lease.
    Renewed(String, SystemTime),
    /// A token is there, or is different; with what its Secret says of its uses.
    Token(String, Token, Ledger),
    /// The object of that name is gone.
    Gone(Kind, String),
    /// All there is was seen, and it is this.
    Whole(Kind, BTreeSet<String>),
}
