//! The daemon under the unit that ships, on a booted machine, at a real API server: everything
//! that hardening could take away is used, not only scored.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use lab::binaries;
use lab::host::Host as _;
use lab::machine::Machine;
use lab::segment::Segment;
use libtest_mimic::Failed;
use serde_json::json;

use crate::Tried;
use crate::load::{USER, create, groups, request_called, token};
use crate::rig::{Cluster, condition};
use crate::servers::{APISERVER, REACHED};
use crate::signing::{certificate, client_of, issued};
use crate::tokens::{said, signed, write_info};
use crate::wait::{Res, within};

/// The API server's host, in the segment that the machine is plugged into.
const API: (&str, Ipv4Addr) = ("api", REACHED);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 11);
/// In tenths, as systemd scores it.
const EXPOSURE: u32 = 15;

const CONFIG: &str = r#"apiVersion: sternpost/v1
kind: BootstrapSigner
mode: enforce
kubernetes: {kubeconfig: /etc/kubernetes/bootstrap-signer.conf}
cluster: {serviceNetworks: ["10.96.0.0/16"]}
controlPlane: {endpoints: ["192.168.220.224"]}
inventory: {file: /etc/sternpost/nodes.yaml, use: either}
signing:
  client: {authorities: [{certFile: /etc/kubernetes/pki/ca.crt, keyFile: /etc/kubernetes/pki/ca.key}]}
tokens: {clusterInfo: sign, expired: delete}
"#;
const INVENTORY: &str = "apiVersion: sternpost/v1\nkind: NodeInventory\nnodes: []\n";
/// What holds a secret, and is the daemon's own.
const SECRET: &str = "/etc/kubernetes/bootstrap-signer.conf /etc/kubernetes/pki/ca.key";

/// The cluster sits in its host's namespace, the machine beside it.
pub(crate) fn trial() -> Result<(), Failed> {
    let logs = binaries::logs("signer-unit");
    let segment = Arc::new(Segment::new(&logs, &[API])?);
    let host = Arc::clone(segment.host(API.0)?);
    let beside = Arc::clone(&segment);
    host.run(move || {
        let tried = crate::on_runtime(works(&beside));
        tried.map_err(|error| error.to_string())
    })??;
    Ok(())
}

struct Booted(Machine);

impl Booted {
    fn run(&self, command: &str) -> Res<String> {
        Ok(self.0.output("/bin/bash", &["-c", command])?)
    }

    /// Waits until the output of `command` holds `wanted`.
    async fn until(&self, command: &str, wanted: &str) -> Res<String> {
        let what = format!("{wanted:?} of {command}");
        let found = within(&what, None, async || {
            let text = self.run(command).ok()?;
            text.contains(wanted).then_some(text)
        });
        found
            .await
            .map_err(|error| format!("{error}\n{}", self.journal()).into())
    }

    fn journal(&self) -> String {
        let journal = "journalctl -b --no-pager -u bootstrap-signer | tail -40";
        self.run(journal).unwrap_or_default()
    }

    /// What the daemon answers to its own host.
    fn get(path: &str) -> String {
        format!(
            "exec 3<>/dev/tcp/127.0.0.1/9020 && \
             printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
        )
    }
}

/// Puts what a package would into the machine's own files, before it boots.
fn install(cluster: &Cluster, root: &Path) -> Tried {
    let put = |from: &Path, to: &str, mode: u32| -> Tried {
        let to = root.join(to);
        fs::create_dir_all(to.parent().ok_or("no folder")?)?;
        fs::copy(from, &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        Ok(())
    };
    let binary = Path::new(env!("CARGO_BIN_EXE_bootstrap-signer"));
    put(binary, "usr/bin/bootstrap-signer", 0o755)?;
    let packaging = |file: &str| Path::new("../packaging").join(file);
    let unit = "systemd/bootstrap-signer.service";
    put(
        &packaging(unit),
        &format!("etc/{unit}").replace("systemd/", "systemd/system/"),
        0o644,
    )?;
    for file in [
        "sysusers.d/bootstrap-signer.conf",
        "tmpfiles.d/sternpost.conf",
    ] {
        put(&packaging(file), &format!("usr/lib/{file}"), 0o644)?;
    }
    for (name, mode) in [("ca.crt", 0o644), ("ca.key", 0o600)] {
        let from = cluster.path(&format!("pki/{name}"));
        put(&from, &format!("etc/kubernetes/pki/{name}"), mode)?;
    }
    cluster.config("m1", "")?;
    let credentials = cluster.credentials("m1");
    let (here, there) = (
        format!("127.0.0.1:{APISERVER}"),
        format!("{REACHED}:{APISERVER}"),
    );
    let text = fs::read_to_string(&credentials)?.replace(&here, &there);
    fs::write(&credentials, text)?;
    put(&credentials, "etc/kubernetes/bootstrap-signer.conf", 0o600)?;
    fs::create_dir_all(root.join("etc/sternpost"))?;
    fs::write(root.join("etc/sternpost/bootstrap-signer.yaml"), CONFIG)?;
    fs::write(root.join("etc/sternpost/nodes.yaml"), INVENTORY)?;
    Ok(())
}

async fn works(segment: &Segment) -> Tried {
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    cluster.grant(&["approve", "sign", "cluster-info", "clean"])?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    write_info(&admin).await?;
    install(&cluster, &segment.files().join("machine-m1/upper"))?;
    let machine = Booted(Machine::boot(segment, "m1", ADDRESS)?);
    machine.run(&format!("chown bootstrap-signer {SECRET}"))?;
    // What does not start is told by what follows, with the journal.
    drop(machine.run("systemctl start bootstrap-signer"));
    machine
        .until("systemctl is-active bootstrap-signer", "active")
        .await?;
    machine.until(&Booted::get("/readyz"), "200 OK").await?;
    is_locked_up(&machine)?;
    decides(&cluster, &machine).await?;
    cleans(&cluster, &machine).await?;
    reloads(&cluster, &machine).await?;
    is_watched(&cluster, &machine).await?;
    machine.run("systemctl stop bootstrap-signer")?;
    let result = machine.run("systemctl show -P Result bootstrap-signer")?;
    if result.trim() != "success" {
        return Err(format!("it stopped with {result}\n{}", machine.journal()).into());
    }
    machine.0.shut_down()?;
    Ok(())
}

/// As systemd sees it there, and as the kernel does.
fn is_locked_up(machine: &Booted) -> Tried {
    let exposure = machine.0.exposure("bootstrap-signer")?;
    if exposure > EXPOSURE {
        return Err(format!("exposure: {exposure} tenths, at most {EXPOSURE}").into());
    }
    let process = "/proc/$(systemctl show -P MainPID bootstrap-signer)/status";
    let status = machine.run(&format!("cat {process}"))?;
    let own = machine.run("id -u bootstrap-signer")?;
    let has = |key: &str, value: &str| {
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        lines.any(|(name, words)| {
            name == key && words.split_whitespace().all(|word| word == value)
        })
    };
    let nothing = "0000000000000000";
    let locked = ["CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .iter()
        .all(|set| has(set, nothing));
    if locked && has("NoNewPrivs", "1") && has("Seccomp", "2") && has("Uid", own.trim()) {
        Ok(())
    } else {
        Err(format!("it runs as {own} with:\n{status}").into())
    }
}

/// A good request gets its certificate, a bad one a denial and an Event.
async fn decides(cluster: &Cluster, machine: &Booted) -> Tried {
    issued(cluster, &client_of("good")?).await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let mut bad = request_called("bad", "bad")?;
    bad.spec.usages = Some(vec!["digital signature".to_owned()]);
    create(&Api::all(client), vec![bad]).await?;
    let seen: Api<Csr> = Api::all(cluster.client(None).await?);
    within("a denial", None, async || {
        let (kind, reason) = condition(&seen.get("bad").await.ok()?)?;
        (kind == "Denied" && reason == "UsagesNotExact").then_some(())
    })
    .await?;
    let events: Api<Event> = Api::namespaced(cluster.client(None).await?, "default");
    within("an Event on it", None, async || {
        let all = events.list(&ListParams::default()).await.ok()?;
        let told = all.iter().find(|event| {
            let about = event.involved_object.name.as_deref();
            about == Some("bad") && event.reason.as_deref() == Some("UsagesNotExact")
        });
        told.map(drop)
    })
    .await?;
    let counted = r#"decision="deny",reason="UsagesNotExact"} 1"#;
    machine.until(&Booted::get("/metrics"), counted).await?;
    let said = r#"reason="UsagesNotExact""#;
    let journal = "journalctl -b --no-pager -u bootstrap-signer";
    machine.until(journal, said).await.map(drop)
}

/// A token signs cluster-info until its time is over, when both go.
async fn cleans(cluster: &Cluster, machine: &Booted) -> Tried {
    let admin = cluster.client(None).await?;
    let token = said(cluster, &["create", "--ttl", "1h", "--usages", "signing"])?;
    let (id, _) = token.split_once('.').ok_or("no token")?;
    signed(&admin, 1).await?;
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), "kube-system");
    let name = format!("bootstrap-token-{id}");
    let end = token::rfc3339(SystemTime::now() + Duration::from_secs(2));
    let patch = Patch::Merge(json!({ "stringData": { "expiration": end } }));
    secrets
        .patch(&name, &PatchParams::default(), &patch)
        .await?;
    within("that the token is deleted", None, async || {
        secrets.get_opt(&name).await.ok()?.is_none().then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", machine.journal()))?;
    signed(&admin, 0).await.map(drop)
}

/// In audit mode it decides and writes nothing; a file with an error changes nothing.
async fn reloads(cluster: &Cluster, machine: &Booted) -> Tried {
    let file = "/etc/sternpost/bootstrap-signer.yaml";
    let reload = "systemctl reload bootstrap-signer";
    let set =
        |old: &str, new: &str| format!("sed -i 's/^mode: {old}/mode: {new}/' {file}");
    machine.run(&format!("{} && {reload}", set("enforce", "audit")))?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    create(&requests, vec![client_of("audited")?.csr]).await?;
    let decided = r#"request="audited""#;
    let journal = "journalctl -b --no-pager -u bootstrap-signer";
    machine.until(journal, decided).await?;
    let broken = format!("echo 'modus: 1' >>{file} && ! {reload} && sed -i '$d' {file}");
    machine.run(&broken)?;
    machine
        .until(journal, "the configuration is refused")
        .await?;
    let seen: Api<Csr> = Api::all(cluster.client(None).await?);
    if condition(&seen.get("audited").await?).is_some() {
        return Err("it wrote a decision in audit mode".into());
    }
    machine.run(&format!("{} && {reload}", set("audit", "enforce")))?;
    certificate(cluster, "audited")
        .await
        .map(drop)
        .map_err(|error| format!("{error}\n{}", machine.journal()).into())
}

/// One that hangs is ended and started anew, and goes on.
async fn is_watched(cluster: &Cluster, machine: &Booted) -> Tried {
    machine.run("kill -STOP $(systemctl show -P MainPID bootstrap-signer)")?;
    machine
        .until("systemctl show -P NRestarts bootstrap-signer", "1")
        .await?;
    issued(cluster, &client_of("after")?)
        .await
        .map(drop)
        .map_err(|error| format!("{error}\n{}", machine.journal()).into())
}
