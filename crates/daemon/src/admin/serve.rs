//! Accepts on the bound listeners and lets the connections in.

use crate::Identity;
use crate::admin::Surface;
use crate::admin::bind::{Admin, Parts, Socket};
use crate::admin::connection::{self, Host, Peer};
use crate::admin::crowd::Crowd;
use crate::admin::route::Door;
use crate::admin::tls::Certificate;
use crate::admin::web::Web;
use futures_util::future::join_all;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time;
use tokio_rustls::TlsAcceptor;

/// Rest after an accept that failed: out of descriptors, it fails again at once.
const REST: Duration = Duration::from_millis(100);

/// Between two looks at the files of the certificate.
const LOOK: Duration = Duration::from_secs(5);

/// Time for the requests under way once it stops.
const PATIENCE: Duration = Duration::from_secs(2);

impl Admin {
    /// Answers until `stop` resolves, then finishes the requests under way (for at
    /// most two seconds) and removes the socket. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// A listener could not be handed to the runtime.
    pub async fn serve(
        self,
        identity: Arc<Identity>,
        surface: Arc<dyn Surface>,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let (stopping, stopped) = watch::channel(false);
        let Parts {
            tcp,
            socket,
            tls,
            passwords,
        } = self.into_parts();
        let host = Host {
            identity,
            surface,
            web: Arc::new(Web::new(passwords)),
            stop: stopped,
        };
        let tcp = tcp
            .into_iter()
            .map(TcpListener::from_std)
            .collect::<io::Result<Vec<_>>>()?;
        let unix = socket.as_ref().map(Socket::listener).transpose()?;
        let tls = tls
            .map(|(listener, certificate)| secure(listener, certificate))
            .transpose()?;
        let tcp = join_all(
            tcp.into_iter()
                .map(|listener| serve_tcp(listener, None, host.clone())),
        );
        let tls = async {
            if let Some((listener, acceptor, certificate)) = tls {
                let serving = serve_tcp(listener, Some(acceptor), host.clone());
                tokio::select! {
                    () = serving => {}
                    () = refresh(certificate) => {}
                }
            }
        };
        let unix = async {
            if let Some(listener) = unix {
                serve_unix(listener, host.clone()).await;
            }
        };
        let stop = async {
            stop.await;
            // Refused only when nobody listens any more.
            let _ = stopping.send(true);
        };
        tokio::join!(tcp, tls, unix, stop);
        Ok(())
    }
}

type Secured = (TcpListener, TlsAcceptor, Arc<Certificate>);

fn secure(
    listener: std::net::TcpListener,
    certificate: Arc<Certificate>,
) -> io::Result<Secured> {
    let config = certificate.config().map_err(io::Error::other)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Ok((TcpListener::from_std(listener)?, acceptor, certificate))
}

/// Reads the certificate again when its files have changed.
async fn refresh(certificate: Arc<Certificate>) {
    let mut look = time::interval(LOOK);
    look.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut was_wrong = false;
    loop {
        look.tick().await;
        let here = Arc::clone(&certificate);
        match tokio::task::spawn_blocking(move || here.refresh()).await {
            Ok(Ok(true)) => tracing::info!("the admin certificate was read again"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                if !was_wrong {
                    let error = crate::chain(&error);
                    tracing::error!(
                        error,
                        "the admin certificate has changed and cannot be used; the one before goes on"
                    );
                }
                was_wrong = true;
                continue;
            }
            Err(error) => tracing::error!(%error, "the admin certificate was not read"),
        }
        was_wrong = false;
    }
}

/// Shakes hands, where there is TLS, and serves. A handshake that fails leaves no line:
/// scanners make thousands.
async fn serve_stream(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    source: IpAddr,
    host: Host,
) {
    let peer = |door| Peer {
        door,
        source: Some(source),
        user: None,
    };
    match acceptor {
        None => connection::serve(stream, peer(Door::Tcp), host).await,
        Some(acceptor) => {
            let shaken = time::timeout(connection::HEAD_TIME, acceptor.accept(stream));
            if let Ok(Ok(stream)) = shaken.await {
                connection::serve(stream, peer(Door::Tls), host).await;
            }
        }
    }
}

async fn serve_tcp(listener: TcpListener, acceptor: Option<TlsAcceptor>, host: Host) {
    let mut stop = host.stop.clone();
    let mut crowd = Crowd::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, from)) => {
                let acceptor = acceptor.clone();
                crowd.admit(serve_stream(stream, acceptor, from.ip(), host.clone()));
            }
            Err(error) => rest(&error).await,
        }
    }
    drop(listener);
    crowd.finish(PATIENCE).await;
}

async fn serve_unix(listener: UnixListener, host: Host) {
    let mut stop = host.stop.clone();
    let mut crowd = Crowd::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let peer = Peer {
                    door: Door::Socket,
                    source: None,
                    user: user(&stream),
                };
                crowd.admit(connection::serve(stream, peer, host.clone()));
            }
            Err(error) => rest(&error).await,
        }
    }
    drop(listener);
    crowd.finish(PATIENCE).await;
}

fn user(stream: &UnixStream) -> Option<(u32, Option<i32>)> {
    stream.peer_cred().ok().map(|peer| (peer.uid(), peer.pid()))
}

/// An accept error never ends a listener. At most ten lines a second.
async fn rest(error: &io::Error) {
    tracing::warn!(%error, "the admin server could not accept a connection");
    time::sleep(REST).await;
}
