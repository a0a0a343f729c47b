//! Authorities whose files change under the daemon, two at a time, and files that are no
//! authority's.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use kube::Api;
use lab::command;
use rcgen::KeyPair;
use serde_json::Value;

use crate::Tried;
use crate::load::{USER, create, groups, token};
use crate::rig::Cluster;
use crate::signing::{
    SETTINGS, SIGNS, certificate, client_of, issued, known_as, signing, told,
};
use crate::wait::{Res, within};

/// The files change under the daemon: a certificate first, its key later.
pub(crate) async fn rotation() -> Tried {
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    cluster.grant(&SIGNS)?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    let new = pki::Authority::new("new-ca", SystemTime::now())?;
    let old = cluster.authority();
    place(
        &cluster,
        "signer",
        old.certificate_pem(),
        old.key_pem().expose(),
    )?;
    let settings = format!("{SETTINGS}{}", signing(&cluster, "signer"));
    let daemon = cluster.daemon("a", &settings).await?;
    let before = issued(&cluster, &client_of("before")?).await?;
    fs::write(cluster.path("pki/signer.crt"), new.certificate_pem())?;
    within("that the half pair is refused", None, async || {
        let status = cluster.status("a").await?;
        status
            .pointer("/signing/reloadFailed")?
            .as_bool()?
            .then_some(())
    })
    .await?;
    let between = issued(&cluster, &client_of("between")?).await?;
    fs::write(cluster.path("pki/signer.key"), new.key_pem().expose())?;
    let asked = client_of("after")?;
    within("that the new one signs", None, async || {
        let status = cluster.status("a").await?;
        let one = status.pointer("/signing/authorities/0")?;
        (one["authority"] == "CN=new-ca" && one["signs"] == true).then_some(())
    })
    .await?;
    let after = issued(&cluster, &asked).await?;
    let issuer = |pem: &str| -> Res<String> {
        Ok(told(pem)?.remove("issuer").unwrap_or_default())
    };
    let issuers = [issuer(&before)?, issuer(&between)?, issuer(&after)?];
    if issuers != ["CN=kubernetes-ca", "CN=kubernetes-ca", "CN=new-ca"] {
        return Err(format!("{issuers:?}").into());
    }
    drop(daemon);
    turned_on(&cluster).await?;
    trusts_both(&cluster, &new, &after, &asked.key).await?;
    bad_files(&cluster).await
}

/// A daemon that only approves is told to sign: what it approved before gets its
/// certificate too.
async fn turned_on(cluster: &Cluster) -> Tried {
    let daemon = cluster.daemon("a", SETTINGS).await?;
    let asked = client_of("early")?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    create(&Api::all(client), vec![asked.csr.clone()]).await?;
    within("an approval", None, async || {
        (cluster.found("a", "NewNode").await? > 0).then_some(())
    })
    .await?;
    cluster.config("a", &format!("{SETTINGS}{}", signing(cluster, "signer")))?;
    command::run("kill", &["-HUP", &daemon.id().to_string()])?;
    certificate(cluster, "early").await.map(drop)
}

pub(crate) fn place(
    cluster: &Cluster,
    name: &str,
    certificate: &str,
    key: &str,
) -> Tried {
    use std::os::unix::fs::PermissionsExt as _;
    let file = |end: &str| cluster.path(&format!("pki/{name}.{end}"));
    fs::write(file("crt"), certificate)?;
    fs::write(file("key"), key)?;
    fs::set_permissions(file("key"), fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// The bundle of two authorities, given to the API server as it runs.
async fn trusts_both(
    cluster: &Cluster,
    new: &pki::Authority,
    pem: &str,
    key: &KeyPair,
) -> Tried {
    let old = cluster.authority();
    place(
        cluster,
        "old",
        old.certificate_pem(),
        old.key_pem().expose(),
    )?;
    place(
        cluster,
        "new",
        new.certificate_pem(),
        new.key_pem().expose(),
    )?;
    let source = |name: &str, more: &str| {
        let file = |end: &str| cluster.path(&format!("pki/{name}.{end}"));
        let (certificate, key) = (file("crt"), file("key"));
        format!(
            "{{certFile: {}, keyFile: {}{more}}}",
            certificate.display(),
            key.display()
        )
    };
    let later = source("new", ", signsFrom: \"2999-01-01T00:00:00Z\"");
    let now = source("old", "");
    let settings = format!(
        "{SETTINGS}signing: {{client: {{authorities: [{later}, {now}], lifetime: 24h}}}}\n"
    );
    let _daemon = cluster.daemon("a", &settings).await?;
    let status = cluster.status("a").await.unwrap_or_default();
    let signs: Vec<bool> = (status.pointer("/signing/authorities"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one["signs"].as_bool())
        .collect();
    if signs != [false, true] {
        return Err(format!("of the new and the old one, these sign: {signs:?}").into());
    }
    let bundle = Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
        .arg("bundle")
        .arg("--config")
        .arg(cluster.path("a.yaml"))
        .output()?;
    if known_as(cluster, pem, key).await.is_ok() {
        return Err("a certificate of an authority that is not trusted was taken".into());
    }
    fs::write(cluster.path("pki/ca.crt"), &bundle.stdout)?;
    within("that the API server trusts both", None, async || {
        let known = known_as(cluster, pem, key).await.ok()?;
        (known == "system:node:after").then_some(())
    })
    .await
}

/// Each keeps the daemon from starting, with an error that names it.
async fn bad_files(cluster: &Cluster) -> Tried {
    use std::os::unix::fs::PermissionsExt as _;
    let now = SystemTime::now();
    let long_ago = now - pki::CA_LIFETIME - Duration::from_secs(60);
    let dead = pki::Authority::new("dead-ca", long_ago)?;
    place(
        cluster,
        "expired",
        dead.certificate_pem(),
        dead.key_pem().expose(),
    )?;
    let leaf = cluster
        .authority()
        .issue(&pki::Profile::client("leaf", &[]), now)?;
    place(
        cluster,
        "leaf",
        &leaf.certificate_pem,
        leaf.key_pem.expose(),
    )?;
    place(
        cluster,
        "mixed",
        dead.certificate_pem(),
        leaf.key_pem.expose(),
    )?;
    let old = cluster.authority();
    place(
        cluster,
        "open",
        old.certificate_pem(),
        old.key_pem().expose(),
    )?;
    let open = fs::Permissions::from_mode(0o640);
    fs::set_permissions(cluster.path("pki/open.key"), open)?;
    for (name, says) in [
        ("expired", "no authority of"),
        ("leaf", "is not an authority's"),
        ("mixed", "the key is not that of the certificate"),
        ("open", "has mode 0640"),
        ("missing", "cannot be read"),
    ] {
        let settings = format!("{SETTINGS}{}", signing(cluster, name));
        let config = cluster.config(name, &settings)?;
        for command in ["check", "run"] {
            let output = Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
                .args([command, "--config"])
                .arg(&config)
                .output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() || !said.contains(says) {
                return Err(format!("{command} with {name}: {output:?}").into());
            }
        }
    }
    Ok(())
}
