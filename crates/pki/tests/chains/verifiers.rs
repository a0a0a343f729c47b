//! A certificate as servers and clients look at it, by the verifier of our own daemons.

use std::sync::Arc;
use std::time::SystemTime;

use pki::{Authority, Issued};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, Error, RootCertStore};

pub(crate) fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap_or(CertificateDer::from(vec![]))
}

fn roots(authority: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates([der(authority.certificate_pem())]);
    Arc::new(roots)
}

fn at(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// As a client looks at a server.
pub(crate) fn as_server(
    authority: &Authority,
    issued: &Issued,
    name: &str,
    time: SystemTime,
) -> Result<(), Error> {
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots(authority), provider())
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
    let name = ServerName::try_from(name.to_owned())
        .map_err(|e| Error::General(e.to_string()))?;
    let certificate = der(&issued.certificate_pem);
    verifier
        .verify_server_cert(&certificate, &[], &name, &[], at(time))
        .map(|_| ())
}

/// As a server looks at a client.
pub(crate) fn as_client(
    authority: &Authority,
    issued: &Issued,
    time: SystemTime,
) -> Result<(), Error> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(authority), provider())
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
    verifier
        .verify_client_cert(&der(&issued.certificate_pem), &[], at(time))
        .map(|_| ())
}

pub(crate) fn is_purpose(result: Result<(), Error>) -> bool {
    matches!(
        result,
        Err(Error::InvalidCertificate(
            CertificateError::InvalidPurpose
                | CertificateError::InvalidPurposeContext { .. }
        ))
    )
}
