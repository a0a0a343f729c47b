//! An open loop: requests leave by the clock, whether or not earlier ones were answered.
//!
//! The latency of a request counts from when it was due, so a stall of the proxy is seen in
//! every request that it delays, not in one. The thread spins on its core: a generator that
//! sleeps would measure its own waking.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::closed::nanos;
use super::histogram::Histogram;
use super::poll::{Interest, Poll};
use super::socket::{self, Outcome};

/// What is asked, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub address: SocketAddr,
    /// Kept connections.
    pub connections: usize,
    /// Requests a second, over all connections.
    pub rate: u32,
    /// Bytes of a request.
    pub request: usize,
    /// Bytes of its answer.
    pub reply: usize,
    /// Before it counts.
    pub warm_up: Duration,
    /// While it counts.
    pub time: Duration,
}

/// What an open loop saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// From due to answered.
    pub latencies: Histogram,
    /// The longest time that the generator itself was away from its clock: what the machine
    /// did to it shows in every latency.
    pub away: Duration,
    /// Requests that were not answered by the end.
    pub lost: u64,
}

struct Connection {
    socket: OwnedFd,
    /// When the requests under way were due, oldest first.
    due: std::collections::VecDeque<Instant>,
    missing: usize,
}

/// Runs the plan. Meant for a thread that has a core of its own.
///
/// # Errors
/// When a connection breaks.
pub fn run(plan: Plan) -> io::Result<Seen> {
    let mut poll = Poll::new()?;
    let mut connections = open(&plan, &mut poll)?;
    let request = vec![b'q'; plan.request];
    let mut buffer = vec![0; 64 * 1024];
    let gap = Duration::from_secs(1) / plan.rate.max(1);
    let start = Instant::now();
    let counts = start + plan.warm_up;
    let end = counts + plan.time;
    let mut seen = Seen::default();
    let (mut due, mut turn, mut looked) = (start, 0, start);
    loop {
        let now = Instant::now();
        if now > counts {
            seen.away = seen.away.max(now - looked);
        }
        looked = now;
        while due <= now && due < end {
            let at = turn % plan.connections.max(1);
            if let Some(connection) = connections.get_mut(at) {
                connection.due.push_back(due);
                socket::write(&connection.socket, &request)?;
            }
            turn += 1;
            due += gap;
        }
        let events = poll.wait(Some(Duration::ZERO))?;
        for n in 0..events {
            let Some((token, _)) = poll.event(n) else {
                break;
            };
            if let Some(connection) = connections.get_mut(token) {
                connection.read(&plan, &mut buffer, counts, &mut seen.latencies)?;
            }
        }
        let waiting = connections
            .iter()
            .any(|connection| !connection.due.is_empty());
        if due >= end && (!waiting || now > end + Duration::from_secs(1)) {
            seen.lost = connections.iter().map(|c| c.due.len() as u64).sum();
            return Ok(seen);
        }
    }
}

fn open(plan: &Plan, poll: &mut Poll) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(plan.connections);
    for token in 0..plan.connections {
        let stream = std::net::TcpStream::connect(plan.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let socket = OwnedFd::from(stream);
        poll.add(&socket, token, Interest::IN)?;
        let due = std::collections::VecDeque::new();
        connections.push(Connection {
            socket,
            due,
            missing: plan.reply,
        });
    }
    Ok(connections)
}

impl Connection {
    fn read(
        &mut self,
        plan: &Plan,
        buffer: &mut [u8],
        counts: Instant,
        latencies: &mut Histogram,
    ) -> io::Result<()> {
        let mut len = match socket::read(&self.socket, buffer)? {
            Outcome::Bytes(len) => len,
            Outcome::Blocked => return Ok(()),
            Outcome::End => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let now = Instant::now();
        while len >= self.missing {
            len -= self.missing;
            self.missing = plan.reply;
            match self.due.pop_front() {
                Some(due) if due >= counts => latencies.add(nanos(now - due)),
                Some(_) => {}
                None => break,
            }
        }
        self.missing -= len.min(self.missing);
        Ok(())
    }
}
