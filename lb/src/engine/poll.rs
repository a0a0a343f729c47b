//! A worker's epoll: sockets edge-triggered, listeners level-triggered and exclusive.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::relay::Ready;
use super::slab::Key;
use crate::pool::ListenerId;

/// Events taken at once: a few hundred keep the calls rare, and the first of them fresh.
const BATCH: usize = 256;

/// An index that no session has: the slab would need 200 GiB to get there.
const SPECIAL: u64 = 0xffff_fffc;

/// Which of a session's sockets. Two servers may be dialled at once, and an event of the one
/// that was closed for the other must not be taken for the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The client's.
    Client,
    /// The server's.
    Server(Lane),
}

/// One of the two sockets towards servers that a session may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The first.
    A,
    /// The second.
    B,
}

impl Lane {
    /// The other one.
    #[must_use]
    pub(super) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// One of the sockets of a session.
    Socket(Key, Place),
    /// A listening socket.
    Listener(ListenerId),
    /// The worker's bell.
    Bell,
}

impl Token {
    const fn to_bits(self) -> u64 {
        match self {
            Self::Socket(key, Place::Client) => key.to_bits(),
            Self::Socket(key, Place::Server(Lane::A)) => key.to_bits() | 1,
            Self::Socket(key, Place::Server(Lane::B)) => key.to_bits() | 2,
            Self::Listener(id) => ((id.0 as u64) << 32) | SPECIAL,
            Self::Bell => SPECIAL | 1,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        let special = bits & SPECIAL == SPECIAL;
        let key = Key::from_bits(bits);
        match (special, bits & 3) {
            (true, 0) => Self::Listener(ListenerId((bits >> 32) as u32)),
            (true, _) => Self::Bell,
            (false, 0) => Self::Socket(key, Place::Client),
            (false, 1) => Self::Socket(key, Place::Server(Lane::A)),
            (false, _) => Self::Socket(key, Place::Server(Lane::B)),
        }
    }
}

/// The epoll of one worker, with the events of its last wait.
pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    /// An epoll that watches nothing.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(BATCH),
        })
    }

    /// Watches a socket of a session, until it is closed.
    ///
    /// # Errors
    /// When the kernel has no memory or the user no watches left.
    pub(super) fn add_socket(
        &self,
        fd: impl AsFd,
        key: Key,
        place: Place,
    ) -> io::Result<()> {
        let interest = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        self.add(fd, Token::Socket(key, place), interest)
    }

    /// Watches a listener. Of several workers that sleep on it, one is woken.
    ///
    /// # Errors
    /// As [`Poll::add_socket`].
    pub(super) fn add_listener(&self, fd: impl AsFd, id: ListenerId) -> io::Result<()> {
        let interest = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
        self.add(fd, Token::Listener(id), interest)
    }

    /// Watches the worker's bell.
    ///
    /// # Errors
    /// As [`Poll::add_socket`].
    pub(super) fn add_bell(&self, fd: impl AsFd) -> io::Result<()> {
        self.add(
            fd,
            Token::Bell,
            epoll::EventFlags::IN | epoll::EventFlags::ET,
        )
    }

    /// No longer watches a socket that others hold open.
    ///
    /// # Errors
    /// When it was not watched.
    pub(super) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits for events, at most for `timeout`. A signal is no event.
    ///
    /// # Errors
    /// When the epoll itself is broken.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        let timeout = timeout.map(Timespec::try_from).transpose().unwrap_or(None);
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Event `n` of the last wait.
    #[must_use]
    pub(super) fn event(&self, n: usize) -> Option<(Token, Ready)> {
        let event = self.events.get(n)?;
        let (data, flags) = (event.data, event.flags);
        Some((Token::from_bits(data.u64()), ready_of(flags)))
    }

    /// What the last wait reported of this place of a session is of a socket that is closed:
    /// the next one that takes the place must not be taken for it.
    pub(super) fn forget(&mut self, key: Key, place: Place) {
        let token = Token::Socket(key, place).to_bits();
        let stale = self.events.iter_mut();
        for event in stale.filter(|event| event.data.u64() == token) {
            event.flags = epoll::EventFlags::empty();
        }
    }

    fn add(
        &self,
        fd: impl AsFd,
        token: Token,
        interest: epoll::EventFlags,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token.to_bits());
        Ok(epoll::add(&self.epoll, fd, data, interest)?)
    }
}

fn ready_of(flags: epoll::EventFlags) -> Ready {
    Ready {
        readable: flags.contains(epoll::EventFlags::IN),
        writable: flags.contains(epoll::EventFlags::OUT),
        hup: flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP),
        error: flags.contains(epoll::EventFlags::ERR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slab::Slab;

    #[test]
    fn a_token_survives_the_way_through_the_kernel() {
        let mut slab = Slab::default();
        let key = slab.insert_with(|_| ());
        for token in [
            Token::Socket(key, Place::Client),
            Token::Socket(key, Place::Server(Lane::A)),
            Token::Socket(key, Place::Server(Lane::B)),
            Token::Listener(ListenerId(0)),
            Token::Listener(ListenerId(u32::MAX)),
            Token::Bell,
        ] {
            assert_eq!(Token::from_bits(token.to_bits()), token);
        }
    }

    #[test]
    fn what_is_forgotten_is_reported_as_nothing_and_the_rest_stays() {
        use std::os::unix::net::UnixStream;
        let mut slab = Slab::default();
        let key = slab.insert_with(|_| ());
        let (one, other) = UnixStream::pair().unwrap();
        let mut poll = Poll::new().unwrap();
        poll.add_socket(&one, key, Place::Client).unwrap();
        poll.add_socket(&other, key, Place::Server(Lane::A))
            .unwrap();
        poll.wait(None).unwrap();
        poll.forget(key, Place::Server(Lane::A));
        let events: Vec<_> = (0..).map_while(|n| poll.event(n)).collect();
        assert_eq!(events.len(), 2);
        for (token, ready) in events {
            let is_forgotten = token == Token::Socket(key, Place::Server(Lane::A));
            assert_eq!(ready.writable, !is_forgotten, "{token:?}");
        }
    }
}
