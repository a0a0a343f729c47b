//! Handovers as the channel knows them: what is offered to peers, what they were promised, and
//! who was told to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Link, REMEMBERED, draw, ready};
use crate::channel::choose::{Known, Wanted, successors};
use crate::channel::message::{Body, Id, Name, Ready};
use crate::channel::{Ask, Declined, Go, Group};
use crate::driver::Command;

/// How long a peer has for its answer to an offer. On a network of masters it takes less
/// than a millisecond; meanwhile the address stays where it is.
const PATIENCE: Duration = Duration::from_millis(15);

/// After it an offer, or a word to take, that has no answer is made once more: one lost datagram
/// is not to cost the peers' skew, and whoever got the first has long answered.
const AGAIN: Duration = Duration::from_millis(5);

/// Peers that are asked for one handover: the next best one may be better off.
const CANDIDATES: usize = 2;

/// How long a promise to take addresses holds.
const PROMISE: Duration = Duration::from_secs(1);

/// A handover that waits for a peer's answer.
pub(super) struct Offering {
    id: Id,
    /// Whom it is offered to.
    to: Name,
    /// What that one calls the group.
    group: Group,
    /// Who is asked next.
    next: Vec<(Name, Group)>,
    /// When it is made to the same peer again.
    again: Option<Instant>,
    until: Instant,
    answer: oneshot::Sender<Result<Go, Declined>>,
}

/// A handover that a peer has accepted.
pub(super) struct Given {
    pub(super) at: Instant,
    to: Name,
    /// The driver has let go of the addresses, and said so.
    sent: Arc<AtomicBool>,
    /// When it is looked whether the peer has answered that.
    again: Option<Instant>,
}

impl Given {
    /// When something is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.again
    }

    /// Is it to be said once more? Not before the driver has said it; one that was dropped
    /// has given nothing away.
    fn again(&mut self, now: Instant) -> bool {
        if self.again.take_if(|again| *again <= now).is_none() {
            return false;
        }
        let sent = self.sent.load(Ordering::Acquire);
        if !sent && Arc::strong_count(&self.sent) > 1 {
            self.again = Some(now + AGAIN);
        }
        sent
    }
}

/// What a peer was promised.
pub(super) struct Promise {
    to: Name,
    group: Group,
    until: Instant,
}

impl Offering {
    /// When something is due.
    pub(super) fn due(&self) -> Instant {
        self.again.map_or(self.until, |again| again.min(self.until))
    }

    /// To the next one.
    fn to(self, (to, group): (Name, Group)) -> Self {
        let now = Instant::now();
        Self {
            to,
            group,
            again: Some(now + AGAIN),
            until: now + PATIENCE,
            ..self
        }
    }
}

impl Link {
    /// A driver wants to give its addresses away.
    pub(super) fn ask(&mut self, ask: Ask) {
        let facts = self.client.facts();
        let known = facts.peers.into_iter().filter_map(|(name, peer)| {
            let heard = peer.heard?.into_std();
            let routers = peer.routers;
            Some(Known {
                name,
                heard,
                routers,
            })
        });
        let known: Vec<_> = known
            .filter(|peer| self.sessions.proved(&peer.name))
            .collect();
        let wanted = Wanted {
            groups: &ask.groups,
            to: ask.to.as_ref(),
            above: ask.above,
        };
        let mut next = successors(&known, wanted, Instant::now().into_std());
        next.truncate(CANDIDATES);
        next.reverse();
        let (Some(to), Ok(id)) = (next.pop(), draw(&self.random)) else {
            // The driver may have stopped waiting.
            let _ = ask.answer.send(Err(Declined::Nobody));
            return;
        };
        let offering = Offering {
            id: Id(id),
            to: to.0.clone(),
            group: to.1,
            next,
            again: None,
            until: Instant::now(),
            answer: ask.answer,
        };
        self.offer(offering.to(to));
    }

    fn offer(&mut self, offering: Offering) {
        self.send(&offering.to, Body::Offer(offering.id, offering.group));
        self.offerings.push(offering);
    }

    pub(super) fn accepted(&mut self, peer: &Name, id: Id) {
        let Some(offering) = self.take_offering(peer, id) else {
            return;
        };
        let address = self.settings.peers.get(peer);
        let message = self.sessions.write(peer, Body::Go(id));
        let (Some(address), Some(message)) = (address, message) else {
            return;
        };
        let sent = Arc::<AtomicBool>::default();
        let go = Go {
            socket: Arc::clone(&self.socket),
            octets: message.emit(&self.settings.key),
            address: *address,
            sent: Arc::clone(&sent),
            successor: peer.clone(),
        };
        self.given.retain(|_, given| given.at.elapsed() < PROMISE);
        if self.given.len() < REMEMBERED {
            let at = Instant::now();
            let given = Given {
                at,
                to: peer.clone(),
                sent,
                again: Some(at + AGAIN),
            };
            self.given.insert(id, given);
        }
        // Dropped unsent, it has given nothing away.
        let _ = offering.answer.send(Ok(go));
    }

    pub(super) fn refused(&mut self, peer: &Name, id: Id) {
        if let Some(offering) = self.take_offering(peer, id) {
            self.offer_next(offering);
        }
    }

    fn take_offering(&mut self, peer: &Name, id: Id) -> Option<Offering> {
        let mine = |offering: &Offering| offering.id == id && offering.to == *peer;
        let position = self.offerings.iter().position(mine)?;
        Some(self.offerings.swap_remove(position))
    }

    pub(super) fn overdue(&mut self) {
        let now = Instant::now();
        let late = |offering: &mut Offering| offering.until <= now;
        let late: Vec<_> = self.offerings.extract_if(.., late).collect();
        late.into_iter()
            .for_each(|offering| self.offer_next(offering));
        let unheard = |offering: &mut Offering| {
            let again = offering.again.take_if(|again| *again <= now);
            again.map(|_| (offering.to.clone(), offering.id, offering.group))
        };
        let again: Vec<_> = self.offerings.iter_mut().filter_map(unheard).collect();
        for (to, id, group) in again {
            self.send(&to, Body::Offer(id, group));
        }
    }

    /// A word to take that has no answer may be lost: it is said once more, with a counter of
    /// its own, and whoever has taken has forgotten the promise.
    pub(super) fn ungone(&mut self) {
        let now = Instant::now();
        // Behind the promise it would be taken for nothing.
        self.given.retain(|_, given| now < given.at + PROMISE);
        let all = self.given.iter_mut();
        let unheard = all
            .filter_map(|(id, given)| given.again(now).then(|| (given.to.clone(), *id)));
        let unheard: Vec<_> = unheard.collect();
        for (to, id) in unheard {
            self.send(&to, Body::Go(id));
        }
    }

    fn offer_next(&mut self, mut offering: Offering) {
        let Some(to) = offering.next.pop() else {
            // The driver may have stopped waiting.
            let _ = offering.answer.send(Err(Declined::NotAccepted));
            return;
        };
        self.offer(offering.to(to));
    }

    /// A peer wants to give its addresses to us.
    pub(super) fn offered(&mut self, peer: Name, id: Id, group: Group) {
        let now = Instant::now();
        self.promises.retain(|_, promise| promise.until > now);
        let ready = self
            .entry(group)
            .is_some_and(|entry| ready(&entry) == Ready::Yes);
        if !ready || self.promises.len() >= REMEMBERED {
            return self.send(&peer, Body::Refuse(id));
        }
        self.send(&peer, Body::Accept(id));
        let until = now + PROMISE;
        let to = peer;
        self.promises.insert(id, Promise { to, group, until });
    }

    pub(super) fn go(&mut self, peer: &Name, id: Id) {
        let promise = self.promises.remove(&id);
        // Whoever was held up for so long may not be Active any more, and another one be.
        let now = Instant::now();
        let promise = promise.filter(|it| it.to == *peer && now < it.until);
        let Some(entry) = promise.and_then(|promise| self.entry(promise.group)) else {
            return;
        };
        let (done, held) = oneshot::channel();
        if entry.commands.try_send(Command::Take(done)).is_err() {
            return;
        }
        let (taken, peer) = (self.taken.clone(), peer.clone());
        tokio::spawn(async move {
            if held.await.is_ok() {
                // Full or gone: only a measurement is lost.
                let _ = taken.try_send((peer, id));
            }
        });
    }
}
