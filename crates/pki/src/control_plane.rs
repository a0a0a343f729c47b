//! All the certificates of a control plane, from its names and addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use thiserror::Error;

use crate::{Authority, IssueError, Issued, Name, NameError, Profile};
use crate::{ServiceAccountKey, ServiceNetwork};

/// The group whose rights kubeadm binds to `cluster-admin`.
const ADMINS: &str = "kubeadm:cluster-admins";
/// The group that every API server obeys, before and without any binding.
const MASTERS: &str = "system:masters";

/// What a control plane is called and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlane {
    /// The cluster's name in kubeconfigs.
    pub cluster: String,
    /// The address in front of all API servers, with its port: what clients dial.
    pub endpoint: SocketAddr,
    /// The machines that run etcd and an API server.
    pub masters: Vec<Node>,
    /// The port of each machine's own API server.
    pub apiserver_port: u16,
    /// The networks of services: one, or one of each family.
    pub service_networks: Vec<ServiceNetwork>,
    /// The domain of services, such as `cluster.local`.
    pub cluster_domain: String,
    /// Further names and addresses of the API servers.
    pub extra_names: Vec<Name>,
}

/// One machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, as the node is called in the cluster.
    pub name: String,
    /// Its addresses; the first is the one that its API server and etcd listen on.
    pub addresses: Vec<IpAddr>,
}

/// Everything that a control plane's certificates consist of.
#[derive(Debug)]
pub struct ControlPlaneSet {
    /// What it was issued for.
    pub spec: ControlPlane,
    /// Signs what API servers, their clients and kubelets show.
    pub kubernetes_ca: Authority,
    /// Signs what etcd and its clients show.
    pub etcd_ca: Authority,
    /// Signs what API servers show to the extension API servers behind them.
    pub front_proxy_ca: Authority,
    /// Signs the tokens of service accounts.
    pub service_account: ServiceAccountKey,
    /// The operator: group `kubeadm:cluster-admins`, whose rights need a binding.
    pub admin: Issued,
    /// For emergencies and for the first binding: group `system:masters`.
    pub super_admin: Issued,
    /// What each master has for itself, in the order of the masters.
    pub nodes: Vec<NodeSet>,
}

/// What one master has for itself: no leaf's key is on two machines.
#[derive(Clone, Debug)]
pub struct NodeSet {
    /// The machine.
    pub node: Node,
    /// What etcd shows its clients; it also shows it to itself, as a client.
    pub etcd_server: Issued,
    /// What the members of etcd show one another.
    pub etcd_peer: Issued,
    /// What a health check of etcd shows.
    pub etcd_healthcheck_client: Issued,
    /// What the API server shows its clients, with every name and address.
    pub apiserver: Issued,
    /// What the API server shows etcd.
    pub apiserver_etcd_client: Issued,
    /// What the API server shows kubelets.
    pub apiserver_kubelet_client: Issued,
    /// What the API server shows extension API servers.
    pub front_proxy_client: Issued,
    /// `system:kube-controller-manager`.
    pub controller_manager: Issued,
    /// `system:kube-scheduler`.
    pub scheduler: Issued,
}

/// Why the certificates of a control plane were not issued.
#[derive(Debug, Error)]
pub enum ControlPlaneError {
    /// There is no master.
    #[error("the control plane has no masters")]
    NoMasters,
    /// A master has no address.
    #[error("master {0} has no address")]
    NoAddress(String),
    /// A name or address belongs to two masters.
    #[error("{0} belongs to two masters")]
    Twice(String),
    /// A name cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A key or certificate could not be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl ControlPlane {
    /// Makes all keys and certificates. `now` is the time of issue.
    ///
    /// # Errors
    /// When there is no master, one has no address, a name or address is there twice or
    /// cannot stand in a certificate, or the machine gives no randomness.
    pub fn issue(&self, now: SystemTime) -> Result<ControlPlaneSet, ControlPlaneError> {
        self.check()?;
        let kubernetes_ca = Authority::new("kubernetes-ca", now)?;
        let etcd_ca = Authority::new("etcd-ca", now)?;
        let front_proxy_ca = Authority::new("kubernetes-front-proxy-ca", now)?;
        let authorities = Authorities {
            kubernetes: &kubernetes_ca,
            etcd: &etcd_ca,
            front_proxy: &front_proxy_ca,
        };
        let apiserver = Profile::server("kube-apiserver", self.apiserver_names()?);
        let node = |node| authorities.node(node, &apiserver, now);
        let nodes = self.masters.iter().map(node).collect::<Result<_, _>>()?;
        let admin = Profile::client("kubernetes-admin", &[ADMINS]);
        let super_admin = Profile::client("kubernetes-super-admin", &[MASTERS]);
        Ok(ControlPlaneSet {
            spec: self.clone(),
            admin: kubernetes_ca.issue(&admin, now)?,
            super_admin: kubernetes_ca.issue(&super_admin, now)?,
            service_account: ServiceAccountKey::generate()?,
            nodes,
            kubernetes_ca,
            etcd_ca,
            front_proxy_ca,
        })
    }

    /// Every name and address by which a client may know an API server, each once.
    ///
    /// # Errors
    /// When a master's name or the domain cannot stand in a certificate.
    pub fn apiserver_names(&self) -> Result<Vec<Name>, NameError> {
        let domain = &self.cluster_domain;
        let mut names = vec![
            Name::dns("kubernetes")?,
            Name::dns("kubernetes.default")?,
            Name::dns("kubernetes.default.svc")?,
            Name::dns(&format!("kubernetes.default.svc.{domain}"))?,
        ];
        names.extend(
            self.service_networks
                .iter()
                .map(|net| net.api_address().into()),
        );
        names.push(self.endpoint.ip().into());
        for master in &self.masters {
            names.extend(master.names()?);
        }
        names.extend(self.extra_names.iter().cloned());
        names.extend(local_names());
        Ok(once(names))
    }

    fn check(&self) -> Result<(), ControlPlaneError> {
        if self.masters.is_empty() {
            return Err(ControlPlaneError::NoMasters);
        }
        let mut seen = BTreeSet::new();
        for master in &self.masters {
            if master.addresses.is_empty() {
                return Err(ControlPlaneError::NoAddress(master.name.clone()));
            }
            for name in master.names()? {
                if !seen.insert(name.to_string()) {
                    return Err(ControlPlaneError::Twice(name.to_string()));
                }
            }
        }
        Ok(())
    }
}

impl Node {
    fn names(&self) -> Result<Vec<Name>, NameError> {
        let addresses = self.addresses.iter().copied().map(Name::from);
        Ok(std::iter::once(Name::dns(&self.name)?)
            .chain(addresses)
            .collect())
    }

    fn names_and_local(&self) -> Result<Vec<Name>, NameError> {
        Ok(once(
            self.names()?.into_iter().chain(local_names()).collect(),
        ))
    }
}

#[derive(Clone, Copy)]
struct Authorities<'a> {
    kubernetes: &'a Authority,
    etcd: &'a Authority,
    front_proxy: &'a Authority,
}

impl Authorities<'_> {
    fn node(
        self,
        node: &Node,
        apiserver: &Profile,
        now: SystemTime,
    ) -> Result<NodeSet, ControlPlaneError> {
        let names = node.names_and_local()?;
        let etcd = Profile::peer(&node.name, names);
        let etcd_client = |user| self.etcd.issue(&Profile::client(user, &[]), now);
        let client = |user, groups: &[&str]| {
            self.kubernetes.issue(&Profile::client(user, groups), now)
        };
        let front_proxy = Profile::client("front-proxy-client", &[]);
        Ok(NodeSet {
            node: node.clone(),
            etcd_server: self.etcd.issue(&etcd, now)?,
            etcd_peer: self.etcd.issue(&etcd, now)?,
            etcd_healthcheck_client: etcd_client("kube-etcd-healthcheck-client")?,
            apiserver: self.kubernetes.issue(apiserver, now)?,
            apiserver_etcd_client: etcd_client("kube-apiserver-etcd-client")?,
            apiserver_kubelet_client: client("kube-apiserver-kubelet-client", &[ADMINS])?,
            front_proxy_client: self.front_proxy.issue(&front_proxy, now)?,
            controller_manager: client("system:kube-controller-manager", &[])?,
            scheduler: client("system:kube-scheduler", &[])?,
        })
    }
}

fn local_names() -> Vec<Name> {
    vec![
        Name::Dns("localhost".to_owned()),
        Name::Address(Ipv4Addr::LOCALHOST.into()),
        Name::Address(Ipv6Addr::LOCALHOST.into()),
    ]
}

fn once(names: Vec<Name>) -> Vec<Name> {
    let mut seen = BTreeSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(name.to_string()))
        .collect()
}
