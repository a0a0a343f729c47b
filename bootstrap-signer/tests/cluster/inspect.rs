//! The commands that ask a cluster: what is said of a request, and of others who approve.

use std::process::{Command, Output};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use crate::Tried;
use crate::load::{SETTINGS, USER, approved, groups, request_called, token};
use crate::rig::Cluster;
use crate::wait::{Res, within};

fn ask(cluster: &Cluster, arguments: &[&str]) -> Res<Output> {
    let config = cluster.path("a.yaml");
    Ok(Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()?)
}

fn text(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    both.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

pub(crate) async fn explained() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    let daemon = cluster.daemon("a", SETTINGS).await?;
    drop(daemon);
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    let csr = request_called("csr-1", "new-1")?;
    requests.create(&PostParams::default(), &csr).await?;
    let verdict = |output: &Output| -> Res<String> {
        let said: Value = serde_json::from_slice(&output.stdout)?;
        Ok(said
            .pointer("/verdict/reason")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned())
    };
    let explain = ["explain", "--csr", "csr-1", "--json"];
    let before = ask(&cluster, &explain)?;
    cluster.bind_rights()?;
    let mut after = String::new();
    within("the right", None, async || {
        after = verdict(&ask(&cluster, &explain).ok()?).ok()?;
        (after == "NewNode").then_some(())
    })
    .await?;
    let plain = ask(&cluster, &["explain", "--csr", "csr-1"])?;
    let nobody = ask(&cluster, &["explain", "--csr", "csr-2"])?;
    let found = (verdict(&before)?, after, nobody.status.code());
    println!("explained: {found:?}");
    let rules = text(&plain).lines().count();
    let expected = ("AccessNotGranted".to_owned(), "NewNode".to_owned(), Some(1));
    if found == expected && rules > policy::RULES.len() {
        Ok(())
    } else {
        Err(format!("{found:?}, {rules} lines\n{}", text(&before)).into())
    }
}

/// First nobody is there, then kube-controller-manager's approver takes a request.
pub(crate) async fn another_approver() -> Tried {
    let cluster = Cluster::start().await?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    cluster.bind_rights()?;
    drop(cluster.daemon("a", SETTINGS).await?);
    let admin_conf = cluster.path("admin.conf").display().to_string();
    let check = ["check", "--cluster", "--kubeconfig", &admin_conf];
    let alone = ask(&cluster, &check)?;
    let blind = ask(&cluster, &["check", "--cluster"])?;
    let peer = cluster.controller_manager("csrapproving").await?;
    let client = cluster.client(Some((USER, &groups()))).await?;
    let csr = request_called("csr-1", "new-1")?;
    Api::<Csr>::all(client)
        .create(&PostParams::default(), &csr)
        .await?;
    let seen: Api<Csr> = Api::all(admin);
    within("its approval", None, async || {
        approved(&seen, "csr-1").await
    })
    .await?;
    drop(peer);
    let beside = ask(&cluster, &check)?;
    let said = text(&beside);
    let named = said.contains("kube-controller-manager decided about 1 request(s)");
    println!("{}", said.trim_end());
    let codes = [&alone, &blind, &beside].map(|output| output.status.code());
    let blinded = text(&blind).contains("not looked at: forbidden");
    if codes == [Some(0), Some(0), Some(1)] && named && blinded {
        Ok(())
    } else {
        Err(format!("{codes:?}\n{}\n{}\n{said}", text(&alone), text(&blind)).into())
    }
}
