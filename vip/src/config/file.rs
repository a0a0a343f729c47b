//! `vip-daemon.yaml` as written. What each key means stands in
//! `docs/config/vip-daemon.md`; what the program runs on is [`super::Config`].

mod virtual_address;

use std::path::PathBuf;

use config::{Address as Endpoint, Period};
use daemon::log;
use serde::Deserialize;
use vrrp::packet::ChecksumStyle;

pub use virtual_address::{Placed, VirtualAddress};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// One entry per router.
    pub routers: Vec<Router>,
    /// The admin listener.
    #[serde(default)]
    pub admin: Admin,
    /// The unix socket.
    pub socket: Option<PathBuf>,
    /// The log.
    #[serde(default)]
    pub log: log::Settings,
    /// Leave to have scripts run by a unit of their own.
    pub scripts: Option<Scripts>,
    /// How the nodes of the group talk beside the adverts.
    pub channel: Option<Channel>,
    /// Who is told of every router's transitions.
    #[serde(default)]
    pub notify: Told,
    /// What addresses are marked with.
    pub address_protocol: Option<i64>,
    /// Routers that move together.
    #[serde(default)]
    pub sync_groups: Vec<SyncGroup>,
}

/// `syncGroups[]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// The names of its routers.
    pub routers: Vec<String>,
    /// Programs that are told of its transitions.
    #[serde(default)]
    pub notify: Notify,
}

/// `admin`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// Where it listens.
    pub address: Option<Endpoint>,
}

/// `routers[]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    /// Its name.
    pub name: String,
    /// The interface.
    pub interface: String,
    /// Virtual router identifier.
    pub vrid: i64,
    /// 2 or 3.
    pub version: Option<i64>,
    /// Priority.
    pub priority: Option<i64>,
    /// Time between adverts.
    pub advert_interval: Option<Period>,
    /// Peers, instead of multicast.
    pub unicast: Option<Unicast>,
    /// The virtual addresses.
    pub addresses: Vec<VirtualAddress>,
    /// Virtual addresses that stand in no advert.
    #[serde(default)]
    pub excluded: Vec<VirtualAddress>,
    /// The virtual hardware address.
    pub virtual_mac: Option<VirtualMac>,
    /// Whether to take the address from a lower priority.
    pub preempt: Option<bool>,
    /// How long to wait before doing so.
    pub preempt_delay: Option<Period>,
    /// What a misconfigured peer does to us.
    #[serde(default)]
    pub misconfigured_peer: MisconfiguredPeer,
    /// How VRRPv3 over IPv4 is sent.
    #[serde(default)]
    pub checksum: Checksum,
    /// VRRPv2's password.
    pub auth: Option<Auth>,
    /// Gratuitous ARP.
    #[serde(default)]
    pub announce: Announce,
    /// What the priority depends on.
    #[serde(default)]
    pub track: Vec<Track>,
    /// Programs that are told of its transitions.
    #[serde(default)]
    pub notify: Notify,
}

/// `routers[].virtualMac`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMac {
    /// The name of the interface that has it.
    pub name: Option<String>,
    /// The hardware address that adverts come from.
    pub adverts_from: Option<AdvertsFrom>,
}

/// `routers[].virtualMac.advertsFrom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AdvertsFrom {
    /// The virtual one.
    VirtualMac,
    /// The interface's own.
    Interface,
}

impl AdvertsFrom {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::VirtualMac => "virtualMac",
            Self::Interface => "interface",
        }
    }
}

/// `routers[].notify`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notify {
    /// When it becomes Active.
    pub master: Option<Vec<String>>,
    /// When it becomes Backup.
    pub backup: Option<Vec<String>>,
    /// When it is at fault.
    pub fault: Option<Vec<String>>,
    /// When it ends.
    pub stop: Option<Vec<String>>,
    /// After each of these, with arguments.
    pub any: Option<Vec<String>>,
    /// As whom they run.
    pub user: Option<String>,
    /// Whether the FIFO tells of its priority, too.
    #[serde(default)]
    pub priority_changes: bool,
}

/// `notify`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The FIFO that lines are written into.
    pub fifo: Option<PathBuf>,
}

/// `routers[].misconfiguredPeer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MisconfiguredPeer {
    /// A backup leaves the addresses to it.
    #[default]
    HoldBack,
    /// It is named, and otherwise not there.
    Ignore,
}

/// `routers[].checksum`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Checksum {
    /// As the peers do where they agree, else as keepalived.
    #[default]
    Auto,
    /// With the pseudo-header.
    Pseudo,
    /// Without it.
    Rfc9568,
}

impl Checksum {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Pseudo => "pseudo",
            Self::Rfc9568 => "rfc9568",
        }
    }
}

impl From<Checksum> for ChecksumStyle {
    fn from(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Auto => Self::Auto,
            Checksum::Pseudo => Self::Pseudo,
            Checksum::Rfc9568 => Self::Rfc9568,
        }
    }
}

/// `routers[].unicast`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unicast {
    /// Where adverts come from.
    pub source: Option<String>,
    /// Where they go to.
    pub peers: Vec<String>,
    /// What an advert of anybody else is.
    #[serde(default)]
    pub unlisted: Unlisted,
}

/// `routers[].unicast.unlisted`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unlisted {
    /// As good as a peer's, if it has crossed no router; it is named.
    #[default]
    Accept,
    /// That of a misconfigured peer.
    Refuse,
}

/// `routers[].auth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// The file that holds the password.
    pub pass_file: PathBuf,
}

/// `routers[].announce`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announce {
    /// Frames per address and burst.
    pub burst: Option<i64>,
    /// When the second burst follows.
    pub again: Option<Period>,
    /// How often one frame per address is sent while active.
    pub refresh: Option<Period>,
}

/// `routers[].track[]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// A `GET` over TLS.
    pub https: Option<Https>,
    /// A plain `GET`.
    pub http: Option<Http>,
    /// A connection.
    pub tcp: Option<Tcp>,
    /// A program's exit code.
    pub script: Option<Script>,
    /// A program that runs.
    pub process: Option<Named>,
    /// A file that is there.
    pub file: Option<Path>,
    /// A number in a file.
    pub file_value: Option<Path>,
    /// A link that is up.
    pub interface: Option<Named>,
    /// Another router of this file that is Active.
    pub router: Option<Named>,
    /// Failed is passed, and passed is failed.
    #[serde(default)]
    pub reverse: bool,
    /// What counts before the first verdict: `failed` or `passed`.
    pub init: Option<String>,
    /// What it does to the priority.
    pub weight: Option<i64>,
    /// Time between checks.
    pub interval: Option<Period>,
    /// Time a check may take.
    pub timeout: Option<Period>,
    /// Failures in a row.
    pub fall: Option<i64>,
    /// Passes in a row.
    pub rise: Option<i64>,
}

/// `routers[].track[].https`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Https {
    /// What to get.
    pub url: String,
    /// Whom to trust.
    pub ca_file: Option<PathBuf>,
    /// The name in the certificate.
    pub server_name: Option<String>,
}

/// `routers[].track[].http`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// What to get.
    pub url: String,
}

/// `routers[].track[].tcp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tcp {
    /// Where to connect.
    pub address: Endpoint,
}

/// `routers[].track[].script`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Script {
    /// The program and its arguments; no shell.
    pub command: Vec<String>,
    /// As whom it runs.
    pub user: Option<String>,
}

/// `routers[].track[].process`, `interface`, `router`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// `routers[].track[].file`, `fileValue`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// Where it lies.
    pub path: PathBuf,
}

/// `scripts`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scripts {
    /// The socket of the unit that runs them.
    pub socket: Option<PathBuf>,
}

/// `channel`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// This node.
    pub name: String,
    /// Where it listens.
    pub listen: Option<Endpoint>,
    /// The file with the key that all nodes share.
    pub key_file: PathBuf,
    /// The other nodes.
    pub peers: Vec<Peer>,
}

/// `channel.peers[]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: Option<i64>,
}
