//! Servers to balance over.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use crate::rig::{Fallible, loopback};

/// Connections that wait to be taken by the test.
const ACCEPTED: usize = 20_000;

/// A server whose connections the test handles itself. Dropped, it listens no longer.
pub(crate) struct Manual {
    pub(crate) address: SocketAddr,
    accepted: Mutex<mpsc::Receiver<TcpStream>>,
    task: JoinHandle<()>,
}

impl Manual {
    pub(crate) async fn start() -> Fallible<Self> {
        let listener = TcpListener::bind(loopback(0)).await?;
        let address = listener.local_addr()?;
        let (send, accepted) = mpsc::channel(ACCEPTED);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if send.send(stream).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            address,
            accepted: Mutex::new(accepted),
            task,
        })
    }

    /// The next connection on which something comes; checks, which say nothing, are
    /// passed over. What came first is still to be read.
    pub(crate) async fn next(&self) -> Fallible<TcpStream> {
        let mut accepted = self.accepted.lock().await;
        loop {
            let stream = accepted.recv().await.ok_or("the server has ended")?;
            if stream.peek(&mut [0]).await.is_ok_and(|count| count > 0) {
                return Ok(stream);
            }
        }
    }
}

impl Drop for Manual {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says its name and then all that it hears; closes when the other side has.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    listener: Socket,
    task: JoinHandle<()>,
}

impl Echo {
    pub(crate) async fn start(name: u8) -> Fallible<Self> {
        Self::start_at(loopback(0), name).await
    }

    pub(crate) async fn start_at(address: SocketAddr, name: u8) -> Fallible<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let same = SockRef::from(&listener).try_clone()?;
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(echo(stream, name));
            }
        });
        Ok(Self {
            address,
            listener: same,
            task,
        })
    }

    /// Ends it, and its connections with it. It listens no longer even where a process that
    /// another test begins at this moment still holds the socket, until it runs its program.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
        let _ = self.listener.shutdown(std::net::Shutdown::Both);
    }
}

async fn echo(mut stream: TcpStream, name: u8) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&[name]).await?;
    let (mut reader, mut writer) = stream.split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

/// What a [`Web`] server answers to a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// Accepts and says nothing.
    Silence,
    /// Listens no longer, for good; what is established stays.
    Gone,
}

/// Answers checks (requests that begin with GET) as told; echoes everything else.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    pub(crate) answer: Arc<watch::Sender<Answer>>,
    task: JoinHandle<()>,
}

impl Web {
    pub(crate) async fn start(answer: Answer) -> Fallible<Self> {
        let listener = TcpListener::bind(loopback(0)).await?;
        let address = listener.local_addr()?;
        let answer = Arc::new(watch::Sender::new(answer));
        let current = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            let mut told = current.subscribe();
            loop {
                tokio::select! {
                    _ = told.wait_for(|answer| *answer == Answer::Gone) => break,
                    Ok((stream, _)) = listener.accept() => {
                        open.spawn(web(stream, Arc::clone(&current)));
                    }
                }
            }
            drop(listener);
            while open.join_next().await.is_some() {}
        });
        Ok(Self {
            address,
            answer,
            task,
        })
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn web(
    mut stream: TcpStream,
    answer: Arc<watch::Sender<Answer>>,
) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        let heard = &buffer[..count];
        let answer = *answer.borrow();
        match (heard, answer) {
            ([], _) => return Ok(()),
            (_, Answer::Silence | Answer::Gone) => {}
            ([b'G', b'E', b'T', ..], Answer::Status(status)) => {
                let text = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(text.as_bytes()).await?;
            }
            (_, Answer::Status(_)) => stream.write_all(heard).await?,
        }
    }
}

/// A server that accepts one connection, and that only in the kernel. Then its queue is
/// full: it drops SYNs, as a host does that is overloaded or gone.
pub(crate) struct Full {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    waiting: Vec<Socket>,
}

impl Full {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&loopback(0).into())?;
        listener.listen(0)?;
        let address = listener
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::Other)?;
        Ok(Self {
            address,
            _listener: listener,
            waiting: Vec::new(),
        })
    }

    /// Takes up whatever room is left.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        for _ in 0..4 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
            // In progress, whether or not it will ever be answered.
            let _ = socket.connect(&self.address.into());
            self.waiting.push(socket);
        }
        Ok(())
    }
}

/// Closes with a reset.
pub(crate) fn reset(stream: TcpStream) -> io::Result<()> {
    SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO))?;
    drop(stream);
    Ok(())
}
