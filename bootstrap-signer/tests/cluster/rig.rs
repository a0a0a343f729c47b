//! etcd, kube-apiserver and daemons on loopback. What is started dies with the test.

use std::error::Error;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use lab::requirement::kubernetes;
use serde_json::json;
use tempfile::TempDir;

pub(crate) type Res<T> = Result<T, Box<dyn Error>>;

/// A program that ends with this value, and with this process.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(crate) fn start(program: &Path, arguments: &[String], log: &Path) -> Res<Self> {
        let file = File::create(log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self(child))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

/// One cluster without nodes.
pub(crate) struct Cluster {
    folder: TempDir,
    port: u16,
    set: pki::ControlPlaneSet,
    _etcd: Running,
    _apiserver: Running,
}

/// Below the ports that the kernel gives to connections (32768 on), one of which would
/// take a port between our look and the bind of a program that takes no zero.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that is free, and that no other look has found in this run.
fn free_port() -> Res<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000)?;
    for _ in PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + first.wrapping_add(step) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".into())
}

impl Cluster {
    pub(crate) async fn start() -> Res<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let spec = pki::ControlPlane {
            cluster: "test".into(),
            endpoint: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            masters: vec![pki::Node {
                name: "m1".into(),
                addresses: vec![Ipv4Addr::LOCALHOST.into()],
            }],
            apiserver_port: port,
            service_networks: vec!["10.96.0.0/16".parse()?],
            cluster_domain: "cluster.local".into(),
            extra_names: Vec::new(),
        };
        let set = spec.issue(SystemTime::now())?;
        for node in &set.nodes {
            pki::write(folder.path(), &set.files(node))?;
        }
        let admin = folder.path().join("admin.conf");
        fs::write(admin, set.super_admin_kubeconfig().to_yaml())?;
        let (etcd, at) = start_etcd(folder.path())?;
        let apiserver = start_apiserver(folder.path(), port, &at)?;
        let cluster = Self {
            folder,
            port,
            set,
            _etcd: etcd,
            _apiserver: apiserver,
        };
        cluster.settle().await?;
        Ok(cluster)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The administrator, or whom he speaks for.
    pub(crate) async fn client(
        &self,
        speaks_for: Option<(&str, &[String])>,
    ) -> Res<Client> {
        let file = Kubeconfig::read_from(self.path("admin.conf"))?;
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(file, &options).await?;
        if let Some((user, groups)) = speaks_for {
            config.auth_info.impersonate = Some(user.to_owned());
            config.auth_info.impersonate_groups = Some(groups.to_vec());
        }
        Ok(Client::try_from(config)?)
    }

    /// Waits for the API, the namespaces it makes, and grants what the daemon prints.
    async fn settle(&self) -> Res<()> {
        let client = self.client(None).await?;
        let spaces: Api<Namespace> = Api::all(client);
        within(Duration::from_secs(60), "the API", async || {
            let there = spaces.get_opt("kube-node-lease").await;
            let public = spaces.get_opt("default").await;
            matches!((there, public), (Ok(Some(_)), Ok(Some(_)))).then_some(())
        })
        .await
        .map_err(|error| {
            let last = |name| last_lines(&self.log(name));
            format!("{error}\n{}\n{}", last("etcd"), last("apiserver"))
        })?;
        let printed = Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
            .arg("rbac")
            .output()?;
        fs::write(self.path("rbac.yaml"), printed.stdout)?;
        self.apply("rbac.yaml")?;
        self.let_everybody_ask()
    }

    /// Everybody may create requests, as no cluster would have it: what is then decided is
    /// the daemon's alone.
    fn let_everybody_ask(&self) -> Res<()> {
        let group = |name: &str| {
            json!({
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name,
            })
        };
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": { "name": "ask" },
                "rules": [{
                    "apiGroups": ["certificates.k8s.io"],
                    "resources": ["certificatesigningrequests"],
                    "verbs": ["create"],
                }],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": "ask" },
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "ask",
                },
                "subjects": [group("system:authenticated"), group("system:unauthenticated")],
            },
        ]});
        fs::write(self.path("ask.json"), list.to_string())?;
        self.apply("ask.json")
    }

    pub(crate) fn apply(&self, file: &str) -> Res<()> {
        let kubectl = kubernetes().join("kubectl");
        let output = Command::new(kubectl)
            .args(["--kubeconfig", "admin.conf", "apply", "-f", file])
            .current_dir(self.folder.path())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }

    /// kubeadm's bindings: who may ask for client certificates.
    pub(crate) fn bind_rights(&self) -> Res<()> {
        let binding = |name: &str, role: &str, group: &str| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": name },
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                    "name": format!("system:certificates.k8s.io:certificatesigningrequests:{role}"),
                },
                "subjects": [{
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group,
                }],
            })
        };
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
            binding("node-client", "nodeclient", "system:bootstrappers"),
            binding("node-renewal", "selfnodeclient", "system:nodes"),
        ]});
        fs::write(self.path("rights.json"), list.to_string())?;
        self.apply("rights.json")
    }

    /// A daemon with `settings` added to its configuration, once it is ready.
    pub(crate) async fn daemon(&self, name: &str, settings: &str) -> Res<Running> {
        let user = pki::Profile::client("bootstrap-signer", &[]);
        let issued = self.set.kubernetes_ca.issue(&user, SystemTime::now())?;
        let server = format!("https://127.0.0.1:{}", self.port);
        let ca = self.set.kubernetes_ca.certificate_pem();
        let file = pki::Kubeconfig::new("test", &server, ca, "bootstrap-signer", &issued);
        let (kubeconfig, socket) =
            (self.path("signer.conf"), self.path(&format!("{name}.sock")));
        fs::write(&kubeconfig, file.to_yaml())?;
        let config = self.path(&format!("{name}.yaml"));
        let text = format!(
            "apiVersion: sternpost/v1\nkind: BootstrapSigner\n\
             kubernetes: {{kubeconfig: {}}}\nadmin: {{address: \"127.0.0.1:{}\"}}\n\
             socket: {}\ncluster: {{serviceNetworks: [\"10.96.0.0/16\"]}}\n{settings}",
            kubeconfig.display(),
            free_port()?,
            socket.display(),
        );
        fs::write(&config, text)?;
        let arguments = ["run".to_owned(), format!("--config={}", config.display())];
        let binary = Path::new(env!("CARGO_BIN_EXE_bootstrap-signer"));
        let running =
            Running::start(binary, &arguments, &self.path(&format!("{name}.log")))?;
        within(Duration::from_secs(20), "the daemon", async || {
            let ready = daemon::client::get(&socket, "/status").await.ok()?;
            let missing = ready.get("notSeenYet")?.as_array()?;
            missing.is_empty().then_some(())
        })
        .await
        .map_err(|error| format!("{error}\n{}", self.log(name)))?;
        Ok(running)
    }

    /// kube-controller-manager as an approver and nothing else, as fast as it can.
    pub(crate) async fn controller_manager(&self) -> Res<Running> {
        let port = free_port()?;
        let arguments = [
            format!("--kubeconfig={}", self.path("admin.conf").display()),
            "--controllers=csrapproving".to_owned(),
            "--kube-api-qps=1000".to_owned(),
            "--kube-api-burst=2000".to_owned(),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", self.path("kcm").display()),
        ];
        let program = kubernetes().join("kube-controller-manager");
        let running = Running::start(&program, &arguments, &self.path("kcm.log"))?;
        within(
            Duration::from_secs(20),
            "kube-controller-manager",
            async || {
                let log = fs::read_to_string(self.path("kcm.log")).ok()?;
                log.contains("Caches are synced").then_some(())
            },
        )
        .await?;
        Ok(running)
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }
}

fn start_etcd(folder: &Path) -> Res<(Running, String)> {
    let at = format!("http://127.0.0.1:{}", free_port()?);
    let peer = format!("http://127.0.0.1:{}", free_port()?);
    let arguments = [
        "--name=m1".to_owned(),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={at}"),
        format!("--advertise-client-urls={at}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=m1={peer}"),
        // Nothing here outlives the test.
        "--unsafe-no-fsync".to_owned(),
    ];
    let program = kubernetes().join("etcd");
    Ok((
        Running::start(&program, &arguments, &folder.join("etcd.log"))?,
        at,
    ))
}

fn start_apiserver(folder: &Path, port: u16, etcd: &str) -> Res<Running> {
    let file = |flag: &str, name: &str| {
        format!("{flag}={}", folder.join("pki").join(name).display())
    };
    let arguments = [
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--etcd-servers={etcd}"),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("--client-ca-file", "ca.crt"),
        file("--tls-cert-file", "apiserver.crt"),
        file("--tls-private-key-file", "apiserver.key"),
        file("--service-account-key-file", "sa.pub"),
        file("--service-account-signing-key-file", "sa.key"),
    ];
    let program = kubernetes().join("kube-apiserver");
    Running::start(&program, &arguments, &folder.join("apiserver.log"))
}

/// Asks until there is an answer.
pub(crate) async fn within<T>(
    time: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> Res<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if Instant::now() > end {
            return Err(format!("{what} did not come within {time:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a program said last.
fn last_lines(log: &str) -> String {
    const LAST: usize = 10;
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LAST));
    last.copied().collect::<Vec<_>>().join("\n")
}

/// The type of a request's condition, if it has one.
pub(crate) fn condition(csr: &Csr) -> Option<(String, String)> {
    let conditions = csr.status.as_ref()?.conditions.as_ref()?;
    let first = conditions.first()?;
    Some((
        first.type_.clone(),
        first.reason.clone().unwrap_or_default(),
    ))
}
