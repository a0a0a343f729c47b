//! What goes into the state machine and what comes out.

use std::net::IpAddr;
use std::time::Duration;

use crate::packet::Advert;
use crate::{AdvertInterval, Priority, State};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The router begins. Only this leaves Initialize; tell faults after it.
    Start {
        /// Did a run before this one leave our addresses on the interface?
        leftover: Leftover,
    },
    /// The router ends: an Active releases.
    Stop,
    /// An advert that [`crate::acceptance::judge`] accepted.
    Advert {
        /// Its IP source.
        from: IpAddr,
        /// The advert.
        advert: &'a Advert,
    },
    /// [`super::Router::deadline`] has come. Read the sockets dry first: what waits there
    /// may be the reason not to act.
    Deadline,
    /// Tracking has changed the priority (see [`Priority::adjusted`]).
    Priority(Priority),
    /// Something makes it impossible to take part: interface down, tracked endpoint
    /// without weight. Level, not edge: repeated calls change nothing.
    Fault,
    /// Every fault is over.
    Recover,
    /// Somebody else answers or announces one of the addresses (RFC 5227).
    Foreign,
    /// An advert of our addresses by a router that is configured otherwise, and so is not
    /// listened to: to take them would put them on two hosts. Only that it is there counts,
    /// how rare its adverts are, and that it goes (priority 0).
    Stranger {
        /// Its IP source.
        from: IpAddr,
        /// The advert.
        advert: &'a Advert,
    },
    /// One of our addresses was taken off the interface by someone.
    AddressLost,
    /// Step down on purpose: an Active releases, and for `hold` follows whoever
    /// advertises; it comes back earlier only when nobody does.
    Yield {
        /// For how long a lower Active is left alone.
        hold: Duration,
    },
    /// The Active gives its addresses to us and has let go of them: a Backup takes over
    /// at once, whatever its priority.
    Take,
    /// Routers that move together with this one are Active, or as ready to be so as a
    /// Backup whose timer has fired: it takes over with them.
    Rise,
    /// A router that moves together with this one has lost its addresses: an Active
    /// releases.
    Fall,
}

/// Addresses of ours found on the interface at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leftover {
    /// None.
    #[default]
    None,
    /// Some, marked as ours: kept while nobody else is heard, so that a restart makes no
    /// hole, and released at the first sign of another Active.
    Ours,
}

/// What to do, in the order of [`Actions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send an advert with this priority at once.
    Advertise(Priority),
    /// Put the addresses on the interface; those that are there stay.
    Acquire,
    /// Announce the addresses (a burst of gratuitous ARP or unsolicited NA).
    Announce,
    /// Take the addresses off the interface, and drop what is left of a burst under way.
    Release,
    /// The state has changed; the actions before it make it true.
    Moved {
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// Nothing to do, something to count and perhaps to log.
    Note(Note),
}

/// Why the state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Started: to Backup, or to Active as the owner.
    Started,
    /// Stopped.
    Stopped,
    /// The Active fell silent for a down interval.
    ActiveDown,
    /// The Active released (priority 0).
    ActiveReleased,
    /// The Active has a lower priority, and we preempt.
    Preempted,
    /// Nobody was heard when the loop, late before, had listened again.
    NobodyElse,
    /// Another router advertises a higher priority.
    HigherPriority,
    /// Another router advertises our priority from a higher address.
    HigherAddress,
    /// Our loop was so late that another may have taken over meanwhile.
    Late,
    /// A fault was reported.
    Fault,
    /// The fault is over.
    Recovered,
    /// Our address was taken off the interface too often.
    AddressLost,
    /// Told to step down.
    Yielded,
    /// The Active gave its addresses to us.
    HandedOver,
    /// With the routers that move together with it.
    Together,
    /// A router that is configured otherwise had the addresses before.
    StrangerFirst,
}

impl Reason {
    /// Every reason, for counters that list them all.
    pub const ALL: [Self; 16] = [
        Self::Started,
        Self::Stopped,
        Self::ActiveDown,
        Self::ActiveReleased,
        Self::Preempted,
        Self::NobodyElse,
        Self::HigherPriority,
        Self::HigherAddress,
        Self::Late,
        Self::Fault,
        Self::Recovered,
        Self::AddressLost,
        Self::Yielded,
        Self::HandedOver,
        Self::Together,
        Self::StrangerFirst,
    ];

    /// camelCase name for logs, metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::ActiveDown => "activeDown",
            Self::ActiveReleased => "activeReleased",
            Self::Preempted => "preempted",
            Self::NobodyElse => "nobodyElse",
            Self::HigherPriority => "higherPriority",
            Self::HigherAddress => "higherAddress",
            Self::Late => "late",
            Self::Fault => "fault",
            Self::Recovered => "recovered",
            Self::AddressLost => "addressLost",
            Self::Yielded => "yielded",
            Self::HandedOver => "handedOver",
            Self::Together => "together",
            Self::StrangerFirst => "strangerFirst",
        }
    }
}

/// Something that needs no deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The event means nothing in this state.
    NoMatter,
    /// A Backup heard a lower priority and lets its timer run.
    LowerDiscarded,
    /// A Backup follows another interval than before (VRRPv3).
    IntervalAdopted(AdvertInterval),
    /// An advert is due, but the last is less than 10 ms old: it follows at that distance.
    AnswerDeferred,
    /// Another router claims the owner's 255.
    TwoOwners,
    /// Another router advertises from our own source address.
    OwnSource,
    /// The loop came so much too late to a deadline that it listens before it acts.
    Late(Duration),
    /// Our address vanishes again and again.
    AddressLostTooOften,
}

/// What to do about an event: a few actions, to be done in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Actions(Vec<Action>);

impl Actions {
    pub(super) fn push(&mut self, action: Action) {
        self.0.push(action);
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Action> {
        self.0.iter()
    }

    /// In order.
    pub fn as_slice(&self) -> &[Action] {
        &self.0
    }

    /// Nothing to do?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = std::vec::IntoIter<Action>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Actions {
    type Item = &'a Action;
    type IntoIter = std::slice::Iter<'a, Action>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
