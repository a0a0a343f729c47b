//! What speaks against a machine by itself, whatever the others are.

use std::collections::BTreeMap;

use super::Sight;
use super::installed::{Installed, installed, units};
use super::store::unserved;
use super::supported::supported;
use super::what::{
    FULL, KERNEL, MEMORY, PROCESSORS, Processor, Room, SYNC, Setting, What,
};
use crate::agent::Module;
use crate::architecture::Architecture;
use crate::facts::{STORE, System};
use crate::layout;
use crate::render;
use crate::resource::Resource;
use crate::spec::{
    APISERVER_PORT, Balancer, BetweenPods, Cluster, Component, Etcd, Host, Role,
};

/// One GiB, in KiB.
const GIB: u64 = 1024 * 1024;
/// What each file system needs while nothing runs.
const ROOMS: [(&str, u64); 2] = [
    // Images, logs, and etcd's 8 GiB.
    ("/var/lib", 10 * GIB),
    // Two versions of every program.
    ("/opt", 2 * GIB),
];
/// etcd's 8 GiB, and a snapshot beside them.
const ETCD_ROOM: u64 = 10 * GIB;
/// A member of a cluster's store.
const ETCD: &str = "etcd";
/// Programs that make a cluster; one that is not ours is another.
const CLUSTERS: [&str; 9] = [
    ETCD,
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "k3s",
    "k0s",
    "rke2",
];
/// By this a kernel takes no more advertisements of routers.
const FORWARDS: (&str, &str) = ("net.ipv6.conf.all.forwarding", "1");
/// What a flag takes for no (Go's `strconv.ParseBool`).
const FALSE: [&str; 6] = ["0", "f", "F", "false", "False", "FALSE"];
/// Programs that do what ours will, or whose place ours take.
const BESIDE: [&str; 2] = ["haproxy", "keepalived"];
/// Who runs containers by containerd, which is another's business where none is laid down.
const RUNTIMES: [&str; 2] = ["dockerd", "containerd"];

pub(super) fn own(
    cluster: &Cluster,
    host: &Host,
    sight: &Sight,
    programs: &BTreeMap<Architecture, BTreeMap<String, String>>,
) -> Vec<What> {
    let machine = &sight.machine;
    let system = &machine.system;
    let mut found = Vec::new();
    let mut addresses = host.addresses.iter();
    let absent = addresses.find(|address| machine.interface(**address).is_none());
    found.extend(absent.map(|address| What::OtherMachine(address.to_string())));
    if host.is(Role::Node) {
        found.extend(node(cluster, system));
        let told = told(cluster, "resolv-conf");
        found.extend(machine.own_dns.filter(|_| !told).map(What::OwnDns));
        let forwards = render::settings(cluster, host).contains(&FORWARDS);
        let advertised = Some(machine.advertised.clone());
        let advertised = advertised.filter(|names| forwards && !names.is_empty());
        found.extend(advertised.map(What::Advertised));
    }
    if host.is(Role::ControlPlane) {
        if system.memory < MEMORY {
            found.push(What::Memory(system.memory));
        }
        if system.processors < PROCESSORS {
            found.push(What::Processors(system.processors));
        }
    }
    if system.enforcing {
        found.push(What::Enforcing);
    }
    if !supported(system) {
        found.push(What::System(system.os.clone()));
    }
    found.extend(rooms(host, system));
    found.extend(disk(sight));
    found.extend(unserved(&sight.members).into_iter().map(What::Store));
    if release(&system.kernel).is_some_and(|release| release < KERNEL) {
        found.push(What::Kernel(system.kernel.clone()));
    }
    if system.name != host.name {
        found.push(What::Name(system.name.clone()));
    }
    found.extend(strangers(cluster, host, system));
    let installed = installed(cluster, host, system, || resources(cluster, host));
    found.extend(installed.into_iter().map(What::Installed));
    found.extend(Installed::of_pods(&sight.carried).map(What::Installed));
    found.extend(architecture(cluster, host, system, programs));
    found.extend(kernel(cluster, host, sight));
    // The first line of its templates (cloud-init, templates/hosts.*.tmpl).
    if sight.names.contains("'manage_etc_hosts' as True") {
        found.push(What::NamesManaged);
    }
    if render::names(cluster).within(&sight.names) != sight.names {
        found.push(What::Names);
    }
    found
}

fn node(cluster: &Cluster, system: &System) -> Vec<What> {
    let mut found = Vec::new();
    found.extend(swap(cluster, system));
    if !system.unified && cluster.version.features().refuses_cgroup_v1 {
        // A file of its operator's may have it do without.
        found.push(match told(cluster, "config-dir") {
            true => What::ControlGroupsTold,
            false => What::ControlGroups,
        });
    }
    // Where somebody else lays the network, theirs is the one that is wanted.
    if cluster.networks.between_pods != BetweenPods::None {
        let networks = system.networks.iter();
        let foreign = networks.filter(|name| name.as_str() != render::CONFLIST_NAME);
        found.extend(
            foreign.map(|name| match comes_before(name) && !has_pods(system) {
                true => What::NetworkBefore(name.clone()),
                false => What::Network(name.clone()),
            }),
        );
    }
    found
}

/// Whether a kubelet of ours has begun: whoever has put another network beside it since has Pods that
/// live by that.
fn has_pods(system: &System) -> bool {
    system.begun.contains("kubelet.service")
}

/// A kubelet refuses to start beside swap, unless it is told otherwise: by its flag, which counts
/// more than any file, or by a file of its operator's.
fn swap(cluster: &Cluster, system: &System) -> Option<What> {
    let mut flags = cluster.extra_flags(Component::Kubelet);
    let flag = flags.find(|(name, _)| *name == "fail-swap-on");
    if flag.is_some_and(|(_, value)| FALSE.contains(&value)) {
        return None;
    }
    let (now, at_boot) = (system.swaps.clone(), system.swaps_at_boot.clone());
    let by_file = flag.is_none() && told(cluster, "config-dir");
    match (now.is_empty(), at_boot.is_empty()) {
        (false, _) if by_file => Some(What::SwapTold(now)),
        (false, _) => Some(What::Swap(now)),
        (true, false) if by_file => None,
        (true, false) => Some(What::SwapAtBoot(at_boot)),
        (true, true) => None,
    }
}

/// Whether a kubelet is given a flag by the description.
fn told(cluster: &Cluster, flag: &str) -> bool {
    let flags = cluster.extra_flags(Component::Kubelet);
    flags.into_iter().any(|(name, _)| name == flag)
}

/// Whether containerd takes that configuration before ours: it reads files with these endings
/// in the order of their names.
fn comes_before(name: &str) -> bool {
    let endings = [".conf", ".conflist", ".json"];
    let read = endings.iter().any(|ending| name.ends_with(ending));
    read && name < render::CONFLIST_NAME
}

fn rooms(host: &Host, system: &System) -> Vec<What> {
    let etcd = host
        .is(Role::Etcd)
        .then_some((layout::ETCD_DATA, ETCD_ROOM));
    let rooms = ROOMS.into_iter().chain(etcd);
    let short = rooms.filter_map(|(path, needs)| {
        let has = *system.rooms.get(path)?;
        let path = path.to_owned();
        (has < needs).then_some(Room { path, has, needs })
    });
    let mut short: Vec<_> = short.collect();
    // Folders of one file system say the same.
    short.dedup_by_key(|room| room.has);
    let found = short.into_iter().filter_map(|room| match room.has < FULL {
        true => Some(What::Full(room)),
        // On a host that is ours it is in use.
        false => (!system.ours).then_some(What::Room(room)),
    });
    found.collect()
}

fn disk(sight: &Sight) -> Option<What> {
    let p99 = match sight.syncs.as_ref()? {
        Ok(syncs) => syncs.p99,
        Err(error) => return Some(What::Unwritable(error.clone())),
    };
    let micros = u64::try_from(p99.as_micros()).unwrap_or(u64::MAX);
    (p99 > SYNC).then_some(What::SlowDisk(micros))
}

pub(super) fn release(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let minor = rest.get(..end.unwrap_or(rest.len()))?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Who was there first. An etcd of others that the description names may have its members on these
/// very machines: it is what the cluster is to stand on.
fn strangers(cluster: &Cluster, host: &Host, system: &System) -> Vec<What> {
    let running = |names: &[&str]| -> Vec<String> {
        let there = names.iter().filter(|name| system.running.contains(**name));
        there.map(ToString::to_string).collect()
    };
    let ports = needed(cluster, host).into_iter();
    let taken = ports.filter(|port| system.ports.contains(port));
    let mut found: Vec<_> = taken.map(What::Port).collect();
    let adopted = cluster.etcd != Etcd::Hosts;
    let mut clusters = running(&CLUSTERS);
    clusters.retain(|name| !(adopted && name == ETCD));
    if !clusters.is_empty() {
        found.push(What::Running(clusters));
    }
    let (beside, runtimes) = (running(&BESIDE), running(&RUNTIMES));
    if !beside.is_empty() {
        found.push(What::Beside(beside));
    }
    if !runtimes.is_empty() && host.is(Role::Node) {
        found.push(What::Shares(runtimes));
    } else if !runtimes.is_empty() {
        found.push(What::Beside(runtimes));
    }
    let leftovers = system.leftovers.iter().cloned();
    let leftovers = leftovers.filter(|path| !(adopted && path == STORE));
    found.extend(leftovers.map(What::Leftover));
    found
}

/// The ports that a host's components listen on, each once, sorted.
fn needed(cluster: &Cluster, host: &Host) -> Vec<u16> {
    let mut ports = Vec::new();
    if host.is(Role::Etcd) && cluster.etcd == Etcd::Hosts {
        ports.extend([
            layout::ETCD_PORT,
            layout::ETCD_PEER_PORT,
            layout::ETCD_METRICS_PORT,
        ]);
    }
    if host.is(Role::ControlPlane) {
        // Controller manager, scheduler, bootstrap-signer.
        ports.extend([APISERVER_PORT, 10257, 10259, 9020]);
    }
    match cluster.balancer {
        Balancer::Own(_) if host.is(Role::ControlPlane) => {
            ports.extend([cluster.endpoint.port, 9000, 9010]);
        }
        Balancer::Local => ports.extend([cluster.endpoint.port, 9000]),
        Balancer::Own(_) | Balancer::External | Balancer::None => {}
    }
    if host.is(Role::Node) {
        // kubelet and its health, kube-proxy's metrics and health.
        ports.extend([10250, 10248, 10249, 10256]);
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The programs that a host is to have.
pub fn programs(cluster: &Cluster, host: &Host) -> Vec<String> {
    let resources = resources(cluster, host);
    let programs = resources.iter().filter_map(Resource::program);
    let mut names: Vec<_> = programs.map(|program| program.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether any unit of a host has never been started.
pub fn lacks_units(cluster: &Cluster, host: &Host, system: &System) -> bool {
    let resources = resources(cluster, host);
    units(&resources).any(|unit| !system.begun.contains(unit))
}

fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let known = render::Known {
        interface: String::new(),
        resolv_conf: None,
        newcomers: render::Newcomers::None,
        dials: None,
    };
    render::host(cluster, host, &known)
}

fn architecture(
    cluster: &Cluster,
    host: &Host,
    system: &System,
    programs: &BTreeMap<Architecture, BTreeMap<String, String>>,
) -> Option<What> {
    let own = &system.architecture;
    let programs = programs.get(&Architecture::of_machine(own).ok()?)?;
    let names = self::programs(cluster, host).into_iter();
    let others: Vec<_> = names
        .filter_map(|name| {
            let other = programs.get(&name)?;
            (other != own).then(|| (name, other.clone()))
        })
        .collect();
    let (_, other) = others.first()?;
    Some(What::Architecture(Processor {
        own: own.clone(),
        other: other.clone(),
        programs: others.iter().map(|(name, _)| name.clone()).collect(),
    }))
}

fn kernel(cluster: &Cluster, host: &Host, sight: &Sight) -> Vec<What> {
    let modules = render::modules(cluster, host).into_iter();
    let (mut absent, mut unloaded) = (Vec::new(), Vec::new());
    for name in modules {
        match sight.kernel.modules.get(name) {
            Some(Module::Absent) => absent.push(name.to_owned()),
            Some(Module::Loadable) => unloaded.push(name.to_owned()),
            Some(Module::Loaded | Module::Unknown) | None => {}
        }
    }
    let settings = render::settings(cluster, host).into_iter();
    let others: Vec<_> = settings
        .filter_map(|(key, wanted)| {
            let is = sight.kernel.settings.get(key).cloned();
            (is.as_deref() != Some(wanted)).then(|| Setting {
                key: key.to_owned(),
                is,
                wanted: wanted.to_owned(),
            })
        })
        .collect();
    let mut found = Vec::new();
    if !absent.is_empty() {
        found.push(What::NoModule(absent));
    }
    if !unloaded.is_empty() {
        found.push(What::Module(unloaded));
    }
    if !others.is_empty() {
        found.push(What::Setting(others));
    }
    found
}
