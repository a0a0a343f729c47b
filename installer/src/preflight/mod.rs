//! What speaks against making a cluster of these machines: a function of the description, of
//! what was found on them, and of the time.

mod what;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::facts::{Machine, System};
use crate::layout;
use crate::spec::{APISERVER_PORT, Balancer, Cluster, Host, Role};

use what::{CLOCK, KERNEL, MEMORY, PROCESSORS, ROOM};
pub use what::{Weight, What};

/// Something about a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The host.
    pub host: String,
    /// What was found.
    #[serde(flatten)]
    pub what: What,
}

/// What speaks against it, host by host in the order of the description, what blocks first.
/// `machines` holds what each host that answered was found to be, and when.
#[must_use]
pub fn preflight(
    cluster: &Cluster,
    machines: &BTreeMap<String, (Machine, SystemTime)>,
) -> Vec<Finding> {
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    let mut all = Vec::new();
    for host in &cluster.hosts {
        let Some((machine, asked)) = machines.get(&host.name) else {
            continue;
        };
        let mut found = of_one(cluster, host, machine, *asked);
        let id = machine.system.machine_id.as_str();
        if let Some(other) = ids.insert(id, &host.name).filter(|_| !id.is_empty()) {
            found.push(What::MachineId(other.to_owned()));
        }
        found.sort_by_key(What::weight);
        all.extend(found.into_iter().map(|what| Finding {
            host: host.name.clone(),
            what,
        }));
    }
    all
}

fn of_one(
    cluster: &Cluster,
    host: &Host,
    machine: &Machine,
    asked: SystemTime,
) -> Vec<What> {
    let system = &machine.system;
    let mut found = Vec::new();
    if machine.interface(host.address()).is_none() {
        found.push(What::OtherMachine(host.address().to_string()));
    }
    if host.is(Role::Node) {
        if !system.swaps.is_empty() {
            found.push(What::Swap(system.swaps.clone()));
        }
        if !system.unified && cluster.version.features().refuses_cgroup_v1 {
            found.push(What::ControlGroups);
        }
        if system.enforcing {
            found.push(What::Enforcing);
        }
    }
    if host.is(Role::ControlPlane) {
        if system.memory < MEMORY {
            found.push(What::Memory(system.memory));
        }
        if system.processors < PROCESSORS {
            found.push(What::Processors(system.processors));
        }
    }
    if let Some(room) = system.room.filter(|room| *room < ROOM) {
        found.push(What::Room(room));
    }
    if release(&system.kernel).is_some_and(|release| release < KERNEL) {
        found.push(What::Kernel(system.kernel.clone()));
    }
    if system.name != host.name {
        found.push(What::Name(system.name.clone()));
    }
    found.extend(clock(system, asked));
    if !system.ours {
        found.extend(strangers(cluster, host, system));
    }
    found
}

fn release(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let minor = rest.get(..end.unwrap_or(rest.len()))?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn clock(system: &System, asked: SystemTime) -> Option<What> {
    let here = asked.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (ahead, behind) = (
        system.clock.saturating_sub(here),
        here.saturating_sub(system.clock),
    );
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    (ahead.max(behind) > CLOCK).then(|| What::Clock(seconds(ahead) - seconds(behind)))
}

/// Who was there first.
fn strangers(cluster: &Cluster, host: &Host, system: &System) -> Vec<What> {
    let ports = needed(cluster, host).into_iter();
    let taken = ports.filter(|port| system.ports.contains(port));
    let mut found: Vec<_> = taken.map(What::Port).collect();
    found.extend(system.leftovers.iter().cloned().map(What::Leftover));
    if host.is(Role::Node) {
        found.extend(system.networks.iter().cloned().map(What::Network));
    }
    found
}

/// The ports that a host's components listen on, each once, sorted.
#[must_use]
pub fn needed(cluster: &Cluster, host: &Host) -> Vec<u16> {
    let mut ports = Vec::new();
    if host.is(Role::Etcd) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::facts::Interface;

    const SPEC: &str = include_str!("../../tests/spec/whole.yaml");
    const NOW: Duration = Duration::from_secs(1_790_000_000);

    /// A machine with nothing against it.
    fn sound(host: &Host) -> Machine {
        Machine {
            interfaces: vec![Interface {
                name: "ens33".into(),
                addresses: host.addresses.clone(),
            }],
            system: Box::new(System {
                kernel: "6.1.0-18-amd64".into(),
                name: host.name.clone(),
                machine_id: format!("id of {}", host.name),
                memory: MEMORY,
                processors: PROCESSORS,
                room: Some(ROOM),
                unified: true,
                ports: BTreeSet::from([22]),
                clock: NOW,
                ..System::default()
            }),
            ..Machine::default()
        }
    }

    fn found(host: &str, change: impl Fn(&mut System)) -> Vec<What> {
        let cluster = crate::spec::parse("cluster.yaml", SPEC).unwrap().cluster;
        let machines = cluster.hosts.iter().map(|one| {
            let mut machine = sound(one);
            if one.name == host {
                change(&mut machine.system);
            }
            (one.name.clone(), (machine, UNIX_EPOCH + NOW))
        });
        let findings = preflight(&cluster, &machines.collect());
        assert!(findings.iter().all(|finding| finding.host == host));
        findings.into_iter().map(|finding| finding.what).collect()
    }

    type Row = (&'static str, fn(&mut System), fn() -> Option<What>);

    /// On which host, what is odd, what is found.
    const ROWS: &[Row] = &[
        ("m1", |_| {}, || None),
        (
            "n1",
            |s| s.swaps = vec!["/dev/zram0".into()],
            || Some(What::Swap(vec!["/dev/zram0".into()])),
        ),
        ("m1", |s| s.swaps = vec!["/dev/zram0".into()], || None),
        ("n1", |s| s.unified = false, || Some(What::ControlGroups)),
        ("m1", |s| s.unified = false, || None),
        ("n1", |s| s.enforcing = true, || Some(What::Enforcing)),
        (
            "m1",
            |s| s.memory = MEMORY - 1,
            || Some(What::Memory(MEMORY - 1)),
        ),
        ("n1", |s| s.memory = MEMORY - 1, || None),
        ("m1", |s| s.processors = 1, || Some(What::Processors(1))),
        (
            "n1",
            |s| s.room = Some(ROOM - 1),
            || Some(What::Room(ROOM - 1)),
        ),
        ("n1", |s| s.room = None, || None),
        (
            "n1",
            |s| s.kernel = "4.18.0-553.el8".into(),
            || Some(What::Kernel("4.18.0-553.el8".into())),
        ),
        ("n1", |s| s.kernel = "4.19.1".into(), || None),
        ("n1", |s| s.kernel = "strange".into(), || None),
        ("n1", |s| s.clock = NOW + CLOCK, || None),
        (
            "n1",
            |s| s.clock = NOW + CLOCK + Duration::from_secs(1),
            || Some(What::Clock(61)),
        ),
        (
            "n1",
            |s| s.clock = NOW.saturating_sub(Duration::from_secs(600)),
            || Some(What::Clock(-600)),
        ),
        (
            "n1",
            |s| s.machine_id = "id of m2".into(),
            || Some(What::MachineId("m2".into())),
        ),
        (
            "m1",
            |s| s.ports = BTreeSet::from([2379]),
            || Some(What::Port(2379)),
        ),
        ("n1", |s| s.ports = BTreeSet::from([2379]), || None),
        (
            "n1",
            |s| s.ports = BTreeSet::from([10250]),
            || Some(What::Port(10250)),
        ),
        (
            "n1",
            |s| (s.ports, s.ours) = (BTreeSet::from([10250]), true),
            || None,
        ),
        (
            "m1",
            |s| s.leftovers = vec!["/var/lib/etcd/member".into()],
            || Some(What::Leftover("/var/lib/etcd/member".into())),
        ),
        (
            "n1",
            |s| s.networks = vec!["10-calico.conflist".into()],
            || Some(What::Network("10-calico.conflist".into())),
        ),
        (
            "m1",
            |s| s.networks = vec!["10-calico.conflist".into()],
            || None,
        ),
        (
            "n1",
            |s| s.name = "localhost".into(),
            || Some(What::Name("localhost".into())),
        ),
    ];

    #[test]
    fn each_finding_has_a_row_on_each_side() {
        for (place, (host, change, wanted)) in ROWS.iter().enumerate() {
            let (found, wanted) = (found(host, change), wanted());
            assert_eq!(found.first(), wanted.as_ref(), "row {place}");
            assert!(found.len() <= 1, "row {place}: {found:?}");
            for what in found {
                assert!(!what.way_out().is_empty() && !what.to_string().is_empty());
            }
        }
    }

    #[test]
    fn what_blocks_comes_first_and_another_machine_is_named() {
        let found = found("n1", |system| {
            system.name = "x".into();
            system.swaps = vec!["/swapfile".into()];
        });
        let weights: Vec<_> = found.iter().map(What::weight).collect();
        assert_eq!(weights, [Weight::Blocks, Weight::Warns]);
        let cluster = crate::spec::parse("cluster.yaml", SPEC).unwrap().cluster;
        let host = cluster.hosts.first().unwrap();
        let machine = Machine {
            interfaces: Vec::new(),
            ..sound(host)
        };
        let machines = BTreeMap::from([(host.name.clone(), (machine, UNIX_EPOCH + NOW))]);
        let what = preflight(&cluster, &machines).remove(0).what;
        assert_eq!(what, What::OtherMachine("192.168.220.100".into()));
    }
}
