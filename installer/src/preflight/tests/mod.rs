//! Tables of findings: a row on each side of every comparison.

mod adopted;
mod between;
mod installed;
mod kernel;
mod kubelet;
mod routers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use super::what::{CLOCK, FULL, MEMORY, PROCESSORS, SYNC};
use super::*;
use crate::agent::Module;
use crate::facts::{Interface, System};
use crate::flows;
use crate::render;
use crate::spec::{self, Host};

const SPEC: &str = include_str!("../../../tests/spec/whole.yaml");
const NOW: Duration = Duration::from_secs(1_790_000_000);
const TOOLS: [&str; 4] = ["iptables", "mount", "sysctl", "umount"];
/// Room below `/var/lib`, KiB.
const ROOM: u64 = 10 * 1024 * 1024;

fn cluster() -> Cluster {
    spec::parse("cluster.yaml", SPEC).unwrap().cluster
}

/// A machine with nothing against it.
fn sound(cluster: &Cluster, host: &Host) -> Sight {
    let rooms = ["/var/lib", "/var/lib/etcd", "/opt"].map(|path| (path.to_owned(), ROOM));
    let settings = render::settings(cluster, host).into_iter();
    let modules = render::modules(cluster, host).into_iter();
    let last = host.addresses[0].to_string();
    let last = last.rsplit('.').next().unwrap().to_owned();
    Sight {
        machine: Machine {
            interfaces: vec![Interface {
                name: "ens33".into(),
                hardware: Some(format!("02:00:00:00:00:{last}")),
                addresses: host.addresses.clone(),
            }],
            system: Box::new(System {
                id: "debian".into(),
                release: "12".into(),
                kernel: "6.1.0-18-amd64".into(),
                name: host.name.clone(),
                machine_id: format!("id of {}", host.name),
                memory: MEMORY,
                processors: PROCESSORS,
                architecture: "x86_64".into(),
                rooms: BTreeMap::from(rooms),
                unified: true,
                ports: BTreeSet::from([22]),
                tools: BTreeSet::from(TOOLS.map(str::to_owned)),
                clock: NOW,
                ..System::default()
            }),
            ..Machine::default()
        },
        asked: UNIX_EPOCH + NOW,
        firewall: Firewall::None,
        carried: flows::Carried::default(),
        kernel: Kernel {
            settings: settings.map(|(key, is)| (key.into(), is.into())).collect(),
            modules: modules.map(|name| (name.into(), Module::Loaded)).collect(),
        },
        names: render::names(cluster).within("127.0.0.1 localhost\n"),
        syncs: None,
        members: Vec::new(),
    }
}

fn round(cluster: &Cluster) -> Round {
    let hosts = cluster.hosts.iter();
    let sights = hosts.map(|host| (host.name.clone(), sound(cluster, host)));
    let flows = flows::needed(cluster).into_iter();
    Round {
        sights: sights.collect(),
        flows: flows.map(|flow| (flow, Passage::Passes)).collect(),
        ..Round::default()
    }
}

fn found(host: &str, change: impl Fn(&mut System)) -> Vec<What> {
    let cluster = cluster();
    let mut round = round(&cluster);
    change(&mut round.sights.get_mut(host).unwrap().machine.system);
    let findings = preflight(&cluster, &round);
    assert!(findings.iter().all(|finding| finding.host == host));
    findings.into_iter().map(|finding| finding.what).collect()
}

fn room(path: &str, has: u64, needs: u64) -> Room {
    Room {
        path: path.into(),
        has,
        needs,
    }
}

fn fill(system: &mut System, path: &str, room: u64) {
    system.rooms.insert(path.to_owned(), room);
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
    (
        "n1",
        |s| s.swaps_at_boot = vec!["UUID=5".into()],
        || Some(What::SwapAtBoot(vec!["UUID=5".into()])),
    ),
    ("m1", |s| s.swaps_at_boot = vec!["UUID=5".into()], || None),
    ("n1", |s| s.unified = false, || Some(What::ControlGroups)),
    ("m1", |s| s.unified = false, || None),
    ("n1", |s| s.enforcing = true, || Some(What::Enforcing)),
    ("m1", |s| s.enforcing = true, || Some(What::Enforcing)),
    (
        "m1",
        |s| {
            s.os = "Debian GNU/Linux 10".into();
            s.release = "10".into();
        },
        || Some(What::System("Debian GNU/Linux 10".into())),
    ),
    (
        "m1",
        |s| s.memory = MEMORY - 1,
        || Some(What::Memory(MEMORY - 1)),
    ),
    ("n1", |s| s.memory = MEMORY - 1, || None),
    ("m1", |s| s.processors = 1, || Some(What::Processors(1))),
    (
        "n1",
        |s| fill(s, "/var/lib", ROOM - 1),
        || Some(What::Room(room("/var/lib", ROOM - 1, ROOM))),
    ),
    (
        "n1",
        |s| {
            s.ours = true;
            s.rooms.insert("/var/lib".into(), ROOM - 1);
        },
        || None,
    ),
    (
        "m1",
        |s| s.rooms = s.rooms.keys().map(|path| (path.clone(), FULL)).collect(),
        || Some(What::Room(room("/var/lib", FULL, ROOM))),
    ),
    (
        "n1",
        |s| {
            s.ours = true;
            s.rooms.insert("/var/lib".into(), FULL - 1);
        },
        || Some(What::Full(room("/var/lib", FULL - 1, ROOM))),
    ),
    (
        "m1",
        |s| fill(s, "/var/lib/etcd", FULL - 1),
        || Some(What::Full(room("/var/lib/etcd", FULL - 1, ROOM))),
    ),
    ("n1", |s| fill(s, "/var/lib/etcd", FULL - 1), || None),
    ("n1", |s| s.rooms = BTreeMap::new(), || None),
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
        || Some(What::Port(10250)),
    ),
    (
        "n1",
        |s| s.running = BTreeSet::from(["k3s".into(), "sshd".into()]),
        || Some(What::Running(vec!["k3s".into()])),
    ),
    (
        "m1",
        |s| s.running = BTreeSet::from(["keepalived".into()]),
        || Some(What::Beside(vec!["keepalived".into()])),
    ),
    (
        "m1",
        |s| s.running = BTreeSet::from(["dockerd".into()]),
        || Some(What::Beside(vec!["dockerd".into()])),
    ),
    // What runs there will be run by ours.
    (
        "n1",
        |s| s.running = BTreeSet::from(["dockerd".into(), "containerd".into()]),
        || Some(What::Shares(vec!["dockerd".into(), "containerd".into()])),
    ),
    (
        "m1",
        |s| (s.running, s.ours) = (BTreeSet::from(["etcd".into()]), true),
        || Some(What::Running(vec!["etcd".into()])),
    ),
    (
        "m1",
        |s| s.leftovers = vec!["/var/lib/etcd/member".into()],
        || Some(What::Leftover("/var/lib/etcd/member".into())),
    ),
    (
        "n1",
        |s| {
            s.networks = vec!["10-calico.conflist".into()];
            s.begun = BTreeSet::from(["kubelet.service".into()]);
        },
        || Some(What::Network("10-calico.conflist".into())),
    ),
    (
        "n1",
        // Of a run that was broken off.
        |s| (s.networks, s.ours) = (vec!["10-calico.conflist".into()], true),
        || Some(What::NetworkBefore("10-calico.conflist".into())),
    ),
    (
        "n1",
        |s| s.networks = vec!["10-flannel.conflist".into()],
        || None,
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
    hold(ROWS);
}

fn hold(rows: &[Row]) {
    for (place, (host, change, wanted)) in rows.iter().enumerate() {
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
    let cluster = cluster();
    let mut round = round(&cluster);
    round
        .sights
        .get_mut("m1")
        .unwrap()
        .machine
        .interfaces
        .clear();
    let findings = preflight(&cluster, &round);
    assert_eq!(
        findings[0].what,
        What::OtherMachine("192.168.220.100".into())
    );
    assert!(fixes(&cluster, &round, &findings).is_empty());
}

#[test]
fn a_host_without_its_address_of_either_family_is_another_machine() {
    let text = include_str!("../../../tests/spec/six.yaml");
    let cluster = spec::parse("cluster.yaml", text).unwrap().cluster;
    for (place, wanted) in [(0, "2001:db8::31"), (1, "192.0.2.31")] {
        let mut round = round(&cluster);
        let sight = round.sights.get_mut("n1").unwrap();
        sight.machine.interfaces[0].addresses.remove(place);
        let findings = preflight(&cluster, &round);
        assert_eq!(findings[0].what, What::OtherMachine(wanted.into()));
    }
}

#[test]
fn when_all_clocks_differ_from_this_one_it_is_this_one() {
    let cluster = cluster();
    let mut round = round(&cluster);
    for sight in round.sights.values_mut() {
        sight.machine.system.clock = NOW + Duration::from_secs(600);
    }
    let clocks = |round: &Round| -> Vec<(String, What)> {
        let all = preflight(&cluster, round).into_iter();
        all.map(|finding| (finding.host, finding.what)).collect()
    };
    assert_eq!(clocks(&round), [("m1".into(), What::OwnClock(-600))]);
    round.sights.retain(|name, _| name == "m1" || name == "m2");
    assert_eq!(
        clocks(&round),
        [
            ("m1".into(), What::Clock(600)),
            ("m2".into(), What::Clock(600))
        ]
    );
}
