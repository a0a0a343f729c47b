//! Certificates written by the daemon: beside kube-controller-manager's of the same
//! requests, shown to the real API server, to webpki and to OpenSSL.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest as Csr, CertificateSigningRequestCondition as Condition,
    CertificateSigningRequestSpec,
};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use lab::requirement::kubernetes;
use policy::Signer;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::json;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Tried;
use crate::load::{USER, groups, token};
use crate::rig::Cluster;
use crate::wait::{Res, within};

pub(crate) const SETTINGS: &str = "controlPlane: {endpoints: [\"192.168.220.224\"]}\n";
pub(crate) const SIGNS: [&str; 2] = ["approve", "sign"];

/// `signing` with the files `pki/NAME.crt` and `pki/NAME.key`.
pub(crate) fn signing(cluster: &Cluster, name: &str) -> String {
    let file = |end: &str| cluster.path(&format!("pki/{name}.{end}"));
    let role = format!(
        "{{authorities: [{{certFile: {}, keyFile: {}}}]}}",
        file("crt").display(),
        file("key").display()
    );
    format!("signing: {{client: {role}, serving: {role}}}\n")
}

/// A node's key and what it asks for with it.
pub(crate) struct Asked {
    pub(crate) key: KeyPair,
    pub(crate) csr: Csr,
}

fn ask(name: &str, node: &str, signer: Signer, names: Vec<SanType>) -> Res<Asked> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name = subject;
    params.subject_alt_names = names;
    let request = params.serialize_request(&key)?.pem()?;
    let csr = Csr {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: CertificateSigningRequestSpec {
            request: ByteString(request.into_bytes()),
            signer_name: signer.name().to_owned(),
            usages: Some(vec![
                "digital signature".to_owned(),
                signer.usage().to_owned(),
            ]),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    };
    Ok(Asked { key, csr })
}

pub(crate) fn client_of(node: &str) -> Res<Asked> {
    ask(node, node, Signer::Client, Vec::new())
}

/// Created by the bootstrap token, signed by whoever signs.
pub(crate) async fn issued(cluster: &Cluster, asked: &Asked) -> Res<String> {
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    requests.create(&PostParams::default(), &asked.csr).await?;
    certificate(cluster, name(&asked.csr)).await
}

pub(crate) fn name(csr: &Csr) -> &str {
    csr.metadata.name.as_deref().unwrap_or_default()
}

pub(crate) async fn certificate(cluster: &Cluster, name: &str) -> Res<String> {
    let seen: Api<Csr> = Api::all(cluster.client(None).await?);
    let pem = within(&format!("a certificate for {name}"), None, async || {
        let certificate = seen.get(name).await.ok()?.status?.certificate?;
        String::from_utf8(certificate.0).ok()
    })
    .await
    .map_err(|error| format!("{error}\n{}", cluster.log("a")))?;
    Ok(pem)
}

/// Who the API server takes the bearer of this certificate for.
pub(crate) async fn known_as(cluster: &Cluster, pem: &str, key: &KeyPair) -> Res<String> {
    let review: Api<SelfSubjectReview> = Api::all(bearer(cluster, pem, key).await?);
    let answer = review
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    let user = answer.status.and_then(|status| status.user_info);
    Ok(user.and_then(|user| user.username).unwrap_or_default())
}

async fn bearer(cluster: &Cluster, pem: &str, key: &KeyPair) -> Res<Client> {
    use base64::Engine as _;
    let text = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let ca = cluster.authority().certificate_pem();
    let file: kube::config::Kubeconfig = serde_json::from_value(json!({
        "current-context": "x",
        "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
        "clusters": [{ "name": "x", "cluster": {
            "server": format!("https://127.0.0.1:{}", crate::servers::APISERVER),
            "certificate-authority-data": text(ca),
        }}],
        "users": [{ "name": "x", "user": {
            "client-certificate-data": text(pem),
            "client-key-data": text(&key.serialize_pem()),
        }}],
    }))?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await?;
    Ok(Client::try_from(config)?)
}

/// Lifetimes asked for: none, the shortest, one second on each side of those that are
/// called short, and more than a signer gives.
const LIFETIMES: [Option<i32>; 6] = [
    None,
    Some(600),
    Some(8 * 3600 - 1),
    Some(8 * 3600),
    Some(86_400),
    Some(400 * 86_400),
];

/// What the certificate of a request says, apart from what is its own (serial, key, the
/// time of its issue): lifetimes to the second.
pub(crate) fn told(pem: &str) -> Res<BTreeMap<&'static str, String>> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes())?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|e| e.to_string())?;
    let ends = |time: x509_parser::time::ASN1Time| time.timestamp();
    let validity = parsed.validity();
    let usage = parsed.key_usage()?.map(|usage| usage.value.to_string());
    let extended = parsed.extended_key_usage()?;
    let extended = extended.map(|usage| format!("{:?}", usage.value));
    let names = parsed.subject_alternative_name()?;
    let names = names.map(|names| format!("{:?}", names.value.general_names));
    let basic = parsed.basic_constraints()?;
    Ok([
        ("version", parsed.version().to_string()),
        ("issuer", parsed.issuer().to_string()),
        ("subject", parsed.subject().to_string()),
        (
            "lasts",
            (ends(validity.not_after) - ends(validity.not_before)).to_string(),
        ),
        ("usage", format!("{usage:?}")),
        ("extended", format!("{extended:?}")),
        ("names", format!("{names:?}")),
        (
            "basic",
            format!("{:?}", basic.map(|one| (one.critical, one.value.ca))),
        ),
        ("blocks", pem.matches("BEGIN").count().to_string()),
        ("long serial", (parsed.raw_serial().len() >= 14).to_string()),
    ]
    .into())
}

/// Both sign the same requests, approved by hand; then each certificate is used.
pub(crate) async fn as_upstream() -> Tried {
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    cluster.grant(&SIGNS)?;
    let admin = cluster.client(None).await?;
    token(&admin, "abc123").await?;
    let mut all = BTreeMap::new();
    for who in ["theirs", "ours"] {
        let _signer = match who {
            "theirs" => cluster.controller_manager("csrsigning").await?,
            _ => {
                let settings = format!("{SETTINGS}{}", signing(&cluster, "ca"));
                cluster.daemon("a", &settings).await?
            }
        };
        let by_hand = who == "theirs";
        for (place, lifetime) in LIFETIMES.into_iter().enumerate() {
            let mut asked = client_of(&format!("{who}-{place}"))?;
            asked.csr.spec.expiration_seconds = lifetime;
            if place == 1 {
                let usages = asked.csr.spec.usages.get_or_insert_default();
                usages.push("key encipherment".to_owned());
            }
            if lifetime == Some(400 * 86_400) {
                // More than the policy lets pass: a person may.
                all.insert((place, who), by_person(&cluster, &asked).await?);
                continue;
            }
            let pem = if by_hand {
                by_person(&cluster, &asked).await?
            } else {
                issued(&cluster, &asked).await?
            };
            all.insert((place, who), pem);
        }
    }
    for (place, lifetime) in LIFETIMES.iter().enumerate() {
        let of = |who: &'static str| -> Res<BTreeMap<&'static str, String>> {
            let pem = all.get(&(place, who)).ok_or("no certificate")?;
            let mut told = told(pem)?;
            for text in told.values_mut() {
                *text = text.replace(who, "who");
            }
            Ok(told)
        };
        let (ours, theirs) = (of("ours")?, of("theirs")?);
        if ours != theirs {
            return Err(format!("{lifetime:?}: {ours:#?} beside {theirs:#?}").into());
        }
    }
    let settings = format!("{SETTINGS}{}", signing(&cluster, "ca"));
    let _daemon = cluster.daemon("a", &settings).await?;
    joins(&cluster, "w1").await?;
    refused(&cluster).await
}

/// Approved by a person, whatever it is.
async fn by_person(cluster: &Cluster, asked: &Asked) -> Res<String> {
    approve_by_hand(cluster, asked).await?;
    certificate(cluster, name(&asked.csr)).await
}

async fn approve_by_hand(cluster: &Cluster, asked: &Asked) -> Res<()> {
    let requests: Api<Csr> = Api::all(cluster.client(None).await?);
    requests.create(&PostParams::default(), &asked.csr).await?;
    let kubectl = Command::new(kubernetes().join("kubectl"))
        .args(["--kubeconfig", "admin.conf", "certificate", "approve"])
        .arg(name(&asked.csr))
        .current_dir(cluster.path(""))
        .output()?;
    if kubectl.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&kubectl.stderr).into_owned().into())
}

/// As a kubelet does: a client certificate, a Node, a serving certificate, a renewal.
async fn joins(cluster: &Cluster, node: &str) -> Tried {
    let asked = client_of(node)?;
    let pem = issued(cluster, &asked).await?;
    let user = known_as(cluster, &pem, &asked.key).await?;
    if user != format!("system:node:{node}") {
        return Err(format!("the API server knows it as {user:?}").into());
    }
    openssl(cluster, &pem, "sslclient")?;
    let kubelet = bearer(cluster, &pem, &asked.key).await?;
    let whole: Node = serde_json::from_value(json!({
        "metadata": { "name": node },
        "status": { "addresses": [
            { "type": "InternalIP", "address": "192.0.2.7" },
            { "type": "Hostname", "address": node },
        ]},
    }))?;
    Api::<Node>::all(kubelet.clone())
        .create(&PostParams::default(), &whole)
        .await?;
    let names = vec![
        SanType::DnsName(node.try_into()?),
        SanType::IpAddress("192.0.2.7".parse()?),
    ];
    let serving = ask(&format!("{node}-serving"), node, Signer::Serving, names)?;
    let requests: Api<Csr> = Api::all(kubelet);
    requests
        .create(&PostParams::default(), &serving.csr)
        .await?;
    let pem = certificate(cluster, name(&serving.csr)).await?;
    openssl(cluster, &pem, "sslserver")?;
    webpki(cluster, &pem, node)?;
    webpki(cluster, &pem, "192.0.2.7")?;
    let renewal = ask(&format!("{node}-renewal"), node, Signer::Client, Vec::new())?;
    requests
        .create(&PostParams::default(), &renewal.csr)
        .await?;
    let pem = certificate(cluster, name(&renewal.csr)).await?;
    known_as(cluster, &pem, &renewal.key).await.map(drop)
}

fn openssl(cluster: &Cluster, pem: &str, purpose: &str) -> Tried {
    fs::write(cluster.path("leaf.crt"), pem)?;
    let output = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", purpose])
        .args(["-CAfile", "pki/ca.crt", "leaf.crt"])
        .current_dir(cluster.path(""))
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("openssl as {purpose}: {output:?}").into())
}

fn webpki(cluster: &Cluster, pem: &str, name: &str) -> Tried {
    let mut roots = rustls::RootCertStore::empty();
    let ca = cluster.authority().certificate_pem();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build()?;
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes())?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let name = ServerName::try_from(name.to_owned())?;
    verifier.verify_server_cert(
        &leaf,
        &[],
        &name,
        &[],
        UnixTime::since_unix_epoch(now),
    )?;
    Ok(())
}

/// A person approves what is no node's certificate: not signed, and it says so.
async fn refused(cluster: &Cluster) -> Tried {
    let dns = |name: &str| -> Res<SanType> { Ok(SanType::DnsName(name.try_into()?)) };
    let api = vec![dns("kubernetes.default.svc")?];
    let named = vec![dns("w9")?];
    for (name, signer, names) in [
        ("api", Signer::Serving, api),
        ("named-client", Signer::Client, named),
        ("nameless", Signer::Serving, Vec::new()),
    ] {
        let asked = ask(name, "w9", signer, names)?;
        approve_by_hand(cluster, &asked).await?;
        let requests: Api<Csr> = Api::all(cluster.client(None).await?);
        let failed = |csr: Csr| -> Option<Condition> {
            let conditions = csr.status?.conditions?;
            conditions.into_iter().find(|each| each.type_ == "Failed")
        };
        let found = within("a refusal", None, async || {
            failed(requests.get(name).await.ok()?)
        })
        .await?;
        if found.reason.as_deref() != Some("SignerValidationFailure") {
            return Err(format!("{name}: {found:?}").into());
        }
    }
    Ok(())
}
