//! Several signers at once.

use std::time::{Duration, Instant};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use crate::Tried;
use crate::load::{USER, create, groups, token};
use crate::rig::Cluster;
use crate::signing::{SETTINGS, SIGNS, client_of, signing};
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
    // Who wrote the last one counts it when the answer to that has come.
    let statuses = within("all of them counted", None, async || {
        let both = [cluster.status("a").await?, cluster.status("b").await?];
        let issued = both.iter().map(|one| results(one, "issued"));
        (issued.sum::<u64>() >= EACH).then_some(both)
    })
    .await?;
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
