//! The TLS side of a check: whom to trust, whom to expect, who we are.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use thiserror::Error;
use tokio_rustls::TlsConnector;

use crate::connect::is_shortage;
use crate::wire::Progress;
use crate::{LocalFault, Outcome, Untrusted};

/// Whose certificates are believed. There is no default and no system store.
#[derive(Clone)]
pub enum Trust {
    /// These authorities.
    Roots(Arc<RootCertStore>),
    /// Anybody: the certificate is not looked at.
    Insecure,
}

/// A client certificate with its chain and key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// How to shake hands. Holds the configuration once, shared by all clones, so that
/// checks resume their sessions.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// The same, offering HTTP/1.1 alone: an API server would choose HTTP/2 otherwise.
    http_config: Arc<ClientConfig>,
    pub(crate) server_name: Option<ServerName<'static>>,
}

/// Why no handshake can be prepared.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// What stands there may never end: a FIFO, a device.
    #[error("{} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// A text is not PEM, or holds nothing of the kind looked for.
    #[error("no {0} in PEM form was found")]
    Pem(&'static str, #[source] pem::Error),
    /// A certificate of an authority cannot be used.
    #[error("a certificate cannot serve as an authority")]
    Root(#[source] rustls::Error),
    /// There is not one authority to trust.
    #[error("no certificate of an authority was found")]
    NoRoots,
    /// The client certificate and its key cannot be used.
    #[error("the client certificate and key cannot be used")]
    Identity(#[source] rustls::Error),
    /// The server name is neither a DNS name nor an address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    ServerName(String),
}

impl Trust {
    /// Trusts the authorities of a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no usable certificate.
    pub fn from_file(path: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(path)?)
    }

    /// Trusts the authorities of a PEM text: all of them must be usable.
    ///
    /// # Errors
    /// When it holds no certificate, or one that cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| TlsError::Pem("certificate", e))?;
            roots.add(certificate).map_err(TlsError::Root)?;
        }
        match roots.is_empty() {
            true => Err(TlsError::NoRoots),
            false => Ok(Self::Roots(Arc::new(roots))),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Read(path.to_owned(), error);
    if std::fs::metadata(path).map_err(failed)?.is_file() {
        std::fs::read(path).map_err(failed)
    } else {
        Err(TlsError::NotAFile(path.to_owned()))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots(roots) => write!(f, "Roots({})", roots.len()),
            Self::Insecure => f.write_str("Insecure"),
        }
    }
}

impl Identity {
    /// Reads a certificate (with its chain) and its key from two PEM files.
    ///
    /// # Errors
    /// When a file cannot be read, or holds no certificate or key.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(certificate)?, &read(key)?)
    }

    /// Takes a certificate (with its chain) and its key from two PEM texts.
    ///
    /// # Errors
    /// When there is no certificate or no key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|e| TlsError::Pem("certificate", e))?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|e| TlsError::Pem("key", e))?;
        Ok(Self { chain, key })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl Tls {
    /// Prepares handshakes. Without a `server_name` the certificate must be for the
    /// address that is asked.
    ///
    /// # Errors
    /// When the name is none, or the client certificate and key do not fit.
    pub fn new(
        trust: &Trust,
        server_name: Option<&str>,
        identity: Option<&Identity>,
    ) -> Result<Self, TlsError> {
        let server_name = server_name.map(name).transpose()?;
        let config = config(trust, identity)?;
        let mut http_config = config.clone();
        http_config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http_config = Arc::new(http_config);
        Ok(Self {
            config: Arc::new(config),
            http_config,
            server_name,
        })
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.config))
    }

    pub(crate) fn http_connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.http_config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn name(text: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| TlsError::ServerName(text.to_owned()))
}

fn config(trust: &Trust, identity: Option<&Identity>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider.signature_verification_algorithms;
    // Cannot fail: ring has suites for both versions.
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Identity)?;
    let builder = match trust {
        Trust::Roots(roots) => builder.with_root_certificates(Arc::clone(roots)),
        Trust::Insecure => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(schemes))),
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(TlsError::Identity),
    }
}

/// Accepts every certificate, but not every signature: the peer must hold the key.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// What an error of an established connection means for the check.
pub(crate) fn outcome(error: &io::Error, progress: &Progress) -> Outcome {
    let tls = error
        .get_ref()
        .and_then(|source| source.downcast_ref::<rustls::Error>());
    match tls {
        Some(error) => tls_outcome(error),
        None if is_shortage(error) => Outcome::Local(LocalFault::Exhausted),
        None => io_outcome(error.kind(), progress),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, not ours")]
fn io_outcome(kind: io::ErrorKind, progress: &Progress) -> Outcome {
    match kind {
        io::ErrorKind::UnexpectedEof => progress.closed(),
        // The kernel gave up sending: the peer is gone without a word.
        io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => progress.timed_out(),
        _ => progress.reset(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, not ours")]
fn tls_outcome(error: &rustls::Error) -> Outcome {
    match error {
        rustls::Error::InvalidCertificate(why) => certificate_outcome(why),
        rustls::Error::AlertReceived(alert) => Outcome::TlsRefused(u8::from(*alert)),
        _ => Outcome::TlsProtocol,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, not ours")]
fn certificate_outcome(error: &CertificateError) -> Outcome {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => Outcome::TlsExpired,
        E::NotValidYet | E::NotValidYetContext { .. } => Outcome::TlsNotYetValid,
        E::UnknownIssuer => Outcome::TlsUntrusted(Untrusted::Issuer),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            Outcome::TlsUntrusted(Untrusted::Name)
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            Outcome::TlsUntrusted(Untrusted::Purpose)
        }
        E::BadSignature => Outcome::TlsUntrusted(Untrusted::Signature),
        E::Revoked => Outcome::TlsUntrusted(Untrusted::Revoked),
        _ => Outcome::TlsUntrusted(Untrusted::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is missing here says nothing of the server, however far a check has got.
    #[test]
    fn every_errno_of_a_connection_that_is_up() {
        use crate::{Heard, Stage};
        let progress = Progress::default();
        progress.enter(Stage::Request);
        let exhausted = Outcome::Local(LocalFault::Exhausted);
        for (errno, expected) in [
            (12, exhausted),
            (105, exhausted),
            (24, exhausted),
            (104, Outcome::Reset(Stage::Request, Heard::Nothing)),
            (32, Outcome::Reset(Stage::Request, Heard::Nothing)),
            (110, Outcome::NoResponse(Heard::Nothing)),
            (113, Outcome::NoResponse(Heard::Nothing)),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(outcome(&error, &progress), expected, "{error}");
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        let null = Path::new("/dev/null");
        let errors = [
            Trust::from_file(null).err(),
            Identity::from_files(null, null).err(),
        ];
        for error in errors {
            assert!(matches!(error, Some(TlsError::NotAFile(_))), "{error:?}");
        }
    }
}
