//! A real kube-apiserver over etcd, for the row in which kubectl asks it through each proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::control_plane::{ControlPlane, Kind, PORT};
use lab::process::Process;
use lab::requirement::{self, Requirement};

/// Not loopback's own, which an API server refuses to tell its clients.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const MASTER: &str = "m1";
/// From nothing to ready, on a machine that does other work, too.
const READY: Duration = Duration::from_secs(90);

/// An API server that runs; dropping it ends it.
pub(crate) struct Cluster {
    // The API server first: one whose etcd has gone does not end.
    _apiserver: Process,
    _etcd: Process,
    kubectl: Kubectl,
}

/// How kubectl is called.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    config: PathBuf,
    cache: PathBuf,
}

impl Cluster {
    /// Whether this machine has what it needs.
    pub(crate) fn can_be_had() -> bool {
        Requirement::Kubernetes.met().is_ok()
    }

    /// Starts it on the cores of the calling thread and waits until it is ready.
    pub(crate) fn start(scratch: &Path) -> io::Result<Self> {
        let folder = scratch.join("kubernetes");
        let masters = vec![(MASTER.to_owned(), ADDRESS)];
        let plane = ControlPlane::of(Kind::Real, &folder, scratch, ADDRESS, masters)
            .map_err(io::Error::other)?;
        let stem = format!("sp-bench-{}", std::process::id());
        let spawn = |program: lab::process::Program| {
            program.spawn(MASTER, &stem).map_err(io::Error::other)
        };
        let mut etcd = spawn(plane.etcd(MASTER))?;
        etcd.ready(READY).map_err(io::Error::other)?;
        let apiserver = spawn(plane.apiserver(MASTER).map_err(io::Error::other)?)?;
        let kubectl = Kubectl {
            program: requirement::kubernetes().join("kubectl"),
            config: plane.admin_kubeconfig(),
            cache: scratch.join("kubectl"),
        };
        let deadline = Instant::now() + READY;
        while !kubectl.ask(address())? {
            if Instant::now() > deadline {
                let log = apiserver.log().display();
                let said = format!("kube-apiserver is not ready; its log: {log}");
                return Err(io::Error::other(said));
            }
        }
        Ok(Self {
            _apiserver: apiserver,
            _etcd: etcd,
            kubectl,
        })
    }

    /// How kubectl is called.
    pub(crate) fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }
}

/// Where the API server listens.
pub(crate) fn address() -> SocketAddr {
    (IpAddr::V4(ADDRESS), PORT).into()
}

impl Kubectl {
    /// Lists the namespaces through `at`; whether that went well.
    pub(crate) fn ask(&self, at: SocketAddr) -> io::Result<bool> {
        let done = Command::new(&self.program)
            .arg(format!("--server=https://{at}"))
            // The certificate has the API server's address, not the proxy's.
            .arg(format!("--tls-server-name={ADDRESS}"))
            .arg(format!("--kubeconfig={}", self.config.display()))
            .arg(format!("--cache-dir={}", self.cache.display()))
            .args(["get", "namespaces", "--output=name", "--request-timeout=5s"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(done.success())
    }
}
