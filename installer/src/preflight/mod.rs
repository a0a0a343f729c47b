//! What speaks against making a cluster of these machines: a function of the description, of
//! what was found on them and between them, and of the time.
//!
//! ```text
//! hosts ──facts, probes──▶ Round ──preflight──▶ Finding… ──fix──▶ Fix… ──orders──▶ hosts
//! ```

mod between;
mod clock;
mod fix;
mod installed;
mod own;
mod packages;
mod store;
mod supported;
#[cfg(test)]
mod tests;
mod what;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use serde::Serialize;

use crate::agent::{Kernel, Member, Syncs};
use crate::architecture::Architecture;
use crate::facts::Machine;
use crate::flows::firewall::Firewall;
use crate::flows::{Carried, Flow, Passage, Reply};
use crate::spec::Cluster;

pub use fix::{Fix, Repair, fixes};
pub use installed::{Installed, Lacking};
pub use own::{lacks_units, programs};
pub use store::{Unserved, unserved};
pub use what::{Closed, Processor, Room, Setting, Taken, Unanswered, Weight, What};

/// Something about a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The host.
    pub host: String,
    /// What was found.
    #[serde(flatten)]
    pub what: What,
}

/// One look at all hosts.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// What was seen on each that answered.
    pub sights: BTreeMap<String, Sight>,
    /// What came of each flow between them.
    pub flows: Vec<(Flow, Passage)>,
    /// Who has the virtual addresses.
    pub claims: Vec<Claim>,
    /// The virtual addresses that no vip-daemon of ours is told to hold, as far as that was
    /// asked: none of ours may have them.
    pub fresh: BTreeSet<IpAddr>,
    /// Who could call the endpoint.
    pub calls: Vec<EndpointCall>,
    /// Which processor each program of the folder is for, by whose hosts would get it.
    pub programs: BTreeMap<Architecture, BTreeMap<String, String>>,
}

/// What was seen on a host.
#[derive(Clone, Debug)]
pub struct Sight {
    /// The machine.
    pub machine: Machine,
    /// When it said so.
    pub asked: SystemTime,
    /// What filters what comes in.
    pub firewall: Firewall,
    /// What has yet to be said to it so that Pods' packets pass; of a host for Pods.
    pub carried: Carried,
    /// How its kernel is.
    pub kernel: Kernel,
    /// What is in `/etc/hosts`.
    pub names: String,
    /// How fast its disk is; of a host that has, or is to have, etcd's data.
    pub syncs: Option<Result<Syncs, String>>,
    /// What the members of an etcd of others say to it, by their endpoints; of a host that is
    /// to use one.
    pub members: Vec<(String, Member)>,
}

impl Sight {
    /// A machine of which nothing but itself was looked at.
    #[must_use]
    pub fn of(machine: Machine, asked: SystemTime) -> Self {
        Self {
            machine,
            asked,
            firewall: Firewall::None,
            carried: Carried::default(),
            kernel: Kernel::default(),
            names: String::new(),
            syncs: None,
            members: Vec::new(),
        }
    }
}

/// Who answers for a virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The host that asked.
    pub asked: String,
    /// The address.
    pub address: IpAddr,
    /// Hardware addresses.
    pub by: Vec<String>,
}

/// A host that called the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointCall {
    /// The host.
    pub host: String,
    /// The endpoint's address.
    pub address: IpAddr,
    /// What it saw, each time.
    pub replies: Vec<Reply>,
}

/// What speaks against it, host by host in the order of the description, what blocks first.
#[must_use]
pub fn preflight(cluster: &Cluster, round: &Round) -> Vec<Finding> {
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    let mut clocks = clock::clocks(round);
    let mut all = Vec::new();
    for host in &cluster.hosts {
        let Some(sight) = round.sights.get(&host.name) else {
            continue;
        };
        let mut found = own::own(cluster, host, sight, &round.programs);
        let id = sight.machine.system.machine_id.as_str();
        if let Some(other) = ids.insert(id, &host.name).filter(|_| !id.is_empty()) {
            found.push(What::MachineId(other.to_owned()));
        }
        found.extend(clocks.remove(&host.name));
        found.extend(between::between(cluster, host, sight, round));
        found.sort_by_key(What::weight);
        all.extend(found.into_iter().map(|what| Finding {
            host: host.name.clone(),
            what,
        }));
    }
    all
}
