//! Connects to a server for one client, going on to the next where one fails. Which one,
//! for how long and whether at all is decided in [`Dialling`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use super::Worker;
use super::connection::Session;
use crate::config::Tcp;
use crate::pool::{Attempt, Backend, Dialling, Failure, Server};
use crate::tcp;
use crate::worker::{End, Event};

/// A server that has accepted.
pub(super) struct Dialled {
    pub(super) server: Arc<Server>,
    pub(super) stream: TcpStream,
    pub(super) idle: Option<Duration>,
}

pub(super) async fn dial(worker: &Worker, session: &Session) -> Result<Dialled, End> {
    let turn = session.frontend.backend.cursor.take();
    let mut dialling = Dialling::default();
    loop {
        // Looked up again each time: a server may have gone down, or away, since the last.
        let backend = current(worker, session);
        let attempt = dialling.next(&backend, turn, session.began.elapsed())?;
        session.attempts.set(dialling.attempts());
        match connect(attempt.server.address, backend.tcp, attempt.timeout).await {
            Ok(stream) => {
                let server = attempt.server;
                return Ok(Dialled {
                    server,
                    stream,
                    idle: backend.idle,
                });
            }
            Err(error) if tcp::is_shortage(&error) => return Err(End::NoResources),
            Err(error) => failed(worker, &mut dialling, &attempt, &error),
        }
    }
}

fn current(worker: &Worker, session: &Session) -> Arc<Backend> {
    let snapshot = worker.snapshot.borrow();
    let frontend = snapshot
        .frontend_of(session.listener)
        .unwrap_or(&session.frontend);
    Arc::clone(&frontend.backend)
}

fn failed(
    worker: &Worker,
    dialling: &mut Dialling,
    attempt: &Attempt,
    error: &io::Error,
) {
    let kind = error.kind();
    let failure = match kind == io::ErrorKind::TimedOut {
        true => Failure::TimedOut,
        false => Failure::Refused,
    };
    dialling.failed(attempt.server.id, failure);
    attempt
        .server
        .counters
        .dial_failures
        .fetch_add(1, Ordering::Relaxed);
    worker.events.send(Event::DialFailed {
        server: attempt.server.id,
        kind,
    });
}

async fn connect(
    address: SocketAddr,
    options: Tcp,
    timeout: Duration,
) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    tcp::set_options(&SockRef::from(&socket), options)?;
    let socket = TcpSocket::from_std_stream(socket.into());
    let stream = tokio::time::timeout(timeout, socket.connect(address)).await??;
    refuse_itself(stream)
}

/// A dial to a port of this host that nobody listens on can meet itself, when the kernel
/// chooses that port as its own (simultaneous open, RFC 9293 section 3.5).
fn refuse_itself(stream: TcpStream) -> io::Result<TcpStream> {
    if stream.local_addr()? == stream.peer_addr()? {
        tcp::reset_on_close(&SockRef::from(&stream));
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}
