//! The channel as drivers and `status` see it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daemon::metrics::{Histogram, NETWORK};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::Group;
use super::message::{Name, Ready, Standing};
use crate::driver::{Command, Record};

/// Handovers that may wait to be begun: one per router, and routers are few.
const ASKS: usize = 64;

/// A driver wants to give its addresses away.
#[derive(Debug)]
pub struct Ask {
    /// Which, by all their names.
    pub groups: Vec<Group>,
    /// Only to this node.
    pub to: Option<Name>,
    /// Only to a priority above this one.
    pub above: Option<u8>,
    /// Told when a successor has accepted, or that none will.
    pub answer: oneshot::Sender<Result<Go, Declined>>,
}

/// A successor has accepted. Let go of the addresses, then [`Go::send`].
#[derive(Debug)]
pub struct Go {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) octets: Vec<u8>,
    pub(crate) address: SocketAddr,
    /// Set when it is sent: the channel makes sure of it.
    pub(crate) sent: Arc<AtomicBool>,
    /// Who has accepted.
    pub successor: Name,
}

impl Go {
    /// Tells the successor that the addresses are free. Returns at once; the channel says it
    /// once more where no answer comes, and what does not get through at all is covered by
    /// the priority 0 that went out before.
    ///
    /// # Errors
    /// What the socket says.
    pub fn send(&self) -> std::io::Result<()> {
        let sent = self.socket.try_send_to(&self.octets, self.address);
        self.sent.store(true, Ordering::Release);
        sent.map(drop)
    }
}

/// Why nobody was told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// No channel is configured.
    #[error("no channel is configured")]
    NoChannel,
    /// No peer would do: none is heard, ready, and high enough.
    #[error("no peer is there and ready")]
    Nobody,
    /// Those that were asked did not answer in time, or said no.
    #[error("no peer accepted in time")]
    NotAccepted,
}

impl Declined {
    /// Name for counters and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoChannel => "noChannel",
            Self::Nobody => "nobody",
            Self::NotAccepted => "notAccepted",
        }
    }
}

/// A router that peers may hand their addresses to.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where its driver takes commands.
    pub commands: mpsc::Sender<Command>,
    /// How it stands.
    pub record: watch::Receiver<Record>,
    /// The place of this name among those that the router has.
    pub place: usize,
}

/// What is shared between the channel's task and the rest of the program.
#[derive(Debug)]
pub struct Shared {
    /// This daemon's routers.
    pub(super) routers: Mutex<BTreeMap<Group, Entry>>,
    /// What is known of the peers.
    pub(super) facts: Mutex<Facts>,
    /// From the addresses being let go of here to their being held there.
    pub took: Histogram,
    asks: mpsc::Sender<Ask>,
    /// A router stands otherwise than peers were told.
    pub(super) changed: Notify,
}

/// What `status` tells of the channel.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Every peer by its name.
    pub peers: BTreeMap<Name, Peer>,
    /// Datagrams that were not listened to, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

/// What is known of a peer.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// When it was heard last.
    pub heard: Option<Instant>,
    /// How its routers stand.
    pub routers: Vec<Standing>,
}

/// How drivers ask the channel.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

impl Client {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS);
        let shared = Shared {
            routers: Mutex::default(),
            facts: Mutex::default(),
            took: Histogram::new(NETWORK),
            asks,
            changed: Notify::new(),
        };
        (Self(Arc::new(shared)), asked)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Begins a handover; false when the channel is too busy, which it is not.
    #[must_use]
    pub fn ask(&self, ask: Ask) -> bool {
        self.0.asks.try_send(ask).is_ok()
    }

    /// The routers that run from here on.
    pub fn set_routers(&self, routers: BTreeMap<Group, Entry>) {
        *self
            .0
            .routers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = routers;
        self.changed();
    }

    /// A router of ours stands otherwise: peers are to hear of it.
    pub fn changed(&self) {
        self.0.changed.notify_one();
    }

    /// How many of our routers' addresses a peer would take.
    #[must_use]
    pub fn taken_by(&self, peer: &Peer) -> usize {
        let routers = self.0.routers.lock();
        let routers = routers.unwrap_or_else(PoisonError::into_inner);
        let would = |group: &Group| {
            let mut told = peer.routers.iter();
            told.any(|it| it.group == *group && it.ready == Ready::Yes)
        };
        let mut taken: Vec<&Entry> = Vec::new();
        for (_, entry) in routers.iter().filter(|(group, _)| would(group)) {
            if !taken
                .iter()
                .any(|it| it.commands.same_channel(&entry.commands))
            {
                taken.push(entry);
            }
        }
        taken.len()
    }

    /// What is known.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let facts = self.0.facts.lock();
        facts.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long handovers took.
    #[must_use]
    pub fn took(&self) -> &Histogram {
        &self.0.took
    }
}

impl Peer {
    /// Is it heard?
    #[must_use]
    pub fn there(&self, now: Instant) -> bool {
        let silent = |at: Instant| now.saturating_duration_since(at);
        let silent = self.heard.map(silent);
        silent.is_some_and(|silent: Duration| silent < super::choose::SILENT)
    }
}
