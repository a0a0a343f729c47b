//! A real kubelet with a real containerd joins with a bootstrap token: gets its client and
//! its serving certificate, lets its containers' logs be read, and renews both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use lab::requirement::{kubernetes, runtime};
use serde_json::json;
use tempfile::TempDir;

use crate::Tried;
use crate::load::{SETTINGS, token};
use crate::rig::Cluster;
use crate::servers::{APISERVER, Running, signing_manager};
use crate::wait::{Res, within};
use crate::{rotation, signing};

const NODE: &str = "w1";
const ADDRESS: &str = "10.77.0.2";
const SCRIPT: &str = include_str!("node/start.sh");
/// Short enough that a kubelet renews within a test: it does when 70 % to 90 % are over, of a
/// time that began five minutes before the certificate was made.
const LIFETIME: &str = "140s";

const HIERARCHIES: &str = "/sys/fs/cgroup";
/// Control groups of a node are called so, and by the process that made it.
const CGROUPS: &str = "sp-node-";

/// A node of its own folder; what it started ends with it, and its control groups go.
struct Host {
    running: Running,
    folder: TempDir,
    cgroup: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.running.end();
        for hierarchy in fs::read_dir(HIERARCHIES).into_iter().flatten().flatten() {
            remove_groups(&hierarchy.path().join(&self.cgroup));
        }
    }
}

/// Takes away what a run left that was killed.
fn sweep() {
    for hierarchy in fs::read_dir(HIERARCHIES).into_iter().flatten().flatten() {
        for group in fs::read_dir(hierarchy.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = group.file_name().to_string_lossy().into_owned();
            let of = name.strip_prefix(CGROUPS).map(|id| format!("/proc/{id}"));
            if of.is_some_and(|process| !Path::new(&process).exists()) {
                remove_groups(&group.path());
            }
        }
    }
}

/// From the innermost on, as the kernel wants it.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    // Where there is none, or a process takes its time to go, nothing is to be done.
    let _ = fs::remove_dir(group);
}

impl Host {
    fn start(cluster: &Cluster) -> Res<Self> {
        // Short: the socket's path has little room.
        let folder = tempfile::Builder::new().prefix("sp-").tempdir_in("/tmp")?;
        fs::copy(cluster.path("pki/ca.crt"), folder.path().join("ca.crt"))?;
        let bootstrap = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": {
                "server": format!("https://127.0.0.1:{APISERVER}"),
                "certificate-authority": folder.path().join("ca.crt"),
            }}],
            "users": [{ "name": "u", "user": { "token": "abc123.0123456789abcdef" } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        });
        fs::write(folder.path().join("bootstrap.conf"), bootstrap.to_string())?;
        fs::write(folder.path().join("start.sh"), SCRIPT)?;
        sweep();
        let cgroup = format!("{CGROUPS}{}", std::process::id());
        let words = [
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
            "/bin/sh",
            "start.sh",
        ];
        let place = |path: &Path| path.display().to_string();
        let mut arguments: Vec<String> = words.map(str::to_owned).into();
        if let Some(script) = arguments.last_mut() {
            *script = place(&folder.path().join("start.sh"));
        }
        arguments.extend([
            place(folder.path()),
            place(&fs::canonicalize(runtime())?),
            place(&fs::canonicalize(kubernetes())?),
            NODE.to_owned(),
            ADDRESS.to_owned(),
            cgroup.clone(),
        ]);
        let log = cluster.path("node.log");
        let running = Running::start(Path::new("unshare"), &arguments, &log)?;
        Ok(Self {
            running,
            folder,
            cgroup,
        })
    }

    /// Waits for a certificate that is not `old`.
    async fn new_certificate(
        &mut self,
        kind: &str,
        old: Option<&PathBuf>,
    ) -> Res<PathBuf> {
        let path = self.folder.path().join("certs");
        let link = path.join(format!("kubelet-{kind}-current.pem"));
        let what = format!("a {kind} certificate");
        let found = within(&what, Some(&mut self.running), async || {
            fs::read_link(&link).ok().filter(|now| Some(now) != old)
        });
        found.await
    }
}

fn run(program: &str, arguments: &[&str]) -> Res<String> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// An address that is not loopback, as a kubelet demands of its Node.
fn address() -> Res<()> {
    run("ip", &["link", "add", "node", "type", "bridge"])?;
    run(
        "ip",
        &["address", "add", &format!("{ADDRESS}/24"), "dev", "node"],
    )?;
    run("ip", &["link", "set", "node", "up"])?;
    Ok(())
}

fn logs(cluster: &Cluster) -> Res<String> {
    let admin = cluster.path("admin.conf").display().to_string();
    let kubectl = kubernetes().join("kubectl").display().to_string();
    run(
        &kubectl,
        &["--kubeconfig", &admin, "logs", &format!("speaker-{NODE}")],
    )
}

/// Waits until what the container said is read through the API server, which verifies the
/// serving certificate.
async fn spoken(cluster: &Cluster) -> Res<()> {
    let mut last = String::new();
    let heard = within("the container's log", None, async || match logs(cluster) {
        Ok(text) if text == "spoken\n" => Some(()),
        Ok(text) => {
            last = text;
            None
        }
        Err(error) => {
            last = error.to_string();
            None
        }
    });
    heard
        .await
        .map_err(|error| format!("{error}\n{last}").into())
}

/// kube-controller-manager signs, for a minute at a time.
pub(crate) async fn renews() -> Tried {
    let cluster = Cluster::start().await?;
    address()?;
    cluster.bind_kubelets()?;
    cluster.bind_rights()?;
    token(&cluster.client(None).await?, "abc123").await?;
    let _signs = signing_manager(&cluster.path(""), LIFETIME).await?;
    let _daemon = cluster.daemon("a", SETTINGS).await?;
    let started = Instant::now();
    let mut host = Host::start(&cluster)?;
    let seen = renewed(&cluster, &mut host).await;
    seen.map_err(|error| told(&cluster, &host, &*error))?;
    println!("joined and renewed after {:.1?}", started.elapsed());
    Ok(())
}

/// An authority that ends so soon: what it signs ends with it, and a kubelet renews within a
/// test, which the shortest `lifetime` would not let it. Half of it may pass until the kubelet
/// runs: the API server has to know the authority from its start on.
const ENDS: Duration = Duration::from_secs(240);

/// We sign, and kube-controller-manager is not there: what we signed renews by us.
pub(crate) async fn signed_here() -> Tried {
    let short = SystemTime::now() + ENDS - pki::CA_LIFETIME;
    let short = pki::Authority::new("short-ca", short)?;
    let cluster = Cluster::trusting(short.certificate_pem()).await?;
    address()?;
    cluster.bind_kubelets()?;
    cluster.bind_rights()?;
    cluster.grant(&["approve", "sign"])?;
    token(&cluster.client(None).await?, "abc123").await?;
    let key = short.key_pem();
    rotation::place(&cluster, "short", short.certificate_pem(), key.expose())?;
    let settings = format!("{SETTINGS}{}", signing::signing(&cluster, "short"));
    let daemon = cluster.daemon("a", &settings).await?;
    let started = Instant::now();
    let mut host = Host::start(&cluster)?;
    let seen = renewed(&cluster, &mut host).await;
    seen.map_err(|error| told(&cluster, &host, &*error))?;
    println!(
        "joined and renewed by us alone after {:.1?}",
        started.elapsed()
    );
    drop(daemon);
    Ok(())
}

/// Joins, and renews both certificates.
async fn renewed(cluster: &Cluster, host: &mut Host) -> Tried {
    let (client, serving) = joined(cluster, host).await?;
    host.new_certificate("client", Some(&client)).await?;
    host.new_certificate("server", Some(&serving)).await?;
    spoken(cluster).await?;
    for reason in ["NewNode", "Renewal", "Serving"] {
        if cluster.found("a", reason).await.unwrap_or_default() == 0 {
            return Err(format!("nothing was approved as {reason}").into());
        }
    }
    Ok(())
}

async fn joined(cluster: &Cluster, host: &mut Host) -> Res<(PathBuf, PathBuf)> {
    let client = host.new_certificate("client", None).await?;
    let nodes: Api<Node> = Api::all(cluster.client(None).await?);
    within("the Node", Some(&mut host.running), async || {
        nodes.get(NODE).await.ok().map(drop)
    })
    .await?;
    let serving = host.new_certificate("server", None).await?;
    spoken(cluster).await?;
    Ok((client, serving))
}

fn told(cluster: &Cluster, host: &Host, error: &dyn std::error::Error) -> String {
    let served = cluster.log(&format!("apiserver-{APISERVER}"));
    let refused = served.lines().filter(|line| line.contains("x509"));
    format!(
        "{error}\n{}\n{}\n{}",
        refused.take(5).collect::<Vec<_>>().join("\n"),
        host.running.last_lines(),
        cluster.log("a")
    )
}
