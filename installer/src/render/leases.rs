//! Networks of hosts in etcd: what flannel shows there to take one, and who writes the network
//! that they are taken from.

use pki::Profile;

use super::etcd;
use super::flags::Flags;
use super::flannel::{Access, net_conf, pretty};
use super::unit::{ONCE, Service};
use crate::layout::{self, certificate, key};
use crate::resource::{
    Authority, Certificate, File, OnChange, Owner, Program, Resource, Shared, Stage, Unit,
};
use crate::spec::{Cluster, Etcd, Host, Role};

/// What a node shows to etcd.
const CLIENT: &str = "flannel-etcd-client";
/// What flannel reads in etcd, where it is written from.
const NETWORK: &str = layout::POD_NETWORK;
const WRITER: &str = "sternpost-pod-network.service";

/// How flannel comes to the network of its host by etcd.
pub(super) fn access(cluster: &Cluster, prefix: &str) -> Access {
    let client = Certificate {
        name: CLIENT.into(),
        owner: Owner::Root,
        authority: Authority::Etcd,
        profile: Profile::client("sternpost:flannel", &[]),
    };
    let (resources, trusted, shown) = match &cluster.etcd {
        Etcd::Hosts => (
            vec![
                Resource::Shared(Shared::Trust(Authority::Etcd)),
                client.into(),
            ],
            "etcd/ca",
            CLIENT,
        ),
        Etcd::External { .. } => (
            vec![Resource::Shared(Shared::FlannelEtcd)],
            "etcd/flannel-ca",
            "etcd/flannel-client",
        ),
    };
    let flags = Flags::default()
        .set("etcd-endpoints", endpoints(cluster).join(","))
        .set("etcd-prefix", prefix)
        .set("etcd-cafile", certificate(trusted))
        .set("etcd-certfile", certificate(shown))
        .set("etcd-keyfile", key(shown));
    Access {
        flags,
        resources,
        reads: vec![certificate(trusted), certificate(shown)],
        before: Vec::new(),
    }
}

fn endpoints(cluster: &Cluster) -> Vec<String> {
    match &cluster.etcd {
        Etcd::Hosts => etcd::clients(cluster),
        Etcd::External { endpoints, .. } => endpoints.clone(),
    }
}

/// Whoever writes to etcd as a host of the cluster: its members, or, where it is somebody
/// else's, the masters. All of them write the same.
struct Writer {
    endpoints: String,
    trusted: &'static str,
    shown: &'static str,
    owner: Owner,
}

fn writer(cluster: &Cluster, host: &Host) -> Option<Writer> {
    match &cluster.etcd {
        Etcd::Hosts if host.is(Role::Etcd) => Some(Writer {
            endpoints: etcd::beside(host),
            trusted: "etcd/ca",
            shown: "etcd/healthcheck-client",
            owner: Owner::Etcd,
        }),
        Etcd::External { endpoints, .. } if host.is(Role::ControlPlane) => Some(Writer {
            endpoints: endpoints.join(","),
            trusted: "etcd/external-ca",
            shown: "etcd/external-client",
            owner: Owner::Kubernetes,
        }),
        Etcd::Hosts | Etcd::External { .. } => None,
    }
}

/// The network of all Pods, and the unit that writes it to etcd.
pub(super) fn network(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let prefix = cluster.networks.leases_in_etcd();
    let Some((prefix, writer)) = prefix.zip(writer(cluster, host)) else {
        return Vec::new();
    };
    let unit = format!("{}/{WRITER}", layout::UNITS);
    let mut all = vec![
        File::public(NETWORK, pretty(&net_conf(cluster))).into(),
        File::public(unit.clone(), service(prefix, &writer).text()).into(),
        Unit {
            name: WRITER.into(),
            after: Stage::Store,
            reads: vec![unit, NETWORK.into()],
            on_change: OnChange::Restart,
        }
        .into(),
    ];
    if cluster.etcd != Etcd::Hosts {
        all.insert(0, Program::new("etcdctl").into());
    }
    all
}

fn service(prefix: &str, writer: &Writer) -> Service {
    let command = format!(
        "exec {} --endpoints={} --cacert={} --cert={} --key={} put {prefix}/config <{NETWORK}",
        layout::program("etcdctl"),
        writer.endpoints,
        certificate(writer.trusted),
        certificate(writer.shown),
        key(writer.shown),
    );
    Service::new(
        "The network of Pods, written to etcd for flannel",
        "/bin/sh",
        &Flags::default(),
    )
    .told("-c")
    .told(&command)
    .unit("Documentation", "https://github.com/flannel-io/flannel")
    .unit("Wants", "network-online.target")
    .unit("After", "network-online.target etcd.service")
    .unit("StartLimitIntervalSec", "0")
    .with(&[
        ("Type", ONCE),
        ("RemainAfterExit", "yes"),
        ("User", writer.owner.name()),
        ("Restart", "on-failure"),
        ("RestartSec", "1s"),
        // After a boot its member is ready when a majority is there.
        ("TimeoutStartSec", "5min"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
    ])
    .shut_in()
}
