//! The RBAC objects, one file for each thing it may be told to do.

use std::collections::BTreeSet;

use clap::ValueEnum;

/// What it is to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Part {
    /// To watch, to approve and to deny.
    Approve,
    /// To write certificates (`signing`).
    Sign,
    /// To sign cluster-info (`tokens.clusterInfo: sign`).
    ClusterInfo,
    /// To delete tokens that have expired (`tokens.expired: delete`).
    Clean,
    /// That anybody may read cluster-info, as kubeadm has it.
    Discovery,
}

impl Part {
    fn objects(self) -> &'static str {
        match self {
            Self::Approve => include_str!("rbac.yaml"),
            Self::Sign => include_str!("rbac/sign.yaml"),
            Self::ClusterInfo => include_str!("rbac/cluster-info.yaml"),
            Self::Clean => include_str!("rbac/clean.yaml"),
            Self::Discovery => include_str!("rbac/discovery.yaml"),
        }
    }
}

/// The objects of all `parts`, in one order.
#[must_use]
pub fn objects(parts: &BTreeSet<Part>) -> String {
    let objects = parts.iter().map(|part| part.objects().trim_end());
    objects.collect::<Vec<_>>().join("\n---\n")
}
