//! The clients: new connections by a clock that waits for nobody, and some that last.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backend::{ANSWER, QUESTION};
use super::figures::{Asked, Lasted, Seen};
use crate::error::LabError;
use crate::host::NamespaceHost;

/// A client of kubectl's age gives up by itself after this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that last.
pub const LASTING: usize = 60;
/// Between two questions on one of them.
const REST: Duration = Duration::from_secs(1);
/// Before one that was cut, or not let in, comes anew.
const AGAIN: Duration = Duration::from_millis(100);

/// A whole ClientHello of TLS 1.2, as short as they get.
#[must_use]
pub fn hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    let len = u8::try_from(body.len()).unwrap_or(0);
    [&[22, 3, 1, 0, len + 4, 1, 0, 0, len][..], &body].concat()
}

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// New connections a second.
    pub rate: u32,
    /// New connections at once.
    pub storm: usize,
    /// What those do that last.
    pub lasting: Lasting,
}

/// What connections that last do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// They ask once a second.
    Asking,
    /// They have asked once, and say nothing more.
    Quiet,
}

/// Load that runs; its figures are taken when it is ended.
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    ends: watch::Sender<bool>,
    began: std::time::Instant,
    rate: u32,
    storm: usize,
    thread: JoinHandle<()>,
}

impl Load {
    /// Begins.
    ///
    /// # Errors
    /// When the host has no thread.
    pub fn begin(
        host: &NamespaceHost,
        address: SocketAddr,
        demand: Demand,
    ) -> Result<Self, LabError> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (ends, ended) = watch::channel(false);
        let began = std::time::Instant::now();
        let clients = Clients {
            address,
            hello: hello().into(),
            seen: Arc::clone(&seen),
            ended,
            began: began.into(),
        };
        let thread = host.netns().thread("load", move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(clients.all(demand));
            }
        })?;
        Ok(Self {
            seen,
            ends,
            began,
            rate: demand.rate,
            storm: demand.storm,
            thread,
        })
    }

    /// How long it has run.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// How many new connections are over.
    #[must_use]
    pub fn over(&self) -> usize {
        self.look(|seen| seen.asked.len())
    }

    /// Looks at what was seen so far.
    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins no more connections, waits for those that are under way, and says what was
    /// seen.
    ///
    /// # Errors
    /// When it was not there for a good part of the time: nobody was asked, nobody failed.
    pub fn end(self) -> Result<Seen, LabError> {
        let ran = self.began.elapsed().as_secs_f64();
        let wanted = self.least(ran);
        self.ends.send_replace(true);
        // A load that panicked has seen less, which is looked at below.
        drop(self.thread.join());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.asked.len() {
            asked if asked < wanted => Err(LabError::Missing(format!(
                "a load that runs: {asked} connections in {ran:.1} s, at least {wanted}"
            ))),
            _ => Ok(std::mem::take(&mut seen)),
        }
    }

    /// Half of what is due in so many seconds: less is no load, however slow the machine.
    fn least(&self, seconds: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some thousands"
        )]
        let due = (f64::from(self.rate) * seconds) as usize;
        due / 2 + self.storm
    }
}

#[derive(Clone)]
struct Clients {
    address: SocketAddr,
    hello: Arc<[u8]>,
    seen: Arc<Mutex<Seen>>,
    ended: watch::Receiver<bool>,
    began: Instant,
}

impl Clients {
    async fn all(self, demand: Demand) {
        let Demand {
            rate,
            storm,
            lasting,
        } = demand;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..LASTING {
            let clients = self.clone();
            let first = REST.mul_f64(f64::from(u32::try_from(n).unwrap_or(0)) / 60.0);
            tasks.spawn(async move {
                match lasting {
                    Lasting::Asking => clients.last(first).await,
                    Lasting::Quiet => clients.stay(n, first).await,
                }
            });
        }
        for _ in 0..storm {
            tasks.spawn(self.clone().ask(Instant::now()));
        }
        let mut at = Instant::now();
        while rate > 0 && !*self.ended.borrow() {
            tokio::time::sleep_until(at).await;
            tasks.spawn(self.clone().ask(at));
            at += Duration::from_secs(1) / rate;
            // Those that are over are not kept.
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn ask(self, at: Instant) {
        let answer = tokio::time::timeout(PATIENCE, self.connect());
        let by = answer.await.ok().and_then(Result::ok).map(|(_, by)| by);
        let asked = Asked {
            at: at - self.began,
            took: at.elapsed(),
            by,
        };
        self.note(|seen| seen.asked.push(asked));
    }

    /// Connects, and says who has answered.
    async fn connect(&self) -> io::Result<(TcpStream, u8)> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.hello).await?;
        let mut answer = [0; ANSWER];
        stream.read_exact(&mut answer).await?;
        let [by, ..] = answer;
        Ok((stream, by))
    }

    /// Comes, after `first`, as often as it takes; nothing once all is over.
    async fn connected(&self, first: &mut Duration) -> Option<(TcpStream, u8)> {
        while !*self.ended.borrow() {
            tokio::time::sleep(*first).await;
            *first = AGAIN;
            if let Ok(there) = self.connect().await {
                return Some(there);
            }
        }
        None
    }

    /// Asks again and again; comes back when it is cut.
    async fn last(self, mut first: Duration) {
        let mut ended = self.ended.clone();
        while let Some((mut stream, to)) = self.connected(&mut first).await {
            while !*self.ended.borrow() {
                let at = Instant::now();
                let is_cut = tokio::select! {
                    answer = ask_again(&mut stream, to) => answer.is_err(),
                    _ = ended.wait_for(|ended| *ended) => false,
                };
                let lasted = Lasted {
                    at: at - self.began,
                    took: at.elapsed(),
                    to,
                    is_cut,
                };
                self.note(|seen| seen.lasted.push(lasted));
                if is_cut {
                    break;
                }
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// Says nothing more, and comes anew when it is ended.
    async fn stay(self, number: usize, mut first: Duration) {
        let mut ended = self.ended.clone();
        while let Some((mut stream, to)) = self.connected(&mut first).await {
            self.note(|seen| {
                seen.stands.insert(number, to);
            });
            // The rest of its answer was read.
            let mut more = [0];
            let over = tokio::select! {
                read = stream.read(&mut more) => read,
                _ = ended.wait_for(|ended| *ended) => return,
            };
            self.note(|seen| {
                seen.stands.remove(&number);
                match over {
                    Ok(0) => seen.moved += 1,
                    Ok(_) | Err(_) => seen.lost += 1,
                }
            });
        }
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Asks once more. Each byte of the answer is the number of the server.
async fn ask_again(stream: &mut TcpStream, server: u8) -> io::Result<()> {
    stream.write_all(&[b'?'; QUESTION]).await?;
    let mut answer = [0; ANSWER];
    stream.read_exact(&mut answer).await?;
    if answer == [server; ANSWER] {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
