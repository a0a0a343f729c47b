//! Long-lived connections, as watches are: opened once, read for as long as they last, opened
//! again when they are cut. Each cut is recorded.
//!
//! They own one thread in the client host's namespace; dropping them ends it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, sleep, timeout};

use crate::client::{PATIENCE, Question, connect, get, runtime};
use crate::error::LabError;
use crate::host::NamespaceHost;

/// How long a connection that was cut waits before it is opened again.
const AGAIN: Duration = Duration::from_millis(100);
/// Keepalive of the connections: one that only listens learns of its end by nothing else when
/// the address has moved to a host that does not know it.
const PROBE: Duration = Duration::from_secs(1);
/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// An end that the client did not want.
#[derive(Debug, Clone)]
pub struct Cut {
    /// When the client learnt of it.
    pub at: Instant,
    /// Which of the connections.
    pub number: usize,
    /// In words.
    pub why: String,
}

/// A set of long-lived connections.
#[derive(Debug)]
pub struct Watchers {
    cuts: Arc<Mutex<Vec<Cut>>>,
    open: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchers {
    /// Opens `count` connections from `host` and keeps them.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        host: &NamespaceHost,
        question: Question,
        count: usize,
    ) -> Result<Self, LabError> {
        let cuts = Arc::<Mutex<Vec<Cut>>>::default();
        let open = Arc::new(AtomicUsize::new(0));
        let ending = Arc::new(AtomicBool::new(false));
        let (to, now_open, end) = (cuts.clone(), open.clone(), ending.clone());
        let thread = host.netns().thread("watchers", move || {
            let Ok(runtime) = runtime() else { return };
            runtime.block_on(async {
                let question = Arc::new(question);
                for number in 0..count {
                    let (question, to) = (question.clone(), to.clone());
                    tokio::spawn(keep(number, question, to, now_open.clone()));
                }
                let mut look = interval(LOOK);
                while !end.load(Ordering::Relaxed) {
                    look.tick().await;
                }
            });
        })?;
        Ok(Self {
            cuts,
            open,
            ending,
            thread: Some(thread),
        })
    }

    /// How many are open and have had their first bytes.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The cuts in `from..to`.
    #[must_use]
    pub fn cuts(&self, from: Instant, to: Instant) -> Vec<Cut> {
        let cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.iter()
            .filter(|c| (from..to).contains(&c.at))
            .cloned()
            .collect()
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn keep(
    number: usize,
    question: Arc<Question>,
    cuts: Arc<Mutex<Vec<Cut>>>,
    open: Arc<AtomicUsize>,
) {
    loop {
        let why = match timeout(PATIENCE, begin(&question)).await {
            Ok(Ok(mut stream)) => {
                open.fetch_add(1, Ordering::Relaxed);
                let why = read_on(&mut stream).await;
                open.fetch_sub(1, Ordering::Relaxed);
                Some(why)
            }
            // An attempt that fails is no cut: nothing was open.
            Ok(Err(_)) | Err(_) => None,
        };
        if let Some(why) = why {
            let cut = Cut {
                at: Instant::now(),
                number,
                why,
            };
            cuts.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(cut);
        }
        sleep(AGAIN).await;
    }
}

type Stream = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

async fn begin(question: &Question) -> Result<Stream, String> {
    let mut stream = connect(question).await?;
    let alive = TcpKeepalive::new()
        .with_time(PROBE)
        .with_interval(PROBE)
        .with_retries(2);
    let (tcp, _) = stream.get_ref();
    SockRef::from(tcp)
        .set_tcp_keepalive(&alive)
        .map_err(|e| e.to_string())?;
    let request = get(question, "keep-alive");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|e| e.to_string())?;
    let mut first = [0_u8; 12];
    stream
        .read_exact(&mut first)
        .await
        .map_err(|e| e.to_string())?;
    if &first == b"HTTP/1.1 200" {
        Ok(stream)
    } else {
        Err("not a 200".into())
    }
}

async fn read_on(stream: &mut Stream) -> String {
    let mut bytes = [0_u8; 4096];
    loop {
        match stream.read(&mut bytes).await {
            Ok(0) => return "closed".into(),
            Ok(_) => {}
            Err(why) => return why.to_string(),
        }
    }
}
