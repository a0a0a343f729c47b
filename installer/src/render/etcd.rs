//! A member of etcd.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pki::{Name, Profile};

use super::flags::Flags;
use super::unit::Service;
use crate::layout;
use crate::resource::{
    Authority, Certificate, File, Folder, OnChange, Owner, Program, Resource, Shared,
    Stage, Unit,
};
use crate::spec::{Cluster, Component, Host, Role};

/// The largest that etcd's documentation recommends, in bytes.
const QUOTA: u64 = 8 * 1024 * 1024 * 1024;

pub(super) fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let names = || {
        let addresses = host.addresses.iter().copied().map(Name::Address);
        let mut names = vec![Name::Dns(host.name.clone())];
        names.extend(addresses);
        names.extend(local());
        names
    };
    let leaf = |name: &str, profile| {
        Resource::from(Certificate {
            name: name.to_owned(),
            owner: Owner::Etcd,
            authority: Authority::Etcd,
            profile,
        })
    };
    let flags = flags(cluster, host);
    let unit = format!("{}/etcd.service", layout::UNITS);
    let mut all = vec![
        Program::new("etcd").into(),
        Program::new("etcdctl").into(),
        Resource::Shared(Shared::Trust(Authority::Etcd)),
        leaf("etcd/server", Profile::peer(&host.name, names())),
        leaf("etcd/peer", Profile::peer(&host.name, names())),
        leaf(
            "etcd/healthcheck-client",
            Profile::client("kube-etcd-healthcheck-client", &[]),
        ),
        Resource::Folder(Folder {
            path: layout::ETCD_DATA.into(),
            mode: 0o700,
            owner: Owner::Etcd,
        }),
        File::public(unit.clone(), service(&flags).text()).into(),
    ];
    let reads = ["etcd/server", "etcd/peer"].map(layout::certificate);
    all.push(
        Unit {
            name: "etcd.service".into(),
            after: Stage::Store,
            reads: std::iter::once(unit).chain(reads).collect(),
            on_change: OnChange::Restart,
        }
        .into(),
    );
    all
}

/// `https://ADDRESS:PORT` for clients of each member, in the order of the file.
pub(super) fn clients(cluster: &Cluster) -> Vec<String> {
    cluster.with(Role::Etcd).map(client).collect()
}

/// That of one.
pub(super) fn client(host: &Host) -> String {
    url(host.address(), layout::ETCD_PORT)
}

/// `https://ADDRESS:PORT` for the other members.
pub(super) fn peer(host: &Host) -> String {
    url(host.address(), layout::ETCD_PEER_PORT)
}

/// That of the one on `host`, for who is beside it.
pub(super) fn beside(host: &Host) -> String {
    url(loopback(host), layout::ETCD_PORT)
}

fn loopback(host: &Host) -> IpAddr {
    match host.address() {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

pub(super) fn local() -> [Name; 3] {
    [
        Name::Dns("localhost".into()),
        Name::Address(Ipv4Addr::LOCALHOST.into()),
        Name::Address(Ipv6Addr::LOCALHOST.into()),
    ]
}

fn flags(cluster: &Cluster, host: &Host) -> Flags {
    let address = host.address();
    let peers: Vec<_> = cluster
        .with(Role::Etcd)
        .map(|member| format!("{}={}", member.name, peer(member)))
        .collect();
    let clients = url(address, layout::ETCD_PORT);
    let beside = beside(host);
    let peer = peer(host);
    let metrics = SocketAddr::new(loopback(host), layout::ETCD_METRICS_PORT);
    Flags::default()
        .set("name", &host.name)
        .set("data-dir", layout::ETCD_DATA)
        .set("listen-client-urls", format!("{clients},{beside}"))
        .set("advertise-client-urls", clients)
        .set("listen-peer-urls", &peer)
        .set("initial-advertise-peer-urls", peer)
        .set("initial-cluster", peers.join(","))
        .set("initial-cluster-token", &cluster.name)
        .set("initial-cluster-state", "new")
        .set("client-cert-auth", "true")
        .set("trusted-ca-file", layout::certificate("etcd/ca"))
        .set("cert-file", layout::certificate("etcd/server"))
        .set("key-file", layout::key("etcd/server"))
        .set("peer-client-cert-auth", "true")
        .set("peer-trusted-ca-file", layout::certificate("etcd/ca"))
        .set("peer-cert-file", layout::certificate("etcd/peer"))
        .set("peer-key-file", layout::key("etcd/peer"))
        .set("listen-metrics-urls", format!("http://{metrics}"))
        .set("quota-backend-bytes", QUOTA.to_string())
        // The API server compacts every 5 minutes; this is for keys that are not its own,
        // such as flannel's.
        .set("auto-compaction-mode", "periodic")
        .set("auto-compaction-retention", "8h")
        .and_extra(cluster, Component::Etcd)
}

fn url(address: IpAddr, port: u16) -> String {
    format!("https://{}", SocketAddr::new(address, port))
}

fn service(flags: &Flags) -> Service {
    Service::new(
        "etcd, the store of the cluster",
        &layout::program("etcd"),
        flags,
    )
    .unit("Documentation", "https://etcd.io/docs/")
    .unit("Wants", "network-online.target")
    .unit("After", "network-online.target")
    .unit("StartLimitIntervalSec", "0")
    .with(&[
        ("Type", "notify"),
        // The first member is ready when a majority is there, however late that is.
        ("TimeoutStartSec", "infinity"),
        ("User", Owner::Etcd.name()),
        ("WorkingDirectory", layout::ETCD_DATA),
        ("Restart", "always"),
        ("RestartSec", "1s"),
        ("LimitNOFILE", "1048576"),
        ("OOMScoreAdjust", "-999"),
        // A late fsync is a late heartbeat, and an election.
        ("Nice", "-10"),
        ("IOSchedulingClass", "best-effort"),
        ("IOSchedulingPriority", "0"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ReadWritePaths", layout::ETCD_DATA),
    ])
    .shut_in()
    .set("UMask", "0077")
}
