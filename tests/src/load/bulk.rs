//! Streams that carry as much as they can, down or up.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::poll::{Interest, Poll};
use super::socket::{self, Outcome};

/// In which direction the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the server to the client.
    Down,
    /// From the client to the server.
    Up,
}

/// Bytes per call.
const CHUNK: usize = 256 * 1024;
/// Calls per event, so that the streams stay side by side.
const TURN: usize = 4;

/// Carries until told to stop. For [`Direction::Down`] `bytes` is what arrived, for
/// [`Direction::Up`] what the kernel took, which differs by its buffers only.
///
/// # Errors
/// When a stream breaks.
pub fn run(
    address: SocketAddr,
    streams: usize,
    direction: Direction,
    bytes: &AtomicU64,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut sockets = Vec::with_capacity(streams);
    let interest = match direction {
        Direction::Down => Interest::IN,
        Direction::Up => Interest::OUT,
    };
    for token in 0..streams {
        let socket = socket::begin(address)?;
        poll.add(&socket, token, interest)?;
        sockets.push(socket);
    }
    let mut buffer = vec![0; CHUNK];
    while !stop.load(Ordering::Relaxed) {
        let events = poll.wait(Some(Duration::from_millis(50)))?;
        for n in 0..events {
            let Some((token, _)) = poll.event(n) else {
                break;
            };
            let Some(socket) = sockets.get(token) else {
                continue;
            };
            for _ in 0..TURN {
                let outcome = match direction {
                    Direction::Down => socket::discard(socket, &mut buffer)?,
                    Direction::Up => socket::write(socket, &buffer)?,
                };
                match outcome {
                    Outcome::Bytes(len) => {
                        bytes.fetch_add(len as u64, Ordering::Relaxed);
                    }
                    Outcome::Blocked => break,
                    Outcome::End => return Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
        }
    }
    Ok(())
}
