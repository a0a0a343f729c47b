//! Options and errors of TCP sockets, the same on both sides.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use socket2::{SockRef, TcpKeepalive};

use crate::config::Tcp;

/// Sets TCP_NODELAY, keepalive and TCP_USER_TIMEOUT as configured.
///
/// # Errors
/// What the kernel says.
pub fn set_options(socket: &SockRef<'_>, options: Tcp) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(options.user_timeout)?;
    socket.set_keepalive(options.keepalive.is_some())?;
    if let Some(keepalive) = options.keepalive {
        let probes = TcpKeepalive::new()
            .with_time(keepalive.idle)
            .with_interval(keepalive.interval)
            .with_retries(keepalive.probes);
        socket.set_tcp_keepalive(&probes)?;
    }
    Ok(())
}

/// Makes the close of this socket a reset instead of an orderly end.
pub fn reset_on_close(socket: &SockRef<'_>) {
    // Fails only on what is no socket; the close is orderly then, and the log line right.
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// Whether the error says that descriptors or memory have run out, here or in the kernel.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    const SHORT: [Errno; 4] =
        [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| SHORT.contains(&Errno::from_raw(code)))
}

/// Whether the error says that the peer is gone without a word, not that it reset.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    const GONE: [Errno; 5] = [
        Errno::ETIMEDOUT,
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::EHOSTDOWN,
        Errno::ENETDOWN,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| GONE.contains(&Errno::from_raw(code)))
}
