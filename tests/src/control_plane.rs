//! etcd and API servers on the lab's masters: the real ones, or a stand-in where they cannot
//! be built. Same certificates, same ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::binaries;
use crate::error::LabError;
use crate::host::{Host, NamespaceHost};
use crate::process::Program;
use crate::requirement::{self, Requirement};
use crate::tls::{self, Identity};

/// Where API servers listen, and the virtual address too.
pub const PORT: u16 = 6443;
/// Services of the lab's clusters.
const SERVICES: &str = "10.96.0.0/16";

/// Which API server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// kube-apiserver over etcd.
    Real,
    /// The small TLS server of this package.
    StandIn,
}

impl Kind {
    /// What this machine can run.
    #[must_use]
    pub fn best() -> Self {
        if Requirement::Kubernetes.met().is_ok() {
            Self::Real
        } else {
            Self::StandIn
        }
    }

    /// As the first and last line of the demo say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "REAL",
            Self::StandIn => "STAND-IN",
        }
    }
}

/// One control plane: its certificates on disk, its programs as values.
#[derive(Debug)]
pub struct ControlPlane {
    kind: Kind,
    set: pki::ControlPlaneSet,
    masters: Vec<(String, Ipv4Addr)>,
    folder: PathBuf,
    logs: PathBuf,
}

impl ControlPlane {
    /// Issues everything and writes it below `folder`.
    ///
    /// # Errors
    /// When a certificate cannot be made or a file cannot be written.
    pub fn new(
        kind: Kind,
        folder: &Path,
        logs: &Path,
        vip: Ipv4Addr,
        masters: &[Arc<NamespaceHost>],
    ) -> Result<Self, LabError> {
        let masters = masters
            .iter()
            .map(|h| (h.name().to_owned(), h.address()))
            .collect();
        Self::of(kind, folder, logs, vip, masters)
    }

    /// The same for masters that are no hosts of the lab: their names and addresses.
    ///
    /// # Errors
    /// As [`ControlPlane::new`].
    pub fn of(
        kind: Kind,
        folder: &Path,
        logs: &Path,
        vip: Ipv4Addr,
        masters: Vec<(String, Ipv4Addr)>,
    ) -> Result<Self, LabError> {
        let said = |e: &dyn std::error::Error| LabError::Certificates(chain(e));
        let spec = pki::ControlPlane {
            cluster: "lab".into(),
            endpoint: SocketAddr::from((vip, PORT)),
            masters: masters.iter().map(|(name, at)| node(name, *at)).collect(),
            apiserver_port: PORT,
            service_networks: vec![
                SERVICES.parse().map_err(|e: pki::NetworkError| said(&e))?,
            ],
            cluster_domain: "cluster.local".into(),
            extra_names: Vec::new(),
        };
        let set = spec.issue(SystemTime::now()).map_err(|e| said(&e))?;
        for of in &set.nodes {
            pki::write(&folder.join(&of.node.name), &set.files(of))
                .map_err(|e| said(&e))?;
        }
        let admin = pki::File {
            path: "admin.conf".into(),
            mode: pki::Mode::Private,
            content: set.super_admin_kubeconfig().to_yaml(),
        };
        pki::write(folder, &[admin]).map_err(|e| said(&e))?;
        Ok(Self {
            kind,
            set,
            masters,
            folder: folder.to_owned(),
            logs: logs.to_owned(),
        })
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The operator's kubeconfig, through the virtual address.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.conf")
    }

    /// The CA of the API servers, as a file.
    #[must_use]
    pub fn ca_file(&self, master: &str) -> PathBuf {
        self.pki(master, "ca.crt")
    }

    /// What a client trusts and shows: the operator's certificate.
    ///
    /// # Errors
    /// When a PEM cannot be read back.
    pub fn client_tls(&self) -> Result<Arc<rustls::ClientConfig>, LabError> {
        let admin = &self.set.super_admin;
        let identity = Identity {
            cert_pem: &admin.certificate_pem,
            key_pem: admin.key_pem.expose(),
        };
        tls::client(self.set.kubernetes_ca.certificate_pem(), Some(identity))
    }

    /// The path of a watch that stays open.
    #[must_use]
    pub fn watch_path(&self) -> &'static str {
        match self.kind {
            Kind::Real => "/api/v1/namespaces/default/configmaps?watch=1",
            Kind::StandIn => "/watch",
        }
    }

    /// etcd of one master.
    #[must_use]
    pub fn etcd(&self, master: &str) -> Program {
        let bin = match self.kind {
            Kind::Real => requirement::kubernetes().join("etcd"),
            Kind::StandIn => requirement::peer("etcd"),
        };
        let at = self.address(master);
        let members: Vec<_> = self
            .masters
            .iter()
            .map(|(name, at)| format!("{name}=https://{at}:2380"))
            .collect();
        let data = self.folder.join(master).join("etcd");
        let client = format!("https://{at}:2379");
        let peer = format!("https://{at}:2380");
        Program::new("etcd", &bin, &self.logs).args([
            format!("--name={master}"),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster={}", members.join(",")),
            "--initial-cluster-state=new".into(),
            "--client-cert-auth".into(),
            "--peer-client-cert-auth".into(),
            self.file_flag(master, "--trusted-ca-file", "etcd/ca.crt"),
            self.file_flag(master, "--cert-file", "etcd/server.crt"),
            self.file_flag(master, "--key-file", "etcd/server.key"),
            self.file_flag(master, "--peer-trusted-ca-file", "etcd/ca.crt"),
            self.file_flag(master, "--peer-cert-file", "etcd/peer.crt"),
            self.file_flag(master, "--peer-key-file", "etcd/peer.key"),
        ])
    }

    /// The API server of one master.
    ///
    /// # Errors
    /// When the stand-in has not been built.
    pub fn apiserver(&self, master: &str) -> Result<Program, LabError> {
        match self.kind {
            Kind::Real => Ok(self.kube_apiserver(master)),
            Kind::StandIn => self.stand_in(master),
        }
    }

    fn stand_in(&self, master: &str) -> Result<Program, LabError> {
        let bin = binaries::own("standin-apiserver")?;
        Ok(Program::new("apiserver", &bin, &self.logs).args([
            format!("--bind={}:{PORT}", self.address(master)),
            format!("--node={master}"),
            self.file_flag(master, "--cert", "apiserver.crt"),
            self.file_flag(master, "--key", "apiserver.key"),
            self.file_flag(master, "--client-ca", "ca.crt"),
        ]))
    }

    fn kube_apiserver(&self, master: &str) -> Program {
        let bin = requirement::kubernetes().join("kube-apiserver");
        let at = self.address(master);
        // Its own member first: the others are for when that one is gone.
        let mut etcd = vec![format!("https://{at}:2379")];
        let others = self.masters.iter().filter(|(name, _)| name != master);
        etcd.extend(others.map(|(_, at)| format!("https://{at}:2379")));
        Program::new("apiserver", &bin, &self.logs).args([
            format!("--bind-address={at}"),
            format!("--advertise-address={at}"),
            format!("--secure-port={PORT}"),
            format!("--etcd-servers={}", etcd.join(",")),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--authorization-mode=Node,RBAC".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            "--profiling=false".into(),
            self.file_flag(master, "--etcd-cafile", "etcd/ca.crt"),
            self.file_flag(master, "--etcd-certfile", "apiserver-etcd-client.crt"),
            self.file_flag(master, "--etcd-keyfile", "apiserver-etcd-client.key"),
            self.file_flag(master, "--client-ca-file", "ca.crt"),
            self.file_flag(master, "--tls-cert-file", "apiserver.crt"),
            self.file_flag(master, "--tls-private-key-file", "apiserver.key"),
            self.file_flag(master, "--service-account-key-file", "sa.pub"),
            self.file_flag(master, "--service-account-signing-key-file", "sa.key"),
        ])
    }

    fn address(&self, master: &str) -> Ipv4Addr {
        let found = self.masters.iter().find(|(name, _)| name == master);
        found.map_or(Ipv4Addr::UNSPECIFIED, |(_, at)| *at)
    }

    fn pki(&self, master: &str, file: &str) -> PathBuf {
        self.folder.join(master).join("pki").join(file)
    }

    fn file_flag(&self, master: &str, flag: &str, file: &str) -> String {
        format!("{flag}={}", self.pki(master, file).display())
    }
}

fn node(name: &str, at: Ipv4Addr) -> pki::Node {
    pki::Node {
        name: name.to_owned(),
        addresses: vec![IpAddr::V4(at)],
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
