//! What may be found. Its words, and the way out, stand in `words.rs`.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::installed::Installed;
use super::store::Unserved;
use crate::flows::{Purpose, Way};

/// Memory of a control-plane host, KiB: kubeadm's minimum, 1700 MB.
pub(super) const MEMORY: u64 = 1_660_000;
/// Processors of a control-plane host: kubeadm's minimum.
pub(super) const PROCESSORS: u64 = 2;
/// With less than that, KiB, not even the programs get there.
pub(super) const FULL: u64 = 1024 * 1024;
/// A certificate begins five minutes before its issue; a clock must not come near that.
pub(super) const CLOCK: Duration = Duration::from_secs(60);
/// The first version of Linux's minor features that kubelet relies on: 4.19 (kubeadm).
pub(super) const KERNEL: (u32, u32) = (4, 19);
/// What etcd's guide wants 99 of 100 writes to take less than.
pub(super) const SYNC: Duration = Duration::from_millis(10);

/// What may be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "finding", content = "found")]
pub enum What {
    /// None of its interfaces has the host's address.
    OtherMachine(String),
    /// It swaps, and a kubelet refuses to start.
    Swap(Vec<String>),
    /// The same, where a file of the operator's may say that this kubelet does not refuse.
    SwapTold(Vec<String>),
    /// It will, after the next boot.
    SwapAtBoot(Vec<String>),
    /// Memory, KiB.
    Memory(u64),
    /// Processors.
    Processors(u64),
    /// A file system that is full.
    Full(Room),
    /// A file system with little room.
    Room(Room),
    /// One write in a hundred takes longer than that, µs.
    SlowDisk(u64),
    /// etcd's disk cannot be written to.
    Unwritable(String),
    /// Control groups of version 1, which this kubelet refuses.
    ControlGroups,
    /// The same, where a file of the operator's says what it refuses.
    ControlGroupsTold,
    /// An old kernel.
    Kernel(String),
    /// The clock is off by so many seconds from the other hosts'.
    Clock(i64),
    /// That of this machine is off from all hosts'.
    OwnClock(i64),
    /// It is another one's copy.
    MachineId(String),
    /// Programs for another processor.
    Architecture(Processor),
    /// Somebody listens on a port that is needed.
    Port(u16),
    /// Programs of an earlier cluster run.
    Running(Vec<String>),
    /// Others that do what ours will.
    Beside(Vec<String>),
    /// These run containers, on a host whose containerd will be ours.
    Shares(Vec<String>),
    /// Something of an earlier cluster.
    Leftover(String),
    /// Another network for Pods.
    Network(String),
    /// One that containerd takes before ours.
    NetworkBefore(String),
    /// What others have installed, or nobody has.
    Installed(Installed),
    /// It calls itself otherwise.
    Name(String),
    /// A system that this is not meant for.
    System(String),
    /// Its name server is itself, which Pods on it cannot ask.
    OwnDns(IpAddr),
    /// Interfaces whose default route it loses when it forwards, as a node of Pods with IPv6 does.
    Advertised(Vec<String>),
    /// SELinux is enforcing.
    Enforcing,
    /// Something does not come through to it.
    Closed(Closed),
    /// The virtual address is somebody's.
    AddressTaken(Taken),
    /// The virtual address is on it, and not by vip-daemon.
    AddressHere(IpAddr),
    /// The balancer does not answer it.
    Endpoint(Unanswered),
    /// A member of the etcd of others does not serve it.
    Store(Unserved),
    /// Its kernel has not these modules.
    NoModule(Vec<String>),
    /// Modules that are not loaded.
    Module(Vec<String>),
    /// What writes the file with the names of the hosts anew at every boot.
    NamesManaged,
    /// Settings that are otherwise.
    Setting(Vec<Setting>),
    /// `/etc/hosts` has not the names.
    Names,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Room {
    /// A folder on it.
    pub path: String,
    /// What there is, KiB.
    pub has: u64,
    /// What is needed, KiB.
    pub needs: u64,
}

/// Programs that a host cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Processor {
    /// Its own.
    pub own: String,
    /// Theirs.
    pub other: String,
    /// The programs.
    pub programs: Vec<String>,
}

/// What does not come through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// How.
    pub way: Way,
    /// What for.
    pub purpose: Purpose,
    /// From which hosts.
    pub from: Vec<String>,
    /// What they see.
    pub saw: String,
    /// Those of them that do not let it out themselves.
    pub held_back: Vec<String>,
    /// What filters on the host.
    pub firewall: &'static str,
    /// The commands that open it there.
    pub open: Vec<String>,
    /// How that is kept.
    pub keeping: Option<&'static str>,
}

/// Who has the virtual address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The address.
    pub address: IpAddr,
    /// A hardware address.
    pub by: String,
}

/// A balancer that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// How many of the tries.
    pub failed: usize,
    /// All of them.
    pub tries: usize,
}

/// A setting of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// What it is; nothing when the kernel does not have it yet.
    pub is: Option<String>,
    /// What it is to be.
    pub wanted: String,
}

/// Whether it can be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// It will not work.
    Blocks,
    /// It may.
    Warns,
    /// `apply` sees to it.
    Notes,
}

impl Weight {
    /// As it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Warns => "warns",
            Self::Notes => "notes",
        }
    }
}

impl What {
    /// Whether it can be gone on with.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Self::Store(found) => found.weight(),
            Self::Installed(found) => found.weight(),
            Self::OtherMachine(_)
            | Self::Swap(_)
            | Self::ControlGroups
            | Self::Clock(_)
            | Self::OwnClock(_)
            | Self::MachineId(_)
            | Self::Architecture(_)
            | Self::Full(_)
            | Self::Unwritable(_)
            | Self::Port(_)
            | Self::Running(_)
            | Self::Leftover(_)
            | Self::Closed(_)
            | Self::AddressTaken(_)
            | Self::AddressHere(_)
            | Self::NetworkBefore(_)
            | Self::NoModule(_) => Weight::Blocks,
            Self::Memory(_)
            | Self::Processors(_)
            | Self::Room(_)
            | Self::SlowDisk(_)
            | Self::SwapAtBoot(_)
            | Self::Kernel(_)
            | Self::Beside(_)
            | Self::Shares(_)
            | Self::Network(_)
            | Self::ControlGroupsTold
            | Self::SwapTold(_)
            | Self::Name(_)
            | Self::Endpoint(_)
            | Self::System(_)
            | Self::OwnDns(_)
            | Self::Advertised(_)
            | Self::NamesManaged
            | Self::Enforcing => Weight::Warns,
            Self::Module(_) | Self::Setting(_) | Self::Names => Weight::Notes,
        }
    }
}
