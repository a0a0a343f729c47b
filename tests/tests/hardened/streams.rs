//! Clients that last over whatever happens to the balancer between them and an echo: each byte
//! follows from its stream and its place, so that one lost, doubled or changed is seen.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, park_timeout};
use std::time::Duration;

use lab::host::NamespaceHost;
use libtest_mimic::Failed;

/// Streams that last; every other one carries bulk.
const STREAMS: u64 = 16;
const BULK: usize = 256 * 1024;
const SMALL: usize = 100;
/// Between two pieces of a stream, so that they leave the machine to others.
const REST: Duration = Duration::from_millis(20);
/// Between two new connections.
const EACH: Duration = Duration::from_millis(10);
/// A client that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Echoes whatever comes at these ports of a host; ends with the process.
pub(crate) fn echo(host: &NamespaceHost, ports: &[u16]) -> Result<(), Failed> {
    for &port in ports {
        let listener =
            host.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))??;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || echo_one(&stream));
            }
        });
    }
    Ok(())
}

fn echo_one(stream: &TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (stream, stream);
    io::copy(&mut from, &mut to)?;
    stream.shutdown(Shutdown::Write)
}

/// What came of all clients.
#[derive(Debug)]
pub(crate) struct Came {
    /// Streams that were whole from the first byte to the last.
    pub(crate) whole: u64,
    /// Bytes that came back on them.
    pub(crate) bytes: u64,
    /// New connections beside them, of which each was answered.
    pub(crate) new: u64,
}

/// Clients that go on until they are ended.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    moved: Arc<AtomicU64>,
    lasting: Vec<JoinHandle<io::Result<()>>>,
    coming: JoinHandle<io::Result<u64>>,
}

impl Clients {
    /// Begins: streams that last, and new connections beside them.
    pub(crate) fn begin(
        host: &Arc<NamespaceHost>,
        to: SocketAddr,
    ) -> Result<Self, Failed> {
        let stop = Arc::new(AtomicBool::new(false));
        let moved = Arc::new(AtomicU64::new(0));
        let mut lasting = Vec::new();
        for seed in 0..STREAMS {
            let socket = connect(host, to)?;
            let (stop, moved) = (Arc::clone(&stop), Arc::clone(&moved));
            lasting.push(thread::spawn(move || stream(&socket, seed, &stop, &moved)));
        }
        let (host, ends) = (Arc::clone(host), Arc::clone(&stop));
        let coming = thread::spawn(move || {
            let mut answered = 0;
            while !ends.load(Ordering::Relaxed) {
                ask(&host, to)?;
                answered += 1;
                park_timeout(EACH);
            }
            Ok(answered)
        });
        Ok(Self {
            stop,
            moved,
            lasting,
            coming,
        })
    }

    /// Bytes that have come back so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Ends all of them in order, and says what came.
    pub(crate) fn end(self) -> Result<Came, Failed> {
        self.stop.store(true, Ordering::Relaxed);
        let mut whole = 0;
        for one in self.lasting {
            one.join().map_err(|_| "a stream panicked")??;
            whole += 1;
        }
        let new = self.coming.join().map_err(|_| "a client panicked")??;
        Ok(Came {
            whole,
            bytes: self.moved.load(Ordering::Relaxed),
            new,
        })
    }
}

fn connect(host: &NamespaceHost, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = host
        .run(move || TcpStream::connect(to))
        .map_err(io::Error::other)??;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// A new connection: one question, its answer, and the end.
pub(crate) fn ask(host: &NamespaceHost, to: SocketAddr) -> io::Result<()> {
    ask_after(host, to, "")
}

/// The same after these first words, which are none of the server's.
pub(crate) fn ask_after(
    host: &NamespaceHost,
    to: SocketAddr,
    first: &str,
) -> io::Result<()> {
    let mut socket = connect(host, to)?;
    socket.write_all(first.as_bytes())?;
    socket.write_all(b"question")?;
    let mut answer = [0; 8];
    socket.read_exact(&mut answer)?;
    socket.shutdown(Shutdown::Write)?;
    match (&answer, socket.read(&mut [0])?) {
        (b"question", 0) => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Sends until told to stop and then ends in order; reads all the while. Whether every byte
/// came back, and nothing else.
fn stream(
    socket: &TcpStream,
    seed: u64,
    stop: &AtomicBool,
    moved: &AtomicU64,
) -> io::Result<()> {
    thread::scope(|scope| {
        let writing = scope.spawn(|| write(socket, seed, stop));
        let got = read(socket, seed, moved)?;
        let sent = writing.join().map_err(|_| io::ErrorKind::Other)??;
        if got == sent {
            return Ok(());
        }
        let what = format!("stream {seed}: {sent} bytes sent, {got} came back");
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, what))
    })
}

fn write(mut socket: &TcpStream, seed: u64, stop: &AtomicBool) -> io::Result<u64> {
    let size = if seed.is_multiple_of(2) { BULK } else { SMALL };
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let piece: Vec<u8> = (sent..).take(size).map(|at| byte(seed, at)).collect();
        socket.write_all(&piece)?;
        sent += piece.len() as u64;
        park_timeout(REST);
    }
    socket.shutdown(Shutdown::Write)?;
    Ok(sent)
}

fn read(mut socket: &TcpStream, seed: u64, moved: &AtomicU64) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut got = 0;
    loop {
        let len = socket.read(&mut buffer)?;
        if len == 0 {
            return Ok(got);
        }
        let came = buffer.iter().take(len);
        if let Some((at, _)) = (got..).zip(came).find(|(at, is)| byte(seed, *at) != **is)
        {
            let what = format!("stream {seed}: another byte at {at}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        got += len as u64;
        moved.fetch_add(len as u64, Ordering::Relaxed);
    }
}

/// The byte of a stream at this place (Knuth's multiplicative hash, TAOCP 6.4).
const fn byte(seed: u64, at: u64) -> u8 {
    let mixed = (at ^ (seed << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_be_bytes()[0]
}
