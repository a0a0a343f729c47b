//! The listener, and one task for each connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderValue, InvalidHeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::Phase;
use crate::answer::Desk;
use crate::options::Options;

/// Connections that wait to be accepted, as many as Go asks for at most; the kernel's
/// `somaxconn` bounds it. A reconnect storm must not meet a full queue.
const BACKLOG: u32 = 65_535;
/// After an accept that failed (no descriptor left): the next would fail at once too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long a client may take for its handshake, as in Go's servers.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the last answers may take once the server ends.
const ENDING: Duration = Duration::from_secs(2);

/// Why the server did not start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    #[error("cannot listen on {0}")]
    Bind(SocketAddr, #[source] io::Error),
    #[error("{} holds no certificate or key that can be used", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    #[error("the certificate and key cannot be used")]
    Tls(#[from] rustls::Error),
    #[error("the authority of clients cannot be used")]
    ClientCa(#[from] VerifierBuilderError),
    #[error("the node's name cannot stand in a header")]
    Node(#[from] InvalidHeaderValue),
}

/// A server that listens.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    conduct: Arc<Conduct>,
}

/// How each connection is treated.
struct Conduct {
    acceptor: TlsAcceptor,
    desk: Desk,
    hang: bool,
    slow_handshake: Duration,
}

impl Server {
    pub(crate) fn bind(
        options: Options,
        phases: watch::Receiver<Phase>,
    ) -> Result<Self, StartError> {
        let acceptor = acceptor(&options)?;
        let failed = |error| StartError::Bind(options.bind, error);
        let listener = listen(options.bind).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let desk = Desk {
            node: HeaderValue::from_str(&options.node())?,
            watch_interval: options.watch_interval.0,
            ready_file: options.ready_file,
            phases,
        };
        let (hang, slow_handshake) = (options.hang, options.slow_handshake.0);
        let conduct = Arc::new(Conduct {
            acceptor,
            desk,
            hang,
            slow_handshake,
        });
        Ok(Self {
            listener,
            address,
            conduct,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves up to the end, then lets the last answers out.
    pub(crate) async fn run(self) {
        let Self {
            listener, conduct, ..
        } = self;
        let mut phases = conduct.desk.phases.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = phases.wait_for(|phase| *phase == Phase::Ending) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, Arc::clone(&conduct)));
                    }
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(ENDING, all).await;
    }
}

async fn connection(mut stream: TcpStream, conduct: Arc<Conduct>) {
    if conduct.hang {
        // Reads, so that what ends it is the client; a real one that hangs does not even.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        return;
    }
    sleep(conduct.slow_handshake).await;
    let _ = stream.set_nodelay(true);
    let handshake = timeout(HANDSHAKE, conduct.acceptor.accept(stream)).await;
    let Ok(Ok(stream)) = handshake else { return };
    let desk = conduct.desk.clone();
    let asked = Notify::new();
    let service = service_fn(|request| {
        asked.notify_one();
        let response = desk.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let mut phases = conduct.desk.phases.clone();
    tokio::select! {
        _ = &mut serving => return,
        _ = phases.wait_for(|phase| *phase == Phase::Ending) => {}
    }
    // Hyper closes a connection that has not asked yet; Go's servers let it ask once.
    tokio::select! {
        _ = &mut serving => return,
        () = asked.notified() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Restarted at once after a kill, on a port whose old connections still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn acceptor(options: &Options) -> Result<TlsAcceptor, StartError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &options.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&options.key)
        .map_err(|error| StartError::Pem(options.key.clone(), error))?;
    let mut config = builder.with_single_cert(certificates(&options.cert)?, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let failed = |error| StartError::Pem(path.to_owned(), error);
    CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}
