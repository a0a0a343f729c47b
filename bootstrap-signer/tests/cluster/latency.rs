//! How soon one request is decided, alone or once what it waits for comes.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::json;

use crate::Tried;
use crate::load::{SETTINGS, USER, approved, groups, request_called, serving, token};
use crate::rig::{Cluster, condition};
use crate::wait::{Res, measured, within};

const IDLE: Duration = Duration::from_millis(15);
const SECOND: Duration = Duration::from_secs(1);

/// One request, from its being made to a watch's telling that it is approved. The watch is
/// there before.
async fn one(client: &Client, admin: &Client, name: &str) -> Res<Duration> {
    let requests: Api<Csr> = Api::all(client.clone());
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut seen = std::pin::pin!(watcher(Api::<Csr>::all(admin.clone()), only));
    let csr = request_called(name, name)?;
    let (mut started, params) = (None, PostParams::default());
    let told = async {
        while let Some(event) = seen.try_next().await? {
            match event {
                Event::InitDone => {
                    // The watch begins when it is asked for what comes next.
                    started = Some(Instant::now());
                    let made = requests.create(&params, &csr).await;
                    made.map_err(watcher::Error::InitialListFailed)?;
                }
                Event::Apply(csr) | Event::InitApply(csr) => {
                    if condition(&csr).is_some_and(|(kind, _)| kind == "Approved") {
                        break;
                    }
                }
                Event::Init | Event::Delete(_) => {}
            }
        }
        Ok::<_, watcher::Error>(())
    };
    tokio::time::timeout(crate::wait::PATIENCE, told).await??;
    Ok(started.ok_or("it never began")?.elapsed())
}

/// In turns with kube-controller-manager's approver, each alone.
pub(crate) async fn idle() -> Tried {
    const ROUNDS: usize = 15;
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    cluster.bind_rights()?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let mut medians = Vec::new();
    for who in ["ours", "theirs"] {
        let _running = match who {
            "ours" => cluster.daemon("a", SETTINGS).await?,
            _ => cluster.controller_manager("csrapproving").await?,
        };
        // The first one asks for rights.
        one(&client, &admin, &format!("{who}-first")).await?;
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            times.push(one(&client, &admin, &format!("{who}-{round}")).await?);
        }
        times.sort();
        medians.extend(times.get(ROUNDS / 2).copied());
    }
    println!(
        "one request, made to told approved, median, ours and theirs: {medians:.2?}"
    );
    let ours = medians.first().copied().unwrap_or_default();
    measured("one request alone", ours, IDLE)
}

/// A serving request waits for the Node's address.
pub(crate) async fn late_address() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    let nodes: Api<Node> = Api::all(admin.clone());
    let node = serde_json::from_value(json!({ "metadata": { "name": "w1" } }))?;
    nodes.create(&PostParams::default(), &node).await?;
    let _daemon = cluster.daemon("a", SETTINGS).await?;
    let own = ["system:nodes", "system:authenticated"].map(str::to_owned);
    let client = cluster.client(Some(("system:node:w1", &own))).await?;
    let csr = serving("csr-1", "w1", "10.0.0.11")?;
    Api::<Csr>::all(client)
        .create(&PostParams::default(), &csr)
        .await?;
    within("a look at the request", None, async || {
        (cluster.found("a", "SanNotOnNodeYet").await? > 0).then_some(())
    })
    .await?;
    let seen: Api<Csr> = Api::all(admin);
    if approved(&seen, "csr-1").await.is_some() {
        return Err("approved without the address".into());
    }
    let status = json!({ "status": { "addresses": [
        { "type": "InternalIP", "address": "10.0.0.11" },
    ]}});
    let params = PatchParams::default();
    nodes
        .patch_status("w1", &params, &Patch::Merge(status))
        .await?;
    let came = Instant::now();
    within("an approval", None, async || approved(&seen, "csr-1").await).await?;
    measured("approved after the address came", came.elapsed(), SECOND)
}

/// Two requests of one requester for one node wait for a right. When it comes, the newer
/// one is approved, and the older one closed.
pub(crate) async fn superseded() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    let _daemon = cluster.daemon("a", SETTINGS).await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    let params = PostParams::default();
    let older = request_called("older", "new-1")?;
    let made = requests.create(&params, &older).await?;
    let newer = request_called("newer", "new-1")?;
    // Times in the API are whole seconds: until the next one, both are as old.
    let mut last = requests.create(&params, &newer).await?;
    while last.metadata.creation_timestamp == made.metadata.creation_timestamp {
        requests_of(&admin)
            .delete("newer", &Default::default())
            .await?;
        last = requests.create(&params, &newer).await?;
    }
    let seen = requests_of(&admin);
    within("the older one's end", None, async || {
        let (kind, reason) = condition(&seen.get("older").await.ok()?)?;
        (kind == "Denied" && reason == "Superseded").then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
    cluster.bind_rights()?;
    within("the newer one's approval", None, async || {
        approved(&seen, "newer").await
    })
    .await
    .map_err(|error| format!("{error}\n{}", cluster.log("a")).into())
}

fn requests_of(client: &Client) -> Api<Csr> {
    Api::all(client.clone())
}
