//! A server on a host that answers one client after the other, until it is dropped. Then its port
//! refuses. What a check asks on the owner's host is one on 127.0.0.1:9000 that says 200 to
//! whatever it is asked.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Doing, LabError};
use crate::host::NamespaceHost;

/// Where `vip-daemon` looks for the `api-lb` beside it.
const AT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9000);
/// Between two looks for a client: far below any interval of a check.
const LOOK: Duration = Duration::from_millis(1);
/// A client that connects and asks nothing must not hold up the next.
const PATIENCE: Duration = Duration::from_secs(1);

/// The running server.
#[derive(Debug)]
pub struct Endpoint {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Starts it on a host.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(host: &NamespaceHost) -> Result<Self, LabError> {
        // A client that goes away before its answer has had none.
        Self::answering(host, AT.into(), |stream| drop(answer(stream)))
    }

    /// Starts one that answers so: what it is given blocks, and its reads end after a second.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn answering(
        host: &NamespaceHost,
        at: SocketAddr,
        answer: impl Fn(TcpStream) + Send + 'static,
    ) -> Result<Self, LabError> {
        let listener = host.run(move || TcpListener::bind(at))?.doing(at)?;
        listener.set_nonblocking(true).doing(at)?;
        let ending = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ending);
        let serve = move || {
            while !end.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        if patient(&stream).is_ok() {
                            answer(stream);
                        }
                    }
                    Err(_nobody_yet) => thread::park_timeout(LOOK),
                }
            }
        };
        let thread = thread::Builder::new()
            .name("endpoint".into())
            .spawn(serve)
            .doing("start a thread")?;
        Ok(Self {
            ending,
            thread: Some(thread),
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn patient(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 1024];
    let _length = stream.read(&mut request)?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
}
