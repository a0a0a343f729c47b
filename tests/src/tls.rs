//! The client side of TLS for the lab's clients: one CA, optionally a certificate of its own.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::error::LabError;

/// A certificate to come with, PEM.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate.
    pub cert_pem: &'a str,
    /// Its key.
    pub key_pem: &'a str,
}

/// A configuration that trusts `ca_pem` only and resumes nothing.
///
/// # Errors
/// When a PEM does not hold what it should.
pub fn client(
    ca_pem: &str,
    identity: Option<Identity<'_>>,
) -> Result<Arc<ClientConfig>, LabError> {
    let said = |e: &dyn std::fmt::Display| LabError::Certificates(e.to_string());
    let roots = roots(ca_pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| said(&e))?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { cert_pem, key_pem }) => {
            let chain = CertificateDer::pem_slice_iter(cert_pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| said(&e))?;
            let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes());
            let key = key.map_err(|e| said(&e))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| said(&e))?
        }
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// The authorities of a PEM, and no others.
pub(crate) fn roots(ca_pem: &str) -> Result<RootCertStore, LabError> {
    let said = |e: &dyn std::fmt::Display| LabError::Certificates(e.to_string());
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots
            .add(cert.map_err(|e| said(&e))?)
            .map_err(|e| said(&e))?;
    }
    Ok(roots)
}

/// What a kubeconfig with everything in it says: whom to trust, and as whom to come.
///
/// # Errors
/// When it lacks one of the three, or what it has is none.
pub fn of_kubeconfig(text: &str) -> Result<Arc<ClientConfig>, LabError> {
    // sternpost writes each on a line of its own; its own tests see to what stands around them.
    let pem = |key: &str| {
        let mut lines = text.lines().map(str::trim);
        let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let said = |why: &dyn std::fmt::Display| {
            LabError::Certificates(format!("{key} of the kubeconfig: {why}"))
        };
        let coded = found.ok_or_else(|| said(&"it is not there"))?;
        let octets = STANDARD
            .decode(coded.trim_matches('"'))
            .map_err(|error| said(&error))?;
        String::from_utf8(octets).map_err(|error| said(&error))
    };
    let identity = Identity {
        cert_pem: &pem("client-certificate-data")?,
        key_pem: &pem("client-key-data")?,
    };
    client(&pem("certificate-authority-data")?, Some(identity))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_kubeconfig_of_ours_is_read_and_one_without_a_key_is_not() {
        let now = SystemTime::now();
        let authority = pki::Authority::new("ca", now).unwrap();
        let profile = pki::Profile::client("me", &[]);
        let identity = authority.issue(&profile, now).unwrap();
        let trust = authority.certificate_pem();
        let text = pki::Kubeconfig::new("lab", "https://x", trust, "me", &identity);
        let text = text.to_yaml();
        of_kubeconfig(&text).unwrap();
        let error = of_kubeconfig(&text.replace("client-key-data", "no")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "certificates: client-key-data of the kubeconfig: it is not there"
        );
    }
}
