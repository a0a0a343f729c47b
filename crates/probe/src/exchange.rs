//! One `GET` and its response over HTTP/1.1, on a connection of its own.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::wire::Progress;
use crate::{Http, Outcome, Stage, Target, tls};

/// The largest head of a response: an API server's is some 300 bytes.
const HEAD_LIMIT: usize = 16 * 1024;
/// The largest body: a failed `/readyz` lists some fifty lines, 3 KiB.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;
/// How long the end of a connection is waited for once the outcome is clear.
pub(crate) const LINGER: Duration = Duration::from_millis(250);

type Client = SendRequest<Empty<Bytes>>;

/// Asks, and returns the outcome with the stream when it can still be closed properly.
pub(crate) async fn exchange<S>(
    stream: S,
    http: &Http,
    target: Target,
    progress: &Progress,
) -> (Outcome, Option<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    progress.enter(Stage::Request);
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_LIMIT);
    let (client, connection) = match builder.handshake(TokioIo::new(stream)).await {
        Ok(parts) => parts,
        Err(error) => return (outcome(&error, progress), None),
    };
    let Ok(request) = request(http, target) else {
        return (
            Outcome::Local(crate::LocalFault::Socket(io::ErrorKind::InvalidInput)),
            None,
        );
    };
    let mut driver = pin!(connection.without_shutdown());
    let mut end = None;
    let outcome = {
        let mut answer = pin!(answer(client, request, http, progress));
        loop {
            tokio::select! {
                biased;
                outcome = &mut answer => break outcome,
                result = &mut driver, if end.is_none() => end = Some(result),
            }
        }
    };
    // What is waited for from here on is the connection's end alone.
    let outcome = progress.decide(outcome);
    let end = match end {
        Some(end) => Some(end),
        None => timeout(LINGER, driver).await.ok(),
    };
    (
        outcome,
        end.and_then(Result::ok).map(|parts| parts.io.into_inner()),
    )
}

fn request(http: &Http, target: Target) -> hyper::http::Result<Request<Empty<Bytes>>> {
    let host = http.host.clone().unwrap_or_else(|| host_of(target.address));
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(http.path.clone())
        .header(HOST, host);
    for (name, value) in &http.headers {
        request = request.header(name, value);
    }
    request
        .header(
            USER_AGENT,
            concat!("sternpost-probe/", env!("CARGO_PKG_VERSION")),
        )
        .header(CONNECTION, "close")
        .body(Empty::new())
}

/// The zone of a link-local address means something on this host alone, and stands in no
/// header (RFC 6874 section 1).
fn host_of(mut address: SocketAddr) -> String {
    if let SocketAddr::V6(six) = &mut address {
        six.set_scope_id(0);
    }
    address.to_string()
}

async fn answer(
    mut client: Client,
    request: Request<Empty<Bytes>>,
    http: &Http,
    progress: &Progress,
) -> Outcome {
    let response = match client.send_request(request).await {
        Ok(response) => response,
        Err(error) => return outcome(&error, progress),
    };
    progress.enter(Stage::Body);
    let status = response.status().as_u16();
    if http.statuses.allow(status) {
        let wanted = http.body.as_deref();
        return progress.decide(body(response, wanted, progress).await);
    }
    progress.decide(Outcome::Status(status));
    // Only so that the connection can be closed properly: the outcome is clear.
    let _ = timeout(LINGER, body(response, None, progress)).await;
    Outcome::Status(status)
}

/// Reads the body to its end; it is kept only where something is wanted of it.
async fn body(
    response: Response<Incoming>,
    wanted: Option<&str>,
    progress: &Progress,
) -> Outcome {
    let mut body = response.into_body();
    let mut left = BODY_LIMIT;
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return outcome(&error, progress),
        };
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return Outcome::BodyTooLarge,
        }
        if wanted.is_some() {
            text.extend_from_slice(&data);
        }
    }
    match wanted {
        Some(wanted) if !holds(&text, wanted.as_bytes()) => Outcome::BodyMismatch,
        Some(_) | None => Outcome::Passed,
    }
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part == wanted)
}

fn outcome(error: &hyper::Error, progress: &Progress) -> Outcome {
    if error.is_parse() {
        return Outcome::BadResponse;
    }
    match io_source(error) {
        Some(error) => tls::outcome(error, progress),
        None => progress.closed(),
    }
}

fn io_source(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    /// A server that keeps the connection although it was asked to close it.
    #[tokio::test(start_paused = true)]
    async fn an_outcome_is_clear_before_the_connection_ends() {
        let (near, mut far) = tokio::io::duplex(4096);
        let server = async {
            let mut request = [0; 1024];
            assert!(far.read(&mut request).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            far.write_all(answer).await.unwrap();
            std::future::pending::<()>().await;
        };
        let (progress, begun) = (Progress::default(), Instant::now());
        let http = Http::new("/readyz").unwrap();
        let address: SocketAddr = "192.0.2.1:6443".parse().unwrap();
        let (outcome, _) = tokio::select! {
            ended = exchange(near, &http, address.into(), &progress) => ended,
            () = server => unreachable!("it never ends"),
        };
        assert_eq!(outcome, Outcome::Passed);
        assert_eq!(progress.decided_at(), Some(begun));
    }

    #[test]
    fn a_host_has_no_zone() {
        for (address, expected) in [
            ("[fe80::1%2]:6443", "[fe80::1]:6443"),
            ("[2001:db8::1]:6443", "[2001:db8::1]:6443"),
            ("192.0.2.1:6443", "192.0.2.1:6443"),
        ] {
            assert_eq!(host_of(address.parse().unwrap()), expected);
        }
    }
}
