//! What the daemon runs on: [`Config`], made from a [`file::File`] in one conversion that
//! reports everything that is wrong with it at once.

mod address;
mod addresses;
mod convert;
pub mod file;
mod place;
mod reader;
mod side;
mod sync;
mod target;
mod tracks;
mod virtual_mac;
mod waiting;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::Errors;
use daemon::log;
use vrrp::packet::Auth;
use vrrp::{AdvertInterval, Family, Priority, Version, Vrid};

use crate::channel::{self, Group};

use reader::Secrets;

pub use address::{Address, AddressError};
pub use file::{Checksum, MisconfiguredPeer, Unlisted};
pub use place::{Scope, VirtualAddress};
pub use target::{Script, Target, TargetError};
pub use virtual_mac::{AdvertsFrom, VirtualMac};

/// What `kind` says.
pub const KIND: &str = "VipDaemon";

/// A configuration without half-states.
#[derive(Debug, Clone)]
pub struct Config {
    /// One VRRP instance each; their names differ.
    pub routers: Vec<Router>,
    /// Routers that move together; each is in one group at most.
    pub sync_groups: Vec<SyncGroup>,
    /// Where the admin endpoint listens.
    pub admin: SocketAddr,
    /// Where commands are taken.
    pub socket: PathBuf,
    /// How to log.
    pub log: log::Settings,
    /// The socket of the unit that runs scripts, where that is allowed.
    pub scripts: Option<PathBuf>,
    /// How the nodes of the group talk beside the adverts.
    pub channel: Option<channel::Settings>,
    /// The FIFO that transitions are written into.
    pub fifo: Option<PathBuf>,
    /// What addresses are marked with as ours; absent: with nothing.
    pub mark: Option<u8>,
    /// What is allowed and probably not meant, for the log and for `check`.
    pub warnings: Vec<String>,
}

/// Routers that hold their addresses together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncGroup {
    /// Its name in logs, metrics and notices.
    pub name: String,
    /// The names of its routers: two or more.
    pub routers: Vec<String>,
    /// Programs that are told of its transitions.
    pub notify: Notify,
}

/// One VRRP instance. Two are equal when running one is running the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Router {
    /// Its name in logs, metrics and commands.
    pub name: String,
    /// The interface it works on.
    pub interface: String,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Which protocol it speaks.
    pub version: Version,
    /// Priority before tracking.
    pub priority: Priority,
    /// Time between adverts.
    pub interval: AdvertInterval,
    /// How adverts travel.
    pub travel: Travel,
    /// The virtual addresses in the order they are advertised; never empty, one family.
    pub addresses: Vec<VirtualAddress>,
    /// Virtual addresses that are held with these and stand in no advert; of one family
    /// with them.
    pub excluded: Vec<VirtualAddress>,
    /// The virtual hardware address that the addresses have on the wire; the interface's
    /// own without one.
    pub virtual_mac: Option<VirtualMac>,
    /// Whether a lower priority is displaced.
    pub preempt: Preempt,
    /// What a misconfigured peer does to us.
    pub misconfigured_peer: MisconfiguredPeer,
    /// How VRRPv3 over IPv4 is sent.
    pub checksum: Checksum,
    /// VRRPv2's password.
    pub auth: Auth,
    /// Gratuitous ARP.
    pub announce: Announce,
    /// What the priority depends on.
    pub tracks: Vec<Track>,
    /// Programs that are told of its transitions.
    pub notify: Notify,
    /// The sync group that it is in.
    pub sync_group: Option<String>,
}

/// Programs that are told of transitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notify {
    /// When the router becomes Active.
    pub master: Option<Script>,
    /// When it becomes Backup.
    pub backup: Option<Script>,
    /// When it is at fault.
    pub fault: Option<Script>,
    /// When it ends.
    pub stop: Option<Script>,
    /// After each of these, with keepalived's arguments.
    pub any: Option<Script>,
    /// Whether the FIFO tells of its priority, too.
    pub priority_changes: bool,
}

impl Notify {
    /// Every program there is.
    pub fn all(&self) -> impl Iterator<Item = &Script> {
        let all = [
            &self.master,
            &self.backup,
            &self.fault,
            &self.stop,
            &self.any,
        ];
        all.into_iter().flatten()
    }
}

impl Router {
    /// Does a busy machine move its addresses, unless its adverts go before everything else?
    /// Peers wait for three intervals; below this, an ordinary thread is kept waiting for
    /// longer by a few busy ones.
    pub fn needs_realtime(&self) -> bool {
        const SAFE: Duration = Duration::from_millis(30);
        self.interval.duration() < SAFE
    }

    /// What peers may know it by: their lists may begin with another of its addresses, or
    /// lack some, while a file is changed node by node.
    pub fn groups(&self) -> Vec<Group> {
        let vrid = self.vrid.get();
        let ips = self.addresses.iter().map(VirtualAddress::ip);
        ips.map(|address| Group { vrid, address }).collect()
    }

    /// Every address that it holds, those in its adverts first.
    pub fn held(&self) -> impl Iterator<Item = &VirtualAddress> {
        self.addresses.iter().chain(&self.excluded)
    }

    /// The interface of an address that names none.
    pub fn home(&self) -> &str {
        let virtual_mac = self.virtual_mac.as_ref();
        virtual_mac.map_or(&self.interface, |it| &it.name)
    }

    /// The virtual router's hardware address (RFC 9568 section 7.3).
    pub fn virtual_mac_address(&self) -> [u8; 6] {
        virtual_mac::address(self.family(), self.vrid)
    }

    /// The family of its addresses.
    pub fn family(&self) -> Family {
        self.addresses
            .first()
            .map_or(Family::V4, |address| Family::of(address.ip()))
    }
}

/// How adverts travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Travel {
    /// To the group.
    Multicast,
    /// To each peer.
    Unicast {
        /// Our end; the interface's first address when absent.
        source: Option<IpAddr>,
        /// The other ends.
        peers: Vec<IpAddr>,
        /// What an advert of anybody else is.
        unlisted: Unlisted,
    },
}

/// Whether a router with a higher priority takes the addresses from one with a lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preempt {
    /// Whoever has them keeps them.
    Never,
    /// It does, after this time.
    After(Duration),
}

/// Gratuitous ARP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announce {
    /// Frames per address and burst.
    pub burst: u32,
    /// When the last burst of an election follows the first; `None`: never.
    pub again: Option<Duration>,
    /// Time between single frames while active; `None`: never.
    pub refresh: Option<Duration>,
}

/// One thing the priority depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// What is asked.
    pub target: Target,
    /// What the answer does.
    pub effect: Effect,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Failures in a row until it counts as failed.
    pub fall: NonZeroU32,
    /// Passes in a row until it counts as passed.
    pub rise: NonZeroU32,
    /// Which answer is the good one.
    pub sense: Sense,
    /// What counts before the first verdict.
    pub initial: Initial,
}

/// Which answer of a check is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// What passes is good.
    AsIs,
    /// What fails is good: a lock file, a maintenance flag.
    Reversed,
}

/// What a check counts as before its first verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initial {
    /// Failed.
    Failed,
    /// Passed: keepalived's way without `init_fail`.
    Passed,
}

/// What the result of a check does to its router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Below zero: added to the priority while the check fails. Above: while it passes.
    Weight(i32),
    /// The router steps down while the check fails.
    Fault,
}

impl Config {
    /// Reads and converts the file at `path`, and the files it names.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Errors> {
        convert::convert(&config::read(path, KIND)?, Secrets::Read)
    }

    /// The same for the unit that runs scripts, which has no right to the daemon's
    /// secrets: something else stands in for them.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read_for_scripts(path: &Path) -> Result<Self, Errors> {
        convert::convert(&config::read(path, KIND)?, Secrets::Spare)
    }

    /// The same for a text that errors call `name`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Errors> {
        convert::convert(&config::parse(name, text, KIND)?, Secrets::Read)
    }
}
