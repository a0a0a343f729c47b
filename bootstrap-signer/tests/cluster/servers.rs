//! etcd, kube-apiserver and kube-controller-manager on the loopback of the trial's own
//! namespace, where every port is free. What is started dies with the trial.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lab::requirement::kubernetes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait::{Res, within};

/// Where the API server listens.
pub(crate) const APISERVER: u16 = 6443;
/// Its address for other hosts, where the trial has some.
pub(crate) const REACHED: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 50);
const ETCD: &str = "127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";
const CONTROLLER_MANAGER: u16 = 10257;

/// A program that ends with this value, and with the thread that started it.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
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
        let log = log.to_owned();
        Ok(Self { child, log })
    }

    /// Ends it now.
    pub(crate) fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails once it has ended.
    pub(crate) fn still(&mut self) -> Res<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let log = self.log.display();
        Err(format!("ended with {status} ({log})\n{}", self.last_lines()).into())
    }

    /// What it said last.
    pub(crate) fn last_lines(&self) -> String {
        const LAST: usize = 20;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LAST));
        last.copied().collect::<Vec<_>>().join("\n")
    }
}

/// etcd, once it takes writes: an API server that finds none gives up.
pub(crate) async fn etcd(folder: &Path) -> Res<Running> {
    let arguments = [
        "--name=m1".to_owned(),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls=http://{ETCD}"),
        format!("--advertise-client-urls=http://{ETCD}"),
        format!("--listen-peer-urls={ETCD_PEER}"),
        format!("--initial-advertise-peer-urls={ETCD_PEER}"),
        format!("--initial-cluster=m1={ETCD_PEER}"),
        // Nothing here outlives the test.
        "--unsafe-no-fsync".to_owned(),
    ];
    let program = kubernetes().join("etcd");
    let mut etcd = Running::start(&program, &arguments, &folder.join("etcd.log"))?;
    within("etcd", Some(&mut etcd), async || healthy().await).await?;
    Ok(etcd)
}

async fn healthy() -> Option<()> {
    let mut stream = TcpStream::connect(ETCD).await.ok()?;
    let request = b"GET /health HTTP/1.0\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.contains(r#""health":"true""#).then_some(())
}

/// kube-apiserver, as it starts.
pub(crate) fn apiserver(folder: &Path) -> Res<Running> {
    apiserver_at(folder, APISERVER)
}

/// The same on another port.
pub(crate) fn apiserver_at(folder: &Path, port: u16) -> Res<Running> {
    let file = |flag: &str, name: &str| {
        format!("{flag}={}", folder.join("pki").join(name).display())
    };
    let arguments = [
        // In the trial's own namespace.
        "--bind-address=0.0.0.0".to_owned(),
        // One that is not loopback must be there; nothing is made of it.
        "--advertise-address=192.0.2.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--etcd-servers=http://{ETCD}"),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--enable-bootstrap-token-auth=true".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--enable-bootstrap-token-auth".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        file("--kubelet-certificate-authority", "ca.crt"),
        file(
            "--kubelet-client-certificate",
            "apiserver-kubelet-client.crt",
        ),
        file("--kubelet-client-key", "apiserver-kubelet-client.key"),
        file("--client-ca-file", "ca.crt"),
        file("--tls-cert-file", "apiserver.crt"),
        file("--tls-private-key-file", "apiserver.key"),
        file("--service-account-key-file", "sa.pub"),
        file("--service-account-signing-key-file", "sa.key"),
    ];
    let program = kubernetes().join("kube-apiserver");
    let log = folder.join(format!("apiserver-{port}.log"));
    Running::start(&program, &arguments, &log)
}

/// kube-controller-manager with these controllers and no others, as fast as it can.
pub(crate) async fn controller_manager(folder: &Path, controllers: &str) -> Res<Running> {
    managed(folder, controllers, &[]).await
}

/// kube-controller-manager as a signer, of certificates that last so long.
pub(crate) async fn signing_manager(folder: &Path, lifetime: &str) -> Res<Running> {
    let lasting = format!("--cluster-signing-duration={lifetime}");
    managed(folder, "csrsigning", &[lasting]).await
}

async fn managed(folder: &Path, controllers: &str, more: &[String]) -> Res<Running> {
    let ca = |end: &str| folder.join("pki").join(format!("ca.{end}"));
    let own = [
        format!("--kubeconfig={}", folder.join("admin.conf").display()),
        format!("--controllers={controllers}"),
        format!("--cluster-signing-cert-file={}", ca("crt").display()),
        format!("--cluster-signing-key-file={}", ca("key").display()),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={CONTROLLER_MANAGER}"),
        format!("--cert-dir={}", folder.join("kcm").display()),
    ];
    let arguments = [&own, more].concat();
    let program = kubernetes().join("kube-controller-manager");
    let log = folder.join("kcm.log");
    let mut running = Running::start(&program, &arguments, &log)?;
    within("kube-controller-manager", Some(&mut running), async || {
        let log = fs::read_to_string(&log).ok()?;
        log.contains("Caches are synced").then_some(())
    })
    .await?;
    Ok(running)
}
