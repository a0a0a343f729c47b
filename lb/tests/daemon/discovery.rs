//! Servers that are found: checked, used, drained when they leave, kept over a restart with
//! nobody to ask.
//!
//! Leaves to the lab: what a real kube-apiserver says of itself.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::recall::explained;
use crate::rig::{Fallible, Lb, PATIENCE, loopback};
use crate::servers::Echo;

const CHECK: &str = "  check: {tcp: {}, interval: 20ms, timeout: 500ms}\n";

/// Apiservers stand in the file as backups, so that clients get the servers that are found.
fn body(bind: SocketAddr, discovery: &str, backups: &[SocketAddr]) -> String {
    let servers = backups
        .iter()
        .enumerate()
        .map(|(n, at)| format!("  - {{name: m{n}, address: \"{at}\", backup: true}}\n"));
    let servers: String = servers.collect();
    let servers = if servers.is_empty() {
        servers
    } else {
        format!("  servers:\n{servers}")
    };
    format!(
        "frontends:\n- {{name: f, bind: [\"{bind}\"], backend: b}}\nbackends:\n- name: b\n{CHECK}  discovery: {{{discovery}}}\n{servers}"
    )
}

fn kubernetes(kubeconfig: &Path, file: &Path) -> String {
    format!(
        "kubernetes: {{kubeconfig: {}}}, file: {}",
        kubeconfig.display(),
        file.display()
    )
}

/// The backend, once it is as it should be.
pub(crate) async fn backend(lb: &Lb, is_so: impl Fn(&Value) -> bool) -> Fallible<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let backend = lb.get("/status").await?["backends"][0].take();
        if is_so(&backend) {
            return Ok(backend);
        }
        if Instant::now() > until {
            return Err(format!("{backend:#}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The servers by where they are named and how they are: `found up` and so on, in order.
pub(crate) fn standing(backend: &Value) -> Vec<String> {
    let servers = backend["servers"].as_array().into_iter().flatten();
    let word = |server: &Value, key: &str| server[key].as_str().unwrap_or("").to_owned();
    servers
        .map(|s| format!("{} {}", word(s, "origin"), word(s, "state")))
        .collect()
}

async fn guest(bind: SocketAddr) -> Fallible<(TcpStream, u8)> {
    let mut stream = TcpStream::connect(bind).await?;
    let name = tokio::time::timeout(PATIENCE, stream.read_u8()).await??;
    Ok((stream, name))
}

#[tokio::test]
async fn what_the_cluster_names_is_checked_used_drained_and_remembered() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let (cluster, file) = (Cluster::new()?, folder.path().join("servers.json"));
    let api = cluster.apiserver().await?;
    let one = Echo::start_at(loopback(7443), b'1').await?;
    let two = Echo::start_at(loopback(7443), b'2').await?;
    cluster.names(&[one.address, two.address]);
    let bind = loopback(6443);
    let discovery = kubernetes(&cluster.kubeconfig(folder.path())?, &file);
    let body = body(bind, &discovery, &[api.address]);
    let lb = Lb::start(&body)?;
    let all_up = ["file up", "found up", "found up"];
    backend(&lb, |b| standing(b) == all_up).await?;
    let (mut held, first) = guest(bind).await?;
    let (_, second) = guest(bind).await?;
    assert_eq!(first.max(second), b'2', "both are used");
    let (stays, leaves) = if first == b'1' {
        (&two, &one)
    } else {
        (&one, &two)
    };
    let other = if first == b'1' { b'2' } else { b'1' };

    // One leaves: its connection stays, and nobody else comes to it.
    cluster.names(&[stays.address]);
    let left = ["file up", "found up", "left draining"];
    backend(&lb, |b| standing(b) == left).await?;
    // The recorder has who came and who left, and by whose word.
    let name = |server: &Echo| format!("b/{}-7443", server.address.ip());
    let wanted = format!("{} was up and is draining, by discovery", name(leaves));
    explained(&name(leaves), &lb.socket(), &[wanted])?;
    for _ in 0..4 {
        assert_eq!(guest(bind).await?.1, other);
    }
    held.write_all(b"x").await?;
    assert_eq!(held.read_u8().await?, b'x');
    drop(held);
    backend(&lb, |b| standing(b) == left[..2]).await?;
    let written = std::fs::read_to_string(&file)?;
    assert!(written.contains(&stays.address.to_string()), "{written}");
    assert!(!written.contains(&leaves.address.to_string()), "{written}");
    assert_eq!(
        std::fs::metadata(&file)?.permissions().mode() & 0o777,
        0o600
    );

    // An answer without a server takes none away.
    cluster.names(&[]);
    let failing = backend(&lb, |b| !b["discovery"]["failure"].is_null()).await?;
    assert_eq!(standing(&failing), left[..2]);
    assert_eq!(failing["discovery"]["failure"], "names no server");

    // Nobody is there to ask, and the process is another.
    drop(api);
    drop(lb);
    let lb = Lb::start(&body)?;
    assert_eq!(guest(bind).await?.1, other);
    let known = backend(&lb, |b| !b["discovery"]["failure"].is_null()).await?;
    assert_eq!(known["discovery"]["from"], "memory");
    assert_eq!(known["discovery"]["servers"][0], stays.address.to_string());
    Ok(())
}

#[tokio::test]
async fn a_watch_goes_on_at_another_server_where_it_was() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let (cluster, file) = (Cluster::new()?, folder.path().join("servers.json"));
    let apis = [cluster.apiserver().await?, cluster.apiserver().await?];
    let one = Echo::start_at(loopback(7443), b'1').await?;
    let two = Echo::start_at(loopback(7443), b'2').await?;
    cluster.names(&[one.address]);
    let discovery = kubernetes(&cluster.kubeconfig(folder.path())?, &file);
    let servers = apis.each_ref().map(|api| api.address);
    let lb = Lb::start(&body(loopback(6443), &discovery, &servers))?;
    backend(&lb, |b| {
        standing(b).iter().filter(|s| *s == "found up").count() == 1
    })
    .await?;
    let asked = |n: usize| apis[n].lists.load(Ordering::Relaxed);
    let (first, other) = if asked(0) > 0 { (0, 1) } else { (1, 0) };
    let mut apis: Vec<Option<_>> = apis.into_iter().map(Some).collect();
    let other = apis[other].take().ok_or("gone")?;

    // Its server dies, and what happens meanwhile is not lost; nothing is listed again.
    let address = apis[first].take().ok_or("gone")?.address;
    cluster.names(&[one.address, two.address]);
    backend(&lb, |b| {
        standing(b).iter().filter(|s| *s == "found up").count() == 2
    })
    .await?;
    assert_eq!(other.lists.load(Ordering::Relaxed), 0);
    assert_eq!(other.watches.load(Ordering::Relaxed), 1);

    // What it knows is too old for the next server: all is listed anew.
    cluster.names(&[two.address]);
    backend(&lb, |b| {
        standing(b).iter().filter(|s| *s == "found up").count() == 1
    })
    .await?;
    cluster.compact();
    let back = cluster.apiserver_at(address).await?;
    drop(other);
    cluster.names(&[one.address]);
    cluster.compact();
    let found = serde_json::json!([one.address]);
    backend(&lb, |b| b["discovery"]["servers"] == found).await?;
    assert_eq!(back.lists.load(Ordering::Relaxed), 1);
    Ok(())
}

#[tokio::test]
async fn servers_whose_certificate_is_a_stranger_s_are_not_believed() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let (ours, theirs) = (Cluster::new()?, Cluster::new()?);
    let api = theirs.apiserver().await?;
    theirs.names(&["127.1.1.1:7443".parse()?]);
    let file = folder.path().join("servers.json");
    let discovery = kubernetes(&ours.kubeconfig(folder.path())?, &file);
    let lb = Lb::start(&body(loopback(6443), &discovery, &[api.address]))?;
    let refused = backend(&lb, |b| !b["discovery"]["failure"].is_null()).await?;
    let why = refused["discovery"]["failure"].as_str().unwrap_or_default();
    assert!(why.contains("authority"), "{why}");
    assert_eq!(refused["discovery"]["servers"], serde_json::json!([]));
    assert_eq!(api.lists.load(Ordering::Relaxed), 0);
    Ok(())
}

/// `/etc/hosts` of the daemon alone, in a mount namespace of its own, in which no server for
/// names is asked.
#[tokio::test]
async fn names_are_resolved_again_and_a_name_that_is_gone_takes_nobody_away()
-> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let hosts = folder.path().join("hosts");
    let switch = folder.path().join("nsswitch.conf");
    std::fs::write(&switch, "hosts: files\n")?;
    let one = Echo::start_at(loopback(7443), b'1').await?;
    let two = Echo::start_at(loopback(7443), b'2').await?;
    let line = |at: SocketAddr| format!("{} masters.example\n", at.ip());
    std::fs::write(&hosts, line(one.address))?;
    let discovery = "dns: {names: [\"masters.example:7443\"], interval: 1s}, file: off";
    let bind = loopback(6443);
    let alone = format!(
        "exec unshare --map-root-user --mount sh -c 'mount --bind {} /etc/hosts && mount --bind {} /etc/nsswitch.conf && exec \"$0\" run --config \"$1\"' \"$0\" \"$1\";",
        hosts.display(),
        switch.display()
    );
    let lb = Lb::start_after(&body(bind, discovery, &[]), &alone)?;
    backend(&lb, |b| standing(b) == ["found up"]).await?;
    assert_eq!(guest(bind).await?.1, b'1');
    std::fs::write(&hosts, line(one.address) + &line(two.address))?;
    backend(&lb, |b| standing(b) == ["found up", "found up"]).await?;
    std::fs::write(&hosts, "")?;
    let failing = backend(&lb, |b| !b["discovery"]["failure"].is_null()).await?;
    assert_eq!(standing(&failing), ["found up", "found up"]);
    std::fs::write(&hosts, line(two.address))?;
    backend(&lb, |b| standing(b) == ["found up"]).await?;
    assert_eq!(guest(bind).await?.1, b'2');
    Ok(())
}
