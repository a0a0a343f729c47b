//! What a driver tells the rest of the program: one value, published by its owner, read
//! through a `watch`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use vrrp::fsm::Reason;
use vrrp::{AdvertInterval, Priority, State};

use crate::config::Address;
use crate::track::Out;

/// Intervals without an advert, after which its sender counts as gone.
const PATIENCE: u32 = 4;

/// At least so long a complaint stands: as long as somebody needs to see it.
const QUIET: Duration = Duration::from_secs(60);

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
    /// How the checksums of other routers were computed.
    pub checksums: BTreeMap<IpAddr, Checksums>,
    /// Virtual addresses that are on this host by another's hand.
    pub foreign: Vec<Address>,
    /// Effects that failed when they were last tried, and why.
    pub failing: BTreeMap<&'static str, String>,
    /// A peer that is configured otherwise, as last heard; see [`Record::alarm`].
    pub complaint: Option<Complaint>,
    /// The router that was held back from last.
    pub rival: Option<Heard>,
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

impl Heard {
    /// May it still be there? A Backup waits for three adverts and its skew.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < self.interval.duration() * PATIENCE
    }
}

/// Adverts of one router by the way in which their checksum was computed; over IPv6, and in
/// VRRPv2, there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksums {
    /// With the pseudo-header.
    pub pseudo: u64,
    /// With that of the group, also to one peer: keepalived's `old_unicast_checksum`.
    pub pseudo_of_group: u64,
    /// Over the message alone.
    pub rfc9568: u64,
}

/// A peer that is configured otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Who, and in which way.
    pub what: String,
    /// When it was heard last.
    pub at: Instant,
    /// When it is over, if nothing of the kind is heard again.
    pub until: Instant,
}

impl Complaint {
    /// About an advert of a router that sends one every `interval`.
    pub fn now(what: String, interval: AdvertInterval) -> Self {
        let at = Instant::now();
        let until = at + QUIET.max(interval.duration() * PATIENCE);
        Self { what, at, until }
    }
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
            checksums: BTreeMap::new(),
            foreign: Vec::new(),
            failing: BTreeMap::new(),
            complaint: None,
            rival: None,
            conflict: None,
            unanswered: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// A peer that is configured otherwise, unless it has been silent, or set right, for so
    /// long that the next advert of its old kind would have come.
    pub fn alarm(&self, now: Instant) -> Option<&Complaint> {
        self.complaint.as_ref().filter(|it| now < it.until)
    }

    /// The router that a Backup holds back from at `now`.
    pub fn held_back_by(&self, now: Instant) -> Option<&Heard> {
        let backup = self.state == State::Backup;
        self.rival.as_ref().filter(|it| backup && it.is_fresh(now))
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
