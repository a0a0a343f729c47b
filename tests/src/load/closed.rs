//! Closed loops: so many connections, each of which waits for its answer before it goes on.
//!
//! With one request per connection it measures the connection rate, without a limit the rate
//! of requests over connections that are kept.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::poll::{Interest, Poll};
use super::socket::{self, Outcome};

/// What one thread of a closed loop does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask, in turn. Of one pair of addresses there are so few ports that a fast
    /// loop meets connections that its server has not closed yet.
    pub addresses: Vec<SocketAddr>,
    /// How many connections at once.
    pub connections: usize,
    /// Bytes of a request.
    pub request: usize,
    /// Bytes of its answer.
    pub reply: usize,
    /// Requests after which a connection is closed and another opened; `None`: never.
    pub lifetime: Option<u64>,
}

/// What all threads of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Answers that came whole.
    pub answered: AtomicU64,
    /// Connections that failed.
    pub failed: AtomicU64,
    /// Told to end.
    pub stop: AtomicBool,
    /// Latencies count while this is set.
    pub counting: AtomicBool,
}

struct Connection {
    socket: OwnedFd,
    /// Whether it was written to yet.
    asked: bool,
    begun: Instant,
    missing: usize,
    answers: u64,
}

/// Runs one thread's share until told to stop; returns the latencies: of a request, or of a
/// connection with all of its requests when its lifetime is one.
///
/// # Errors
/// When the generator itself is out of resources.
pub fn run(plan: &Plan, shared: &Shared) -> io::Result<Histogram> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(plan.connections);
    let mut addresses = plan.addresses.iter().copied().cycle();
    for token in 0..plan.connections {
        connections.push(Some(open(addresses.next(), &poll, token)?));
    }
    let mut latencies = Histogram::default();
    let request = vec![b'q'; plan.request];
    let mut buffer = vec![0; 64 * 1024];
    while !shared.stop.load(Ordering::Relaxed) {
        let events = poll.wait(Some(Duration::from_millis(50)))?;
        for n in 0..events {
            let Some((token, _)) = poll.event(n) else {
                break;
            };
            let Some(slot) = connections.get_mut(token) else {
                continue;
            };
            let Some(connection) = slot.as_mut() else {
                continue;
            };
            let step = connection.go_on(plan, &request, &mut buffer);
            let finished = match step {
                Ok(None) => continue,
                Ok(Some(nanos)) => {
                    shared.answered.fetch_add(1, Ordering::Relaxed);
                    if shared.counting.load(Ordering::Relaxed) {
                        latencies.add(nanos);
                    }
                    plan.lifetime.is_some_and(|most| connection.answers >= most)
                }
                Err(_) => {
                    shared.failed.fetch_add(1, Ordering::Relaxed);
                    true
                }
            };
            if finished {
                *slot = None;
                *slot = Some(open(addresses.next(), &poll, token)?);
            } else {
                connection.ask(&request)?;
            }
        }
    }
    Ok(latencies)
}

fn open(
    address: Option<SocketAddr>,
    poll: &Poll,
    token: usize,
) -> io::Result<Connection> {
    let begun = Instant::now();
    let socket = socket::begin(address.ok_or(io::ErrorKind::AddrNotAvailable)?)?;
    poll.add(&socket, token, Interest::IN | Interest::OUT | Interest::ET)?;
    Ok(Connection {
        socket,
        asked: false,
        begun,
        missing: 0,
        answers: 0,
    })
}

impl Connection {
    /// Writes the first request or reads an answer; `Some` when the answer is whole.
    fn go_on(
        &mut self,
        plan: &Plan,
        request: &[u8],
        buffer: &mut [u8],
    ) -> io::Result<Option<u64>> {
        if !self.asked {
            socket::connected(&self.socket)?;
            self.missing = plan.reply;
            self.asked = true;
            socket::write(&self.socket, request)?;
            return Ok(None);
        }
        match socket::read(&self.socket, buffer)? {
            Outcome::Blocked => Ok(None),
            Outcome::End => Err(io::ErrorKind::UnexpectedEof.into()),
            Outcome::Bytes(len) => {
                self.missing = self.missing.saturating_sub(len);
                if self.missing > 0 {
                    return Ok(None);
                }
                self.answers += 1;
                self.missing = plan.reply;
                Ok(Some(nanos(self.begun.elapsed())))
            }
        }
    }

    fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.begun = Instant::now();
        match socket::write(&self.socket, request) {
            Ok(_) => Ok(()),
            // The next read says so, too, and counts it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Nanoseconds, of which 64 bits hold 584 years.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
