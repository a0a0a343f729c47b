//! The sockets towards servers: begun here, connected when the poll says so.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use socket2::SockRef;

use crate::config::Tcp;
use crate::tcp;

/// Begins to connect to a server.
///
/// # Errors
/// What the system says at once: no descriptor, no route, no local port.
pub(super) fn begin(address: &SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Why a connect that the poll reported on has failed; `None` when it has not.
#[must_use]
pub(super) fn failure(socket: impl AsFd) -> Option<ErrorKind> {
    match sockopt::socket_error(socket) {
        Ok(Ok(())) => None,
        Ok(Err(errno)) | Err(errno) => Some(kind(errno)),
    }
}

/// The standard library's word for an error.
#[must_use]
pub(super) fn kind(errno: Errno) -> ErrorKind {
    std::io::Error::from(errno).kind()
}

/// Whether a dial that failed so says something of its server. That no local port is free
/// towards it (EADDRNOTAVAIL of connect(2)) does not, though another server may be reached.
#[must_use]
pub(super) fn blames(kind: ErrorKind) -> bool {
    kind != ErrorKind::AddrNotAvailable
}

/// Whether the process or the system has run out of something that comes back.
#[must_use]
pub(super) fn is_shortage(errno: Errno) -> bool {
    tcp::is_shortage(&errno.into())
}

/// Whether the options of [`settle`] have to be set before the connection is known to last:
/// they could strike within `young`.
#[must_use]
pub(super) fn is_urgent(tcp: &Tcp, young: Duration) -> bool {
    let keepalive = tcp.keepalive.as_ref().map(|keepalive| keepalive.idle);
    [keepalive, tcp.user_timeout]
        .into_iter()
        .flatten()
        .any(|limit| limit <= young)
}

/// Sets what only a connection that lasts needs. A connection that is over within its first
/// second never pays for these calls.
pub(super) fn settle(socket: impl AsFd, options: &Tcp) {
    // Cannot fail with values that the configuration lets pass, and a connection without
    // these options is still a connection.
    let _ = tcp::set_options(&SockRef::from(&socket), *options);
}

/// Makes the coming close a reset, so that the peer does not take a broken stream for a
/// complete one.
pub(super) fn reset_on_close(socket: impl AsFd) {
    tcp::reset_on_close(&SockRef::from(&socket));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_here_is_no_fault_of_the_server() {
        for (errno, is_ours) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOBUFS, true),
            (Errno::NOMEM, true),
            (Errno::ADDRNOTAVAIL, true),
            (Errno::CONNREFUSED, false),
            (Errno::NETUNREACH, false),
        ] {
            let seen = is_shortage(errno) || !blames(kind(errno));
            assert_eq!(seen, is_ours, "{errno}");
        }
    }
}
