//! What a host is to hold, as values: the end that a plan works towards.

mod block;

use std::fmt;

use pki::Profile;

use crate::layout;

pub use block::Block;

/// Something on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A folder.
    Folder(Folder),
    /// A file with a content known beforehand.
    File(File),
    /// Lines in a file that others write to as well.
    Block(Block),
    /// A certificate and its key. Which bytes they have is nobody's wish; that they say the
    /// right thing, are signed by the right authority and last long enough is.
    Certificate(Certificate),
    /// Something that is made once and is the same on every host that has it.
    Shared(Shared),
    /// A program, and the link that names it.
    Program(Program),
    /// A unit that is to be enabled and to run.
    Unit(Unit),
}

impl Resource {
    /// The program, where it is one.
    #[must_use]
    pub fn program(&self) -> Option<&Program> {
        match self {
            Self::Program(program) => Some(program),
            Self::Folder(_)
            | Self::File(_)
            | Self::Block(_)
            | Self::Certificate(_)
            | Self::Shared(_)
            | Self::Unit(_) => None,
        }
    }

    /// The certificate, where it is one.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Certificate(certificate) => Some(certificate),
            Self::Folder(_)
            | Self::File(_)
            | Self::Block(_)
            | Self::Program(_)
            | Self::Shared(_)
            | Self::Unit(_) => None,
        }
    }

    /// The file, where it is one that is ours alone.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        match self {
            Self::File(file) => Some(file),
            Self::Folder(_)
            | Self::Block(_)
            | Self::Certificate(_)
            | Self::Program(_)
            | Self::Shared(_)
            | Self::Unit(_) => None,
        }
    }
}

/// Whether a host that holds all of this has a program that is called by this name.
#[must_use]
pub fn runs(wanted: &[Resource], program: &str) -> bool {
    let mut programs = wanted.iter().filter_map(Resource::program);
    programs.any(|one| one.folder == layout::BIN && one.name == program)
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Whose.
    pub owner: Owner,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Whose.
    pub owner: Owner,
    /// What is in it.
    pub content: String,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// `PATH.crt` and `PATH.key` below [`crate::layout::PKI`].
    pub name: String,
    /// Whose the key is.
    pub owner: Owner,
    /// Who signs it.
    pub authority: Authority,
    /// What it says.
    pub profile: Profile,
}

/// A certificate authority of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authority {
    /// Signs what API servers, their clients and kubelets show.
    Kubernetes,
    /// Signs what etcd and its clients show.
    Etcd,
    /// Signs what API servers show to the extension API servers behind them.
    FrontProxy,
}

impl Authority {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kubernetes, Self::Etcd, Self::FrontProxy];

    /// Its files below [`crate::layout::PKI`], without their ends.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "ca",
            Self::Etcd => "etcd/ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }

    /// The common name of its certificate.
    #[must_use]
    pub fn common_name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes-ca",
            Self::Etcd => "etcd-ca",
            Self::FrontProxy => "kubernetes-front-proxy-ca",
        }
    }
}

/// Something made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shared {
    /// An authority's certificate.
    Trust(Authority),
    /// An authority's key, where something signs with it or keeps it.
    Signing(Authority),
    /// The key pair that service-account tokens are signed and verified with.
    ServiceAccounts,
    /// The key that Secrets are encrypted with at rest.
    Encryption,
    /// What the API servers show to an etcd that is there already, and whom they trust there.
    ExternalEtcd,
    /// All that was made once for the cluster, as masters keep it for every later run.
    Authorities,
    /// What flannel shows to an etcd that is there already, and whom it trusts there.
    FlannelEtcd,
    /// The bootstrap token, as objects that make it one: for the masters, who apply them.
    Token,
    /// The key of the channel between vip-daemons.
    Channel,
    /// The kubeconfig with that token: for a host whose kubelet has no certificate yet.
    Join,
}

impl Shared {
    /// Its files, with their permission bits. A file for everybody belongs to root, the
    /// others to [`Shared::owner`].
    #[must_use]
    pub fn paths(self) -> Vec<(String, u32)> {
        match self {
            Self::Trust(authority) => {
                vec![(layout::certificate(authority.name()), 0o644)]
            }
            Self::Signing(authority) => vec![(layout::key(authority.name()), 0o600)],
            Self::ServiceAccounts => vec![
                (layout::key("sa"), 0o600),
                (format!("{}/sa.pub", layout::PKI), 0o644),
            ],
            Self::Encryption => {
                vec![(format!("{}/encryption.yaml", layout::KUBERNETES), 0o600)]
            }
            Self::ExternalEtcd => vec![
                (layout::certificate("etcd/external-ca"), 0o644),
                (layout::certificate("etcd/external-client"), 0o644),
                (layout::key("etcd/external-client"), 0o600),
            ],
            Self::Authorities => vec![(layout::AUTHORITIES.to_owned(), 0o600)],
            Self::FlannelEtcd => vec![
                (layout::certificate("etcd/flannel-ca"), 0o644),
                (layout::certificate("etcd/flannel-client"), 0o644),
                (layout::key("etcd/flannel-client"), 0o600),
            ],
            Self::Token => vec![(format!("{}/05-join.yaml", layout::ADDONS), 0o600)],
            Self::Channel => vec![(layout::CHANNEL_KEY.to_owned(), 0o600)],
            Self::Join => vec![(layout::kubeconfig("bootstrap-kubelet"), 0o600)],
        }
    }

    /// Who reads what is not for everybody.
    #[must_use]
    pub fn owner(self) -> Owner {
        match self {
            Self::Trust(_)
            | Self::Authorities
            | Self::FlannelEtcd
            | Self::Token
            | Self::Join => Owner::Root,
            Self::Channel => Owner::VipDaemon,
            Self::Signing(_)
            | Self::ServiceAccounts
            | Self::Encryption
            | Self::ExternalEtcd => Owner::Kubernetes,
        }
    }
}

/// A program of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name, and that of its link.
    pub name: String,
    /// Where the link is.
    pub folder: &'static str,
}

impl Program {
    /// One that is called by its name: linked in [`crate::layout::BIN`].
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: layout::BIN,
        }
    }

    /// One that sets up the network of Pods: linked in [`crate::layout::CNI_BIN`].
    #[must_use]
    pub fn of_cni(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: layout::CNI_BIN,
        }
    }

    /// No program, but kept as one: an image, linked in [`crate::layout::IMAGES`].
    #[must_use]
    pub fn image(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: layout::IMAGES,
        }
    }

    /// Its link.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Such as `etcd.service`.
    pub name: String,
    /// What must have happened before it is started.
    pub after: Stage,
    /// Resources whose change makes a restart or a reload necessary: paths.
    pub reads: Vec<String>,
    /// What a change asks for.
    pub on_change: OnChange,
}

/// What a unit needs when one of the files it reads has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// To start anew.
    Restart,
    /// To read again.
    Reload,
    /// To read again, also where it has only just been started: a start leaves what is there.
    Apply,
}

/// The order in which a cluster comes up. Within a stage all hosts go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Kernel settings, users, folders, programs, certificates.
    Machine,
    /// The members of etcd, all at once: the first waits for the others.
    Store,
    /// api-lb and vip-daemon: the address is up before the first API server.
    Address,
    /// API servers.
    Api,
    /// What needs an API that answers.
    Control,
    /// Kubelets and what Pods need.
    Nodes,
}

/// Who a file belongs to: a user and the group of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// root
    Root,
    /// The user that etcd runs as.
    Etcd,
    /// The user that API server, controller manager and scheduler run as.
    Kubernetes,
    /// The user that bootstrap-signer runs as.
    BootstrapSigner,
    /// The user that api-lb runs as.
    ApiLb,
    /// The user that vip-daemon runs as.
    VipDaemon,
}

impl Owner {
    /// The user's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::BootstrapSigner => "bootstrap-signer",
            Self::ApiLb => "api-lb",
            Self::VipDaemon => "vip-daemon",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl File {
    /// A file for everybody to read.
    #[must_use]
    pub fn public(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            mode: 0o644,
            owner: Owner::Root,
            content: content.into(),
        }
    }
}

impl From<File> for Resource {
    fn from(file: File) -> Self {
        Self::File(file)
    }
}

impl From<Block> for Resource {
    fn from(block: Block) -> Self {
        Self::Block(block)
    }
}

impl From<Certificate> for Resource {
    fn from(certificate: Certificate) -> Self {
        Self::Certificate(certificate)
    }
}

impl From<Program> for Resource {
    fn from(program: Program) -> Self {
        Self::Program(program)
    }
}

impl From<Unit> for Resource {
    fn from(unit: Unit) -> Self {
        Self::Unit(unit)
    }
}
