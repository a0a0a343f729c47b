//! What the API server holds of a request, apart from the PEM text.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// A `CertificateSigningRequest` object. The API server vouches for who asked and when;
/// the rest is as the requester wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`, set by the API server: a name can come again, this cannot.
    pub uid: String,
    /// `spec.signerName`.
    pub signer: String,
    /// `spec.username`, set by the API server.
    pub username: String,
    /// `spec.groups`, set by the API server.
    pub groups: BTreeSet<String>,
    /// `spec.usages`, with repetitions.
    pub usages: Vec<String>,
    /// `spec.expirationSeconds`.
    pub expiration: Option<Duration>,
    /// `metadata.creationTimestamp`.
    pub created: SystemTime,
    /// How far it got.
    pub state: State,
}

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody decided.
    Pending,
    /// It has a condition `Approved`, `Denied` or `Failed`.
    Decided,
    /// `status.certificate` is there.
    Issued,
    /// `metadata.deletionTimestamp` is there.
    Deleting,
}

/// The signers handled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signer {
    /// `kubernetes.io/kube-apiserver-client-kubelet`.
    Client,
    /// `kubernetes.io/kubelet-serving`.
    Serving,
}

impl Signer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Client, Self::Serving];

    /// The signer's name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "kubernetes.io/kube-apiserver-client-kubelet",
            Self::Serving => "kubernetes.io/kubelet-serving",
        }
    }

    /// The one called `name` in the API.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signer| signer.name() == name)
    }

    /// The usage a kubelet asks for besides `digital signature`.
    #[must_use]
    pub fn usage(self) -> &'static str {
        match self {
            Self::Client => "client auth",
            Self::Serving => "server auth",
        }
    }
}
