//! What is done, and what is left alone.

use serde::{Deserialize, Serialize};

use super::There;
use super::kernel::{Route, Table};
use crate::agent::Was;

/// One thing to do. The agent does it only while what it says is still so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum Step {
    /// End a unit, for this boot and the next.
    Stop {
        /// Which.
        unit: String,
    },
    /// End every container of Kubernetes, at once.
    Containers {
        /// Sandboxes that there are.
        sandboxes: usize,
    },
    /// Have containerd forget the containers and images of Kubernetes, and no others.
    Images,
    /// Unmount what a Pod or its container has mounted.
    Unmount {
        /// Where.
        at: String,
    },
    /// Remove the network of a Pod, with its end of the wire.
    Space {
        /// Its name.
        name: String,
    },
    /// Remove an interface.
    Interface {
        /// Which.
        name: String,
    },
    /// Remove a route to the Pods of another host.
    Route(Route),
    /// Remove a table of nftables with all that is in it.
    Table(Table),
    /// Remove chains of iptables, and the rules of others that lead to them.
    Chains {
        /// The program whose they are.
        program: String,
        /// How many there are.
        count: usize,
    },
    /// Take our lines out of a file that others write to as well.
    Strip {
        /// Which.
        path: String,
    },
    /// Remove a file.
    File {
        /// Which.
        path: String,
        /// Its SHA-256.
        sha256: String,
    },
    /// Remove a link.
    Link {
        /// Which.
        path: String,
        /// Where it leads.
        to: String,
    },
    /// Take away what stands somewhere, is none of ours, and is kept.
    Aside {
        /// Where.
        path: String,
    },
    /// Put back what stood somewhere before something of ours did.
    Back {
        /// Where.
        path: String,
        /// What stands there.
        over: Option<There>,
        /// What stood there.
        was: Was,
    },
    /// Remove a folder with all that is in it.
    Tree {
        /// Which.
        path: String,
    },
    /// Remove an empty folder.
    Folder {
        /// Which.
        path: String,
    },
    /// Have systemd forget the units that are gone.
    Reread,
    /// Turn a unit of others as it was, which one of ours had taken the place of.
    Bring(Theirs),
    /// Keep out again what these words to a firewall have let in.
    Close {
        /// The command that has let it in.
        words: Vec<String>,
    },
    /// Remove the journal, which has nothing left to tell.
    Forget,
}

/// How a unit of others was before one of ours took its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Theirs {
    /// Which.
    pub unit: String,
    /// Whether it was started at boot.
    pub enabled: bool,
    /// Whether it ran.
    pub active: bool,
}

/// Something that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kept")]
pub enum Kept {
    /// It is not what was laid down.
    Changed {
        /// Which.
        path: String,
    },
    /// Something else stood there before; all that is known of it is its checksum.
    Replaced {
        /// Which.
        path: String,
    },
    /// A folder has things of others in it.
    Others {
        /// Which.
        path: String,
        /// What is in it.
        names: Vec<String>,
    },
    /// Data, which was not to be removed.
    Data {
        /// Where.
        path: String,
    },
    /// Something is mounted below data that was to be removed.
    Mounted {
        /// Where the data is.
        path: String,
        /// Where it is mounted.
        at: String,
    },
}

impl Kept {
    /// What stays.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Changed { path }
            | Self::Replaced { path }
            | Self::Others { path, .. }
            | Self::Data { path }
            | Self::Mounted { path, .. } => path,
        }
    }
}
