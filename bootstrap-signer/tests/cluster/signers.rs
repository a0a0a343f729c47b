//! Several signers at once, and many requests at once beside kube-controller-manager.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::Value;

use crate::Tried;
use crate::load::{USER, create, groups, token};
use crate::rig::Cluster;
use crate::signing::{SETTINGS, SIGNS, client_of, name, signing};
use crate::wait::{Res, measured, within};

/// How often the daemon `name` ended signing like `result`.
fn results(status: &Value, result: &str) -> u64 {
    let all = status.pointer("/signing/results").and_then(Value::as_array);
    let of = all.into_iter().flatten();
    let of = of.filter(|each| each["result"] == result);
    of.filter_map(|each| each["count"].as_u64()).sum()
}

/// Two that approve and sign, and one that only signs and dies, with requests that
/// somebody else approves: each certificate is written once.
pub(crate) async fn two_signers() -> Tried {
    const EACH: u64 = 100;
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    cluster.grant(&SIGNS)?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    let settings = format!("{SETTINGS}{}", signing(&cluster, "ca"));
    let first = cluster.daemon("a", &settings).await?;
    let second = cluster.daemon("b", &settings).await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let some = (0..EACH).map(|i| Ok(client_of(&format!("first-{i}"))?.csr));
    create(&Api::all(client.clone()), some.collect::<Res<_>>()?).await?;
    let requests: Api<Csr> = Api::all(admin);
    let all = async |wanted: u64| {
        within("all certificates", None, async || {
            let list = requests.list(&ListParams::default()).await.ok()?;
            let issued = list.iter().filter(|csr| {
                let status = csr.status.as_ref();
                status.is_some_and(|status| status.certificate.is_some())
            });
            (u64::try_from(issued.count()).ok()? == wanted).then_some(())
        })
        .await
    };
    all(EACH).await?;
    let statuses = [cluster.status("a").await, cluster.status("b").await];
    let statuses = statuses.map(Option::unwrap_or_default);
    let issued: Vec<u64> = statuses.iter().map(|one| results(one, "issued")).collect();
    let overtaken: Vec<u64> = statuses
        .iter()
        .map(|one| results(one, "overtaken"))
        .collect();
    println!("{EACH} issued by two: {issued:?}, overtaken {overtaken:?}");
    if issued.iter().sum::<u64>() != EACH {
        return Err(format!("{issued:?} certificates were written for {EACH}").into());
    }
    // One dies with approvals in its hands that it did not sign.
    let more = (0..EACH).map(|i| Ok(client_of(&format!("second-{i}"))?.csr));
    create(&Api::all(client), more.collect::<Res<_>>()?).await?;
    drop(first);
    let died = Instant::now();
    all(2 * EACH)
        .await
        .map_err(|error| format!("{error}\n{}", cluster.log("b")))?;
    measured(
        "all issued after one of two was killed",
        died.elapsed(),
        Duration::from_secs(1),
    )?;
    drop(second);
    Ok(())
}

/// Requests of five hundred nodes, from each one's being made to its certificate's being
/// seen, in turns with kube-controller-manager's approver and signer without limits.
pub(crate) async fn burst() -> Tried {
    const ROUNDS: usize = 3;
    const SLOWER: u32 = 3;
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    cluster.grant(&SIGNS)?;
    token(&cluster.client(None).await?, "abc123").await?;
    let settings = format!("{SETTINGS}{}", signing(&cluster, "ca"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for i in 0..ROUNDS {
        let daemon = cluster.daemon("a", &settings).await?;
        let before = cpu(daemon.id())?;
        let round_of_ours = round(&cluster, &format!("ours-{i}")).await;
        let took = round_of_ours.map_err(|e| format!("{e}\n{}", cluster.log("a")))?;
        ours.push((took, cpu(daemon.id())? - before, memory(daemon.id())?));
        drop(daemon);
        let peer = cluster
            .controller_manager("csrapproving,csrsigning")
            .await?;
        let before = cpu(peer.id())?;
        let took = round(&cluster, &format!("theirs-{i}")).await?;
        theirs.push((took, cpu(peer.id())? - before, memory(peer.id())?));
        drop(peer);
    }
    ours.sort();
    theirs.sort();
    println!(
        "500 at once, created to issued (p99, processor time, peak memory): ours {ours:.2?}; \
         kube-controller-manager with its limits lifted {theirs:.2?}"
    );
    let median =
        |all: &[(Duration, Duration, String)]| all.get(ROUNDS / 2).map(|one| one.0);
    let (our, their) = median(&ours).zip(median(&theirs)).ok_or("no rounds")?;
    println!(
        "ratio of medians {:.2}",
        our.as_secs_f64() / their.as_secs_f64()
    );
    // In turns on one machine: what slows one slows the other. The bound itself (0.9) is
    // for a machine that does nothing else.
    if our > their * SLOWER {
        return Err(format!("{our:?} beside {their:?}").into());
    }
    Ok(())
}

fn cpu(process: u32) -> Res<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|text| text.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on Linux.
    Ok(Duration::from_millis(ticks * 10))
}

fn memory(process: u32) -> Res<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    Ok(peak
        .unwrap_or_default()
        .replace("VmHWM:", "")
        .trim()
        .to_owned())
}

/// Requests on their way to the API server at a time.
const AT_ONCE: usize = 50;

/// Of five hundred, each from its being sent, how long the slowest but five took.
async fn round(cluster: &Cluster, round: &str) -> Res<Duration> {
    const NODES: usize = 500;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    let all = (0..NODES).map(|i| Ok(client_of(&format!("{round}-{i}"))?.csr));
    let all = all.collect::<Res<Vec<_>>>()?;
    let seen: Api<Csr> = Api::all(cluster.client(None).await?);
    let watching = tokio::spawn(issue_times(seen.clone(), round.to_owned(), NODES));
    let made = stream::iter(all).map(|csr| {
        let requests = &requests;
        async move {
            let asked = Instant::now();
            let made = requests.create(&PostParams::default(), &csr).await;
            made.map(|_| (name(&csr).to_owned(), asked))
        }
    });
    let made: BTreeMap<String, Instant> =
        made.buffer_unordered(AT_ONCE).try_collect().await?;
    let times = watching.await??;
    let mut took: Vec<Duration> = (times.iter())
        .filter_map(|(name, at)| Some(at.duration_since(*made.get(name)?)))
        .collect();
    took.sort();
    seen.delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    took.get(NODES * 99 / 100)
        .copied()
        .ok_or_else(|| "too few".into())
}

/// When each certificate was seen by a watch.
async fn issue_times(
    requests: Api<Csr>,
    round: String,
    wanted: usize,
) -> Result<BTreeMap<String, Instant>, String> {
    use kube::runtime::{WatchStreamExt as _, watcher};
    let stream = watcher(requests, watcher::Config::default()).default_backoff();
    let mut stream = std::pin::pin!(stream.applied_objects());
    let mut times = BTreeMap::new();
    let all = async {
        while times.len() < wanted {
            let Ok(Some(csr)) = stream.try_next().await else {
                continue;
            };
            let status = csr.status.as_ref();
            let issued = status.is_some_and(|status| status.certificate.is_some());
            if issued && name(&csr).starts_with(&round) {
                times
                    .entry(name(&csr).to_owned())
                    .or_insert_with(Instant::now);
            }
        }
    };
    let done = tokio::time::timeout(crate::wait::PATIENCE, all)
        .await
        .is_ok();
    if done {
        return Ok(times);
    }
    Err(format!("{} of {wanted} certificates came", times.len()))
}
