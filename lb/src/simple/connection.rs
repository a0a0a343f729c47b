//! One connection from admit to end: dial, relay, and the record of it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dial::{self, Dialled};
use super::{Link, Worker, relay};
use crate::listener::Listener;
use crate::pool::{Frontend, ListenerId, Server};
use crate::tcp;
use crate::worker::{ConnectionId, End, Event, Record};

/// Takes a client in and serves it in a task of its own.
pub(super) fn begin(
    worker: &Rc<Worker>,
    listener: &Listener,
    frontend: Arc<Frontend>,
    client: TcpStream,
    address: SocketAddr,
) {
    // A wildcard bind is told apart by what the client connected to.
    let bind = client.local_addr().unwrap_or(listener.address);
    let session = Rc::new(Session::new(worker, listener.id, frontend));
    worker
        .links
        .borrow_mut()
        .insert(session.id, Rc::clone(&session.link));
    worker.gauges.open.fetch_add(1, Ordering::Relaxed);
    session.frontend.counters.opened();
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        let end = serve(&worker, &session, client).await;
        session.finish(&worker, address, bind, end);
    });
}

/// One connection and what is measured of it.
pub(super) struct Session {
    id: ConnectionId,
    pub(super) listener: ListenerId,
    pub(super) frontend: Arc<Frontend>,
    pub(super) link: Rc<Link>,
    pub(super) began: Instant,
    accepted: SystemTime,
    server: Cell<Option<Arc<Server>>>,
    source: Cell<Option<SocketAddr>>,
    pub(super) attempts: Cell<u32>,
    connected_after: Cell<Option<Duration>>,
    pub(super) first_byte_after: Cell<Option<Duration>>,
    pub(super) sent: Cell<u64>,
    pub(super) received: Cell<u64>,
}

impl Session {
    fn new(worker: &Worker, listener: ListenerId, frontend: Arc<Frontend>) -> Self {
        Self {
            id: worker.next_id(),
            listener,
            frontend,
            link: Rc::default(),
            began: Instant::now(),
            accepted: SystemTime::now(),
            server: Cell::default(),
            source: Cell::default(),
            attempts: Cell::default(),
            connected_after: Cell::default(),
            first_byte_after: Cell::default(),
            sent: Cell::default(),
            received: Cell::default(),
        }
    }

    fn connected(&self, dialled: &Dialled) {
        dialled.server.counters.opened();
        self.link.server.set(Some(dialled.server.id));
        self.server.set(Some(Arc::clone(&dialled.server)));
        self.source.set(dialled.stream.local_addr().ok());
        self.connected_after.set(Some(self.began.elapsed()));
    }

    fn finish(&self, worker: &Worker, client: SocketAddr, bind: SocketAddr, end: End) {
        let server = self.server.take();
        if let Some(server) = &server {
            server.counters.closed(end);
        }
        self.frontend.counters.closed(end);
        worker.gauges.open.fetch_sub(1, Ordering::Relaxed);
        worker.links.borrow_mut().remove(&self.id);
        worker.ended.notify_one();
        if !worker.snapshot.borrow().report_ends {
            return;
        }
        worker.events.send(Event::Ended(Box::new(Record {
            id: self.id,
            accepted: self.accepted,
            client,
            bind,
            frontend: Arc::clone(&self.frontend.name),
            backend: Arc::clone(&self.frontend.backend.name),
            server: server.map(|server| Arc::clone(&server.name)),
            source: self.source.get(),
            attempts: self.attempts.get(),
            connected_after: self.connected_after.get(),
            first_byte_after: self.first_byte_after.get(),
            lasted: self.began.elapsed(),
            sent: self.sent.get(),
            received: self.received.get(),
            end,
        })));
    }
}

async fn serve(worker: &Worker, session: &Session, client: TcpStream) -> End {
    let dialled = tokio::select! {
        biased;
        end = session.link.stopped() => Err(end),
        () = failed(&client) => Err(End::ClientAborted),
        dialled = dial::dial(worker, session) => dialled,
    };
    let dialled = match dialled {
        Ok(dialled) => dialled,
        Err(end) => {
            tcp::reset_on_close(&SockRef::from(&client));
            return end;
        }
    };
    session.connected(&dialled);
    let Dialled {
        server,
        stream,
        idle,
    } = dialled;
    let relay = relay::Relay {
        worker,
        session,
        client: &client,
        server: &stream,
        counters: &server.counters,
        idle,
        stalls: relay::Stalls::default(),
    };
    let end = tokio::select! {
        biased;
        end = session.link.stopped() => end,
        end = relay.run() => end,
    };
    if !end.is_orderly() {
        tcp::reset_on_close(&SockRef::from(&client));
        tcp::reset_on_close(&SockRef::from(&stream));
    }
    end
}

/// Returns when the connection was reset. A client that closed its direction is still
/// served.
async fn failed(stream: &TcpStream) {
    while let Ok(ready) = stream.ready(Interest::ERROR).await {
        if ready.is_error() {
            return;
        }
    }
}
