//! The file as it is written. Every key is described in `docs/config/bootstrap-signer.md`.

use std::path::PathBuf;

use config::{Address, Period};
use daemon::log;
use serde::Deserialize;

use crate::tokens::{ClusterInfo, Expired};

/// What `apiVersion` and `kind` stand above.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Whether decisions are written.
    #[serde(default)]
    pub mode: super::Mode,
    /// How to reach the API.
    #[serde(default)]
    pub kubernetes: Kubernetes,
    /// The admin endpoint.
    #[serde(default)]
    pub admin: Admin,
    /// Where commands are taken.
    pub socket: Option<PathBuf>,
    /// How to log.
    #[serde(default)]
    pub log: log::Settings,
    /// What is handled.
    pub signers: Option<Vec<Signer>>,
    /// The cluster's networks and names.
    pub cluster: Cluster,
    /// Where its API answers, and on which nodes.
    #[serde(default)]
    pub control_plane: ControlPlane,
    /// Who may ask for new nodes.
    #[serde(default)]
    pub bootstrap: Bootstrap,
    /// What nobody may have.
    #[serde(default)]
    pub reserved: Reserved,
    /// What alone is allowed.
    #[serde(default)]
    pub allow: Allow,
    /// Sizes and times.
    #[serde(default)]
    pub limits: Limits,
    /// What one requester may have open.
    #[serde(default)]
    pub quota: Quota,
    /// The nodes there are to be.
    pub inventory: Option<Inventory>,
    /// What signs.
    #[serde(default)]
    pub signing: Signing,
    /// What is looked after of tokens.
    #[serde(default)]
    pub tokens: Tokens,
}

/// `tokens`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tokens {
    /// Who signs `kube-public/cluster-info`.
    pub cluster_info: ClusterInfo,
    /// Who deletes what has expired.
    pub expired: Expired,
}

/// `signing`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Signing {
    /// Client certificates.
    pub client: Option<Signed>,
    /// Serving certificates.
    pub serving: Option<Signed>,
}

/// `signing.client`, `signing.serving`.
#[derive(Debug, Clone, Deserialize)]
pub struct Signed {
    /// The first that may sign does.
    pub authorities: Vec<Authority>,
    /// How long a certificate lasts.
    pub lifetime: Option<Period>,
}

/// `signing.*.authorities[]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Its certificate, then those of its issuers.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// When it begins to sign, RFC 3339.
    pub signs_from: Option<String>,
}

/// `kubernetes`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Kubernetes {
    /// The credentials.
    pub kubeconfig: Option<PathBuf>,
}

/// `admin`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Admin {
    /// Where it listens.
    pub address: Option<Address>,
}

/// `signers[]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signer {
    /// `kubernetes.io/kube-apiserver-client-kubelet`.
    Client,
    /// `kubernetes.io/kubelet-serving`.
    Serving,
}

/// `cluster`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// The DNS domain of Services.
    pub domain: Option<String>,
    /// The networks of Services.
    pub service_networks: Vec<String>,
}

/// `controlPlane`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ControlPlane {
    /// Addresses and names of the API that are no node's.
    pub endpoints: Vec<String>,
    /// The control-plane nodes.
    pub nodes: Vec<ControlPlaneNode>,
    /// Patterns of further names.
    pub names: Vec<String>,
}

/// `controlPlane.nodes[]`.
#[derive(Debug, Clone, Deserialize)]
pub struct ControlPlaneNode {
    /// Its node name.
    pub name: String,
    /// Where its apiserver listens.
    pub addresses: Vec<String>,
}

/// `bootstrap`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Bootstrap {
    /// Whose members may ask.
    pub groups: Option<Vec<String>>,
    /// Who may besides them.
    pub users: Vec<String>,
    /// When a node counts as silent.
    pub node_grace: Option<Period>,
    /// How long a name is kept for the key it was given to.
    pub name_hold: Option<Period>,
    /// When a silent node may be made anew.
    pub reprovision_after: Option<Period>,
}

/// `reserved`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reserved {
    /// DNS names.
    pub names: Vec<String>,
    /// Networks and addresses.
    pub networks: Vec<String>,
}

/// `allow`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Allow {
    /// Patterns of node names.
    pub node_names: Vec<String>,
    /// Patterns of DNS names.
    pub names: Vec<String>,
    /// Networks of addresses.
    pub networks: Vec<String>,
}

/// `limits`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Limits {
    /// The longest lifetime.
    pub expiration: Option<Period>,
    /// Most names of a serving request.
    pub names: Option<u32>,
    /// How long a Node may take to report its addresses.
    pub address_wait: Option<Period>,
}

/// `quota`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// That many requests.
    pub requests: Option<u32>,
    /// Within that time.
    pub window: Option<Period>,
}

/// `inventory`.
#[derive(Debug, Clone, Deserialize)]
pub struct Inventory {
    /// The file.
    pub file: PathBuf,
    /// How it goes with the Node objects.
    #[serde(rename = "use")]
    pub usage: Use,
}

/// `inventory.use`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Use {
    /// The file alone.
    Instead,
    /// Both must say so.
    Both,
    /// One of them must.
    Either,
}
