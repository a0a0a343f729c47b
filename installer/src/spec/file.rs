//! `cluster.yaml` as written. What each key means stands in `docs/config/cluster.md`; what
//! the installer works with is [`super::Cluster`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster, as its operator describes it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// What the cluster is called in kubeconfigs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which Kubernetes.
    pub kubernetes: Kubernetes,
    /// Where clients find the API.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// What stands in front of the API servers.
    #[serde(default)]
    pub balancer: Balancer,
    /// The networks inside the cluster.
    #[serde(default)]
    pub networks: Networks,
    /// The machines.
    pub hosts: Vec<Host>,
    /// The cluster's store.
    #[serde(default)]
    pub etcd: Etcd,
    /// Keys and certificates.
    #[serde(default)]
    pub pki: Pki,
    /// What runs containers.
    #[serde(default)]
    pub runtime: Runtime,
    /// Where the programs come from.
    #[serde(default)]
    pub binaries: Binaries,
    /// Flags beyond ours, by component, then by name without dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<String, BTreeMap<String, String>>,
    /// A folder of manifests that are applied in the order of their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<PathBuf>,
}

/// `kubernetes`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Kubernetes {
    /// Such as `1.36.3`.
    pub version: String,
}

/// `endpoint`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Endpoint {
    /// The virtual addresses with their prefix lengths, or those of another balancer.
    pub addresses: Vec<String>,
    /// A DNS name for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port that clients dial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// `balancer`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Balancer {
    /// Whose it is.
    pub mode: BalancerMode,
    /// The port it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The interface that carries the virtual address; by default that of the host's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The virtual router's identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vrid: Option<u16>,
    /// Time between adverts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub advert_interval: Option<Period>,
    /// What is run on a control-plane host when the address comes to it or leaves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
}

/// `balancer.notify`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Notify {
    /// A program by its absolute path, and its arguments.
    pub command: Vec<String>,
    /// As whom it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// `balancer.mode`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum BalancerMode {
    /// api-lb and vip-daemon on every control-plane host.
    #[default]
    Own,
    /// api-lb on every host, on its loopback address; no virtual address.
    Local,
    /// One that somebody else looks after.
    External,
    /// None: one control-plane host, dialled directly.
    None,
}

/// `networks`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Networks {
    /// The networks of Services: one, or one of each family.
    pub services: Vec<String>,
    /// The networks of Pods: one, or one of each family.
    pub pods: Vec<String>,
    /// The ports of NodePort Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_ports: Option<String>,
    /// The DNS domain of Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The addresses of the cluster's DNS, in the networks of Services.
    pub dns: Vec<String>,
    /// What carries packets between Pods of different hosts.
    pub between_pods: BetweenPods,
    /// Where flannel keeps which network is whose.
    pub flannel: Flannel,
    /// How kube-proxy makes Services reachable.
    pub proxy: ProxyMode,
}

/// `networks.betweenPods`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum BetweenPods {
    /// flannel over VXLAN.
    #[default]
    Flannel,
    /// flannel with routes to the other hosts, all on one link.
    FlannelHostGw,
    /// Something among `manifests`, or something laid down by others.
    None,
}

/// `networks.flannel`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Flannel {
    /// Who gives each host its network.
    pub store: FlannelStore,
    /// Below which key it does so in etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// `networks.flannel.store`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FlannelStore {
    /// The API: kube-controller-manager gives each node its network.
    #[default]
    Kubernetes,
    /// etcd: flannel takes a network for its host by itself.
    Etcd,
}

/// `networks.proxy`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// nf_tables, from Kubernetes 1.31 on.
    Nftables,
    /// iptables.
    #[default]
    Iptables,
    /// IPVS, deprecated since 1.35.
    Ipvs,
    /// No kube-proxy: something else does its work.
    None,
}

/// `hosts[]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Host {
    /// The host's name, and its node's.
    pub name: String,
    /// The addresses by which the others reach it: one, or one of each family.
    pub addresses: Vec<String>,
    /// What it does.
    pub roles: Vec<Role>,
    /// How the installer reaches it.
    #[serde(default)]
    pub ssh: Ssh,
    /// Labels of its node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints of its node: `key=value:Effect`. By default a control-plane host is not for
    /// ordinary Pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taints: Option<Vec<String>>,
}

/// `hosts[].roles[]`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A member of etcd.
    Etcd,
    /// API server, controller manager, scheduler, and what stands in front of them.
    ControlPlane,
    /// A kubelet and what Pods need.
    Node,
}

/// `hosts[].ssh`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Ssh {
    /// What ssh is told to connect to, as in `~/.ssh/config`; by default the first address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The user; by default ssh's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The port; by default ssh's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// `etcd`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Etcd {
    /// One that is there already, instead of members on hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalEtcd>,
}

/// `etcd.external`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalEtcd {
    /// `https://…` of each member.
    pub endpoints: Vec<String>,
    /// Who signed what the members show.
    pub ca_file: PathBuf,
    /// What the API servers show.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

/// `pki`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Pki {
    /// Further names and addresses in the API servers' certificates.
    pub extra_names: Vec<String>,
    /// Certificates (PEM) that container registries are trusted by, on every node.
    pub trusted_files: Vec<PathBuf>,
    /// What new keys are: ECDSA-P256 or RSA-2048.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
    /// A folder with authorities that are there already, laid out as kubeadm does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// A folder with keys, requests and certificates of hosts, for authorities whose keys are
    /// kept elsewhere; by default `requests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<PathBuf>,
}

/// `runtime`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Runtime {
    /// The generation of the containerd among the programs: 1 or 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containerd: Option<u16>,
    /// Where images of a registry are asked for before itself: URLs, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, Vec<String>>,
}

/// `binaries`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Binaries {
    /// A folder with the programs, here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// What their checksums are, as `sha256sum` writes it; by default `SHA256SUMS` beside
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksums: Option<PathBuf>,
    /// Container images among them, as tars of the OCI layout, for every node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What sources without a scheme lie below: a URL or a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Archives and programs that are fetched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
}

/// `binaries.sources[]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
pub struct Source {
    /// Where it is: a URL, or a path below the mirror. `{arch}` and `{version}` stand for the
    /// host's architecture and the version of Kubernetes.
    pub from: String,
    /// The SHA-256 of the file.
    pub sha256: Sums,
    /// The program that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The programs in it: name to path in the archive.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<String, String>,
}

/// `binaries.sources[].sha256`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Sums {
    /// For x86-64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amd64: Option<String>,
    /// For 64-bit Arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm64: Option<String>,
}
