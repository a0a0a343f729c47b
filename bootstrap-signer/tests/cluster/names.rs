//! One free name, two who ask for it at once, three of us who decide.

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use crate::Tried;
use crate::load::{SETTINGS, groups, request_called, token};
use crate::rig::{Cluster, condition};
use crate::wait::within;

const TOKENS: [&str; 2] = ["abc123", "def456"];
/// Fewer than the quota: each asker is denied some of them.
const NAMES: usize = 15;

/// Each name is asked for by two tokens at the same instant. One gets it, the other waits,
/// and is denied once the Node is there.
pub(crate) async fn one_name_for_two() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    cluster.bind_rights()?;
    let mut askers = Vec::new();
    for id in TOKENS {
        token(&admin, id).await?;
        let user = format!("system:bootstrap:{id}");
        let client = cluster.client(Some((&user, &groups()))).await?;
        askers.push(Api::<Csr>::all(client));
    }
    let mut daemons = Vec::new();
    for name in ["a", "b", "c"] {
        daemons.push(cluster.daemon(name, SETTINGS).await?);
    }
    let params = PostParams::default();
    for i in 0..NAMES {
        let one = request_called(&format!("csr-{i}-one"), &format!("new-{i}"))?;
        let two = request_called(&format!("csr-{i}-two"), &format!("new-{i}"))?;
        let [first, second] = askers.as_slice() else {
            return Err("two tokens".into());
        };
        let (one, two) =
            tokio::join!(first.create(&params, &one), second.create(&params, &two));
        one?;
        two?;
    }
    let seen: Api<Csr> = Api::all(admin.clone());
    within(
        "an approval of each name, and a look at the others",
        None,
        async || {
            let approved = count(&seen, "Approved").await?;
            let held = cluster.found("a", "NameHeld").await?;
            // Those that were not held by `a` were held by what it saw of the others.
            (approved >= NAMES && held > 0).then_some(())
        },
    )
    .await
    .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
    let nodes: Api<Node> = Api::all(admin);
    for i in 0..NAMES {
        let node = serde_json::from_value(json!({
            "metadata": { "name": format!("new-{i}") },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        }))?;
        nodes.create(&params, &node).await?;
    }
    // Only now are all of them decided: none is approved besides.
    within("a denial of each other one", None, async || {
        (count(&seen, "Denied").await? >= NAMES).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
    let both = (count(&seen, "Approved").await, count(&seen, "Denied").await);
    println!("{NAMES} names asked for by two each: {both:?} approved and denied");
    if both == (Some(NAMES), Some(NAMES)) {
        Ok(())
    } else {
        Err(format!("{both:?}\n{}", cluster.log("a")).into())
    }
}

async fn count(requests: &Api<Csr>, wanted: &str) -> Option<usize> {
    let list = requests.list(&ListParams::default()).await.ok()?;
    let found = list.iter().filter_map(condition);
    Some(found.filter(|(kind, _)| kind == wanted).count())
}
