//! Bootstrap tokens: made, listed and deleted from the command line, and looked after by
//! the daemon where it is told to.
//!
//! ```text
//!  Secrets, cluster-info ──watch──▶ ledger ──todo(now)──▶ work ──▶ signatures, deletions
//! ```

pub mod cli;
mod import;
mod ledger;
mod listing;
mod shown;
mod store;
mod work;

use serde::Deserialize;

pub use ledger::{Change, Ledger, Todo};
pub use shown::Shown;
pub use work::{Worker, work};

/// What the daemon looks after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duties {
    /// The signatures of `kube-public/cluster-info`.
    pub cluster_info: ClusterInfo,
    /// Tokens that have expired.
    pub expired: Expired,
}

impl Duties {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.cluster_info == ClusterInfo::Leave && self.expired == Expired::Leave
    }
}

/// What is done with `kube-public/cluster-info`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterInfo {
    /// Somebody else signs it.
    #[default]
    Leave,
    /// It is signed here.
    Sign,
}

/// What is done with tokens that have expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expired {
    /// Somebody else deletes them.
    #[default]
    Leave,
    /// They are deleted here.
    Delete,
}
