//! The client side of TLS for the lab's clients: one CA, optionally a certificate of its own.

use std::sync::Arc;

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
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots
            .add(cert.map_err(|e| said(&e))?)
            .map_err(|e| said(&e))?;
    }
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
