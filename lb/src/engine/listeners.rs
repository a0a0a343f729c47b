//! The listening sockets of one worker: watched, accepted from in batches, paused when the
//! process has run out of descriptors.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use super::dial::is_shortage;
use super::origin::Origin;
use super::poll::Poll;
use crate::listener::Listener;
use crate::pool::{Frontend, ListenerId, Snapshot};

/// Clients accepted from one listener before the other events are looked at again.
pub(super) const BATCH: usize = 16;
/// Clients accepted at most from a listener that is about to be closed.
pub(super) const LAST_BATCH: usize = 65_536;
/// How long accepting rests when a descriptor or memory was missing and no session has
/// ended since.
const REST: Duration = Duration::from_millis(100);

/// One listening socket and where its clients go.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    listener: Arc<Listener>,
    /// Until when nobody is accepted here, because the frontend is full.
    held: Option<Duration>,
    /// For handing a client over to another worker.
    pub(super) frontend: Arc<Frontend>,
    /// For sessions of this worker.
    pub(super) origin: Rc<Origin>,
}

/// What came of one accept.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A client.
    Client(OwnedFd, SocketAddr),
    /// This one was gone before it was accepted; there may be others.
    Gone,
    /// Nobody waits.
    Nobody,
    /// The system refuses; accepting rests.
    Failed(std::io::Error),
}

/// The entrances of one worker.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    entrances: Vec<Entrance>,
    /// Accepting rests until then.
    rest: Option<Duration>,
}

impl Listeners {
    /// The entrance of this listener.
    #[must_use]
    pub(super) fn get(&self, id: ListenerId) -> Option<&Entrance> {
        self.entrances
            .iter()
            .find(|entrance| entrance.listener.id == id)
    }

    /// What a session that was accepted elsewhere keeps of its frontend.
    #[must_use]
    pub(super) fn origin_of(&self, frontend: &Arc<Frontend>) -> Rc<Origin> {
        let same = |entrance: &&Entrance| Arc::ptr_eq(&entrance.frontend, frontend);
        let known = self.entrances.iter().find(same);
        known.map_or_else(
            || Origin::of(frontend),
            |entrance| Rc::clone(&entrance.origin),
        )
    }

    /// What a session of this frontend would keep, were it accepted now.
    #[must_use]
    pub(super) fn origin_named(&self, frontend: &str) -> Option<Rc<Origin>> {
        let of = |entrance: &&Entrance| &*entrance.frontend.name == frontend;
        self.entrances
            .iter()
            .find(of)
            .map(|entrance| Rc::clone(&entrance.origin))
    }

    /// Replaces the entrances by those of a snapshot: watches new ones, and returns those
    /// that are no longer, unwatched, with the errors met.
    pub(super) fn replace(
        &mut self,
        snapshot: &Snapshot,
        poll: &Poll,
    ) -> (Vec<Entrance>, Vec<(ListenerId, std::io::Error)>) {
        let old = std::mem::take(&mut self.entrances);
        let mut errors = Vec::new();
        for frontend in &snapshot.frontends {
            let origin = Origin::of(frontend);
            for listener in &frontend.listeners {
                let watched = old.iter().any(|entrance| {
                    entrance.listener.id == listener.id && entrance.held.is_none()
                });
                let resting = self.rest.is_some();
                if !watched && !resting {
                    let added = poll.add_listener(&listener.socket, listener.id);
                    errors.extend(added.err().map(|error| (listener.id, error)));
                }
                self.entrances.push(Entrance {
                    listener: Arc::clone(listener),
                    held: None,
                    frontend: Arc::clone(frontend),
                    origin: Rc::clone(&origin),
                });
            }
        }
        let gone = |entrance: &Entrance| self.get(entrance.listener.id).is_none();
        let gone: Vec<Entrance> = old.into_iter().filter(gone).collect();
        gone.iter().for_each(|entrance| unwatch(entrance, poll));
        (gone, errors)
    }

    /// Accepts from nobody until the next snapshot; the sockets go on to listen.
    pub(super) fn hold_all(&mut self, poll: &Poll) {
        for entrance in std::mem::take(&mut self.entrances) {
            unwatch(&entrance, poll);
        }
        self.rest = None;
    }

    /// Lets accepting rest until a session ends or [`REST`] is over.
    pub(super) fn pause(&mut self, now: Duration, poll: &Poll) {
        if self.rest.is_none() {
            let watched = self.entrances.iter().filter(|one| one.held.is_none());
            watched.for_each(|entrance| unwatch(entrance, poll));
        }
        self.rest = Some(now + REST);
    }

    /// Accepts nobody from this listener until a session ends or this time has passed.
    pub(super) fn hold(
        &mut self,
        id: ListenerId,
        now: Duration,
        time: Duration,
        poll: &Poll,
    ) {
        let rests = self.rest.is_some();
        let this = |entrance: &&mut Entrance| entrance.listener.id == id;
        let Some(entrance) = self.entrances.iter_mut().find(this) else {
            return;
        };
        if entrance.held.is_none() && !rests {
            unwatch(entrance, poll);
        }
        entrance.held = Some(now + time);
    }

    /// Accepts again when the rest is over, or `relieved` because a session has ended.
    /// Returns how long the rest goes on.
    pub(super) fn resume(
        &mut self,
        now: Duration,
        relieved: bool,
        poll: &Poll,
    ) -> Option<Duration> {
        let goes_on = |until: &Duration| !relieved && now < *until;
        let rested = self.rest.is_some();
        self.rest = self.rest.filter(goes_on);
        let rests = self.rest.is_some();
        let mut next = self.rest;
        for entrance in &mut self.entrances {
            let was_held = entrance.held.is_some();
            entrance.held = entrance.held.filter(goes_on);
            next = [next, entrance.held].into_iter().flatten().min();
            if !rests && entrance.held.is_none() && (rested || was_held) {
                // Without memory for this watch, the other workers accept.
                let _ = poll.add_listener(&entrance.listener.socket, entrance.id());
            }
        }
        next.map(|until| until.saturating_sub(now))
    }

    /// Whether accepting rests.
    #[must_use]
    pub(super) const fn rests(&self) -> bool {
        self.rest.is_some()
    }
}

impl Entrance {
    /// Whether nobody is accepted here for now.
    #[must_use]
    pub(super) const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The listener's name.
    #[must_use]
    pub(super) fn id(&self) -> ListenerId {
        self.listener.id
    }

    /// Listens no longer, in no worker.
    pub(super) fn close(&self) {
        self.listener.close();
    }

    /// Accepts one client.
    #[must_use]
    pub(super) fn accept(&self) -> Accepted {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match acceptfrom_with(&self.listener.socket, flags) {
            Ok((client, address)) => {
                match address.and_then(|address| address.try_into().ok()) {
                    Some(address) => Accepted::Client(client, address),
                    None => Accepted::Gone,
                }
            }
            // Invalid: another worker was told first to close it.
            Err(Errno::AGAIN | Errno::INVAL) => Accepted::Nobody,
            Err(errno) if is_shortage(errno) => Accepted::Failed(errno.into()),
            // What accept(2) reports of the client's network is no fault of the listener.
            Err(
                Errno::INTR
                | Errno::CONNABORTED
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
                | Errno::PERM,
            ) => Accepted::Gone,
            Err(errno) => Accepted::Failed(errno.into()),
        }
    }
}

fn unwatch(entrance: &Entrance, poll: &Poll) {
    // Fails only when it was not watched, which is what is wanted.
    let _ = poll.remove(&entrance.listener.socket);
}
