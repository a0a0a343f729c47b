//! The same keys and certificates by the commands that people run for them, one after the other.

use std::path::Path;
use std::process::Command;

use pki::{KeyKind, Purpose};
use sternpost::resource::{Authority, Certificate};
use sternpost::spec::Cluster;

use crate::ours::{Failure, certificates};

fn run(program: &str, folder: &Path, line: &str) -> Result<(), Failure> {
    let output = Command::new(program)
        .current_dir(folder)
        .args(line.split(' '))
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program} {line}: {output:?}").into()),
    }
}

/// A request and a signature for each, as the documents have it.
pub(crate) fn openssl(cluster: &Cluster, kind: KeyKind) -> Result<usize, Failure> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let key = match kind {
        KeyKind::P256 => "ec -pkeyopt ec_paramgen_curve:P-256",
        KeyKind::Rsa2048 => "rsa:2048",
    };
    for authority in Authority::ALL {
        let name = authority.common_name();
        let line = format!(
            "req -x509 -newkey {key} -nodes -days 3650 -subj /CN={name} -keyout {name}.key -out {name}.crt"
        );
        run("openssl", folder, &line)?;
    }
    let algorithm = match kind {
        KeyKind::P256 => "EC -pkeyopt ec_paramgen_curve:P-256",
        KeyKind::Rsa2048 => "RSA -pkeyopt rsa_keygen_bits:2048",
    };
    run(
        "openssl",
        folder,
        &format!("genpkey -algorithm {algorithm} -out sa.key"),
    )?;
    let certificates = certificates(cluster);
    for (number, certificate) in certificates.iter().enumerate() {
        let ca = certificate.authority.common_name();
        let (name, usage) = (&certificate.profile.common_name, usage(certificate));
        let line = format!(
            "req -new -newkey {key} -nodes -subj /CN={name} -addext extendedKeyUsage={usage} \
             -keyout {number}.key -out {number}.csr"
        );
        run("openssl", folder, &line)?;
        let line = format!(
            "x509 -req -in {number}.csr -CA {ca}.crt -CAkey {ca}.key -days 365 -copy_extensions \
             copyall -out {number}.crt"
        );
        run("openssl", folder, &line)?;
    }
    Ok(certificates.len() + Authority::ALL.len() + 1)
}

fn usage(certificate: &Certificate) -> &'static str {
    match certificate.profile.purpose {
        Purpose::Server => "serverAuth",
        Purpose::Client => "clientAuth",
        Purpose::Peer => "serverAuth,clientAuth",
    }
}

/// `cfssl gencert` for each.
pub(crate) fn cfssl(cluster: &Cluster, kind: KeyKind) -> Result<usize, Failure> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let key = match kind {
        KeyKind::P256 => r#"{"algo":"ecdsa","size":256}"#,
        KeyKind::Rsa2048 => r#"{"algo":"rsa","size":2048}"#,
    };
    let request = |name: &str| format!(r#"{{"CN":"{name}","key":{key}}}"#);
    let made = |name: &str, line: &str| -> Result<(), Failure> {
        std::fs::write(folder.join("request.json"), request(name))?;
        let output = Command::new("cfssl")
            .current_dir(folder)
            .args(line.split(' '))
            .output()?;
        let text: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        for (field, end) in [("cert", "crt"), ("key", "key")] {
            let pem = text.get(field).and_then(|pem| pem.as_str());
            let path = folder.join(format!("{name}.{end}"));
            std::fs::write(path, pem.ok_or("cfssl gave none")?)?;
        }
        Ok(())
    };
    for authority in Authority::ALL {
        made(authority.common_name(), "gencert -initca request.json")?;
    }
    made("sa", "gencert -initca request.json")?;
    let certificates = certificates(cluster);
    for certificate in &certificates {
        let ca = certificate.authority.common_name();
        let line = format!("gencert -ca {ca}.crt -ca-key {ca}.key request.json");
        made(&certificate.profile.common_name.replace('/', "-"), &line)?;
    }
    Ok(certificates.len() + Authority::ALL.len() + 1)
}
