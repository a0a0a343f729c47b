//! What a source of servers says, and every way it can fail to.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use probe::Outcome;

use super::KubeconfigError;

/// What came for a backend.
#[derive(Debug)]
pub struct Found {
    /// The backend's name.
    pub backend: Arc<str>,
    /// What was said.
    pub answer: Answer,
}

/// What a source says.
#[derive(Debug)]
pub enum Answer {
    /// These are all.
    All(BTreeSet<SocketAddr>),
    /// These are some; of others nothing is known, for this reason.
    Some(BTreeSet<SocketAddr>, Failure),
    /// It says nothing, for this reason.
    None(Failure),
}

/// Why a source says nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A name has no address, or nobody says which.
    #[error("{name} does not resolve: {error}")]
    Resolve {
        /// The name.
        name: Arc<str>,
        /// What the resolver said.
        error: std::io::Error,
    },
    /// The kubeconfig cannot be used.
    #[error("{0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// There is no server to ask.
    #[error("there is no server to ask")]
    Nobody,
    /// A server cannot be asked.
    #[error("{0}: {1}")]
    Connect(SocketAddr, Outcome),
    /// The request or its answer broke off.
    #[error("{0}: the connection broke: {1}")]
    Broken(SocketAddr, hyper::Error),
    /// The server refuses.
    #[error("{0}: answered {1}{hint}", hint = hint(*.1))]
    Status(SocketAddr, u16),
    /// The answer is not what the API says.
    #[error("{0}: {1}")]
    Malformed(SocketAddr, &'static str),
    /// No byte came for longer than a watch is quiet.
    #[error("{0}: silent")]
    Silent(SocketAddr),
}

impl Failure {
    /// The word in the metric.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Kubeconfig(_) => "kubeconfig",
            Self::Nobody => "nobody",
            Self::Connect(..) => "connect",
            Self::Broken(..) => "broken",
            Self::Status(..) => "status",
            Self::Malformed(..) => "malformed",
            Self::Silent(_) => "silent",
        }
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        401 => "; does it know the kubeconfig's user?",
        403 => "; may the kubeconfig's user list and watch endpointslices in default?",
        _ => "",
    }
}
