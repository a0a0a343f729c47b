//! TLS from end to end: connections that begin with a handshake, ask once and close.
//!
//! Threads that block, many more than cores: what counts is what the proxy between them
//! spends, and a handshake costs both ends far more than it costs the proxy.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned,
};

use super::closed::{Shared, nanos};
use super::histogram::Histogram;

/// Longer than any answer takes: the generator ends when a proxy loses one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked, and of whom.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub address: SocketAddr,
    /// Whom and how to trust.
    pub config: Arc<ClientConfig>,
    /// Bytes of a request.
    pub request: usize,
    /// Bytes of its answer.
    pub reply: usize,
}

/// One client, until told to stop; returns how long its connections took, from the first
/// SYN to the last byte of the answer.
///
/// # Errors
/// None of a connection, which are counted; those of the generator itself.
pub fn run(plan: &Plan, shared: &Shared) -> io::Result<Histogram> {
    let mut latencies = Histogram::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        if ask(plan).is_err() {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        shared.answered.fetch_add(1, Ordering::Relaxed);
        if shared.counting.load(Ordering::Relaxed) {
            latencies.add(nanos(begun.elapsed()));
        }
    }
    Ok(latencies)
}

fn ask(plan: &Plan) -> io::Result<()> {
    let socket = TcpStream::connect(plan.address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::from(plan.address.ip());
    let session = ClientConnection::new(Arc::clone(&plan.config), name);
    let mut stream = StreamOwned::new(session.map_err(io::Error::other)?, socket);
    stream.write_all(&vec![b'q'; plan.request])?;
    stream.read_exact(&mut vec![0; plan.reply])?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Answers on `threads` threads until the process ends.
///
/// # Errors
/// When the address cannot be had or the system gives no threads.
pub fn serve(
    address: SocketAddr,
    config: &Arc<ServerConfig>,
    threads: usize,
    (request, reply): (usize, usize),
) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    for _ in 0..threads {
        let (listener, config) = (listener.try_clone()?, Arc::clone(config));
        std::thread::Builder::new().spawn(move || {
            for socket in listener.incoming().flatten() {
                // A check that connects and says nothing ends here, too.
                let _ = answer(socket, &config, request, reply);
            }
        })?;
    }
    Ok(())
}

fn answer(
    socket: TcpStream,
    config: &Arc<ServerConfig>,
    request: usize,
    reply: usize,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, socket);
    stream.read_exact(&mut vec![0; request])?;
    stream.write_all(&vec![b'r'; reply])?;
    // The client closes first; what it says then is its farewell.
    let _ = stream.read(&mut [0]);
    Ok(())
}
