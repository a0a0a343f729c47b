//! Servers of one connection, and checks that are run against them.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use probe::{Check, Http, Https, Outcome, Report, Tls, run};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Served<T> = Result<T, Failure>;

/// Longer than any test takes: only a paused clock gets there.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Serves one connection on loopback. What `serve` returns is what the server saw.
pub(crate) async fn once<T, F, S>(serve: S) -> Served<(SocketAddr, JoinHandle<Served<T>>)>
where
    T: Send + 'static,
    F: Future<Output = Served<T>> + Send,
    S: FnOnce(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let served = tokio::spawn(async move { serve(listener.accept().await?.0).await });
    Ok((address, served))
}

/// Reads up to the end of a request's head.
pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Served<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(text)?)
}

/// Answers one request and reads on to the client's end: how many bytes came after it,
/// and an error unless the end was a proper one.
pub(crate) async fn answer<S>(mut stream: S, response: &[u8]) -> Served<usize>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    head(&mut stream).await?;
    stream.write_all(response).await?;
    stream.shutdown().await?;
    Ok(stream.read_to_end(&mut Vec::new()).await?)
}

/// Holds a connection open until the client is gone.
pub(crate) async fn hold<S: AsyncRead + Unpin>(
    mut stream: S,
    done: oneshot::Sender<()>,
) -> Served<()> {
    let _ = done.send(());
    let _ = stream.read_to_end(&mut Vec::new()).await;
    Ok(())
}

pub(crate) fn http() -> Served<Check> {
    Ok(Check::Http(Http::new("/readyz")?))
}

pub(crate) fn https(tls: Tls) -> Served<Check> {
    Ok(Check::Https(Https {
        tls,
        http: Http::new("/readyz")?,
    }))
}

/// Runs a check against one connection served.
pub(crate) async fn against<T, F, S>(
    check: &Check,
    serve: S,
) -> Served<(Outcome, Served<T>)>
where
    T: Send + 'static,
    F: Future<Output = Served<T>> + Send,
    S: FnOnce(TcpStream) -> F + Send + 'static,
{
    let (address, served) = once(serve).await?;
    let report = run(check, address, HOUR).await;
    Ok((report.outcome, served.await?))
}

pub(crate) async fn against_plain(check: &Check, response: Vec<u8>) -> Served<Outcome> {
    let serve = move |stream| async move { answer(stream, &response).await };
    Ok(against(check, serve).await?.0)
}

/// Runs a check against one TLS connection served, after the handshake.
pub(crate) async fn against_tls<T, F, S>(
    check: &Check,
    acceptor: TlsAcceptor,
    serve: S,
) -> Served<(Outcome, Served<T>)>
where
    T: Send + 'static,
    F: Future<Output = Served<T>> + Send,
    S: FnOnce(TlsStream<TcpStream>) -> F + Send + 'static,
{
    let serve = |stream| async move { serve(acceptor.accept(stream).await?).await };
    against(check, serve).await
}

/// Runs a check out of time, once the server has said that it did its part.
pub(crate) async fn out_of_time<F, S>(check: Check, serve: S) -> Served<Report>
where
    F: Future<Output = Served<()>> + Send,
    S: FnOnce(TcpStream, oneshot::Sender<()>) -> F + Send + 'static,
{
    let (done, part_done) = oneshot::channel();
    let (address, _served) = once(move |stream| serve(stream, done)).await?;
    let mut running = pin!(run(&check, address, HOUR));
    tokio::select! {
        report = &mut running => return Err(format!("ended early: {report:?}").into()),
        done = part_done => done?,
    }
    // A paused clock jumps to the next timer once nobody has anything left to do.
    tokio::time::pause();
    Ok(running.await)
}
