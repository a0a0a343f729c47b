//! Listens wherever flows are to come, while others call. One thread owns all sockets; it ends,
//! and they close, when its [`Ears`] are dropped.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::raw::{self, Before};
use super::{ProbeError, Words};
use crate::flows::{Ear, Standing, Way};

/// After an error of a socket: one that lasts, such as a want of descriptors, must not spin.
const PAUSE: Duration = Duration::from_millis(20);
/// Octets of what is received that are looked at: a trial has fewer, whatever the header.
const PACKET: usize = 256;

/// Open ears.
pub(in crate::agent) struct Ears {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

enum Open {
    Stream(TcpListener),
    Datagrams(UdpSocket, Before),
}

impl Ears {
    /// Opens all that can be opened, and says of each what became of it.
    pub(super) fn open(
        ears: &[Ear],
        word: &str,
    ) -> Result<(Self, Vec<Standing>), ProbeError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ProbeError::Runtime)?;
        let words = Arc::new(Words::of(word));
        let (mut sockets, mut standing) = (Vec::new(), Vec::new());
        for ear in ears {
            match open(ear) {
                Ok(socket) => {
                    sockets.push(socket);
                    standing.push(Standing::Listening);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    standing.push(Standing::Taken);
                }
                Err(error) => standing.push(Standing::Refused(error.to_string())),
            }
        }
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || attend(&runtime, sockets, &words, stopped));
        let ears = Self {
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((ears, standing))
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

fn open(ear: &Ear) -> io::Result<Open> {
    let at = |port| SocketAddr::new(ear.address, port);
    Ok(match ear.way {
        Way::Tcp(port) => {
            let listener = TcpListener::bind(at(port))?;
            listener.set_nonblocking(true)?;
            Open::Stream(listener)
        }
        Way::Udp(port) => {
            let socket = UdpSocket::bind(at(port))?;
            socket.set_nonblocking(true)?;
            Open::Datagrams(socket, Before::Nothing)
        }
        Way::Protocol(number) => {
            let socket = raw::open(ear.address, number)?;
            socket2::SockRef::from(&socket).bind(&at(0).into())?;
            socket.set_nonblocking(true)?;
            Open::Datagrams(socket, Before::raw(ear.address))
        }
    })
}

fn attend(
    runtime: &Runtime,
    sockets: Vec<Open>,
    words: &Arc<Words>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        let mut all = JoinSet::new();
        for socket in sockets {
            let words = Arc::clone(words);
            match socket {
                Open::Stream(listener) => all.spawn(accept(listener)),
                Open::Datagrams(socket, before) => all.spawn(echo(socket, before, words)),
            };
        }
        // Nothing is sent: it ends when the other half is dropped.
        let _ = stopped.await;
    });
}

/// That a connection came about is all there is to say.
async fn accept(listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        if listener.accept().await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn echo(socket: UdpSocket, before: Before, words: Arc<Words>) {
    let Ok(socket) = tokio::net::UdpSocket::from_std(socket) else {
        return;
    };
    let mut buffer = [0_u8; PACKET];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let packet = buffer.get(..length).unwrap_or_default();
                if before.payload(packet) == Some(words.asks.as_slice()) {
                    // One that is lost is asked for again.
                    let _ = socket.send_to(&words.hears, from).await;
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
