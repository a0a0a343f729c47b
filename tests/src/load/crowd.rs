//! Many clients at once: a storm that connects together, a crowd that then does nothing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::closed::nanos;
use super::histogram::Histogram;
use super::poll::{Interest, Poll};
use super::socket::{self, Outcome};

/// A crowd that was served.
#[derive(Debug)]
pub struct Crowd {
    /// Their connections, open.
    pub connections: Vec<OwnedFd>,
    /// From the start of the storm to each one's answer.
    pub served_after: Histogram,
    /// Those that got none within the limit.
    pub failed: usize,
    /// From the start to the last answer.
    pub all_after: Duration,
}

/// Lets `size` clients connect at once, each with one request.
///
/// # Errors
/// When the generator itself is out of resources.
pub fn storm(
    address: SocketAddr,
    size: usize,
    request: usize,
    reply: usize,
    limit: Duration,
) -> io::Result<Crowd> {
    let mut poll = Poll::new()?;
    let request = vec![b'q'; request];
    let mut buffer = vec![0; 64 * 1024];
    let start = Instant::now();
    let mut connections = Vec::with_capacity(size);
    let mut missing = vec![None; size];
    for token in 0..size {
        let socket = socket::begin(address)?;
        poll.add(&socket, token, Interest::IN | Interest::OUT | Interest::ET)?;
        connections.push(socket);
    }
    let mut served_after = Histogram::default();
    let (mut waiting, mut failed, mut all_after) = (size, 0, Duration::ZERO);
    while waiting > 0 && start.elapsed() < limit {
        let events = poll.wait(Some(Duration::from_millis(50)))?;
        for n in 0..events {
            let Some((token, _)) = poll.event(n) else {
                break;
            };
            let (Some(socket), Some(missing)) =
                (connections.get(token), missing.get_mut(token))
            else {
                continue;
            };
            match advance(socket, missing, &request, reply, &mut buffer) {
                Ok(false) => {}
                Ok(true) => {
                    waiting -= 1;
                    all_after = start.elapsed();
                    served_after.add(nanos(all_after));
                }
                Err(_) => {
                    waiting -= 1;
                    failed += 1;
                    *missing = Some(0);
                }
            }
        }
    }
    failed += waiting;
    Ok(Crowd {
        connections,
        served_after,
        failed,
        all_after,
    })
}

/// `true` when the answer has just become whole.
fn advance(
    socket: &OwnedFd,
    missing: &mut Option<usize>,
    request: &[u8],
    reply: usize,
    buffer: &mut [u8],
) -> io::Result<bool> {
    match missing {
        None => {
            socket::connected(socket)?;
            socket::write(socket, request)?;
            *missing = Some(reply);
            Ok(false)
        }
        Some(0) => Ok(false),
        Some(left) => match socket::read(socket, buffer)? {
            Outcome::Blocked => Ok(false),
            Outcome::End => Err(io::ErrorKind::UnexpectedEof.into()),
            Outcome::Bytes(len) => {
                *left = left.saturating_sub(len);
                Ok(*left == 0)
            }
        },
    }
}
