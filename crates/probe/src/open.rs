//! A connection that is the caller's once it is up: for who asks more than once.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::connect::connect;
use crate::wire::Progress;
use crate::{Outcome, Stage, Target, Tls, tls};

/// A connection with its handshake done, for HTTP/1.1.
pub type Secured = TlsStream<TcpStream>;

/// Connects and shakes hands, as an `https` check does.
///
/// # Errors
/// How it failed, in the words of a check.
pub async fn open(
    tls: &Tls,
    target: impl Into<Target>,
    within: Duration,
) -> Result<Secured, Outcome> {
    let (target, progress) = (target.into(), Progress::default());
    let opened = tokio::time::timeout(within, shake(tls, target, &progress)).await;
    opened.unwrap_or_else(|_| Err(progress.timed_out()))
}

async fn shake(
    tls: &Tls,
    target: Target,
    progress: &Progress,
) -> Result<Secured, Outcome> {
    let stream = connect(target, progress).await?;
    progress.enter(Stage::Handshake);
    let name = tls.server_name.clone();
    let name = name.unwrap_or_else(|| ServerName::IpAddress(target.address.ip().into()));
    let shaken = tls.http_connector().connect(name, stream).await;
    shaken.map_err(|error| tls::outcome(&error, progress))
}
