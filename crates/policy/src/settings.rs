//! What an operator decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::requester::BOOTSTRAPPERS;
use crate::{Network, Pattern, Signer};

/// The policy's settings. [`Settings::default`] are the manual's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The signers that are handled.
    pub signers: BTreeSet<Signer>,
    /// The cluster's DNS domain, in lower case.
    pub cluster_domain: String,
    /// Networks of Services; nothing in them is a node's.
    pub service_networks: Vec<Network>,
    /// DNS names that are nobody's, in compared form: the control plane's endpoint.
    pub reserved_names: BTreeSet<String>,
    /// Networks and addresses that are nobody's: the control plane's virtual address.
    pub reserved_networks: Vec<Network>,
    /// The control-plane nodes: their names are not for bootstrap identities, their
    /// addresses (apiserver endpoints) for nobody but themselves.
    pub masters: BTreeMap<String, Master>,
    /// Further names that are not for bootstrap identities.
    pub control_plane_names: Vec<Pattern>,
    /// Groups whose members may ask for new nodes.
    pub bootstrap_groups: BTreeSet<String>,
    /// Users who may, besides them.
    pub bootstrap_users: BTreeSet<String>,
    /// A node is silent when its lease is older.
    pub node_grace: Duration,
    /// A node silent for that long may be made anew; `None`: only once it is deleted.
    pub reprovision_after: Option<Duration>,
    /// How long a name that was given is kept for the key it was given to, until its Node
    /// is there.
    pub name_hold: Duration,
    /// Node names allowed; empty: all.
    pub allowed_node_names: Vec<Pattern>,
    /// DNS names allowed in serving requests; empty: all.
    pub allowed_names: Vec<Pattern>,
    /// Addresses allowed in serving requests; empty: all.
    pub allowed_networks: Vec<Network>,
    /// The longest lifetime that may be asked for.
    pub max_expiration: Duration,
    /// Most names and addresses of a serving request.
    pub max_sans: usize,
    /// How long a Node may take to report what its request asks for.
    pub address_wait: Duration,
    /// What one requester may have open.
    pub quota: Quota,
    /// What says which names and addresses a node has.
    pub source: Source,
}

/// One control-plane node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Master {
    /// Where its apiserver listens.
    pub addresses: BTreeSet<IpAddr>,
}

/// How many requests of one requester may be pending or refused within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// That many.
    pub requests: usize,
    /// Within that time.
    pub window: Duration,
}

/// What says which names and addresses a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The Node object.
    Node,
    /// The inventory file, whatever the Node reports.
    Inventory,
    /// Both must say so.
    Both,
    /// One of them must.
    Either,
}

impl Source {
    /// Whether the Node object is asked.
    #[must_use]
    pub fn asks_node(self) -> bool {
        match self {
            Self::Node | Self::Both | Self::Either => true,
            Self::Inventory => false,
        }
    }

    /// Whether a node must be in the inventory file.
    #[must_use]
    pub fn demands_inventory(self) -> bool {
        match self {
            Self::Inventory | Self::Both => true,
            Self::Node | Self::Either => false,
        }
    }
}

/// Minimum of the API and of every signer.
pub(crate) const SHORTEST_EXPIRATION: Duration = Duration::from_secs(600);

impl Default for Settings {
    fn default() -> Self {
        Self {
            signers: Signer::ALL.into(),
            cluster_domain: "cluster.local".to_owned(),
            service_networks: Vec::new(),
            reserved_names: BTreeSet::new(),
            reserved_networks: Vec::new(),
            masters: BTreeMap::new(),
            control_plane_names: Vec::new(),
            bootstrap_groups: [BOOTSTRAPPERS.to_owned()].into(),
            bootstrap_users: BTreeSet::new(),
            // kube-controller-manager calls a node unknown after 40 s to 50 s; below five
            // minutes its pods are not even evicted.
            node_grace: Duration::from_secs(5 * 60),
            reprovision_after: None,
            // A kubelet registers its Node seconds after it has its certificate, the
            // slowest signer takes most of a minute, and kubeadm gives up after five.
            name_hold: Duration::from_secs(2 * 60),
            allowed_node_names: Vec::new(),
            allowed_names: Vec::new(),
            allowed_networks: Vec::new(),
            // What kube-controller-manager signs at most by default.
            max_expiration: Duration::from_secs(365 * 24 * 60 * 60),
            // A node with two families, an external address and cloud names has eight.
            max_sans: 32,
            // A kubelet reports a changed address at once, a cloud's controller within
            // half a minute; the kubelet itself waits for 15 minutes.
            address_wait: Duration::from_secs(2 * 60),
            quota: Quota {
                requests: 20,
                window: Duration::from_secs(10 * 60),
            },
            source: Source::Node,
        }
    }
}
