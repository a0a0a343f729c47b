//! The certificates of the row with TLS from end to end: made by the bench, kept in its
//! scratch folder, read by the servers.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};

/// Issues what the servers show and what the clients trust.
pub(crate) fn issue(folder: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    let authority = pki::Authority::new("bench", now).map_err(io::Error::other)?;
    let names = vec![pki::Name::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    let profile = pki::Profile::server("server", names);
    let server = authority.issue(&profile, now).map_err(io::Error::other)?;
    fs::write(folder.join("ca.crt"), authority.certificate_pem())?;
    fs::write(folder.join("server.crt"), &server.certificate_pem)?;
    fs::write(folder.join("server.key"), server.key_pem.expose())
}

/// What the servers show.
pub(crate) fn server(folder: &Path) -> io::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(folder.join("server.crt"))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key"))
        .map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

/// What the clients trust.
pub(crate) fn client(folder: &Path) -> io::Result<Arc<ClientConfig>> {
    let authority = fs::read_to_string(folder.join("ca.crt"))?;
    lab::tls::client(&authority, None).map_err(io::Error::other)
}
