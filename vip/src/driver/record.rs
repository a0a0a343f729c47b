//! What a driver tells the rest of the program: one value, published by its owner, read
//! through a `watch`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::time::Instant;
use vrrp::fsm::Reason;
use vrrp::{AdvertInterval, Priority, State};

use crate::config::Address;
use crate::track::Out;

/// State and counts of one router.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// Why it went there.
    pub reason: Reason,
    /// What others are told of it.
    pub told: Told,
    /// The priority it advertises with.
    pub priority: Priority,
    /// Why it stays out, if it does.
    pub out: Option<Out>,
    /// What it waits for before it can be opened: its interface, or an address there.
    pub lacks: Option<String>,
    /// Whether the interface is up and has a carrier.
    pub running: bool,
    /// Whether the addresses are on the interface by our hand.
    pub holding: bool,
    /// The routers of its sync group that it waits for, its own time having come.
    pub waits_for: Vec<String>,
    /// The Active that was heard last, its priority, and when.
    pub heard: Option<Heard>,
    /// Virtual addresses that are on this host by another's hand.
    pub foreign: Vec<Address>,
    /// Effects that failed when they were last tried, and why.
    pub failing: BTreeMap<&'static str, String>,
    /// A peer that is configured otherwise, as last heard.
    pub alarm: Option<String>,
    /// The last time somebody else said to have our address, in words, and when.
    pub conflict: Option<(String, Instant)>,
    /// Addresses that an Active advertises and nobody answers for.
    pub unanswered: Vec<IpAddr>,
    /// Counts since the start.
    pub counts: Counts,
}

/// Where a router stands in the words of its users: one that stays a Backup because a check
/// without a weight fails is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// Why it went there.
    pub reason: Reason,
}

/// Another router's last advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// From where.
    pub from: IpAddr,
    /// With which priority.
    pub priority: Priority,
    /// With which interval.
    pub interval: AdvertInterval,
    /// When.
    pub at: Instant,
}

/// Counts since the start of the daemon.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Adverts sent, with priority 0 and without.
    pub sent: u64,
    /// Of these, with priority 0.
    pub sent_release: u64,
    /// Adverts accepted.
    pub accepted: u64,
    /// Datagrams turned away, by [`vrrp::Refusal::name`] and `overflow`.
    pub refused: BTreeMap<&'static str, u64>,
    /// Changes of state by where to and [`Reason::name`].
    pub transitions: BTreeMap<(&'static str, &'static str), u64>,
    /// Bursts of announcements.
    pub announcements: u64,
    /// Times an address was taken away by somebody.
    pub addresses_lost: u64,
    /// Times somebody else said to have our address.
    pub conflicts: u64,
    /// Handovers begun here, by how they went on.
    pub handovers: BTreeMap<&'static str, u64>,
    /// Transitions that nobody was told of: the queue was full.
    pub untold: u64,
    /// Effects that failed, by name.
    pub failures: BTreeMap<&'static str, u64>,
}

/// The class of refusals that never reached the parser: the queue was full.
pub const OVERFLOW: &str = "overflow";

impl Record {
    /// A router that has not started.
    pub fn new(priority: Priority, now: Instant) -> Self {
        Self {
            state: State::Initialize,
            since: now,
            reason: Reason::Stopped,
            told: Told {
                state: State::Initialize,
                since: now,
                reason: Reason::Stopped,
            },
            priority,
            out: None,
            lacks: None,
            running: false,
            holding: false,
            waits_for: Vec::new(),
            heard: None,
            foreign: Vec::new(),
            failing: BTreeMap::new(),
            alarm: None,
            conflict: None,
            unanswered: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Others are told of a change of state that has just happened.
    pub fn tell(&mut self, state: State, reason: Reason) {
        let since = Instant::now();
        self.told = Told {
            state,
            since,
            reason,
        };
        let key = (state.name(), reason.name());
        *self.counts.transitions.entry(key).or_default() += 1;
    }
}
