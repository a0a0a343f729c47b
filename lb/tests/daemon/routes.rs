//! Clients that are led by what they ask for: real handshakes through one address, each with the
//! server that has the certificate for it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};

/// A protocol that a route asks for, beside the one of an API server.
const PROTOCOL: &str = "tunnel/1";
const USUAL: &str = "h2";

/// A server that says its letter to whoever shakes hands with it, and then all that it hears.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// It has a certificate for these names, and for its address.
    async fn start(
        authority: &pki::Authority,
        letter: u8,
        names: &[&str],
        front: IpAddr,
    ) -> Fallible<Self> {
        let listener = TcpListener::bind(loopback(0)).await?;
        let address = listener.local_addr()?;
        let names = names.iter().map(|name| pki::Name::Dns((*name).to_owned()));
        let names = names.chain([pki::Name::Address(front)]).collect();
        let acceptor = acceptor(authority, names)?;
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                open.spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    stream.write_all(&[letter]).await?;
                    let (mut from, mut to) = tokio::io::split(stream);
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Ok(Self { address, task })
    }
}

fn acceptor(authority: &pki::Authority, names: Vec<pki::Name>) -> Fallible<TlsAcceptor> {
    let profile = pki::Profile::server("server", names);
    let issued = authority.issue(&profile, SystemTime::now())?;
    let pem = issued.certificate_pem.as_bytes();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain?, key)?;
    config.alpn_protocols = [PROTOCOL, USUAL].map(|p| p.as_bytes().to_vec()).into();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Shakes hands as one who wants this name and speaks these protocols: the letter of the server
/// that has answered, once its certificate has been believed.
async fn ask(
    authority: &pki::Authority,
    bind: SocketAddr,
    name: &str,
    protocols: &[&str],
) -> Fallible<(TlsStream<TcpStream>, u8)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(
        authority.certificate_pem().as_bytes(),
    )?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned())?;
    let shaking = async {
        let stream = TcpStream::connect(bind).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await?;
        let letter = stream.read_u8().await?;
        Ok((stream, letter))
    };
    timeout(PATIENCE, shaking).await?
}

async fn echoes(stream: &mut TlsStream<TcpStream>) -> Fallible<()> {
    stream.write_all(b"word").await?;
    let mut back = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut back)).await??;
    assert_eq!(&back, b"word");
    Ok(())
}

/// One frontend with these routes; each server alone in the backend of its letter, the last one
/// where nothing leads elsewhere.
fn body(bind: SocketAddr, routes: &str, servers: &[(char, SocketAddr)]) -> String {
    let backends = servers.iter().map(|(name, address)| {
        format!(
            "- name: {name}\n{CHECK_ONCE}  servers: [{{name: s{name}, address: \"{address}\"}}]\n"
        )
    });
    let backends: String = backends.collect();
    let last = servers.last().map_or('-', |(name, _)| *name);
    format!(
        "frontends:\n- name: f\n  bind: [\"{bind}\"]\n  backend: {last}\n  routes:\n{routes}backends:\n{backends}"
    )
}

const ROUTES: &str = "  - {serverNames: [konnectivity.example], backend: k}\n  \
    - {serverNames: [\"*.apps.example\"], backend: w}\n  \
    - {alpn: [tunnel/1], backend: p}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_protocols_lead_to_their_servers_through_one_address() -> Fallible<()> {
    let authority = pki::Authority::new("routes", SystemTime::now())?;
    let bind = loopback(6443);
    let start = async |letter: u8, names: &[&str]| {
        Server::start(&authority, letter, names, bind.ip()).await
    };
    let konnectivity = start(b'k', &["konnectivity.example"]).await?;
    let apps = start(b'w', &["a.apps.example"]).await?;
    let tunnel = start(b'p', &["api.example"]).await?;
    let others = ["api.example", "apps.example", "x.a.apps.example"];
    let api = start(b'd', &others).await?;
    let servers = [
        ('k', konnectivity.address),
        ('w', apps.address),
        ('p', tunnel.address),
        ('d', api.address),
    ];
    let mut lb = Lb::start(&body(bind, ROUTES, &servers))?;
    let address = bind.ip().to_string();
    let mut kept = Vec::new();
    for (name, protocols, letter) in [
        ("konnectivity.example", &[][..], b'k'),
        ("a.apps.example", &[USUAL], b'w'),
        // One label stands for the star, not none and not two.
        ("apps.example", &[], b'd'),
        ("x.a.apps.example", &[], b'd'),
        ("api.example", &[USUAL], b'd'),
        ("api.example", &[USUAL, PROTOCOL], b'p'),
        // The first route that fits.
        ("konnectivity.example", &[PROTOCOL], b'k'),
        // Who wants an address names nobody (RFC 6066, section 3).
        (&address, &[], b'd'),
        (&address, &[PROTOCOL], b'p'),
    ] {
        let (mut stream, from) = ask(&authority, bind, name, protocols).await?;
        let (from, letter) = (char::from(from), char::from(letter));
        assert_eq!(from, letter, "{name} {protocols:?}");
        echoes(&mut stream).await?;
        kept.push((stream, letter));
    }
    // A reload leads others elsewhere, and leaves those who are there.
    let other = "  - {serverNames: [a.apps.example], backend: w}\n  \
        - {alpn: [tunnel/1], backend: p}\n  \
        - {serverNames: [api.example], backend: k}\n";
    assert_eq!(
        lb.reload(&body(bind, other, &servers))?["message"],
        "reloaded"
    );
    let moved = ask(&authority, bind, "api.example", &[]).await;
    // It goes to one that has no certificate for that name, and is not believed.
    assert!(moved.is_err());
    for (mut stream, letter) in kept {
        echoes(&mut stream).await?;
        let client = stream.get_ref().0.local_addr()?;
        drop(stream);
        let line = lb.ended(client)?;
        assert_eq!(line["backend"], letter.to_string(), "{line}");
    }
    Ok(())
}

/// Who says no ClientHello goes where no route leads elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_no_hello_goes_where_no_route_leads() -> Fallible<()> {
    let (routed, usual) = (
        crate::servers::Echo::start(b'r').await?,
        crate::servers::Echo::start(b'u').await?,
    );
    let bind = loopback(6443);
    let routes = "  - {alpn: [tunnel/1], backend: r}\n";
    let servers = [('r', routed.address), ('u', usual.address)];
    let mut lb = Lb::start(&body(bind, routes, &servers))?;
    let mut client = TcpStream::connect(bind).await?;
    client.write_all(b"no hello").await?;
    let mut answer = [0; 9];
    timeout(PATIENCE, client.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"uno hello");
    assert_eq!(lb.ended_after(client).await?["backend"], "u");
    Ok(())
}
