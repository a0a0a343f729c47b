//! One check from beginning to end.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use crate::connect::connect;
use crate::exchange::{BODY_LIMIT, LINGER, exchange};
use crate::wire::{Progress, Wire};
use crate::{Check, Http, Outcome, Stage, Target, Tls, tls};

/// What came of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// From the first packet to the outcome, without the closing of the connection.
    pub took: Duration,
}

/// Makes one check. `timeout` bounds all of it: connect, handshake, request, body and
/// the closing of the connection. Dropping the future ends the check at once.
pub async fn run(check: &Check, target: impl Into<Target>, timeout: Duration) -> Report {
    let target = target.into();
    let started = Instant::now();
    let progress = Progress::default();
    let attempt = attempt(check, target, &progress);
    let ended = tokio::time::timeout(timeout, attempt).await;
    let ended_at = Instant::now();
    let took = progress.decided_at().unwrap_or(ended_at) - started;
    let (outcome, connection) = match ended {
        Ok(ended) => ended,
        Err(_) => (progress.timed_out(), None),
    };
    if let Some(connection) = connection {
        close(connection, timeout.saturating_sub(ended_at - started)).await;
    }
    Report { outcome, took }
}

/// A connection that is still whole when the outcome is clear.
enum Connection<'a> {
    Plain(Wire<'a>),
    Tls(Box<TlsStream<Wire<'a>>>),
}

type Ended<'a> = (Outcome, Option<Connection<'a>>);

async fn attempt<'a>(check: &Check, target: Target, progress: &'a Progress) -> Ended<'a> {
    let wire = match connect(target, progress).await {
        Ok(stream) => Wire::new(stream, progress),
        Err(outcome) => return (outcome, None),
    };
    match check {
        Check::Tcp => (Outcome::Passed, None),
        Check::Http(http) => plain(wire, http, target, progress).await,
        Check::Tls(tls) => handshake(wire, tls, None, target, progress).await,
        Check::Https(https) => {
            handshake(wire, &https.tls, Some(&https.http), target, progress).await
        }
    }
}

async fn plain<'a>(
    wire: Wire<'a>,
    http: &Http,
    target: Target,
    progress: &'a Progress,
) -> Ended<'a> {
    let (outcome, wire) = exchange(wire, http, target, progress).await;
    (outcome, wire.map(Connection::Plain))
}

async fn handshake<'a>(
    wire: Wire<'a>,
    tls: &Tls,
    http: Option<&Http>,
    target: Target,
    progress: &'a Progress,
) -> Ended<'a> {
    progress.enter(Stage::Handshake);
    let name = tls.server_name.clone();
    let name = name.unwrap_or_else(|| ServerName::IpAddress(target.address.ip().into()));
    let connector = match http {
        Some(_) => tls.http_connector(),
        None => tls.connector(),
    };
    let stream = match connector.connect(name, wire).await {
        Ok(stream) => stream,
        Err(error) => return (tls::outcome(&error, progress), None),
    };
    let Some(http) = http else {
        return (Outcome::Passed, Some(Connection::Tls(Box::new(stream))));
    };
    let (outcome, stream) = exchange(stream, http, target, progress).await;
    (
        outcome,
        stream.map(|stream| Connection::Tls(Box::new(stream))),
    )
}

/// Says goodbye (`close_notify`, FIN) and reads what the peer still sends, so that
/// neither side sees a reset.
async fn close(connection: Connection<'_>, left: Duration) {
    let patience = left.min(LINGER);
    let _ = match connection {
        Connection::Plain(stream) => timeout(patience, drain(stream)).await,
        Connection::Tls(stream) => timeout(patience, drain(stream)).await,
    };
}

async fn drain<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    if stream.shutdown().await.is_ok() {
        let limit = u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX);
        let mut rest = stream.take(limit);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}
