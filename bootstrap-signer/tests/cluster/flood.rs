//! One requester asks thousands of times, as often as `STERNPOST_FLOOD` says: another one
//! does not notice, and memory has a bound that does not depend on how often.

use std::time::{Duration, Instant};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use kube::Api;
use kube::api::PostParams;
use lab::command;

use crate::Tried;
use crate::load::{SETTINGS, USER, approved, count, create, groups, request, token};
use crate::rig::Cluster;
use crate::servers::Running;
use crate::wait::{Res, measured, within};

/// Ten times one requester's room.
const FLOOD: u64 = 20_000;
/// More than its room holds at a time.
const READ: u64 = 4_000;
/// The default.
const QUOTA: u64 = 20;
/// At a thousand requests, in KiB.
const MEMORY: u64 = 30 * 1_024;
/// What a requester's room adds, however many requests there are.
const ROOM: u64 = 2 * 8 * 1_024;
const SECOND: Duration = Duration::from_secs(1);

/// Bad ones: what is refused counts for the quota.
fn bad(name: &str) -> Res<Csr> {
    let mut csr = request(name)?;
    csr.spec.usages = Some(vec!["digital signature".to_owned()]);
    Ok(csr)
}

pub(crate) async fn flood() -> Tried {
    let flood: u64 = match std::env::var("STERNPOST_FLOOD") {
        Ok(number) => number.parse()?,
        Err(_) => FLOOD,
    };
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    token(&admin, "def456").await?;
    cluster.bind_rights()?;
    let daemon = cluster.daemon("a", SETTINGS).await?;
    let flooder = cluster.client(Some((USER, &groups()))).await?;
    let flooder: Api<Csr> = Api::all(flooder);
    // First a thousand, for which the bound of memory is named.
    let some = (0..1_000).map(|i| bad(&format!("flood-{i}")));
    create(&flooder, some.collect::<Res<Vec<_>>>()?).await?;
    seen_all(&cluster, 1_000).await?;
    let at_a_thousand = peak(&daemon)?;
    let rest = (1_000..flood).map(|i| bad(&format!("flood-{i}")));
    create(&flooder, rest.collect::<Res<Vec<_>>>()?).await?;
    let took = beside(&cluster, &admin).await?;
    within("that not all of them are held", None, async || {
        let status = cluster.status("a").await?;
        (status.get("crowdedRequesters")? == 1).then_some(())
    })
    .await?;
    let seen: Api<Csr> = Api::all(admin);
    let denied = within("a count", None, async || count(&seen, "Denied").await).await?;
    let memory = peak(&daemon)?;
    println!(
        "{denied} of {flood} denied; {at_a_thousand} KiB at 1000, then {memory} KiB"
    );
    if at_a_thousand > MEMORY || memory > MEMORY + ROOM {
        return Err(format!("{at_a_thousand} and {memory} KiB of memory").into());
    }
    if denied != QUOTA {
        return Err(format!("{denied} denied of {flood}").into());
    }
    read_again(&cluster, &daemon, flood.min(READ)).await?;
    measured("approved beside another's flood", took, 2 * SECOND)
}

/// A good request of another requester.
async fn beside(cluster: &Cluster, admin: &kube::Client) -> Res<Duration> {
    let other = cluster
        .client(Some(("system:bootstrap:def456", &groups())))
        .await?;
    let other: Api<Csr> = Api::all(other);
    other
        .create(&PostParams::default(), &request("new-1")?)
        .await?;
    let made = Instant::now();
    let seen: Api<Csr> = Api::all(admin.clone());
    within("another's approval", None, async || {
        approved(&seen, "new-1").await
    })
    .await?;
    Ok(made.elapsed())
}

/// Held or denied.
async fn seen_all(cluster: &Cluster, wanted: u64) -> Tried {
    within("a look at all of them", None, async || {
        let held = cluster.found("a", "QuotaExceeded").await?;
        (held >= wanted - QUOTA).then_some(())
    })
    .await
}

/// With a quota that lets them pass, those that were left are read and denied too.
async fn read_again(cluster: &Cluster, daemon: &Running, wanted: u64) -> Tried {
    cluster.config("a", &format!("{SETTINGS}quota: {{requests: 10000}}\n"))?;
    command::run("kill", &["-HUP", &daemon.id().to_string()])?;
    let mut denied = 0;
    while denied < wanted {
        let more = format!("more than {denied} of {wanted} denials");
        denied = within(&more, None, async || {
            let now = cluster.found("a", "UsagesNotExact").await?;
            (now > denied).then_some(now)
        })
        .await
        .map_err(|error| {
            let log = cluster.log("a");
            let last = log.lines().rev().take(20).collect::<Vec<_>>().join("\n");
            format!("{error}\n{last}")
        })?;
    }
    Ok(())
}

/// The most memory it ever had, in KiB.
fn peak(daemon: &Running) -> Res<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM")?.parse()?)
}
