//! What the kernel knows of a socket towards a server and no safe call asks for.
//!
//! The one file of this crate with `unsafe` in it.

#![expect(
    unsafe_code,
    reason = "SIOCOUTQ has no safe wrapper; each block is argued"
)]

use std::ffi::c_int;
use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// `SIOCOUTQ` of `linux/sockios.h`, which is `TIOCOUTQ` of `asm-generic/ioctls.h`.
const SIOCOUTQ: Opcode = 0x5411;

/// Bytes that were given to the kernel for the peer and that the peer has not acknowledged,
/// sent or not (tcp(7)); 0 where the socket is no connection any more.
#[must_use]
pub(super) fn unacknowledged(socket: impl AsFd) -> u32 {
    // SAFETY: the kernel writes one `int` for this opcode, whatever kind of descriptor it is
    // asked of; on an error nothing is written, and rustix returns the error instead.
    let queued = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) };
    queued.map_or(0, |bytes| u32::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn bytes_that_a_peer_has_no_room_for_are_owed_until_it_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        assert_eq!(unacknowledged(&sender), 0);
        sender.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(len) = sender.write(&[0; 65_536]) {
            sent += len;
        }
        assert!(unacknowledged(&sender) > 0);
        let mut taken = vec![0; sent];
        receiver.read_exact(&mut taken).unwrap();
        // The acknowledgement of the last bytes may still be under way.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while unacknowledged(&sender) > 0 {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(unacknowledged(file), 0);
    }
}
