//! What can only be found out by trying: whether packets pass, how fast a disk is, who has an
//! address, what the kernel can do. Nothing that is tried stays: ears are closed by the next
//! order or with the agent, the file on the disk is removed.

pub(super) mod carried;
mod claimants;
mod dial;
mod ears;
pub(super) mod filter;
mod kernel;
mod members;
mod raw;
mod syncs;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::flows::firewall::Firewall;
use crate::flows::{Carried, Carrying, Ear, Reply, Standing};

pub(super) use ears::Ears;
pub use kernel::{Kernel, Module};
pub use members::{Member, Store};
pub use syncs::Syncs;

/// Something to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// What filters what comes in.
    Firewall,
    /// What has yet to be said to a firewall of its own so that it hands this on.
    Carries(Carrying),
    /// How the kernel is set, and whether it has these modules.
    Kernel {
        /// Settings, by their names as in sysctl(8).
        settings: Vec<String>,
        /// Modules.
        modules: Vec<String>,
    },
    /// How long etcd's disk takes to write something down.
    Syncs,
    /// Listen and answer until the next such order.
    Listen {
        /// Where.
        ears: Vec<Ear>,
        /// What a trial of this run carries; nothing else is answered.
        word: String,
    },
    /// Call these, all at once.
    Dial {
        /// Where.
        calls: Vec<Ear>,
        /// What the ears answer to.
        word: String,
    },
    /// Who has an address, besides this host.
    Claimants {
        /// Where it is asked.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// Whether the members of an etcd of others serve this host.
    Members(Store),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probed {
    /// Of [`Probe::Firewall`].
    Firewall(Firewall),
    /// Of [`Probe::Carries`].
    Carries(Carried),
    /// Of [`Probe::Kernel`].
    Kernel(Kernel),
    /// Of [`Probe::Syncs`].
    Syncs(Syncs),
    /// Of [`Probe::Listen`], in its order.
    Standing(Vec<Standing>),
    /// Of [`Probe::Dial`], in its order.
    Replies(Vec<Reply>),
    /// Of [`Probe::Claimants`]: hardware addresses.
    Claimants(Vec<String>),
    /// Of [`Probe::Members`], in its order.
    Members(Vec<Member>),
}

/// Why something could not be tried.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Nothing can be waited for.
    #[error("no runtime can be had")]
    Runtime(#[source] io::Error),
    /// There is no such interface, or it is no Ethernet.
    #[error("{0} is no interface with a hardware address")]
    Interface(String),
    /// Frames cannot be sent there.
    #[error("frames cannot be exchanged on {interface}")]
    Frames {
        /// Where.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing can be written there.
    #[error("{} cannot be written to", .folder.display())]
    Disk {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Tries something on the host whose files lie below `root`. `ears` are those of an earlier
/// order.
pub(super) fn probe(
    root: &Path,
    probe: &Probe,
    ears: &mut Option<Ears>,
) -> Result<Probed, ProbeError> {
    Ok(match probe {
        Probe::Firewall => Probed::Firewall(filter::look(root)),
        Probe::Carries(pods) => Probed::Carries(carried::carried(root, pods)),
        Probe::Kernel { settings, modules } => {
            Probed::Kernel(kernel::look(root, settings, modules))
        }
        Probe::Syncs => Probed::Syncs(syncs::measure(root)?),
        Probe::Listen { ears: at, word } => {
            // Those of the order before are closed first: they may have the same ports.
            *ears = None;
            let (open, standing) = Ears::open(at, word)?;
            *ears = Some(open);
            Probed::Standing(standing)
        }
        Probe::Dial { calls, word } => Probed::Replies(dial::dial(calls, word)?),
        Probe::Claimants { interface, address } => {
            let all = claimants::claimants(interface, *address)?;
            Probed::Claimants(all.into_iter().collect())
        }
        Probe::Members(store) => Probed::Members(members::ask(store)?),
    })
}

/// What a trial carries, and what answers it: of one run alone, so that nobody else's
/// datagram is answered.
struct Words {
    asks: Vec<u8>,
    hears: Vec<u8>,
}

impl Words {
    fn of(word: &str) -> Self {
        Self {
            asks: format!("sternpost {word} asks").into_bytes(),
            hears: format!("sternpost {word} hears").into_bytes(),
        }
    }
}
