//! An authority and a server's certificate for each test.

use std::sync::Arc;
use std::time::SystemTime;

use pki::{Authority, Issued, Name, Profile};
use probe::{Check, Tls, Trust};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::serve::{Served, https};

pub(crate) struct Pki {
    pub(crate) authority: Authority,
    issued: Issued,
}

pub(crate) fn pki_at(profile: &Profile, now: SystemTime) -> Served<Pki> {
    pki_of("test-ca", profile, now)
}

pub(crate) fn pki_of(name: &str, profile: &Profile, now: SystemTime) -> Served<Pki> {
    let authority = Authority::new(name, now)?;
    let issued = authority.issue(profile, now)?;
    Ok(Pki { authority, issued })
}

pub(crate) fn loopback() -> Profile {
    let address = Name::Address([127, 0, 0, 1].into());
    Profile::server("server", vec![address, Name::Dns("server.test".to_owned())])
}

pub(crate) fn pki() -> Served<Pki> {
    pki_at(&loopback(), SystemTime::now())
}

impl Pki {
    pub(crate) fn roots(&self) -> Served<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        let pem = self.authority.certificate_pem().as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem)?)?;
        Ok(Arc::new(roots))
    }

    pub(crate) fn acceptor(&self, clients_shown: bool) -> Served<TlsAcceptor> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if clients_shown {
            let roots = self.roots()?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build()?)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_slice(
            self.issued.certificate_pem.as_bytes(),
        )?];
        let key = PrivateKeyDer::from_pem_slice(self.issued.key_pem.expose().as_bytes())?;
        let mut config = builder.with_single_cert(chain, key)?;
        // As an API server offers them.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    pub(crate) fn trust(&self) -> Served<Trust> {
        Ok(Trust::from_pem(
            self.authority.certificate_pem().as_bytes(),
        )?)
    }

    pub(crate) fn tls(&self) -> Served<Tls> {
        Ok(Tls::new(&self.trust()?, None, None)?)
    }

    pub(crate) fn https(&self) -> Served<Check> {
        https(self.tls()?)
    }
}
