//! An extension of the API, as metrics-server or an admission controller is one: a TLS server
//! that an API server calls. What is asked of an aggregated API it answers to an API server
//! alone, by the certificate that this one shows; what it is to judge it judges for anybody.
//!
//! It owns one thread, whose listener is where its maker has bound it; dropping it ends both.

mod answer;
mod front_proxy;

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::error::{Doing, LabError};
use crate::tls::{Identity, roots};

pub use answer::{REFUSED, REFUSES};
pub use front_proxy::FrontProxy;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an accept that failed: the next would fail at once too.
const PAUSE: Duration = Duration::from_millis(20);

/// The running server.
#[derive(Debug)]
pub struct Extension {
    ending: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Extension {
    /// Serves on `listener` as `identity`, and takes the word of `front` for who asks.
    ///
    /// # Errors
    /// When a PEM does not hold what it should.
    pub fn start(
        listener: TcpListener,
        identity: Identity<'_>,
        front: FrontProxy,
    ) -> Result<Self, LabError> {
        let acceptor = acceptor(identity, &front)?;
        listener.set_nonblocking(true).doing("a listener")?;
        let (ending, ends) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing("a runtime")?;
        let serve = move || runtime.block_on(serve(listener, acceptor, front, ends));
        let thread = thread::Builder::new()
            .name("extension".into())
            .spawn(serve)
            .doing("start a thread")?;
        Ok(Self {
            ending: Some(ending),
            thread: Some(thread),
        })
    }
}

impl Drop for Extension {
    fn drop(&mut self) {
        self.ending = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Until its maker drops it; connections end with it.
async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    front: FrontProxy,
    mut ends: oneshot::Receiver<()>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let front = Arc::new(front);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut ends => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (acceptor, front) = (acceptor.clone(), Arc::clone(&front));
                    connections.spawn(connection(stream, acceptor, front));
                }
                Err(_no_descriptor) => sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, front: Arc<FrontProxy>) {
    let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    // Those that rustls hands out it has held against the authority.
    let shown = stream.get_ref().1.peer_certificates();
    let shown = shown.and_then(<[_]>::first).cloned();
    let service = service_fn(|request| {
        let (front, shown) = (Arc::clone(&front), shown.clone());
        async move { Ok::<_, Infallible>(answer::to(request, &front, shown.as_ref()).await) }
    });
    // A client that goes away has had what it wanted, or will say so itself.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Asks for a certificate and takes none as well: who calls a webhook shows none.
fn acceptor(identity: Identity<'_>, front: &FrontProxy) -> Result<TlsAcceptor, LabError> {
    let said = |error: &dyn std::fmt::Display| LabError::Certificates(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusted = Arc::new(roots(&front.authority_pem)?);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(trusted, Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| said(&error))?;
    let chain = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes());
    let chain = chain
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| said(&error))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| said(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key.map_err(|error| said(&error))?)
        .map_err(|error| said(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;
