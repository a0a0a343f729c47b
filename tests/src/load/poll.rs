//! A small epoll: the generator must cost little beside what it measures.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

pub use rustix::event::epoll::EventFlags as Interest;

/// Events taken at once.
const BATCH: usize = 256;

/// Sockets and the tokens they are known by.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(BATCH),
        })
    }

    /// Watches a socket until it is closed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add(&self, fd: impl AsFd, token: usize, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, fd, data, interest)?)
    }

    /// Waits for events; at most for `timeout`, or for ever.
    ///
    /// # Errors
    /// What the kernel says; a signal is no error.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.events.clear();
        let timeout = timeout.map(Timespec::try_from).transpose().unwrap_or(None);
        let into = spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, into, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(self.events.len()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The token and the flags of event `n` of the last wait.
    #[must_use]
    pub fn event(&self, n: usize) -> Option<(usize, Interest)> {
        let event = self.events.get(n)?;
        let (data, flags) = (event.data, event.flags);
        Some((usize::try_from(data.u64()).ok()?, flags))
    }
}
