//! The system calls of the relay: one read and one write per step.
//!
//! Each function tries once, takes what the kernel gives, and says what happened in the
//! words of [`super::relay`]. What the destination would not take is held for the flow.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::pipe::{SpliceFlags, splice};

use super::pending::{Held, Pending, Stores};
use super::pipes::Pipe;
use super::relay::{Fault, Gave, Took};

/// What one worker reads into. One for all of its sessions: nothing stays in it.
pub(super) const SCRATCH: usize = 64 * 1024;

const SPLICE_FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;

/// Moves bytes through `scratch`.
pub(super) fn copy(
    from: impl AsFd,
    to: impl AsFd,
    scratch: &mut [u8],
    stores: &mut Stores,
    held: &mut Held,
) -> (Took, Gave) {
    let took = take(from, scratch);
    let Took::Bytes { len, .. } = took else {
        return (took, Gave::All);
    };
    let bytes = scratch.get(..len as usize).unwrap_or_default();
    (took, give(to, bytes, stores, held))
}

/// Reads once into `scratch`.
pub(super) fn take(from: impl AsFd, scratch: &mut [u8]) -> Took {
    match retry(|| recv(&from, &mut *scratch, RecvFlags::empty())) {
        Ok((_, 0)) => Took::Eof,
        Ok((_, len)) => Took::Bytes {
            len: count(len),
            full: len == scratch.len(),
        },
        Err(errno) => Miss::of(errno).took(),
    }
}

/// Writes `bytes` once; what is left is held.
pub(super) fn give(
    to: impl AsFd,
    bytes: &[u8],
    stores: &mut Stores,
    held: &mut Held,
) -> Gave {
    match retry(|| send(&to, bytes, SEND_FLAGS)) {
        Ok(sent) if sent == bytes.len() => Gave::All,
        Ok(sent) => keep(bytes, sent, stores, held),
        Err(errno) => match Miss::of(errno) {
            miss @ (Miss::Later | Miss::Starved) => {
                *held = stores.hold(bytes);
                miss.gave(count(bytes.len()))
            }
            Miss::Failed(fault) => Gave::Failed(fault),
        },
    }
}

/// Writes what of the kept bytes this destination does not have yet. They stay.
pub(super) fn give_kept(to: impl AsFd, kept: &mut Pending) -> Gave {
    match retry(|| send(&to, kept.rest(), SEND_FLAGS)) {
        Ok(sent) => kept.advance(sent),
        Err(errno) => return Miss::of(errno).gave(count(kept.rest().len())),
    }
    match count(kept.rest().len()) {
        0 => Gave::All,
        left => Gave::Part { left },
    }
}

/// Moves at most `most` bytes through a pipe in the kernel; `None` when there is no pipe, or
/// no memory to fill it: copying needs none.
/// A pipe holds more than its pages where the network gives larger ones, so its width is no
/// limit.
pub(super) fn through_pipe(
    from: impl AsFd,
    to: impl AsFd,
    most: u32,
    stores: &mut Stores,
    held: &mut Held,
) -> Option<(Took, Gave)> {
    let pipe = stores.pipes.lend()?;
    let took = match pull(from.as_fd(), &pipe, most) {
        Ok(0) => Took::Eof,
        Ok(len) => Took::Bytes {
            len: count(len),
            full: false,
        },
        Err(errno) => Miss::of(errno).took(),
    };
    let Took::Bytes { len, .. } = took else {
        stores.pipes.give_back(pipe);
        return (took != Took::Starved).then_some((took, Gave::All));
    };
    Some((took, push(pipe, len, to.as_fd(), stores, held)))
}

/// Writes what a flow holds; `left` is how much that is.
pub(super) fn flush(
    to: impl AsFd,
    left: u32,
    stores: &mut Stores,
    held: &mut Held,
) -> Gave {
    match std::mem::take(held) {
        Held::Nothing => Gave::All,
        Held::Pipe(pipe) => push(pipe, left, to.as_fd(), stores, held),
        Held::Bytes(pending) => flush_bytes(to, pending, stores, held),
    }
}

/// Why a call on a connected socket moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    /// Nothing is there, or no room: a poll reports when there is.
    Later,
    /// The kernel has no memory for this call. The connection is well.
    Starved,
    /// The connection is broken.
    Failed(Fault),
}

impl Miss {
    const fn of(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Self::Later,
            Errno::NOMEM | Errno::NOBUFS => Self::Starved,
            errno => Self::Failed(fault_of(errno)),
        }
    }

    const fn took(self) -> Took {
        match self {
            Self::Later => Took::Empty,
            Self::Starved => Took::Starved,
            Self::Failed(fault) => Took::Failed(fault),
        }
    }

    /// Of a write that had `left` bytes to give.
    const fn gave(self, left: u32) -> Gave {
        match self {
            Self::Later => Gave::Part { left },
            Self::Starved => Gave::Starved { left },
            Self::Failed(fault) => Gave::Failed(fault),
        }
    }
}

/// What an error of a connected socket means.
#[must_use]
pub(super) const fn fault_of(errno: Errno) -> Fault {
    match errno {
        Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN | Errno::CONNABORTED => {
            Fault::Reset
        }
        Errno::TIMEDOUT => Fault::TimedOut,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN => Fault::Unreachable,
        _ => Fault::Other,
    }
}

fn flush_bytes(
    to: impl AsFd,
    mut pending: Box<Pending>,
    stores: &mut Stores,
    held: &mut Held,
) -> Gave {
    let sent = match retry(|| send(&to, pending.rest(), SEND_FLAGS)) {
        Ok(sent) => sent,
        Err(errno) => {
            let left = count(pending.rest().len());
            return missed(Miss::of(errno), left, Held::Bytes(pending), stores, held);
        }
    };
    pending.advance(sent);
    let left = count(pending.rest().len());
    if left == 0 {
        stores.emptied(Held::Bytes(pending));
        return Gave::All;
    }
    *held = Held::Bytes(pending);
    Gave::Part { left }
}

fn keep(bytes: &[u8], sent: usize, stores: &mut Stores, held: &mut Held) -> Gave {
    let rest = bytes.get(sent..).unwrap_or_default();
    *held = stores.hold(rest);
    Gave::Part {
        left: count(rest.len()),
    }
}

fn pull(from: BorrowedFd<'_>, pipe: &Pipe, most: u32) -> rustix::io::Result<usize> {
    let most = most as usize;
    retry(|| splice(from, None, pipe.inlet(), None, most, SPLICE_FLAGS))
}

fn push(
    pipe: Pipe,
    len: u32,
    to: BorrowedFd<'_>,
    stores: &mut Stores,
    held: &mut Held,
) -> Gave {
    let want = len as usize;
    let sent = match retry(|| splice(pipe.outlet(), None, to, None, want, SPLICE_FLAGS)) {
        Ok(sent) => sent,
        Err(errno) => {
            return missed(Miss::of(errno), len, Held::Pipe(pipe), stores, held);
        }
    };
    if sent >= want {
        stores.emptied(Held::Pipe(pipe));
        return Gave::All;
    }
    *held = Held::Pipe(pipe);
    Gave::Part {
        left: count(want - sent),
    }
}

/// What was to be written is held for the next try, or given up with its connection.
fn missed(
    miss: Miss,
    left: u32,
    what: Held,
    stores: &mut Stores,
    held: &mut Held,
) -> Gave {
    match miss {
        Miss::Later | Miss::Starved => *held = what,
        Miss::Failed(_) => stores.abandoned(what),
    }
    miss.gave(left)
}

/// A signal is no reason to stop; the loop ends because a call that is not interrupted
/// never waits.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// No read here is larger than a `u32`.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_memory_is_no_fault_of_a_connection() {
        let left = 7;
        for (errno, took, gave) in [
            (Errno::AGAIN, Took::Empty, Gave::Part { left }),
            (Errno::NOMEM, Took::Starved, Gave::Starved { left }),
            (Errno::NOBUFS, Took::Starved, Gave::Starved { left }),
            (
                Errno::CONNRESET,
                Took::Failed(Fault::Reset),
                Gave::Failed(Fault::Reset),
            ),
            (
                Errno::TIMEDOUT,
                Took::Failed(Fault::TimedOut),
                Gave::Failed(Fault::TimedOut),
            ),
            (
                Errno::BADF,
                Took::Failed(Fault::Other),
                Gave::Failed(Fault::Other),
            ),
        ] {
            let miss = Miss::of(errno);
            assert_eq!((miss.took(), miss.gave(left)), (took, gave), "{errno}");
        }
    }
}
