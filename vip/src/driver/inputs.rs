//! What a driver is fed from, what it can be told, and how it ends.

use tokio::sync::{mpsc, oneshot, watch};
use vrrp::Refusal;

use super::{Datagram, Yield};
use crate::config::Router;
use crate::linux::{Claimant, Notice};
use crate::track::Standing;

/// Adverts that may wait for the driver: several seconds' worth of a large group at the
/// shortest interval. Beyond it they are dropped and counted; the next one says the same.
pub const ADVERTS: usize = 256;

/// Notices that may wait. The monitor waits with the next one; the kernel keeps them.
pub const NOTICES: usize = 64;

/// Claimants that may wait. Beyond it they are dropped: whoever means it says it again.
pub const CLAIMANTS: usize = 32;

/// Commands that may wait; each has somebody waiting for its answer.
pub const COMMANDS: usize = 8;

/// What a driver is fed from.
pub struct Inputs {
    /// Datagrams, or why one made no sense.
    pub adverts: mpsc::Receiver<Result<Datagram, Refusal>>,
    /// The kernel's notices about links and addresses.
    pub notices: mpsc::Receiver<Notice>,
    /// Whoever says to have one of our addresses, and may be us; ended where nobody listens.
    pub claimants: mpsc::Receiver<Claimant>,
    /// What tracking makes of the priority.
    pub standing: watch::Receiver<Standing>,
    /// What somebody wants.
    pub commands: mpsc::Receiver<Command>,
}

/// What somebody wants of a driver.
#[derive(Debug)]
pub enum Command {
    /// Release the address in good order and end; answered when it is done.
    Stop(oneshot::Sender<()>),
    /// Give the addresses away.
    Yield(Yield),
    /// The Active has let go of the addresses for us; answered when they are held.
    Take(oneshot::Sender<()>),
    /// Go on as another file describes the router.
    Change(Box<Change>),
}

/// The same router as another file describes it.
#[derive(Debug)]
pub struct Change {
    /// As it is to be.
    pub router: Router,
    /// Told whether it is: if not, everything is as before.
    pub done: oneshot::Sender<bool>,
}

/// Why a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// It has to be opened anew.
    Lost(Lost),
    /// Not at all: it is to go on with other effects, see [`super::Driver::change`].
    Asked,
    /// Nobody can tell it anything any more.
    Abandoned,
}

/// What a driver cannot do without, and cannot get back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The interface is gone or has another name; a new one of that name needs new
    /// sockets.
    Interface,
    /// Another one, that addresses are put on, is gone or has another name.
    Home,
    /// The address that adverts come from is gone: what peers send to it is not heard, and
    /// a virtual address in its network would take its place as the first.
    Source,
    /// A socket has failed.
    Feeder,
}

impl Lost {
    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Home => "interface of an address",
            Self::Source => "source address",
            Self::Feeder => "socket",
        }
    }
}
