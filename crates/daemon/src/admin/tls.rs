//! The certificate of the admin listener, read again when its files change.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// More than any chain or key.
const FILE_SIZE: u64 = 1024 * 1024;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or is none.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file holds no PEM of its kind.
    #[error("{} holds no {kind} in PEM", .file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        kind: &'static str,
    },
    /// The two do not fit, or are of a kind that is not known.
    #[error("{} and {} do not fit together", .0.display(), .1.display())]
    Pair(PathBuf, PathBuf, #[source] rustls::Error),
}

/// A certificate with its files. What is shown is always whole: while the files do not fit
/// together, the one before.
#[derive(Debug)]
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    shown: RwLock<(Stamp, Arc<CertifiedKey>)>,
}

/// What tells that a file is another one: when it was written, and how long it is.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads the files of a certificate (with its chain) and its key.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let stamp = [stamp(certificate), stamp(key)];
        let pair = pair(certificate, key)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            shown: RwLock::new((stamp, Arc::new(pair))),
        })
    }

    /// Reads the files again where they have changed. Whether they had; blocks.
    ///
    /// # Errors
    /// They cannot be used as they are; what was shown before still is.
    pub fn refresh(&self) -> Result<bool, CertificateError> {
        let stamp = [stamp(&self.certificate), stamp(&self.key)];
        let known = self.shown.read().unwrap_or_else(PoisonError::into_inner).0;
        if stamp == known {
            return Ok(false);
        }
        let pair = pair(&self.certificate, &self.key)?;
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        *shown = (stamp, Arc::new(pair));
        Ok(true)
    }

    /// How to shake hands with it: TLS 1.2 and 1.3, HTTP/1.1.
    ///
    /// # Errors
    /// When the library has none of these versions.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?;
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown.1))
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

fn pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let none = |file: &Path, kind| CertificateError::Pem {
        file: file.to_owned(),
        kind,
    };
    let text = text(certificate)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| none(certificate, "certificate"))?;
    let der = PrivateKeyDer::from_pem_slice(&self::text(key)?);
    let der = der.map_err(|_| none(key, "private key"))?;
    CertifiedKey::from_der(chain, der, &ring::default_provider())
        .map_err(|e| CertificateError::Pair(certificate.to_owned(), key.to_owned(), e))
}

fn text(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |error| CertificateError::Read(path.to_owned(), error);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is no regular file")));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_SIZE)
        .read_to_end(&mut text)
        .map_err(failed)?;
    Ok(text)
}
