//! A client that opens a new TLS connection every 10 ms, or at another pace, and asks one
//! question on it.
//!
//! It owns one thread in the client host's namespace; dropping it ends it. It never retries:
//! what a request became is recorded once. Session resumption is off, so each is a full
//! handshake with the server that got the connection.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;

use crate::error::{Doing, LabError};
use crate::host::NamespaceHost;
use crate::wait;

/// Between two connections.
pub const EVERY: Duration = Duration::from_millis(10);
/// An answer later than this is slow.
pub const SLOW: Duration = Duration::from_millis(300);
/// When a request that got no answer has failed.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What a request became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Still on its way.
    Open,
    /// Status 200 and the whole body.
    Answered,
    /// Anything else, in words.
    Failed(String),
}

/// One connection with its one request.
#[derive(Debug, Clone)]
pub struct Request {
    /// When the connection was begun.
    pub opened: Instant,
    /// When it was over.
    pub ended: Option<Instant>,
    /// What it became.
    pub outcome: Outcome,
}

/// Where the client's questions go.
#[derive(Debug, Clone)]
pub struct Question {
    /// The virtual address and its port.
    pub target: SocketAddr,
    /// Whom to trust, and as whom to come.
    pub tls: Arc<rustls::ClientConfig>,
    /// The path to GET.
    pub path: String,
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    record: Arc<Mutex<Vec<Request>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts asking from `host`, [`EVERY`] 10 ms.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(host: &NamespaceHost, question: Question) -> Result<Self, LabError> {
        Self::paced(host, question, EVERY)
    }

    /// Starts asking from `host`, once in `every`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn paced(
        host: &NamespaceHost,
        question: Question,
        every: Duration,
    ) -> Result<Self, LabError> {
        let record = Arc::<Mutex<Vec<Request>>>::default();
        let ending = Arc::new(AtomicBool::new(false));
        let (to, end) = (record.clone(), ending.clone());
        let thread = host.netns().thread("client", move || {
            if let Ok(runtime) = runtime() {
                runtime.block_on(ask_on(question, every, to, &end));
            }
        })?;
        Ok(Self {
            record,
            ending,
            thread: Some(thread),
        })
    }

    /// The requests opened in `from..to`.
    #[must_use]
    pub fn requests(&self, from: Instant, to: Instant) -> Vec<Request> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let first = record.partition_point(|r| r.opened < from);
        let last = record.partition_point(|r| r.opened < to);
        record.get(first..last).unwrap_or_default().to_vec()
    }

    /// The requests opened in `from..to`, all of them over: one that gets no answer is, after
    /// [`PATIENCE`].
    ///
    /// # Errors
    /// When one of them has no end; the client itself has stopped, then.
    pub fn ended(&self, from: Instant, to: Instant) -> Result<Vec<Request>, LabError> {
        let over = |requests: &Vec<Request>| requests.iter().all(|r| r.ended.is_some());
        wait::until("the end of all requests", PATIENCE * 2, || {
            Some(self.requests(from, to)).filter(over)
        })
    }

    /// Whether the last request that ended was answered.
    #[must_use]
    pub fn answered_last(&self) -> bool {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let last = record.iter().rev().take(200).find(|r| r.ended.is_some());
        last.is_some_and(|r| r.outcome == Outcome::Answered)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What the requests of a stretch add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// All of them.
    pub asked: usize,
    /// Opened after the fault and not answered; one without an end is not.
    pub failed: usize,
    /// Answered, later than [`SLOW`].
    pub slow: usize,
    /// The longest time to an answer.
    pub slowest: Duration,
    /// Open at the fault or when the address moved, and lost by it.
    pub in_flight: usize,
    /// Why those that count as failed did.
    pub reasons: Vec<String>,
}

/// Adds up. `losses` are the fault and the moves of the address, each from when it began to
/// when it was done: what was open meanwhile and failed is in flight, not failed.
#[must_use]
pub fn sum(requests: &[Request], losses: &[RangeInclusive<Instant>]) -> Sum {
    let mut sum = Sum::default();
    for request in requests {
        sum.asked += 1;
        let ended = request.ended;
        let took = ended.map_or(Duration::MAX, |ended| {
            ended.saturating_duration_since(request.opened)
        });
        let open = |loss: &RangeInclusive<Instant>| {
            request.opened <= *loss.end() && ended.is_none_or(|end| *loss.start() <= end)
        };
        let why = match &request.outcome {
            Outcome::Answered => {
                sum.slow += usize::from(took > SLOW);
                sum.slowest = sum.slowest.max(took);
                continue;
            }
            Outcome::Failed(why) => format!("after {took:?}: {why}"),
            Outcome::Open => "it has no end".to_owned(),
        };
        if losses.iter().any(open) {
            sum.in_flight += 1;
        } else {
            sum.failed += 1;
            sum.reasons.push(why);
        }
    }
    sum
}

/// A runtime for one thread of the lab.
///
/// # Errors
/// When the kernel gives no epoll descriptor.
pub fn runtime() -> Result<tokio::runtime::Runtime, LabError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("a runtime")
}

/// Asks once, from `host`.
///
/// # Errors
/// When the thread cannot be started; the inner result is the answer's.
pub fn once(
    host: &NamespaceHost,
    question: &Question,
) -> Result<Result<(), String>, LabError> {
    let question = question.clone();
    host.run(move || {
        let runtime = runtime()?;
        let asked = runtime.block_on(async { timeout(PATIENCE, ask(&question)).await });
        Ok(asked.unwrap_or_else(|_| Err("no answer in time".into())))
    })?
}

/// Asks once, from `host`, for the body.
///
/// # Errors
/// When there is no answer of 200 in time.
pub fn body(host: &NamespaceHost, question: &Question) -> Result<String, LabError> {
    let question = question.clone();
    host.run(move || {
        let asked = async { timeout(PATIENCE, text(&question)).await };
        let asked = runtime()?.block_on(asked);
        let asked = asked.unwrap_or_else(|_| Err("no answer in time".into()));
        asked.map_err(LabError::Missing)
    })?
}

async fn ask_on(
    question: Question,
    every: Duration,
    record: Arc<Mutex<Vec<Request>>>,
    ending: &AtomicBool,
) {
    let question = Arc::new(question);
    let mut slots = interval(every);
    // An absolute schedule: a stall of the lab must not thin the questions out.
    slots.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !ending.load(Ordering::Relaxed) {
        slots.tick().await;
        let number = begin(&record);
        let (question, record) = (question.clone(), record.clone());
        tokio::spawn(async move {
            let outcome = match timeout(PATIENCE, ask(&question)).await {
                Ok(Ok(())) => Outcome::Answered,
                Ok(Err(why)) => Outcome::Failed(why),
                Err(_) => Outcome::Failed("no answer in time".into()),
            };
            end(&record, number, outcome);
        });
    }
}

fn begin(record: &Mutex<Vec<Request>>) -> usize {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    record.push(Request {
        opened: Instant::now(),
        ended: None,
        outcome: Outcome::Open,
    });
    record.len() - 1
}

fn end(record: &Mutex<Vec<Request>>, number: usize, outcome: Outcome) {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(request) = record.get_mut(number) {
        request.ended = Some(Instant::now());
        request.outcome = outcome;
    }
}

async fn ask(question: &Question) -> Result<(), String> {
    let answer = answer(question, &get(question, "close")).await?;
    good(&answer, "HTTP/1.1 200")
}

/// In HTTP/1.0 an answer has no chunks and lasts until its connection ends.
async fn text(question: &Question) -> Result<String, String> {
    let Question { path, target, .. } = question;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {target}\r\n\r\n");
    let answer = answer(question, &request).await?;
    good(&answer, "HTTP/1.0 200")?;
    let answer = String::from_utf8_lossy(&answer);
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    body.ok_or_else(|| "answer: a head without an end".into())
}

fn good(answer: &[u8], start: &str) -> Result<(), String> {
    if answer.starts_with(start.as_bytes()) {
        return Ok(());
    }
    let line = answer.split(|b| *b == b'\r').next().unwrap_or_default();
    Err(format!("answer: {:?}", String::from_utf8_lossy(line)))
}

/// All that comes after a request on a connection of its own, until it ends.
async fn answer(question: &Question, request: &str) -> Result<Vec<u8>, String> {
    let mut stream = connect(question).await?;
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|e| format!("request: {e}"))?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .map_err(|e| format!("answer: {e}"))?;
    // Closed by both sides; what a reset says after the whole answer is of no interest.
    drop(stream.shutdown().await);
    Ok(answer)
}

/// A TLS connection to the target.
pub(crate) async fn connect(
    question: &Question,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
    let tcp = TcpStream::connect(question.target).await;
    let tcp = tcp.map_err(|e| format!("connect: {e}"))?;
    tcp.set_nodelay(true).map_err(|e| format!("connect: {e}"))?;
    let name = ServerName::from(question.target.ip());
    let connector = TlsConnector::from(question.tls.clone());
    connector
        .connect(name, tcp)
        .await
        .map_err(|e| format!("handshake: {e}"))
}

/// The request line and headers.
pub(crate) fn get(question: &Question, connection: &str) -> String {
    let Question { path, target, .. } = question;
    format!("GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: {connection}\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_open_at_an_instant_is_in_flight_what_came_later_has_failed() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let row = |opened, ended, outcome| Request {
            opened: at(opened),
            ended: Some(at(ended)),
            outcome,
        };
        let failed = || Outcome::Failed("reset".into());
        let requests = [
            row(0, 5, Outcome::Answered),
            row(10, 30, failed()),
            row(21, 40, failed()),
            row(25, 400, Outcome::Answered),
            Request {
                opened: at(50),
                ended: None,
                outcome: Outcome::Open,
            },
        ];
        let sums = sum(&requests, &[at(20)..=at(20)]);
        assert_eq!((sums.asked, sums.in_flight), (5, 1));
        assert_eq!((sums.failed, sums.slow), (2, 1));
        assert_eq!(sums.reasons, ["after 19ms: reset", "it has no end"]);
        assert_eq!(sums.slowest, Duration::from_millis(375));
        // The fault took until 22 ms: what was opened meanwhile may have met it.
        let sums = sum(&requests, &[at(20)..=at(22)]);
        assert_eq!((sums.in_flight, sums.failed), (2, 1));
        let sums = sum(&requests, &[at(20)..=at(50)]);
        assert_eq!((sums.in_flight, sums.failed), (3, 0));
    }
}
