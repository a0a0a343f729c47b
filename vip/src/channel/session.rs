//! Which messages are new: no clock is shared, so freshness comes from chance and order.
//!
//! Each run of a daemon draws a random number, its [`Boot`]. A message is taken only from
//! the run of the peer that has *proved* to be there, by answering a nonce, is addressed to
//! our own run, and has a counter that is new (a window of 64, since datagrams overtake). So a message that was recorded
//! is refused when it is played again: in the same run by its counter, after a restart of
//! the receiver by the receiver's boot, after one of the sender by the proof.
//!
//! Pure: time is not needed, and random numbers are arguments.

use std::collections::BTreeMap;

use super::message::{Body, Boot, Message, Name, Nonce};

/// What every peer of this node has proved.
#[derive(Debug)]
pub struct Sessions {
    name: Name,
    boot: Boot,
    peers: BTreeMap<Name, Session>,
}

/// What one peer has proved.
#[derive(Debug, Default)]
struct Session {
    /// The run that has proved to be there, and what was heard from it.
    proved: Option<(Boot, Window)>,
    /// The run that was asked for a proof, and with what.
    asked: Option<(Boot, Nonce)>,
    sent: u64,
}

/// Which counters were heard: datagrams overtake each other, and an order that was written
/// before a Hello may be sent after it.
#[derive(Debug, Clone, Copy)]
struct Window {
    highest: u64,
    /// Bit n: `highest - n` was heard.
    heard: u64,
}

impl Window {
    fn from(counter: u64) -> Self {
        Self {
            highest: counter,
            heard: 1,
        }
    }

    /// Is this counter new? From here on it is not.
    fn admit(&mut self, counter: u64) -> bool {
        if let Some(ahead) = counter.checked_sub(self.highest).filter(|ahead| *ahead > 0)
        {
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.heard = self.heard.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = counter;
            return true;
        }
        let behind = u32::try_from(self.highest - counter).unwrap_or(u32::MAX);
        let Some(bit) = 1_u64.checked_shl(behind) else {
            return false;
        };
        let new = self.heard & bit == 0;
        self.heard |= bit;
        new
    }
}

/// What to do about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is new, and this is what it says.
    Fresh(Body),
    /// Its run has just proved to be there.
    Proved,
    /// Answer with this.
    Answer(Body),
}

/// Why a message is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// From nobody that is configured.
    #[error("from a node that is not among the peers")]
    Stranger,
    /// For another node.
    #[error("for another node")]
    NotForUs,
    /// For a run of ours before this one, or one that the sender does not know.
    #[error("for another run of this daemon")]
    OtherRun,
    /// Played again.
    #[error("played again")]
    Replayed,
    /// A proof that nobody asked for.
    #[error("proves what nobody asked")]
    Unasked,
}

impl Stale {
    /// Name for counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::NotForUs => "notForUs",
            Self::OtherRun => "otherRun",
            Self::Replayed => "replayed",
            Self::Unasked => "unasked",
        }
    }
}

impl Sessions {
    /// Nobody has proved anything.
    pub fn new(name: Name, boot: Boot, peers: impl IntoIterator<Item = Name>) -> Self {
        let peers = peers.into_iter().map(|peer| (peer, Session::default()));
        Self {
            name,
            boot,
            peers: peers.collect(),
        }
    }

    /// The next message to `peer`, if it is one of ours.
    pub fn write(&mut self, peer: &Name, body: Body) -> Option<Message> {
        let session = self.peers.get_mut(peer)?;
        session.sent += 1;
        let asked = session.asked.map(|(boot, _)| boot);
        // A challenge goes to the run that is asked, everything else to the proved one.
        let to_boot = match &body {
            Body::Challenge(_) => asked,
            Body::Proof(_) | Body::Hello(_) => {
                session.proved.map(|(boot, _)| boot).or(asked)
            }
            Body::Offer(..)
            | Body::Accept(_)
            | Body::Refuse(_)
            | Body::Go(_)
            | Body::Taken(_) => Some(session.proved?.0),
        };
        Some(Message {
            boot: self.boot,
            to_boot,
            counter: session.sent,
            from: self.name.clone(),
            to: peer.clone(),
            body,
        })
    }

    /// Has a run of this peer proved to be there?
    #[must_use]
    pub fn proved(&self, peer: &Name) -> bool {
        let session = self.peers.get(peer);
        session.is_some_and(|session| session.proved.is_some())
    }

    /// What an authentic message means. `nonce` is random, for the challenge that may be
    /// needed.
    ///
    /// # Errors
    /// [`Stale`]: it means nothing.
    pub fn hear(&mut self, message: Message, nonce: Nonce) -> Result<Heard, Stale> {
        if message.to != self.name {
            return Err(Stale::NotForUs);
        }
        let session = self.peers.get_mut(&message.from).ok_or(Stale::Stranger)?;
        match message.body {
            // Answered to whoever asks: it says nothing but that we are here.
            Body::Challenge(theirs) if message.to_boot == Some(self.boot) => {
                return Ok(Heard::Answer(Body::Proof(theirs)));
            }
            Body::Proof(theirs) => {
                if session.asked != Some((message.boot, theirs)) {
                    return Err(Stale::Unasked);
                }
                session.asked = None;
                session.proved = Some((message.boot, Window::from(message.counter)));
                return Ok(Heard::Proved);
            }
            Body::Challenge(_)
            | Body::Hello(_)
            | Body::Offer(..)
            | Body::Accept(_)
            | Body::Refuse(_)
            | Body::Go(_)
            | Body::Taken(_) => {}
        }
        match &mut session.proved {
            Some((boot, window)) if *boot == message.boot => {
                if message.to_boot != Some(self.boot) {
                    return Err(Stale::OtherRun);
                }
                if !window.admit(message.counter) {
                    return Err(Stale::Replayed);
                }
                Ok(Heard::Fresh(message.body))
            }
            Some(_) | None => {
                session.asked = Some((message.boot, nonce));
                Ok(Heard::Answer(Body::Challenge(nonce)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::message::Id;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn node(me: &str, boot: u64) -> Sessions {
        let peers = ["a", "b", "c"].into_iter().filter(|peer| *peer != me);
        Sessions::new(name(me), Boot(boot), peers.map(name))
    }

    /// Lets `from` say `body` to `to`, answers included; what it came to.
    fn say(from: &mut Sessions, to: &mut Sessions, body: Body) -> Vec<Message> {
        let mut wire = Vec::new();
        let mut next = from.write(&to.name, body).map(|message| (message, false));
        let mut nonce = 0;
        while let Some((message, back)) = next.take() {
            wire.push(message.clone());
            nonce += 1;
            let (hearer, other) = if back {
                (&mut *from, to.name.clone())
            } else {
                (&mut *to, from.name.clone())
            };
            let nonce = Nonce([nonce; 16]);
            if let Ok(Heard::Answer(body)) = hearer.hear(message, nonce) {
                next = hearer.write(&other, body).map(|message| (message, !back));
            }
        }
        wire
    }

    /// Both have proved to be there.
    fn acquainted() -> (Sessions, Sessions, Vec<Message>) {
        let (mut a, mut b) = (node("a", 1), node("b", 2));
        let mut wire = Vec::new();
        for _ in 0..2 {
            wire.extend(say(&mut a, &mut b, Body::Hello(Vec::new())));
            wire.extend(say(&mut b, &mut a, Body::Hello(Vec::new())));
        }
        assert!(a.proved(&b.name) && b.proved(&a.name));
        (a, b, wire)
    }

    const NONCE: Nonce = Nonce([9; 16]);

    #[test]
    fn two_hellos_each_are_enough_and_orders_are_heard() {
        let (mut a, mut b, _) = acquainted();
        let go = a.write(&b.name, Body::Go(Id(7))).unwrap();
        assert_eq!(b.hear(go, NONCE), Ok(Heard::Fresh(Body::Go(Id(7)))));
    }

    #[test]
    fn no_order_goes_to_a_run_that_has_proved_nothing() {
        let mut a = node("a", 1);
        assert_eq!(a.write(&name("b"), Body::Go(Id(7))), None);
    }

    #[test]
    fn nothing_recorded_is_heard_again() {
        let (mut a, mut b, mut wire) = acquainted();
        let go = a.write(&b.name, Body::Go(Id(7))).unwrap();
        wire.push(go.clone());
        assert!(matches!(b.hear(go, NONCE), Ok(Heard::Fresh(_))));
        let mut restarted = node("b", 3);
        let to = b.name.clone();
        for message in wire.iter().filter(|message| message.to == to) {
            let again = b.hear(message.clone(), NONCE);
            assert!(
                matches!(again, Err(_) | Ok(Heard::Answer(Body::Proof(_)))),
                "{message:?}: {again:?}"
            );
            let after = restarted.hear(message.clone(), NONCE);
            let silent = matches!(after, Err(_) | Ok(Heard::Answer(Body::Challenge(_))));
            assert!(silent, "{message:?}: {after:?}");
        }
        assert!(!restarted.proved(&a.name));
    }

    #[test]
    fn an_old_run_of_the_sender_does_not_come_back() {
        let (mut a, mut b, _) = acquainted();
        let old = a.write(&b.name, Body::Go(Id(7))).unwrap();
        let mut again = node("a", 4);
        say(&mut again, &mut b, Body::Hello(Vec::new()));
        let heard = b.hear(old, NONCE);
        assert_eq!(heard, Ok(Heard::Answer(Body::Challenge(NONCE))));
        let hello = again.write(&b.name, Body::Hello(Vec::new())).unwrap();
        // The new run is still the proved one.
        assert_eq!(b.hear(hello, NONCE), Err(Stale::OtherRun));
        say(&mut b, &mut again, Body::Hello(Vec::new()));
        let hello = again.write(&b.name, Body::Hello(Vec::new())).unwrap();
        assert!(matches!(b.hear(hello, NONCE), Ok(Heard::Fresh(_))));
    }

    #[test]
    fn counters_are_new_once() {
        let mut window = Window::from(100);
        for (counter, new) in [
            (100, false),
            (101, true),
            (101, false),
            (99, true),
            (99, false),
            (103, true),
            (102, true),
            (38, false),
            (40, true),
            (40, false),
            (39, false),
            (200, true),
            (103, false),
            (137, true),
            (136, false),
            (u64::MAX, true),
            (u64::MAX, false),
            (200, false),
            (0, false),
        ] {
            assert_eq!(window.admit(counter), new, "{counter}");
        }
    }

    #[test]
    fn each_way_out_has_its_name() {
        let (mut a, mut b, _) = acquainted();
        let hello = || Body::Hello(Vec::new());
        let mut c = node("c", 5);
        let message = a.write(&b.name, hello()).unwrap();
        assert_eq!(c.hear(message.clone(), NONCE), Err(Stale::NotForUs));
        let stranger = Message {
            from: name("x"),
            ..message.clone()
        };
        assert_eq!(b.hear(stranger, NONCE), Err(Stale::Stranger));
        let other = Message {
            to_boot: Some(Boot(99)),
            ..message.clone()
        };
        assert_eq!(b.hear(other, NONCE), Err(Stale::OtherRun));
        let proof = Message {
            body: Body::Proof(NONCE),
            ..message.clone()
        };
        assert_eq!(b.hear(proof, NONCE), Err(Stale::Unasked));
        assert!(matches!(
            b.hear(message.clone(), NONCE),
            Ok(Heard::Fresh(_))
        ));
        assert_eq!(b.hear(message, NONCE), Err(Stale::Replayed));
    }
}
