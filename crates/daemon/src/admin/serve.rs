//! Accepts on the bound listeners and lets the connections in.

use crate::Identity;
use crate::admin::Surface;
use crate::admin::bind::{Admin, Socket};
use crate::admin::connection::{self, Host, Peer};
use crate::admin::crowd::Crowd;
use crate::admin::route::Door;
use futures_util::future::join_all;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time;

/// Rest after an accept that failed: out of descriptors, it fails again at once.
const REST: Duration = Duration::from_millis(100);

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
        let host = Host {
            identity,
            surface,
            stop: stopped,
        };
        let (tcp, socket) = self.into_parts();
        let tcp = tcp
            .into_iter()
            .map(TcpListener::from_std)
            .collect::<io::Result<Vec<_>>>()?;
        let unix = socket.as_ref().map(Socket::listener).transpose()?;
        let tcp = join_all(
            tcp.into_iter()
                .map(|listener| serve_tcp(listener, host.clone())),
        );
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
        tokio::join!(tcp, unix, stop);
        Ok(())
    }
}

async fn serve_tcp(listener: TcpListener, host: Host) {
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
                    door: Door::Tcp,
                    user: None,
                };
                crowd.admit(connection::serve(stream, peer, host.clone()));
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
