//! What wakes a worker that sleeps in its poll: an eventfd behind a flag.
//!
//! The flag makes many rings before one wake-up cost one system call. The worker takes the
//! flag down *before* it looks at what it was woken for, so that nothing put in after the
//! look goes unheard. The eventfd is polled edge-triggered and never read: each write is an
//! edge, and the counter lasts for 2^64 of them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

use super::inbox::{Flag, Ring};

/// A bell that any thread may ring and one worker hears.
#[derive(Debug)]
pub(super) struct Bell {
    fd: OwnedFd,
    flag: Flag,
}

impl Bell {
    /// A silent bell.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub(super) fn new() -> std::io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self {
            fd,
            flag: Flag::default(),
        })
    }

    /// Wakes the worker, now or at its next poll.
    pub(super) fn ring(&self) {
        if self.flag.ring() == Ring::First {
            // Fails only when the counter is full, and then the worker has edges enough.
            let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
        }
    }

    /// The worker heard it and is about to look.
    pub(super) fn heard(&self) {
        self.flag.heard();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
