//! One connection, over any stream: reads requests within limits and answers them.
//!
//! Fed by the server, which also ends it: a slow peer runs into a limit, a stop asks
//! it to finish the request under way.

use crate::Identity;
use crate::admin::answer::{self, Answer};
use crate::admin::route::{Door, Route, route};
use crate::admin::web::{self, Web};
use crate::admin::{CommandError, Surface};
use crate::metrics::Text;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time;

/// Time for a request's head, from its first byte or from the end of the request
/// before it: a scraper that keeps its connection opens it anew, which costs it less
/// than ten thousand idle peers would cost us.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(5);

/// Time for the body and the answer of one request; a command that takes longer
/// goes on in the daemon or is given up by it.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Time for a connection in all, so that one who reads his answer byte by byte ends.
pub(crate) const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// Room for a request's head. Our clients send 200 bytes; browsers with cookies 4 KiB.
const HEAD_SIZE: usize = 16 * 1024;

/// Most headers of a request.
const HEADERS: usize = 64;

/// Largest body of a command.
const BODY_SIZE: usize = 64 * 1024;

/// Who asks, as far as the kernel tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) door: Door,
    /// The address at the other end, over TCP.
    pub(crate) source: Option<IpAddr>,
    /// User and process behind the unix socket.
    pub(crate) user: Option<(u32, Option<i32>)>,
}

/// What every connection of a server shares.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) identity: Arc<Identity>,
    pub(crate) surface: Arc<dyn Surface>,
    pub(crate) web: Arc<Web>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Serves `stream` until the peer, a limit or a stop ends it. How it ended is of no
/// use to anybody: each request that was answered is the record.
pub(crate) async fn serve<S>(stream: S, peer: Peer, host: Host)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut stop = host.stop.clone();
    let service = service_fn(|request| {
        let host = host.clone();
        async move { Ok::<_, Infallible>(respond(request, peer, &host).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let whole = async {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    };
    // Elapsed is one of the ways to end.
    let _ = time::timeout(CONNECTION_TIME, whole).await;
}

async fn respond(request: Request<Incoming>, peer: Peer, host: &Host) -> Answer {
    match time::timeout(REQUEST_TIME, answer(request, peer, host)).await {
        Ok(answer) => answer,
        Err(_) => {
            let why = format!("no answer within {} s", REQUEST_TIME.as_secs());
            answer::refusal(StatusCode::GATEWAY_TIMEOUT, &why)
        }
    }
}

async fn answer(request: Request<Incoming>, peer: Peer, host: &Host) -> Answer {
    let surface = &host.surface;
    let path = request.uri().path().to_owned();
    if peer.door != Door::Socket && web::is_here(&path) {
        return host.web.answer(request, peer.door, peer.source, host).await;
    }
    match route(peer.door, request.method(), &path, surface.commands()) {
        Route::Live if surface.alive() => answer::health(Ok(())),
        Route::Live => answer::health(Err("the daemon does not work".to_owned())),
        Route::Ready => answer::health(surface.ready()),
        Route::Metrics => answer::metrics(metrics(host)),
        Route::Status => answer::value(&host.identity.status(surface.status())),
        Route::Command(name) => command(name, request, peer, host).await,
        Route::Nowhere => page(&path, &request, host),
        Route::ReadOnly => {
            answer::not_allowed("GET, HEAD", &format!("{path} is read with GET"))
        }
        Route::PostOnly => answer::not_allowed(
            "POST",
            &format!("{path} is a command; send it with POST"),
        ),
        Route::SocketOnly => {
            let why = format!("{path} is a command; send it over the unix socket");
            answer::not_allowed("", &why)
        }
    }
}

/// What the daemon shows there; where there is nothing, what there is elsewhere.
fn page(path: &str, request: &Request<Incoming>, host: &Host) -> Answer {
    let whole = request.uri().path_and_query();
    let whole = whole.map_or(path, hyper::http::uri::PathAndQuery::as_str);
    let surface = &host.surface;
    match surface.page(whole).or_else(|| surface.page(path)) {
        None => answer::nowhere(path, host.surface.commands()),
        Some(page) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            answer::page(page)
        }
        Some(_) => answer::not_allowed("GET, HEAD", &format!("{path} is read with GET")),
    }
}

fn metrics(host: &Host) -> String {
    let mut text = Text::new();
    host.identity.metrics(&mut text);
    host.surface.metrics(&mut text);
    text.finish()
}

async fn command(
    name: &'static str,
    request: Request<Incoming>,
    peer: Peer,
    host: &Host,
) -> Answer {
    let body = match Limited::new(request.into_body(), BODY_SIZE).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let why = format!("the body is larger than {} KiB", BODY_SIZE / 1024);
            return answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, &why);
        }
        Err(_) => return answer::refusal(StatusCode::BAD_REQUEST, "the body broke off"),
    };
    let result = match parse(&body) {
        Ok(body) => host.surface.command(name, body).await,
        Err(error) => Err(error),
    };
    let (user, process) = peer.user.unzip();
    let error = result.as_ref().err().map(ToString::to_string);
    tracing::info!(
        command = name,
        user,
        process = process.flatten(),
        error,
        "command"
    );
    answer::command(result)
}

fn parse(body: &Bytes) -> Result<Value, CommandError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let invalid = |error| CommandError::Invalid(format!("the body is not JSON: {error}"));
    serde_json::from_slice(body).map_err(invalid)
}
