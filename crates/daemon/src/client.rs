//! Asks a running daemon: over its unix socket for the command lines, over its admin address
//! for what one daemon shows of another.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time;

/// Time for a request and its answer: longer than the daemon takes to give one up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Time for an answer that is only shown: what is slower is asked again.
const READING: Duration = Duration::from_secs(1);

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
    let request = request(method, path, body).map_err(|e| broken(e.into()))?;
    let (status, body) = over(stream, request).await.map_err(broken)?;
    understand(socket, status, &body)
}

/// Why what another daemon's admin address says could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nobody listens there, or nobody can.
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    /// Connected, and no answer in time.
    #[error("{} did not answer within {} s", .0, READING.as_secs())]
    Silent(SocketAddr),
    /// Connected, and what came back broke off.
    #[error("{0} broke off")]
    Broken(
        SocketAddr,
        #[source] Box<dyn std::error::Error + Send + Sync>,
    ),
    /// What came back is not from one of our daemons.
    #[error("what listens on {0} does not answer like a daemon of this version")]
    Foreign(SocketAddr),
}

/// `GET path` of a daemon's admin address, which gives no orders: for one daemon that shows
/// what another says, without a right to its socket.
///
/// # Errors
/// See [`ReadError`].
pub async fn read(address: SocketAddr, path: &str) -> Result<Value, ReadError> {
    let broken = |error| ReadError::Broken(address, error);
    let reading = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| ReadError::Connect(address, error))?;
        let request =
            request(Method::GET, path, Bytes::new()).map_err(|e| broken(e.into()))?;
        let (status, body) = over(stream, request).await.map_err(broken)?;
        match serde_json::from_slice(&body) {
            Ok(value) if status.is_success() => Ok(value),
            Ok(_) | Err(_) => Err(ReadError::Foreign(address)),
        }
    };
    match time::timeout(READING, reading).await {
        Ok(answer) => answer,
        Err(_) => Err(ReadError::Silent(address)),
    }
}

fn request(
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
}

/// One request and its answer over a stream that is closed behind it.
async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let _driver = Driver(tokio::spawn(connection).abort_handle());
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_SIZE);
    Ok((status, body.collect().await?.to_bytes()))
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
