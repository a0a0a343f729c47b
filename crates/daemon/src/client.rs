//! Asks a running daemon over its unix socket; for the command lines.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time;

/// Time for a request and its answer: longer than the daemon takes to give one up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Largest answer. The status of 1,000 servers takes about 1 MiB.
const ANSWER_SIZE: usize = 16 * 1024 * 1024;

/// Why a daemon gave no answer, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no daemon listens on {}; is it running, and is this its socket?", .0.display())]
    NotRunning(PathBuf),
    /// The socket is for others.
    #[error("this user may not use {}; run as root or as a member of its group", .0.display())]
    NotAllowed(PathBuf),
    /// The socket cannot be connected to for another reason.
    #[error("cannot connect to {}", .0.display())]
    Connect(PathBuf, #[source] io::Error),
    /// Connected, and no answer in time.
    #[error("the daemon on {} did not answer within {} s; its log may say why", .0.display(), PATIENCE.as_secs())]
    Silent(PathBuf),
    /// Connected, and what came back broke off.
    #[error("the daemon on {} broke off; its log may say why", .0.display())]
    Broken(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// What came back is not from one of our daemons.
    #[error("what listens on {} does not answer like a daemon of this version", .0.display())]
    Foreign(PathBuf),
    /// The daemon refused, with its reason.
    #[error("{why}")]
    Refused {
        /// The HTTP status: 400 for a wrong body, 404, 409 for the wrong state, …
        status: u16,
        /// What the daemon says.
        why: String,
    },
}

/// `GET path` of the daemon behind `socket`. What is no JSON (`/metrics`, `/readyz`)
/// comes back as a string.
///
/// # Errors
/// See [`ClientError`].
pub async fn get(socket: &Path, path: &str) -> Result<Value, ClientError> {
    ask(socket, Method::GET, path, Bytes::new()).await
}

/// `POST path` with `body` to the daemon behind `socket`.
///
/// # Errors
/// See [`ClientError`].
pub async fn post(socket: &Path, path: &str, body: &Value) -> Result<Value, ClientError> {
    ask(socket, Method::POST, path, Bytes::from(body.to_string())).await
}

async fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Value, ClientError> {
    match time::timeout(PATIENCE, exchange(socket, method, path, body)).await {
        Ok(answer) => answer,
        Err(_) => Err(ClientError::Silent(socket.to_owned())),
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Value, ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|e| refused(socket, e))?;
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
        ClientError::Broken(socket.to_owned(), error)
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| broken(e.into()))?;
    let _driver = Driver(tokio::spawn(connection).abort_handle());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|e| broken(e.into()))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|e| broken(e.into()))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_SIZE);
    let body = body.collect().await.map_err(broken)?.to_bytes();
    understand(socket, status, &body)
}

/// Ends the task that drives a connection, however the exchange ends.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn refused(socket: &Path, error: io::Error) -> ClientError {
    use rustix::io::Errno;
    let socket = socket.to_owned();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => {
            ClientError::NotRunning(socket)
        }
        Some(Errno::ACCESS | Errno::PERM) => ClientError::NotAllowed(socket),
        Some(_) | None => ClientError::Connect(socket, error),
    }
}

fn understand(
    socket: &Path,
    status: StatusCode,
    body: &[u8],
) -> Result<Value, ClientError> {
    let text = || String::from_utf8_lossy(body).trim_end().to_owned();
    let value =
        serde_json::from_slice::<Value>(body).unwrap_or_else(|_| Value::String(text()));
    if status.is_success() {
        return Ok(value);
    }
    let why = value
        .get("error")
        .unwrap_or(&value)
        .as_str()
        .map(str::to_owned);
    match why {
        Some(why) => Err(ClientError::Refused {
            status: status.as_u16(),
            why,
        }),
        None => Err(ClientError::Foreign(socket.to_owned())),
    }
}
