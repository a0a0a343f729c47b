//! What may be found on a machine, in words, with the way out.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::layout;

/// Memory of a control-plane host, KiB: kubeadm's minimum, 1700 MB.
pub(super) const MEMORY: u64 = 1_660_000;
/// Processors of a control-plane host: kubeadm's minimum.
pub(super) const PROCESSORS: u64 = 2;
/// Room below `/var/lib`, KiB: images and etcd's 8 GiB, while nothing runs.
pub(super) const ROOM: u64 = 10 * 1024 * 1024;
/// A certificate begins five minutes before its issue; a clock must not come near that.
pub(super) const CLOCK: Duration = Duration::from_secs(60);
/// The first version of Linux's minor features that kubelet relies on: 4.19 (kubeadm).
pub(super) const KERNEL: (u32, u32) = (4, 19);

/// What may be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "finding", content = "found")]
pub enum What {
    /// None of its interfaces has the host's address.
    OtherMachine(String),
    /// It swaps, and a kubelet refuses to start.
    Swap(Vec<String>),
    /// Memory, KiB.
    Memory(u64),
    /// Processors.
    Processors(u64),
    /// Room, KiB.
    Room(u64),
    /// Control groups of version 1, which this kubelet refuses.
    ControlGroups,
    /// An old kernel.
    Kernel(String),
    /// The clock is off by so many seconds.
    Clock(i64),
    /// It is another one's copy.
    MachineId(String),
    /// Somebody listens on a port that is needed.
    Port(u16),
    /// Something of an earlier cluster.
    Leftover(String),
    /// Another network for Pods.
    Network(String),
    /// It calls itself otherwise.
    Name(String),
    /// SELinux is enforcing.
    Enforcing,
}

/// Whether it can be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// It will not work.
    Blocks,
    /// It may.
    Warns,
}

impl What {
    /// Whether it can be gone on with.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Self::OtherMachine(_)
            | Self::Swap(_)
            | Self::ControlGroups
            | Self::Clock(_)
            | Self::MachineId(_)
            | Self::Port(_)
            | Self::Leftover(_) => Weight::Blocks,
            Self::Memory(_)
            | Self::Processors(_)
            | Self::Room(_)
            | Self::Kernel(_)
            | Self::Network(_)
            | Self::Name(_)
            | Self::Enforcing => Weight::Warns,
        }
    }

    /// The way out.
    #[must_use]
    pub fn way_out(&self) -> String {
        match self {
            Self::OtherMachine(_) => {
                "correct hosts[].addresses or hosts[].ssh.host".to_owned()
            }
            Self::Swap(_) => {
                "swapoff -a, and take its lines out of /etc/fstab; for zram: \
                 systemctl mask the unit that makes it"
                    .to_owned()
            }
            Self::Memory(_) => format!("give it {} MiB or more", MEMORY / 1024),
            Self::Processors(_) => format!("give it {PROCESSORS} or more"),
            Self::Room(_) => format!("make room for {} GiB", ROOM / 1024 / 1024),
            Self::ControlGroups => {
                "boot with systemd.unified_cgroup_hierarchy=1, or choose Kubernetes 1.34"
                    .to_owned()
            }
            Self::Kernel(_) => {
                format!("use Linux {}.{} or newer", KERNEL.0, KERNEL.1)
            }
            Self::Clock(_) => {
                "have it set by a time server: timedatectl set-ntp true".to_owned()
            }
            Self::MachineId(_) => {
                "rm /etc/machine-id; systemd-machine-id-setup, on the copy; \
                 then reboot it"
                    .to_owned()
            }
            Self::Port(port) => {
                format!("ss -ltnp 'sport = :{port}' says who it is; stop it")
            }
            Self::Leftover(_) => {
                "take the earlier cluster down with the tool that made it, \
                 or remove it when nobody needs it"
                    .to_owned()
            }
            Self::Network(name) => format!(
                "rm {}/{name} when it is no longer needed: containerd takes the first by name",
                layout::CNI_CONFIG
            ),
            Self::Name(_) => {
                "nothing, when it is meant; its node is called as in the description"
                    .to_owned()
            }
            Self::Enforcing => "install container-selinux; leave it enforcing".to_owned(),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherMachine(address) => {
                write!(
                    f,
                    "none of its interfaces has {address}: it is another machine"
                )
            }
            Self::Swap(swaps) => write!(f, "it swaps to {}", swaps.join(", ")),
            Self::Memory(memory) => write!(f, "it has {} MiB of memory", memory / 1024),
            Self::Processors(count) => write!(f, "it has {count} processor(s)"),
            Self::Room(room) => {
                write!(f, "there are {} MiB of room below /var/lib", room / 1024)
            }
            Self::ControlGroups => {
                f.write_str("its control groups are of version 1, which kubelet refuses")
            }
            Self::Kernel(release) => write!(f, "its kernel is {release}"),
            Self::Clock(off) if *off < 0 => {
                write!(f, "its clock is {} s behind this machine's", -off)
            }
            Self::Clock(off) => write!(f, "its clock is {off} s ahead of this machine's"),
            Self::MachineId(other) => write!(f, "it has the machine-id of {other}"),
            Self::Port(port) => write!(f, "somebody listens on port {port}"),
            Self::Leftover(path) => {
                write!(f, "{path} is there, which belongs to an earlier cluster")
            }
            Self::Network(name) => {
                write!(
                    f,
                    "{}/{name} configures another network",
                    layout::CNI_CONFIG
                )
            }
            Self::Name(name) => write!(f, "it calls itself {name:?}"),
            Self::Enforcing => f.write_str("SELinux is enforcing"),
        }
    }
}
