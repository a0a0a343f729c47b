//! Many at once, late rights, floods, and death.

use std::time::{Duration, Instant};

use csr_cases::case::Case;
use csr_cases::forge;
use futures_util::{StreamExt as _, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest as Csr, CertificateSigningRequestSpec,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::Tried;
use crate::rig::{Cluster, condition};
use crate::wait::{Res, measured, within};

pub(crate) const USER: &str = "system:bootstrap:abc123";
pub(crate) const SETTINGS: &str = "controlPlane: {endpoints: [\"192.168.220.224\"]}\n";
/// Requests on their way to the API server at a time.
const AT_ONCE: usize = 50;
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn groups() -> Vec<String> {
    ["system:bootstrappers", "system:authenticated"]
        .map(str::to_owned)
        .into()
}

pub(crate) async fn token(admin: &Client, id: &str) -> Res<()> {
    limited_token(admin, id, json!({})).await
}

async fn limited_token(admin: &Client, id: &str, notes: serde_json::Value) -> Res<()> {
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), "kube-system");
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": format!("bootstrap-token-{id}"), "annotations": notes },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": id,
            "token-secret": "0123456789abcdef",
            "usage-bootstrap-authentication": "true",
        },
    }))?;
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(())
}

/// A good request of a new node, with a key of its own.
pub(crate) fn request(node: &str) -> Res<Csr> {
    request_called(node, node)
}

/// The same in an object called `name`.
pub(crate) fn request_called(name: &str, node: &str) -> Res<Csr> {
    let case: Case = serde_json::from_value(json!({
        "name": node,
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "username": USER,
        "usages": ["digital signature", "client auth"],
        "subject_cn": format!("system:node:{node}"),
        "subject_o": "system:nodes",
        "key": "p256",
        "expected": "approve",
    }))?;
    Ok(Csr {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: CertificateSigningRequestSpec {
            request: ByteString(forge::pem(&case)?),
            signer_name: case.signer_name,
            usages: Some(case.usages),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    })
}

/// A request of `node` to serve at `address`.
pub(crate) fn serving(name: &str, node: &str, address: &str) -> Res<Csr> {
    let case: Case = serde_json::from_value(json!({
        "name": name,
        "signerName": "kubernetes.io/kubelet-serving",
        "username": format!("system:node:{node}"),
        "usages": ["digital signature", "server auth"],
        "subject_cn": format!("system:node:{node}"),
        "subject_o": "system:nodes",
        "sans": { "dns": [node], "ip": [address] },
        "key": "p256",
        "expected": "approve",
    }))?;
    Ok(Csr {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: CertificateSigningRequestSpec {
            request: ByteString(forge::pem(&case)?),
            signer_name: case.signer_name,
            usages: Some(case.usages),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    })
}

pub(crate) async fn approved(requests: &Api<Csr>, name: &str) -> Option<()> {
    let (kind, _) = condition(&requests.get(name).await.ok()?)?;
    (kind == "Approved").then_some(())
}

pub(crate) async fn late_right() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    let _daemon = cluster.daemon("a", SETTINGS).await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    requests
        .create(&PostParams::default(), &request("new-1")?)
        .await?;
    let seen: Api<Csr> = Api::all(admin);
    within("a look at the request", None, async || {
        (cluster.found("a", "AccessNotGranted").await? > 0).then_some(())
    })
    .await?;
    if approved(&seen, "new-1").await.is_some() {
        return Err("approved without a right".into());
    }
    cluster.bind_rights()?;
    let bound = Instant::now();
    within("an approval", None, async || approved(&seen, "new-1").await)
        .await
        .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
    measured("approved after the right came", bound.elapsed(), SECOND)
}

/// How many have a condition of that type.
pub(crate) async fn count(requests: &Api<Csr>, wanted: &str) -> Option<u64> {
    let list = requests.list(&ListParams::default()).await.ok()?;
    let found = list.iter().filter_map(condition);
    u64::try_from(found.filter(|(kind, _)| kind == wanted).count()).ok()
}

/// Creates all of them.
pub(crate) async fn create(requests: &Api<Csr>, all: Vec<Csr>) -> Res<()> {
    let made = stream::iter(all)
        .map(|csr| async move { requests.create(&PostParams::default(), &csr).await });
    let made: Vec<Result<_, _>> = made.buffer_unordered(AT_ONCE).collect().await;
    made.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

/// Five hundred requests of nodes named after `round`: from the first one's being made to
/// the last one's being approved.
async fn round(cluster: &Cluster, round: &str) -> Res<Duration> {
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    let all = (0..500).map(|i| request(&format!("{round}-{i}")));
    let all = all.collect::<Res<Vec<_>>>()?;
    let started = Instant::now();
    create(&requests, all).await?;
    let seen: Api<Csr> = Api::all(cluster.client(None).await?);
    within("500 approvals", None, async || {
        (count(&seen, "Approved").await? == 500).then_some(())
    })
    .await?;
    let took = started.elapsed();
    let params = DeleteParams::default();
    seen.delete_collection(&params, &ListParams::default())
        .await?;
    Ok(took)
}

/// In turns with kube-controller-manager's approver, its client's limits lifted.
pub(crate) async fn burst() -> Tried {
    const ROUNDS: usize = 3;
    const SLOWER: u32 = 3;
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    cluster.bind_rights()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut memory = String::new();
    for i in 0..ROUNDS {
        let daemon = cluster.daemon("a", SETTINGS).await?;
        let took = round(&cluster, &format!("ours-{i}")).await;
        ours.push(took.map_err(|error| format!("{error}\n{}", cluster.log("a")))?);
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id()))?;
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        memory = peak.unwrap_or_default().to_owned();
        drop(daemon);
        let peer = cluster.controller_manager("csrapproving").await?;
        theirs.push(round(&cluster, &format!("theirs-{i}")).await?);
        drop(peer);
    }
    ours.sort();
    theirs.sort();
    println!(
        "500 at once, created to approved: {ours:.2?}; kube-controller-manager with its \
         limits lifted: {theirs:.2?}; {memory}"
    );
    // In turns on one machine: what slows one slows the other. The bound itself (0.9) is
    // for a machine that does nothing else.
    let (our, their) = (ours.get(ROUNDS / 2), theirs.get(ROUNDS / 2));
    if our > their.map(|their| *their * SLOWER).as_ref() {
        return Err(format!("{our:?} beside {their:?}").into());
    }
    Ok(())
}

/// Two daemons, two tokens that may make one and three nodes, ten requests of each.
pub(crate) async fn limited_tokens() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    limited_token(&admin, "abc123", json!({ "sternpost.io/max-nodes": "3" })).await?;
    limited_token(&admin, "def456", json!({ "sternpost.io/one-shot": "true" })).await?;
    cluster.bind_rights()?;
    let _first = cluster.daemon("a", SETTINGS).await?;
    let _second = cluster.daemon("b", SETTINGS).await?;
    for id in ["abc123", "def456"] {
        let user = format!("system:bootstrap:{id}");
        let requests = cluster.client(Some((&user, &groups()))).await?;
        let all = (0..10).map(|i| request(&format!("{id}-{i}")));
        create(&Api::all(requests), all.collect::<Res<Vec<_>>>()?).await?;
    }
    let seen: Api<Csr> = Api::all(admin);
    let list = within("20 decisions", None, async || {
        let list = seen.list(&ListParams::default()).await.ok()?;
        let decided = list.iter().filter_map(condition).count();
        (decided == 20).then_some(list)
    })
    .await
    .map_err(|error| format!("{error}\n{}\n{}", cluster.log("a"), cluster.log("b")))?;
    let approved = |id: &str| {
        let of = list.iter().filter(|csr| {
            let name = csr.metadata.name.as_deref().unwrap_or_default();
            name.starts_with(id)
        });
        of.filter_map(condition)
            .filter(|(kind, _)| kind == "Approved")
            .count()
    };
    let counts = (approved("abc123"), approved("def456"));
    println!("of 10 each, approved {counts:?}");
    if counts == (3, 1) {
        Ok(())
    } else {
        Err(format!("{counts:?}\n{}\n{}", cluster.log("a"), cluster.log("b")).into())
    }
}

pub(crate) async fn killed() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    cluster.bind_rights()?;
    let first = cluster.daemon("a", SETTINGS).await?;
    let _second = cluster.daemon("b", SETTINGS).await?;
    let _third = cluster.daemon("c", SETTINGS).await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    let seen: Api<Csr> = Api::all(admin);
    // The first one dies with decisions in its hands.
    let all = (0..200).map(|i| request(&format!("before-{i}")));
    create(&requests, all.collect::<Res<Vec<_>>>()?).await?;
    drop(first);
    requests
        .create(&PostParams::default(), &request("new-1")?)
        .await?;
    let made = Instant::now();
    within("an approval", None, async || approved(&seen, "new-1").await).await?;
    let took = made.elapsed();
    within("all approvals", None, async || {
        (count(&seen, "Approved").await? == 201).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", cluster.log("b")))?;
    measured(
        "approved after one of three was killed with 200 before it",
        took,
        SECOND,
    )
}
