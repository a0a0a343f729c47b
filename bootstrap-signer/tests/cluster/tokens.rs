//! Tokens from the command line at a real API server; signatures of cluster-info beside
//! kube-controller-manager's, byte for byte; a token's life from its making to its end.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::Tried;
use crate::rig::Cluster;
use crate::signing::{SETTINGS, certificate, client_of, signing};
use crate::wait::{Res, within};

const DUTIES: &str = "tokens: {clusterInfo: sign, expired: delete}\n";
/// With everything that could be written otherwise: quotes, other letters, a last line
/// without an end.
const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: \"\"\n  cluster: \
                          {server: \"https://192.168.220.224:6443\"} # \u{fc}<&>\"\\";

fn token_command(cluster: &Cluster, arguments: &[&str]) -> Res<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
        .arg("token")
        .args(arguments)
        .env("KUBECONFIG", cluster.path("admin.conf"))
        .current_dir(cluster.path(""))
        .output()?;
    Ok(output)
}

pub(crate) fn said(cluster: &Cluster, arguments: &[&str]) -> Res<String> {
    let output = token_command(cluster, arguments)?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    Err(format!("token {arguments:?}: {output:?}").into())
}

pub(crate) async fn write_info(admin: &Client) -> Res<()> {
    let map: ConfigMap = serde_json::from_value(json!({
        "metadata": { "name": "cluster-info" },
        "data": { "kubeconfig": KUBECONFIG, "jws-kubeconfig-gonego": "old", "other": "x" },
    }))?;
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), "kube-public");
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

/// The data of cluster-info once it is signed by so many.
pub(crate) async fn signed(
    admin: &Client,
    count: usize,
) -> Res<BTreeMap<String, String>> {
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), "kube-public");
    within(&format!("{count} signatures"), None, async || {
        let data = maps.get("cluster-info").await.ok()?.data?;
        let keys = data.keys().filter(|key| key.starts_with("jws-"));
        let old = data.contains_key("jws-kubeconfig-gonego");
        (keys.count() == count && !old).then_some(data)
    })
    .await
}

/// Both sign the same text with the same tokens, of which some do not sign.
pub(crate) async fn as_upstream() -> Tried {
    let cluster = Cluster::start().await?;
    cluster.grant(&["approve", "cluster-info", "clean"])?;
    let admin = cluster.client(None).await?;
    write_info(&admin).await?;
    let first = said(&cluster, &["create", "--ttl", "never", "--groups", GROUP])?;
    said(
        &cluster,
        &["create", "--ttl", "2h", "--one-shot", "--max-nodes", "3"],
    )?;
    said(&cluster, &["create", "--usages", "authentication"])?;
    fs::write(cluster.path("given"), "abcdef.0123456789abcdef\n")?;
    let given = said(
        &cluster,
        &["create", "--from-file", "given", "--description", "r 7"],
    )?;
    if first.len() != 23 || given != "token abcdef is made" {
        return Err(format!("{first:?}, {given:?}").into());
    }
    let theirs = {
        let _peer = cluster
            .controller_manager("bootstrapsigner,tokencleaner")
            .await?;
        signed(&admin, 3).await?
    };
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), "kube-public");
    let unsigned = theirs.keys().filter(|key| key.starts_with("jws-"));
    let nothing: BTreeMap<&String, Option<String>> =
        unsigned.map(|key| (key, None)).collect();
    let patch = Patch::Merge(json!({ "data": nothing }));
    maps.patch("cluster-info", &PatchParams::default(), &patch)
        .await?;
    let _first = cluster.daemon("a", &format!("{SETTINGS}{DUTIES}")).await?;
    let _second = cluster.daemon("b", &format!("{SETTINGS}{DUTIES}")).await?;
    let ours = signed(&admin, 3).await?;
    if ours != theirs {
        return Err(format!("{ours:#?} beside {theirs:#?}").into());
    }
    // Signed anew when what is signed changes.
    let patch = Patch::Merge(json!({ "data": { "kubeconfig": "another" } }));
    maps.patch("cluster-info", &PatchParams::default(), &patch)
        .await?;
    within("other signatures", None, async || {
        let data = maps.get("cluster-info").await.ok()?.data?;
        let key = "jws-kubeconfig-abcdef";
        (data.get(key)? != theirs.get(key)?).then_some(())
    })
    .await?;
    tried_again(&cluster, &admin).await?;
    commands(&cluster, &first)
}

/// A signature that could not be written is tried again, though no watch brings anything.
async fn tried_again(cluster: &Cluster, admin: &Client) -> Tried {
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), "kube-public");
    let roles: Api<Role> = Api::namespaced(admin.clone(), "kube-public");
    let reads = json!({ "rules": [{
        "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"],
    }] });
    let name = "sternpost:bootstrap-signer:cluster-info";
    let patch = PatchParams::default();
    roles.patch(name, &patch, &Patch::Merge(reads)).await?;
    let mut text = 0;
    within("a refusal", None, async || {
        text += 1;
        let data = json!({ "data": { "kubeconfig": text.to_string() } });
        maps.patch("cluster-info", &patch, &Patch::Merge(data))
            .await
            .ok()?;
        let refused = |name| cluster.log(name).contains("not done, tried again");
        (refused("a") && refused("b")).then_some(())
    })
    .await?;
    let before = maps.get("cluster-info").await?.data;
    cluster.grant(&["approve", "cluster-info", "clean"])?;
    within("signatures once they may be written", None, async || {
        let data = maps.get("cluster-info").await.ok()?.data;
        (data != before).then_some(())
    })
    .await
}

const GROUP: &str = "system:bootstrappers:r7,system:bootstrappers:r8";

/// What the others of the commands say, and that none of them says a secret.
fn commands(cluster: &Cluster, first: &str) -> Tried {
    let (id, secret) = first.split_once('.').ok_or("no token")?;
    let csv = format!(
        "{first},again,1,\"system:bootstrappers\"\n\
         csv123.fedcba9876543210,joiner,2,\"system:bootstrappers,system:bootstrappers:r7\"\n\
         02b50b05283e98dd0fd71db496ef01e8,kubelet-bootstrap,10001,\"system:bootstrappers\"\n"
    );
    fs::write(cluster.path("token.csv"), csv)?;
    let imported = token_command(cluster, &["import", "token.csv"])?;
    let imported_text = String::from_utf8(imported.stdout)?;
    for part in [
        "token.csv:1: again: token ",
        "token.csv:2: joiner: bootstrap token csv123 is made",
        "token.csv:3: kubelet-bootstrap: cannot become a bootstrap token",
    ] {
        if imported.status.code() != Some(1) || !imported_text.contains(part) {
            return Err(format!("{part:?} is not in {imported_text}").into());
        }
    }
    let table = said(cluster, &["list"])?;
    let json = said(cluster, &["list", "--json"])?;
    for listed in [&table, &json, &imported_text] {
        for secret in [secret, "0123456789abcdef", "fedcba9876543210", "02b50b"] {
            if listed.contains(secret) {
                return Err(format!("a secret is shown: {listed}").into());
            }
        }
    }
    for part in [id, "abcdef", "csv123", "nodes=0/3,one-shot", "never", "r 7"] {
        if !table.contains(part) {
            return Err(format!("{part:?} is not in {table}").into());
        }
    }
    let twice = token_command(cluster, &["create", "--from-file", "given"])?;
    let whole = token_command(cluster, &["delete", first])?;
    let missing = token_command(cluster, &["delete", "nosuch"])?;
    for (output, part) in [
        (twice, "there is a token abcdef"),
        (whole, "has a dot"),
        (missing, "there is no token nosuch"),
    ] {
        let text = format!("{output:?}");
        if output.status.success() || !text.contains(part) || text.contains(secret) {
            return Err(format!("{part:?}: {text}").into());
        }
    }
    let gone = said(cluster, &["delete", id, "abcdef"])?;
    let left = said(cluster, &["list", "--json"])?;
    if left.contains(id) || !gone.contains("token abcdef is deleted") {
        return Err(format!("{gone}: {left}").into());
    }
    Ok(())
}

async fn bearer(cluster: &Cluster, token: Option<&str>) -> Res<Client> {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD
        .encode(cluster.authority().certificate_pem());
    let file: kube::config::Kubeconfig = serde_json::from_value(json!({
        "current-context": "x",
        "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
        "clusters": [{ "name": "x", "cluster": {
            "server": format!("https://127.0.0.1:{}", crate::servers::APISERVER),
            "certificate-authority-data": ca,
        }}],
        "users": [{ "name": "x", "user": token.map_or(json!({}), |token| json!({
            "token": token,
        }))}],
    }))?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await?;
    Ok(Client::try_from(config)?)
}

/// Made, known by its signature, used to join, over, deleted, unsigned, of no use.
pub(crate) async fn life() -> Tried {
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    cluster.grant(&["approve", "sign", "cluster-info", "clean", "discovery"])?;
    let admin = cluster.client(None).await?;
    write_info(&admin).await?;
    let settings = format!("{SETTINGS}{DUTIES}{}", signing(&cluster, "ca"));
    let _daemon = cluster.daemon("a", &settings).await?;
    let token = said(&cluster, &["create", "--ttl", "1h", "--max-nodes", "1"])?;
    let parsed = token::Token::parse(&token)?;
    let id = parsed.id();
    signed(&admin, 1).await?;
    // Whoever joins has no identity, and the token alone.
    let anonymous: Api<ConfigMap> =
        Api::namespaced(bearer(&cluster, None).await?, "kube-public");
    let data = anonymous
        .get("cluster-info")
        .await?
        .data
        .unwrap_or_default();
    let expected = token::detached(id, parsed.secret(), KUBECONFIG);
    if data.get(&format!("jws-kubeconfig-{id}")) != Some(&expected) {
        return Err(format!("{data:?}").into());
    }
    let joining: Api<Csr> = Api::all(bearer(&cluster, Some(&token)).await?);
    let asked = client_of("joiner")?;
    joining.create(&PostParams::default(), &asked.csr).await?;
    certificate(&cluster, "joiner").await?;
    // Its end comes, of which nothing but the clock tells.
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
    .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
    let data = signed(&admin, 0).await?;
    if data.get("other").map(String::as_str) != Some("x") || data.len() != 2 {
        return Err(format!("{data:?}").into());
    }
    // The API server believes for some seconds more what it has seen of a token.
    within("that the token is of no use", None, async || match joining
        .list(&ListParams::default())
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 401 => Some(()),
        Ok(_) | Err(_) => None,
    })
    .await
}
