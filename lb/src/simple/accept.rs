//! Accepts from one listener until it is aborted or closed. No error ends it: what concerns one
//! client is counted, what concerns the process makes it wait for a descriptor to come
//! free or for a short time to pass.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::{Worker, connection};
use crate::listener::Listener;
use crate::worker::Event;

/// The longest pause after a failed accept: descriptors may come free in other workers,
/// which nobody tells this one.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn accept(worker: Rc<Worker>, listener: Arc<Listener>) {
    let socket = loop {
        match listener.socket.try_clone().and_then(TcpListener::from_std) {
            Ok(socket) => break socket,
            Err(error) => recover(&worker, &listener, error).await,
        }
    };
    loop {
        match socket.accept().await {
            Ok((client, address)) => begin(&worker, &listener, client, address),
            // Another worker was told first to close it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(error) => recover(&worker, &listener, error).await,
        }
    }
}

/// Accepts who waits at this moment.
pub(super) fn accept_waiting(worker: &Rc<Worker>, listener: &Arc<Listener>) {
    while let Ok((client, address)) = listener.socket.accept() {
        let client = client
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(client));
        match client {
            Ok(client) => begin(worker, listener, client, address),
            Err(error) => count(worker, listener, error),
        }
    }
}

fn begin(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    client: TcpStream,
    address: SocketAddr,
) {
    let frontend = worker.snapshot.borrow().frontend_of(listener.id).cloned();
    if let Some(frontend) = frontend {
        connection::begin(worker, listener, frontend, client, address);
    }
}

async fn recover(worker: &Worker, listener: &Listener, error: io::Error) {
    // Every other error is about one client that went away (accept(2)), but a pause does
    // no harm and bounds the loop whatever the kernel says.
    let is_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    count(worker, listener, error);
    if !is_client {
        let _ = tokio::time::timeout(PAUSE, worker.ended.notified()).await;
    }
}

fn count(worker: &Worker, listener: &Listener, error: io::Error) {
    worker
        .gauges
        .accept_failures
        .fetch_add(1, Ordering::Relaxed);
    worker.events.send(Event::AcceptFailed {
        listener: listener.id,
        error,
    });
}
