//! The listeners of the admin server.

use crate::Identity;
use crate::admin::Surface;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the admin server listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// Read-only listeners.
    pub tcp: Vec<SocketAddr>,
    /// The socket that takes commands too, mode 0660.
    pub socket: Option<PathBuf>,
}

/// Bound listeners; [`Admin::serve`] answers on them. Dropped, it removes its socket.
#[derive(Debug)]
pub struct Admin {
    _listen: Listen,
}

/// Why a listener could not be had, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A TCP address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl Admin {
    /// Binds all of `listen`, or nothing.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(listen: &Listen) -> Result<Self, BindError> {
        Ok(Self { _listen: listen.clone() })
    }

    /// The TCP addresses bound, with the ports the kernel chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        todo!()
    }

    /// Answers until `stop` resolves, then finishes the requests under way (bounded)
    /// and removes the socket.
    ///
    /// # Errors
    /// A listener could not be handed to the runtime.
    pub async fn serve(
        self,
        identity: Arc<Identity>,
        surface: Arc<dyn Surface>,
        stop: impl Future<Output = ()> + Send,
    ) -> std::io::Result<()> {
        let _ = (identity, surface);
        stop.await;
        Ok(())
    }
}
