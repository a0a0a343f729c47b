//! Non-blocking sockets with the few calls that the generator needs.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, listen,
    recv, send, socket_with, sockopt,
};

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// What a call on a socket came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many bytes.
    Bytes(usize),
    /// The kernel would have waited.
    Blocked,
    /// The end of the stream.
    End,
}

/// Begins to connect.
///
/// # Errors
/// What the kernel says at once.
pub fn begin(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno.into()),
    }
}

/// Listens.
///
/// # Errors
/// What the kernel says.
pub fn listener(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, 65_535)?;
    Ok(socket)
}

/// Accepts one client.
///
/// # Errors
/// What the kernel says; `None` when nobody waits.
pub fn accept(listener: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    match rustix::net::accept_with(listener, FLAGS) {
        Ok(client) => Ok(Some(client)),
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes once.
///
/// # Errors
/// What the kernel says.
pub fn write(socket: &OwnedFd, bytes: &[u8]) -> io::Result<Outcome> {
    outcome(send(socket, bytes, SendFlags::NOSIGNAL))
}

/// Reads once.
///
/// # Errors
/// What the kernel says.
pub fn read(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Outcome> {
    let read = recv(socket, buffer, RecvFlags::empty()).map(|(_, len)| len);
    outcome(read).map(ended)
}

/// Takes bytes out of the kernel without copying them here (MSG_TRUNC), so that a receiver
/// costs less than what it receives from.
///
/// # Errors
/// What the kernel says.
pub fn discard(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Outcome> {
    let read = recv(socket, buffer, RecvFlags::TRUNC).map(|(_, len)| len);
    outcome(read).map(ended)
}

/// Whether the connection stands, when a poll says that it may be written to.
///
/// # Errors
/// Why it does not.
pub fn connected(socket: &OwnedFd) -> io::Result<()> {
    Ok(sockopt::socket_error(socket)??)
}

fn outcome(result: rustix::io::Result<usize>) -> io::Result<Outcome> {
    match result {
        Ok(len) => Ok(Outcome::Bytes(len)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Outcome::Blocked),
        Err(errno) => Err(errno.into()),
    }
}

const fn ended(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Bytes(0) => Outcome::End,
        Outcome::Bytes(_) | Outcome::Blocked | Outcome::End => outcome,
    }
}
