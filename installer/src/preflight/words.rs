//! Findings in words: what is so, and what to do.

use std::fmt;

use super::supported::SYSTEMS;
use super::what::{
    Closed, KERNEL, MEMORY, PROCESSORS, Processor, Room, SYNC, Setting, Taken,
    Unanswered, What,
};
use crate::architecture::Architecture;
use crate::layout;

const KIB_PER_MIB: u64 = 1024;
const SWAP: &str = "swapoff -a, and take its lines out of /etc/fstab; what no line of it makes, \
                    such as zram: systemctl mask its unit; --fix does all three";
const SWAP_TOLD: &str = "nothing, where flags.kubelet.config-dir says failSwapOn: false";
const OTHER_MACHINE: &str = "correct hosts[].addresses or hosts[].ssh.host";
const ACCEPTS: &str = "/etc/sysctl.d/91-accept-ra.conf";
const SHARES: &str = "nothing, when it is meant: what they run goes on by the containerd that is laid down \
                      here and started in the place of theirs, and reset leaves it; or take \
                      another host for Pods";
const MACHINE_ID: &str =
    "rm /etc/machine-id; systemd-machine-id-setup, on the copy; then reboot it";
const EARLIER: &str = "take the earlier cluster down with the tool that made it, \
                       or remove it when nobody needs it";
const ENDPOINT: &str = "nothing, while it waits for API servers; otherwise let it in from \
                        this host, and, where the host stands behind it, back to itself";
const OWN_DNS: &str = "write a file with the servers that it asks itself, and name it in \
                       flags.kubelet.resolv-conf";
const ENFORCING: &str = "leave it enforcing; install policycoreutils, by whose restorecon apply \
                         labels programs. Containers run unconfined: containerd is not told of \
                         SELinux";
/// What user-data says, cloud-init heeds before any file of the host; without the module it is
/// nobody's to heed.
const MANAGED: &str = "sed -i /update_etc_hosts/d /etc/cloud/cloud.cfg, which takes that module \
                       from it, and sed -i /manage_etc_hosts/d /etc/hosts";
const REWRITTEN: &str = "cloud-init writes its /etc/hosts anew at every boot (manage_etc_hosts), \
                         without the names of the hosts and of the endpoint";
const UNWRITABLE: &str = "see that it is mounted, for writing, and has room";
const OTHER_NAME: &str =
    "nothing, when it is meant; its node is called as in the description";
const OLD_GROUPS: &str = "its control groups are of version 1, which kubelet refuses";
const GROUPS_TOLD: &str =
    "nothing, where flags.kubelet.config-dir says failCgroupV1: false";
const NO_MODULE: &str = "use a kernel that has them; images for clouds have a package of \
                         further modules (linux-modules-extra, kernel-modules)";

impl What {
    /// The way out.
    #[must_use]
    pub fn way_out(&self) -> String {
        match self {
            Self::OtherMachine(_) => OTHER_MACHINE.to_owned(),
            Self::Swap(_) | Self::SwapAtBoot(_) => SWAP.to_owned(),
            Self::SwapTold(_) => SWAP_TOLD.to_owned(),
            Self::Memory(_) => format!("give it {} MiB or more", MEMORY / KIB_PER_MIB),
            Self::Processors(_) => format!("give it {PROCESSORS} or more"),
            Self::Full(room) | Self::Room(room) => {
                format!("make room for {} MiB", room.needs / KIB_PER_MIB)
            }
            Self::SlowDisk(_) => format!(
                "give etcd a disk of its own that takes less than {} ms, or expect elections \
                 under load",
                SYNC.as_millis()
            ),
            Self::Unwritable(_) => UNWRITABLE.to_owned(),
            Self::ControlGroupsTold => GROUPS_TOLD.to_owned(),
            Self::ControlGroups => {
                "boot with systemd.unified_cgroup_hierarchy=1, or choose Kubernetes 1.34"
                    .to_owned()
            }
            Self::Kernel(_) => format!("use Linux {}.{} or newer", KERNEL.0, KERNEL.1),
            Self::Clock(_) | Self::OwnClock(_) => {
                "have it set by a time server: timedatectl set-ntp true".to_owned()
            }
            Self::MachineId(_) => MACHINE_ID.to_owned(),
            Self::Architecture(found) => {
                let own = Architecture::of_machine(&found.own);
                let own = own.map_or(&*found.own, |own| own.name());
                format!("put those for it into the folder {own} of binaries.folder")
            }
            Self::Port(port) => {
                format!("ss -ltnp 'sport = :{port}' says who it is; stop it")
            }
            Self::Running(_) | Self::Leftover(_) => EARLIER.to_owned(),
            Self::Beside(_) => {
                "stop it, unless what it serves is on other ports and addresses"
                    .to_owned()
            }
            Self::Shares(_) => SHARES.to_owned(),
            Self::Installed(found) => found.way_out(),
            Self::Network(name) | Self::NetworkBefore(name) => format!(
                "rm {}/{name} when it is no longer needed: containerd takes the first by name",
                layout::CNI_CONFIG
            ),
            Self::Name(_) => OTHER_NAME.to_owned(),
            Self::System(_) => format!("use {SYSTEMS}, or try it on a machine to spare"),
            Self::OwnDns(_) => OWN_DNS.to_owned(),
            Self::Advertised(names) => accepted(names),
            Self::Enforcing => ENFORCING.to_owned(),
            Self::Closed(closed) => opened(closed),
            Self::AddressTaken(_) => {
                "choose a free address for endpoint.addresses, or take this one from them"
                    .to_owned()
            }
            Self::AddressHere(address) => format!(
                "take {address} off its interface, and out of what sets it at boot: \
                 vip-daemon gives it to one master at a time"
            ),
            Self::Endpoint(_) => ENDPOINT.to_owned(),
            Self::Store(found) => found.way_out().to_owned(),
            Self::NoModule(_) => NO_MODULE.to_owned(),
            Self::NamesManaged => MANAGED.to_owned(),
            Self::Module(_) | Self::Setting(_) | Self::Names => {
                "apply does it; --fix does it alone".to_owned()
            }
        }
    }
}

/// With slashes, as names of interfaces may have dots.
fn accepted(names: &[String]) -> String {
    let lines = names
        .iter()
        .map(|name| format!("net/ipv6/conf/{name}/accept_ra=2"));
    let lines: Vec<_> = lines.collect();
    format!(
        "printf '%s\\n' {} >{ACCEPTS}; sysctl --load {ACCEPTS}; and the same in what sets them up, \
         such as accept_ra 2 in /etc/network/interfaces",
        lines.join(" ")
    )
}

fn opened(closed: &Closed) -> String {
    let mut ways = Vec::new();
    if !closed.held_back.is_empty() {
        let hosts = closed.held_back.join(", ");
        ways.push(format!("let it out on {hosts}, in the rules of its output"));
    }
    let arrives_nowhere = closed.from.len() > closed.held_back.len();
    if !closed.open.is_empty() {
        ways.push(format!("open it there: {}", closed.open.join("; ")));
        ways.extend(closed.keeping.map(str::to_owned));
    } else if arrives_nowhere {
        ways.push(
            "nothing that filters was found there: look at what is between (a cloud's \
             security group), and at what they let out"
                .to_owned(),
        );
    }
    ways.join("; ")
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
            Self::Swap(swaps) | Self::SwapTold(swaps) => {
                write!(f, "it swaps to {}", swaps.join(", "))
            }
            Self::SwapAtBoot(swaps) => {
                write!(f, "it will swap to {} after a boot", swaps.join(", "))
            }
            Self::Memory(memory) => {
                write!(f, "it has {} MiB of memory", memory / KIB_PER_MIB)
            }
            Self::Processors(count) => write!(f, "it has {count} processor(s)"),
            Self::Full(room) | Self::Room(room) => write!(f, "{room}"),
            Self::SlowDisk(micros) => slow(f, *micros),
            Self::Unwritable(error) => write!(f, "etcd's disk: {error}"),
            Self::ControlGroups | Self::ControlGroupsTold => f.write_str(OLD_GROUPS),
            Self::Installed(found) => write!(f, "{found}"),
            Self::Kernel(release) => write!(f, "its kernel is {release}"),
            Self::Clock(off) => {
                write!(f, "its clock is {} the other hosts'", aside(*off))
            }
            Self::OwnClock(off) => {
                write!(f, "the clock of this machine is {} all hosts'", aside(*off))
            }
            Self::MachineId(other) => write!(f, "it has the machine-id of {other}"),
            Self::Architecture(found) => write!(f, "{found}"),
            Self::Port(port) => write!(f, "somebody listens on port {port}"),
            Self::Running(names) | Self::Beside(names) | Self::Shares(names) => {
                write!(f, "{} running that we did not start", are(names))
            }
            Self::Leftover(path) => {
                write!(f, "{path} is there, which belongs to an earlier cluster")
            }
            Self::Network(name) | Self::NetworkBefore(name) => {
                let folder = layout::CNI_CONFIG;
                write!(f, "{folder}/{name} configures another network")
            }
            Self::Name(name) => write!(f, "it calls itself {name:?}"),
            Self::System(name) => unsupported(f, name),
            Self::OwnDns(server) => write!(
                f,
                "its /etc/resolv.conf names {server}, which is the Pod itself to a Pod: CoreDNS would \
                 ask itself, and end"
            ),
            Self::Advertised(names) => advertised(f, names),
            Self::Enforcing => f.write_str("SELinux is enforcing"),
            Self::Closed(closed) => write!(f, "{closed}"),
            Self::AddressTaken(taken) => write!(f, "{taken}"),
            Self::AddressHere(at) => {
                write!(f, "it has {at} itself, and not by vip-daemon")
            }
            Self::Endpoint(found) => write!(f, "{found}"),
            Self::Store(found) => write!(f, "{found}"),
            Self::NoModule(all) => write!(f, "its kernel has no {}", all.join(", ")),
            Self::Module(names) => write!(f, "{} not loaded", are(names)),
            Self::Setting(all) => f.write_str(
                &all.iter()
                    .map(Setting::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            Self::NamesManaged => f.write_str(REWRITTEN),
            Self::Names => f.write_str("/etc/hosts has not the names of the hosts"),
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (has, path) = (self.has / KIB_PER_MIB, &self.path);
        write!(f, "there are {has} MiB of room in {path}")
    }
}

fn advertised(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    write!(
        f,
        "its default route of IPv6 over {} comes by router advertisements, which a kernel that \
         forwards takes no more: it ends some time after apply",
        names.join(", ")
    )
}

fn unsupported(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    match name {
        "" => f.write_str("its system does not say what it is"),
        name => write!(f, "its system is {name}, which is not supported"),
    }
}

fn slow(f: &mut fmt::Formatter<'_>, micros: u64) -> fmt::Result {
    let (whole, tenth) = (micros / 1000, micros % 1000 / 100);
    write!(
        f,
        "one write in a hundred to etcd's disk takes {whole}.{tenth} ms"
    )
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (own, programs) = (&self.own, are(&self.programs));
        write!(f, "it is {own}, and {programs} for {}", self.other)
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, purpose) = (self.way, self.purpose.name());
        let (from, saw) = (self.from.join(", "), &self.saw);
        write!(
            f,
            "{way} ({purpose}) does not come through from {from}: {saw}"
        )?;
        match self.open.is_empty() {
            true => Ok(()),
            false => write!(f, " ({} filters there)", self.firewall),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is taken: {} answers for it", self.address, self.by)
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port) = (self.address, self.port);
        let (failed, tries) = (self.failed, self.tries);
        write!(
            f,
            "{address} port {port} did not answer it in {failed} of {tries} tries"
        )
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, is, wanted } = self;
        match is {
            Some(is) => write!(f, "{key} is {is}, not {wanted}"),
            None => write!(f, "{key} is not there yet, to be {wanted}"),
        }
    }
}

fn aside(seconds: i64) -> String {
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    format!("{} s {direction}", seconds.unsigned_abs())
}

pub(super) fn are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}
