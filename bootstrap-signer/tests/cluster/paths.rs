//! How it reaches the API: through the balancer while an API server dies, and with the
//! credentials of a pod.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use kube::Api;
use kube::api::PostParams;
use lab::requirement::kubernetes;

use crate::Tried;
use crate::load::{SETTINGS, USER, approved, groups, request_called, token};
use crate::rig::Cluster;
use crate::servers::{APISERVER, Running, apiserver_at};
use crate::wait::{Res, measured, within};

const BALANCER: u16 = 8443;
const OTHERS: [u16; 2] = [6444, 6445];
const SECOND: Duration = Duration::from_secs(1);

/// api-lb in front of all three.
async fn balancer(cluster: &Cluster) -> Res<Running> {
    let server =
        |port: u16| format!("  - {{name: s{port}, address: \"127.0.0.1:{port}\"}}");
    let servers = [APISERVER, OTHERS[0], OTHERS[1]].map(server).join("\n");
    let ca = cluster.path("pki/ca.crt");
    let config = format!(
        "apiVersion: sternpost/v1\nkind: ApiLb\nadmin: {{address: \"127.0.0.1:9000\"}}\n\
         socket: {}\nflightRecorder: {{directory: off}}\nfrontends:\n- {{name: f, bind: [\"127.0.0.1:{BALANCER}\"], backend: b}}\n\
         backends:\n- name: b\n  check: {{https: {{path: /readyz, caFile: {}}}, \
         interval: 200ms, timeout: 1s, rise: 1, fall: 2}}\n  servers:\n{servers}\n",
        cluster.path("lb.sock").display(),
        ca.display(),
    );
    let file = cluster.path("lb.yaml");
    fs::write(&file, config)?;
    let program = lab::binaries::own("api-lb")?;
    let arguments = ["run".to_owned(), format!("--config={}", file.display())];
    let mut running = Running::start(&program, &arguments, &cluster.path("lb.log"))?;
    within("the balancer", Some(&mut running), async || {
        let at = ("127.0.0.1", BALANCER);
        tokio::net::TcpStream::connect(at).await.ok().map(drop)
    })
    .await?;
    Ok(running)
}

/// Requests come while one of three API servers is killed; each is decided.
pub(crate) async fn apiserver_dies() -> Tried {
    const REQUESTS: usize = 60;
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    cluster.bind_rights()?;
    let mut others = Vec::new();
    for port in OTHERS {
        let log = cluster.path("");
        let mut other = apiserver_at(&log, port)?;
        let listening = within("an API server", Some(&mut other), async || {
            let said =
                fs::read_to_string(log.join(format!("apiserver-{port}.log"))).ok()?;
            said.contains("Caches are synced for RBAC authorizer")
                .then_some(())
                .or_else(|| said.contains("Serving securely").then_some(()))
        });
        listening.await?;
        others.push(other);
    }
    let _balancer = balancer(&cluster).await?;
    let _daemon = cluster.daemon_at("a", SETTINGS, BALANCER).await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    let seen: Api<Csr> = Api::all(admin);
    let mut slowest = Duration::ZERO;
    for i in 0..REQUESTS {
        if i == REQUESTS / 3 {
            others.pop();
        }
        let name = format!("new-{i}");
        let csr = request_called(&name, &name)?;
        requests.create(&PostParams::default(), &csr).await?;
        let made = Instant::now();
        within("an approval", None, async || approved(&seen, &name).await)
            .await
            .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
        slowest = slowest.max(made.elapsed());
    }
    let status = cluster.status("a").await.ok_or("no status")?;
    let pending = status.get("pending").cloned().unwrap_or_default();
    println!("{REQUESTS} approved; pending: {pending}");
    measured(
        "the slowest of them, while one of three API servers was killed",
        slowest,
        5 * SECOND,
    )
}

/// In a mount namespace, with what a pod finds at that place.
const POD: &str = r#"
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$1/sa-token" /run/secrets/kubernetes.io/serviceaccount/token
cp "$1/pki/ca.crt" /run/secrets/kubernetes.io/serviceaccount/ca.crt
printf kube-system >/run/secrets/kubernetes.io/serviceaccount/namespace
export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT="$2"
exec "$3" run --config "$4"
"#;

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Res<String> {
    let output = Command::new(kubernetes().join("kubectl"))
        .arg("--kubeconfig")
        .arg(cluster.path("admin.conf"))
        .args(arguments)
        .output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// A configuration without a kubeconfig takes the service account of its pod.
pub(crate) async fn in_a_pod() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    cluster.bind_rights()?;
    let printed = fs::read_to_string(cluster.path("rbac.yaml"))?;
    let user =
        "- apiGroup: rbac.authorization.k8s.io\n  kind: User\n  name: bootstrap-signer";
    let account =
        "- kind: ServiceAccount\n  name: bootstrap-signer\n  namespace: kube-system";
    if !printed.contains(user) {
        return Err("no binding names the user".into());
    }
    kubectl(
        &cluster,
        &[
            "delete",
            "-f",
            &cluster.path("rbac.yaml").display().to_string(),
        ],
    )?;
    fs::write(cluster.path("pod.yaml"), printed.replace(user, account))?;
    cluster.apply("pod.yaml")?;
    let name = "bootstrap-signer";
    kubectl(
        &cluster,
        &["-n", "kube-system", "create", "serviceaccount", name],
    )?;
    let issued = kubectl(&cluster, &["-n", "kube-system", "create", "token", name])?;
    fs::write(cluster.path("sa-token"), issued.trim())?;
    let config = cluster.config("a", SETTINGS)?;
    let text = fs::read_to_string(&config)?;
    let without = text.lines().filter(|line| !line.starts_with("kubernetes:"));
    fs::write(&config, without.collect::<Vec<_>>().join("\n"))?;
    let place = |path: &Path| path.display().to_string();
    let arguments = ["--mount", "--", "/bin/sh", "-ec", POD, "pod"].map(str::to_owned);
    let more = [
        place(&cluster.path("")),
        APISERVER.to_string(),
        env!("CARGO_BIN_EXE_bootstrap-signer").to_owned(),
        place(&config),
    ];
    let arguments = [&arguments[..], &more[..]].concat();
    let log = cluster.path("a.log");
    let running = Running::start(Path::new("unshare"), &arguments, &log)?;
    let _daemon = cluster.seeing("a", running).await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let csr = request_called("new-1", "new-1")?;
    Api::<Csr>::all(client)
        .create(&PostParams::default(), &csr)
        .await?;
    let seen: Api<Csr> = Api::all(admin);
    within("an approval", None, async || approved(&seen, "new-1").await)
        .await
        .map_err(|error| format!("{error}\n{}", cluster.log("a")).into())
}

/// Credentials that expire are renewed in their file, by somebody who does not know of the
/// daemon: nobody's become its own, then something that is none.
pub(crate) async fn renewed_credentials() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    cluster.bind_rights()?;
    let config = cluster.config("a", SETTINGS)?;
    let (file, new) = (cluster.credentials("a"), cluster.path("new.conf"));
    let own = fs::read_to_string(&file)?;
    fs::write(&file, cluster.kubeconfig("nobody")?)?;
    let arguments = ["run".to_owned(), format!("--config={}", config.display())];
    let mut running = cluster.began("a", &arguments)?;
    within("that it may do nothing", Some(&mut running), async || {
        cluster.log("a").contains("orbidden").then_some(())
    })
    .await?;
    fs::write(&new, &own)?;
    fs::rename(&new, &file)?;
    let renewed = Instant::now();
    let mut running = cluster.seeing("a", running).await?;
    let took = renewed.elapsed();
    fs::write(&new, "no kubeconfig")?;
    fs::rename(&new, &file)?;
    within("that they are refused", Some(&mut running), async || {
        let status = cluster.status("a").await?;
        let failed = status.pointer("/credentials/reloadFailed")?.as_bool()?;
        failed.then_some(())
    })
    .await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let csr = request_called("new-1", "new-1")?;
    Api::<Csr>::all(client)
        .create(&PostParams::default(), &csr)
        .await?;
    let seen: Api<Csr> = Api::all(admin);
    within("an approval", Some(&mut running), async || {
        approved(&seen, "new-1").await
    })
    .await
    .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
    // A watch that was refused tries again after two seconds at most.
    measured(
        "at work after its credentials were renewed",
        took,
        5 * SECOND,
    )
}
