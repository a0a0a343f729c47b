//! What the page is about: an api-lb with two backends, their servers in this process, and
//! clients that come and go.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use crate::browser::Fallible;

/// A server of HTTP with a status that can be changed; it ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) status: Arc<AtomicU16>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(address: SocketAddr) -> Fallible<Self> {
        Self::saying(address, "x".repeat(4096))
    }

    /// One that answers with `body`.
    pub(crate) fn saying(address: SocketAddr, body: String) -> Fallible<Self> {
        let body: Arc<str> = body.into();
        let listener = TcpListener::bind(address)?;
        let status = Arc::new(AtomicU16::new(200));
        let stop = Arc::new(AtomicBool::new(false));
        let (says, ends) = (Arc::clone(&status), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (says, body) = (Arc::clone(&says), Arc::clone(&body));
                std::thread::spawn(move || answer(stream, &says, &body));
            }
        });
        Ok(Self {
            address,
            status,
            stop,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accept, which then ends with its listener.
        drop(TcpStream::connect(self.address));
    }
}

/// Answers requests until the client goes.
fn answer(mut stream: TcpStream, status: &AtomicU16, body: &str) {
    let mut request = [0; 2048];
    while stream.read(&mut request).is_ok_and(|count| count > 0) {
        let status = status.load(Ordering::Relaxed);
        let head = format!(
            "HTTP/1.1 {status} Word\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + body).as_bytes()).is_err() {
            return;
        }
    }
}

/// Addresses of loopback that no other run uses.
pub(crate) fn address(host: u8, port: u16) -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 1 + high % 126, low, host], port))
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) admin: SocketAddr,
}

impl Daemon {
    pub(crate) fn start(admin: SocketAddr, body: &str) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("api-lb.yaml");
        let text = format!(
            "apiVersion: sternpost/v1\nkind: ApiLb\nsocket: {}/lb.sock\nflightRecorder: {{directory: off}}\n{body}",
            folder.path().display()
        );
        std::fs::write(
            &file,
            text.replace("FOLDER", &folder.path().display().to_string()),
        )?;
        let program: PathBuf = lab::binaries::own("api-lb")?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(["run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()?;
        let daemon = Self {
            child,
            folder,
            admin,
        };
        daemon.await_listening()?;
        Ok(daemon)
    }

    fn await_listening(&self) -> Fallible<()> {
        for _ in 0..500 {
            if get(self.admin, "/livez").is_ok() {
                return Ok(());
            }
            // A start takes some milliseconds; there is nothing to be told by.
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log"))?;
        Err(format!("api-lb does not listen: {log}").into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A body over HTTP.
pub(crate) fn get(address: SocketAddr, path: &str) -> Fallible<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(body.to_owned())
}

/// Asks once through the balancer.
pub(crate) fn visit(address: SocketAddr) -> Fallible<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
    let mut head = [0; 64];
    stream.read_exact(&mut head)?;
    Ok(stream)
}
