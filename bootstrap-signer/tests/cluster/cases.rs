//! The worked cases, each in a cluster that its context was set up in, submitted by the
//! requester it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use csr_cases::case::{Case, Expected};
use csr_cases::forge;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest as Csr, CertificateSigningRequestSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Secret};
use k8s_openapi::serde::Serialize;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Resource};
use policy::Signer;
use serde_json::{Value, json};

use crate::Tried;
use crate::rig::{Cluster, condition};
use crate::wait::{Res, within};

/// What nothing was written on for so long after it was seen, waits or is ignored.
const UNDECIDED_FOR: Duration = Duration::from_millis(900);
/// For the cases that are to wait: none is over before it was looked at.
const PATIENT: &str = "limits: {addressWait: 1h}\n";
/// For the cases that are to be denied, some of them when this is over.
const IMPATIENT: &str = "limits: {addressWait: 1s}\n";

const SETTINGS: &str = r#"
controlPlane:
  endpoints: ["192.168.220.224"]
  nodes:
  - {name: m1, addresses: ["192.168.220.100"]}
  names: ["(?:m|cp|master|controlplane|control-plane)-?[0-9]+"]
"#;

/// Context that only the API or earlier requests can bring about, or settings of the
/// case's own: left to the pure cases.
const NOT_STAGED: [&str; 5] = [
    "pendingFromRequestor",
    "keySeenFor",
    "conditions",
    "hasCertificate",
    "deleting",
];

pub(crate) async fn all() -> Tried {
    let text = fs::read_to_string("../tests/csr-cases/cases/csr.json")?;
    let values: Vec<Value> = serde_json::from_str(&text)?;
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    let (mut to_deny, mut others, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for value in &values {
        let case: Case = serde_json::from_value(value.clone())?;
        let context = value.get("context").and_then(Value::as_object);
        let has = |field: &&str| context.is_some_and(|c| c.contains_key(*field));
        match case.expected {
            _ if NOT_STAGED.iter().any(has) => left.push(case.name),
            Expected::Deny => to_deny.push(case),
            Expected::Approve | Expected::Wait | Expected::Ignore => others.push(case),
        }
    }
    let (mut wrong, mut refused) = (Vec::new(), BTreeSet::new());
    let started = Instant::now();
    for (name, wait, cases) in [("a", PATIENT, &others), ("b", IMPATIENT, &to_deny)] {
        let _daemon = cluster.daemon(name, &format!("{SETTINGS}{wait}")).await?;
        for case in cases {
            match try_one(&cluster, name, case).await? {
                Seen::AsExpected => {}
                Seen::RefusedByApi => _ = refused.insert(case.name.clone()),
                Seen::Otherwise(got) => {
                    wrong.push(format!(
                        "{}: expected {}, {got}",
                        case.name, case.expected
                    ));
                }
            }
        }
    }
    println!(
        "{} cases submitted in {:?}, {} of them refused by the API server itself \
         ({refused:?}); {} left to the pure cases ({left:?})",
        values.len() - left.len(),
        started.elapsed(),
        refused.len(),
        left.len(),
    );
    if wrong.is_empty() {
        return Ok(());
    }
    let logs = format!("{}\n{}", cluster.log("a"), cluster.log("b"));
    Err(format!("{}\n{logs}", wrong.join("\n")).into())
}

enum Seen {
    AsExpected,
    RefusedByApi,
    Otherwise(String),
}

async fn try_one(cluster: &Cluster, daemon: &str, case: &Case) -> Res<Seen> {
    let admin = cluster.client(None).await?;
    let staged = Staged::set_up(&admin, case).await?;
    cluster.sees(daemon, &staged.objects(0)).await?;
    let requester = cluster.client(Some((&case.username, &case.groups))).await?;
    let csr = request(case)?;
    let made = Api::<Csr>::all(requester)
        .create(&PostParams::default(), &csr)
        .await;
    let seen = match made {
        Ok(made) => {
            let name = made.metadata.name.unwrap_or_default();
            if Signer::named(&case.signer_name).is_some() {
                cluster.sees(daemon, &staged.objects(1)).await?;
            }
            let seen = watch(&admin, &name, case).await;
            Api::<Csr>::all(admin.clone())
                .delete(&name, &DeleteParams::default())
                .await?;
            seen?
        }
        Err(kube::Error::Api(status)) => match case.expected {
            Expected::Approve => Seen::Otherwise(format!("refused: {}", status.message)),
            Expected::Deny | Expected::Wait | Expected::Ignore => Seen::RefusedByApi,
        },
        Err(error) => return Err(error.into()),
    };
    staged.take_down(&admin).await?;
    cluster
        .sees(
            daemon,
            &json!({ "requests": 0, "nodes": 0, "leases": 0, "tokens": 0 }),
        )
        .await?;
    Ok(seen)
}

async fn watch(admin: &Client, name: &str, case: &Case) -> Res<Seen> {
    let requests: Api<Csr> = Api::all(admin.clone());
    let look = async || {
        requests
            .get(name)
            .await
            .ok()
            .and_then(|csr| condition(&csr))
    };
    let wanted = match case.expected {
        Expected::Wait | Expected::Ignore => {
            tokio::time::sleep(UNDECIDED_FOR).await;
            return Ok(match look().await {
                None => Seen::AsExpected,
                Some((kind, reason)) => Seen::Otherwise(format!("got {kind} ({reason})")),
            });
        }
        Expected::Approve => "Approved",
        Expected::Deny => "Denied",
    };
    match within("a decision", None, look).await {
        Ok((kind, _)) if kind == wanted => Ok(Seen::AsExpected),
        Ok((kind, reason)) => Ok(Seen::Otherwise(format!("got {kind} ({reason})"))),
        Err(_) => Ok(Seen::Otherwise("got nothing".to_owned())),
    }
}

fn request(case: &Case) -> Res<Csr> {
    let seconds = case.expiration_seconds.map(i32::try_from).transpose()?;
    Ok(Csr {
        metadata: named(&case.name),
        spec: CertificateSigningRequestSpec {
            request: ByteString(forge::pem(case)?),
            signer_name: case.signer_name.clone(),
            usages: Some(case.usages.clone()),
            expiration_seconds: seconds,
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    })
}

fn named(name: &str) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

/// What a case's context put into the cluster.
struct Staged {
    node: Option<String>,
    token: Option<String>,
}

impl Staged {
    /// How many of each kind there are, with `requests` requests.
    fn objects(&self, requests: u8) -> Value {
        let nodes = u8::from(self.node.is_some());
        let tokens = u8::from(self.token.is_some());
        json!({ "requests": requests, "nodes": nodes, "leases": nodes, "tokens": tokens })
    }

    async fn set_up(admin: &Client, case: &Case) -> Res<Self> {
        let mut staged = Self {
            node: None,
            token: None,
        };
        if let Some(id) = case.username.strip_prefix("system:bootstrap:") {
            make::<Secret>(
                &Api::namespaced(admin.clone(), "kube-system"),
                token(case, id),
            )
            .await?;
            staged.token = Some(format!("bootstrap-token-{id}"));
        }
        if let Some(node) = &case.context.node {
            set_up_node(admin, node).await?;
            staged.node = Some(node.name.clone());
        }
        Ok(staged)
    }

    async fn take_down(&self, admin: &Client) -> Res<()> {
        let params = DeleteParams::default();
        if let Some(node) = &self.node {
            Api::<Node>::all(admin.clone())
                .delete(node, &params)
                .await?;
            leases(admin).delete(node, &params).await?;
        }
        if let Some(token) = &self.token {
            let secrets: Api<Secret> = Api::namespaced(admin.clone(), "kube-system");
            secrets.delete(token, &params).await?;
        }
        Ok(())
    }
}

fn leases(admin: &Client) -> Api<Lease> {
    Api::namespaced(admin.clone(), "kube-node-lease")
}

async fn make<K>(api: &Api<K>, object: Value) -> Res<()>
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object)?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

fn token(case: &Case, id: &str) -> Value {
    let context = &case.context;
    let used_by = context.token_used_by.join(",");
    let notes = json!({
        "sternpost.io/node-names": context.token_name_pattern,
        "sternpost.io/max-nodes": context.token_max_nodes.map(|most| most.to_string()),
        "sternpost.io/used-by": Some(used_by).filter(|names| !names.is_empty()),
    });
    let notes: BTreeMap<String, String> = (notes.as_object().into_iter().flatten())
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    json!({
        "metadata": { "name": format!("bootstrap-token-{id}"), "annotations": notes },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": id,
            "token-secret": "0123456789abcdef",
            "usage-bootstrap-authentication": "true",
        },
    })
}

async fn set_up_node(admin: &Client, node: &csr_cases::case::Node) -> Res<()> {
    let age = node
        .lease_age_seconds
        .unwrap_or(if node.ready { 5 } else { 900 });
    let renewed = SystemTime::now() - Duration::from_secs(age);
    let renewed = jiff::Timestamp::try_from(renewed)?;
    let lease = json!({
        "metadata": { "name": node.name },
        "spec": {
            "holderIdentity": node.name,
            "renewTime": format!("{renewed:.6}"),
            "leaseDurationSeconds": 40,
        },
    });
    make::<Lease>(&leases(admin), lease).await?;
    let addresses: Vec<Value> = (node.addresses.iter())
        .map(|(kind, value)| json!({ "type": kind, "address": value }))
        .collect();
    let ready = if node.ready { "True" } else { "Unknown" };
    // As a kubelet registers itself: whole, so that nobody sees half of it.
    let whole = json!({
        "metadata": { "name": node.name },
        "status": {
            "addresses": addresses,
            "conditions": [{ "type": "Ready", "status": ready }],
        },
    });
    make::<Node>(&Api::all(admin.clone()), whole).await
}
