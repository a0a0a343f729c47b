//! Servers that answer as fast as they can: what stands behind the proxies.
//!
//! One thread per server. Three ports each, a way of answering per port: [`Manner`].

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::poll::{Interest, Poll};
use super::socket::{self, Outcome};

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each `request` bytes that come in are answered by `reply` bytes.
    Answers {
        /// Bytes of a request.
        request: usize,
        /// Bytes of its answer.
        reply: usize,
    },
    /// Sends without end.
    Pours,
    /// Takes everything.
    Swallows,
}

/// What one write of [`Manner::Pours`] offers.
const CHUNK: usize = 256 * 1024;
/// Calls for one connection before the others have their turn.
const TURN: usize = 4;

struct Connection {
    socket: OwnedFd,
    manner: Manner,
    /// Bytes received that are no whole request yet.
    received: usize,
    /// Bytes of answers that the peer did not take yet.
    owed: usize,
}

/// Serves until the process ends.
///
/// # Errors
/// When an address cannot be had.
pub fn serve(addresses: &[(SocketAddr, Manner)]) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listeners = Vec::new();
    for (token, (address, manner)) in addresses.iter().enumerate() {
        let listener = socket::listener(*address)?;
        poll.add(&listener, token, Interest::IN)?;
        listeners.push((listener, *manner));
    }
    let mut connections: HashMap<usize, Connection> = HashMap::new();
    let mut next = listeners.len();
    let mut buffer = vec![0; CHUNK];
    loop {
        let events = poll.wait(None)?;
        for n in 0..events {
            let Some((token, _)) = poll.event(n) else {
                break;
            };
            if let Some((listener, manner)) = listeners.get(token) {
                while let Ok(Some(socket)) = socket::accept(listener) {
                    // Level-triggered: one call per event is enough, and nothing is lost.
                    let interest = match manner {
                        Manner::Pours => Interest::OUT,
                        Manner::Answers { .. } | Manner::Swallows => Interest::IN,
                    };
                    poll.add(&socket, next, interest)?;
                    let connection = Connection {
                        socket,
                        manner: *manner,
                        received: 0,
                        owed: 0,
                    };
                    connections.insert(next, connection);
                    next += 1;
                }
            } else if let Some(connection) = connections.get_mut(&token)
                && !matches!(connection.serve(&mut buffer), Ok(true))
            {
                connections.remove(&token);
            }
        }
    }
}

impl Connection {
    /// Does what can be done; `false` when the peer has ended.
    fn serve(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match self.manner {
            Manner::Answers { request, reply } => self.answer(request, reply, buffer),
            Manner::Pours => self.pour(buffer),
            Manner::Swallows => self.swallow(buffer),
        }
    }

    fn answer(
        &mut self,
        request: usize,
        reply: usize,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        match socket::read(&self.socket, buffer)? {
            Outcome::End => return Ok(false),
            Outcome::Blocked => {}
            Outcome::Bytes(len) => {
                self.received += len;
                self.owed += self.received / request * reply;
                self.received %= request;
            }
        }
        self.pay(buffer)
    }

    /// Answers are small: what a peer does not take at once it is given with its next request.
    fn pay(&mut self, buffer: &[u8]) -> io::Result<bool> {
        while self.owed > 0 {
            let bytes = buffer
                .get(..self.owed.min(buffer.len()))
                .unwrap_or_default();
            match socket::write(&self.socket, bytes)? {
                Outcome::Bytes(len) => self.owed -= len,
                Outcome::Blocked | Outcome::End => break,
            }
        }
        Ok(true)
    }

    fn pour(&self, buffer: &[u8]) -> io::Result<bool> {
        for _ in 0..TURN {
            if socket::write(&self.socket, buffer)? == Outcome::Blocked {
                break;
            }
        }
        Ok(true)
    }

    fn swallow(&self, buffer: &mut [u8]) -> io::Result<bool> {
        for _ in 0..TURN {
            match socket::discard(&self.socket, buffer)? {
                Outcome::Bytes(_) => {}
                Outcome::Blocked => break,
                Outcome::End => return Ok(false),
            }
        }
        Ok(true)
    }
}
