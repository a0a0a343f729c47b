//! The cluster as it is meant: nothing optional is left open, nothing contradicts itself.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::component::Component;
use super::enclosed::Enclosed;
use super::file::{BetweenPods, ProxyMode, Role};
use crate::architecture::Architecture;
use crate::resource::Authority;
use crate::versions::Version;

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What it is called in kubeconfigs.
    pub name: String,
    /// Which Kubernetes.
    pub version: Version,
    /// Where clients find the API.
    pub endpoint: Endpoint,
    /// What stands in front of the API servers.
    pub balancer: Balancer,
    /// The networks inside.
    pub networks: Networks,
    /// The machines, each once, in the order of the file.
    pub hosts: Vec<Host>,
    /// Where the store is.
    pub etcd: Etcd,
    /// Further names and addresses in the API servers' certificates.
    pub extra_names: Vec<pki::Name>,
    /// Certificates that registries are trusted by.
    pub trusted_files: Vec<PathBuf>,
    /// Which containerd is among the programs.
    pub containerd: Generation,
    /// Where images of a registry are asked for before itself.
    pub mirrors: BTreeMap<String, Vec<super::Mirror>>,
    /// What new keys are.
    pub key_kind: pki::KeyKind,
    /// A folder with authorities that are there already.
    pub authorities: Option<PathBuf>,
    /// A folder with what was asked of authorities whose keys are kept elsewhere.
    pub requests: PathBuf,
    /// Where the programs come from.
    pub binaries: Binaries,
    /// Flags beyond ours.
    pub flags: BTreeMap<Component, BTreeMap<String, String>>,
    /// Manifests to apply, in the order of their names.
    pub manifests: Option<PathBuf>,
    /// What is in the files that it names.
    pub enclosed: Enclosed,
}

/// Where clients find the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The addresses: virtual ones, a balancer's, the loopback address, or the host's own.
    pub addresses: Vec<IpAddr>,
    /// A DNS name for them.
    pub name: Option<String>,
    /// The port.
    pub port: u16,
}

/// What stands in front of the API servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// api-lb and vip-daemon on every control-plane host.
    Own(VirtualRouter),
    /// api-lb on the loopback address of every host.
    Local,
    /// One that somebody else looks after.
    External,
    /// None.
    None,
}

/// The virtual router that carries the endpoint's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRouter {
    /// The addresses with their prefixes.
    pub addresses: Vec<IpNet>,
    /// The interface; `None`: that of the host's address.
    pub interface: Option<String>,
    /// Its identifier, 1 to 255.
    pub vrid: u8,
    /// Time between adverts.
    pub advert_interval: Duration,
    /// What is run when the address comes or leaves.
    pub notify: Option<Notify>,
}

/// A program that is told of the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Its absolute path, and its arguments.
    pub command: Vec<String>,
    /// As whom it runs; `None`: root, without its rights.
    pub user: Option<String>,
}

/// The networks inside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// Services', one of each family.
    pub services: Vec<IpNet>,
    /// Pods', one of each family.
    pub pods: Vec<IpNet>,
    /// The ports of NodePort Services: first and last.
    pub node_ports: (u16, u16),
    /// The domain of Services.
    pub domain: String,
    /// The addresses of the cluster's DNS.
    pub dns: Vec<IpAddr>,
    /// What carries packets between Pods.
    pub between_pods: BetweenPods,
    /// Who gives each host its network of Pods, where flannel asks for one.
    pub leases: Leases,
    /// How kube-proxy works.
    pub proxy: ProxyMode,
}

/// Who gives each host its network of Pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leases {
    /// kube-controller-manager; flannel reads it from the API.
    Kubernetes,
    /// flannel itself, by what stands in etcd.
    Etcd {
        /// Below this key.
        prefix: String,
    },
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, and its node's.
    pub name: String,
    /// Its addresses; the first is the one that etcd and the API server listen on.
    pub addresses: Vec<IpAddr>,
    /// What it does, sorted, each once.
    pub roles: Vec<Role>,
    /// How it is reached.
    pub ssh: Ssh,
    /// Its node's labels.
    pub labels: BTreeMap<String, String>,
    /// Its node's taints.
    pub taints: Vec<String>,
}

/// How a machine is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// What ssh is told to connect to.
    pub host: String,
    /// The user; `None`: ssh's own choice.
    pub user: Option<String>,
    /// The port; `None`: ssh's own choice.
    pub port: Option<u16>,
}

/// Where the cluster's store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Etcd {
    /// On the hosts with the role.
    Hosts,
    /// There already.
    External {
        /// `https://…` of each member.
        endpoints: Vec<String>,
        /// Who signed what they show.
        ca_file: PathBuf,
        /// What the API servers show.
        cert_file: PathBuf,
        /// Its key.
        key_file: PathBuf,
    },
}

/// Which containerd, since their configurations differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 1.x: configuration `version = 2`.
    One,
    /// 2.x: configuration `version = 3`.
    Two,
}

/// Where the programs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// A folder with programs, here. What is in it is taken before what is fetched.
    pub folder: Option<Folder>,
    /// Container images among the programs, by the names of their files.
    pub images: Vec<String>,
    /// Files that are fetched, each for one architecture.
    pub sources: Vec<Source>,
}

/// A folder of programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where.
    pub path: PathBuf,
    /// Their checksums.
    pub checksums: PathBuf,
}

/// A file that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whom its programs are for.
    pub architecture: Architecture,
    /// Where it is.
    pub place: Place,
    /// What its SHA-256 must be, in lower-case hexadecimal.
    pub sha256: String,
    /// What it holds.
    pub holds: Holds,
}

/// Where a file is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A path, here.
    File(PathBuf),
    /// `https://…` or `http://…`.
    Url(String),
}

/// What a file that is fetched holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It is the program of that name.
    Program(String),
    /// Programs, by their names, each with its path in the archive.
    Members {
        /// How it is packed.
        form: Form,
        /// Name to path.
        paths: BTreeMap<String, String>,
    },
}

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Not at all.
    Tar,
    /// By gzip.
    Gzip,
    /// By Zstandard.
    Zstd,
}

impl Networks {
    /// Where flannel keeps the networks of hosts in etcd; nothing where it does not.
    #[must_use]
    pub fn leases_in_etcd(&self) -> Option<&str> {
        match &self.leases {
            Leases::Kubernetes => None,
            Leases::Etcd { prefix } => Some(prefix),
        }
    }
}

impl Cluster {
    /// The hosts that do `role`, in the order of the file.
    pub fn with(&self, role: Role) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(move |host| host.is(role))
    }

    /// What clients dial: the name if there is one, else the first address.
    #[must_use]
    pub fn server(&self) -> String {
        let first = self.servers().into_iter().next();
        first.unwrap_or_else(|| format!("https://localhost:{}", self.endpoint.port))
    }

    /// All that clients can dial: the name if there is one, else each address.
    #[must_use]
    pub fn servers(&self) -> Vec<String> {
        match &self.endpoint.name {
            Some(name) => vec![format!("https://{name}:{}", self.endpoint.port)],
            None => self.endpoint.urls(),
        }
    }

    /// What clients that are none of the hosts dial. Where each host has a balancer of its own
    /// these have none, and dial the first control-plane host's API server.
    #[must_use]
    pub fn server_from_elsewhere(&self) -> String {
        let mut masters = self.with(Role::ControlPlane);
        match (&self.balancer, masters.next()) {
            (Balancer::Local, Some(master)) => {
                let address = SocketAddr::new(master.address(), super::APISERVER_PORT);
                format!("https://{address}")
            }
            (
                Balancer::Own(_) | Balancer::Local | Balancer::External | Balancer::None,
                _,
            ) => self.server(),
        }
    }

    /// Whether an authority's key is kept elsewhere: nothing can be signed with it here.
    #[must_use]
    pub fn is_external(&self, authority: Authority) -> bool {
        let adopted = self.enclosed.authorities.get(&authority);
        adopted.is_some_and(|adopted| adopted.key.is_none())
    }

    /// Whether a member of etcd that has no data yet is to join those that stand, instead of founding
    /// a cluster with all that are described.
    #[must_use]
    pub fn joins_members(&self) -> bool {
        let mut flags = self.extra_flags(Component::Etcd);
        flags.any(|flag| flag == ("initial-cluster-state", "existing"))
    }

    /// Flags beyond ours of one component.
    pub fn extra_flags(
        &self,
        component: Component,
    ) -> impl Iterator<Item = (&str, &str)> {
        let flags = self.flags.get(&component).into_iter().flatten();
        flags.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Endpoint {
    /// `https://ADDRESS:PORT` of each address.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let url = |address: &IpAddr| {
            let at = SocketAddr::new(*address, self.port);
            format!("https://{at}")
        };
        self.addresses.iter().map(url).collect()
    }
}

impl Host {
    /// Whether it does `role`.
    #[must_use]
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The address that its own components listen on. A host without one does not leave
    /// the conversion from the file.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        let first = self.addresses.first().copied();
        first.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }
}

impl Source {
    /// The names of its programs.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match &self.holds {
            Holds::Program(name) => (Some(name), None),
            Holds::Members { paths, .. } => (None, Some(paths)),
        };
        let many = many.into_iter().flat_map(BTreeMap::keys);
        one.into_iter().chain(many).map(String::as_str)
    }
}

impl Form {
    /// That of an archive, by the end of its name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let ends = [
            (".tar", Self::Tar),
            (".tar.gz", Self::Gzip),
            (".tgz", Self::Gzip),
            (".tar.zst", Self::Zstd),
        ];
        let mut ends = ends.into_iter();
        let found = ends.find(|(end, _)| name.ends_with(end));
        found.map(|(_, form)| form)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}
