//! kube-controller-manager and kube-scheduler, each beside its API server.

use pki::Profile;

use super::flags::Flags;
use super::unit::Service;
use super::{kubeconfig, server};
use crate::layout::{self, certificate, key};
use crate::resource::{
    Authority, Certificate, File, OnChange, Owner, Program, Resource, Stage, Unit,
};
use crate::spec::{Cluster, Component, Host, Leases};

/// By default the client asks 20 times a second, and the first 5 s of a cluster pass with
/// making one service account per controller.
const QPS: (&str, &str) = ("300", "500");
/// kubeadm's sizes: pods of a node, by family.
const NODE_BITS: (&str, &str) = ("24", "64");

pub(super) fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let manager = Part {
        name: "kube-controller-manager",
        identity: "controller-manager",
        user: "system:kube-controller-manager",
        description: "Kubernetes controller manager",
        flags: manager(cluster),
    };
    let scheduler = Part {
        name: "kube-scheduler",
        identity: "scheduler",
        user: "system:kube-scheduler",
        description: "Kubernetes scheduler",
        flags: scheduler(cluster),
    };
    let parts = [manager, scheduler].into_iter();
    parts
        .flat_map(|part| part.resources(cluster, host))
        .collect()
}

struct Part {
    name: &'static str,
    identity: &'static str,
    user: &'static str,
    description: &'static str,
    flags: Flags,
}

impl Part {
    fn resources(self, cluster: &Cluster, host: &Host) -> Vec<Resource> {
        let unit = format!("{}/{}.service", layout::UNITS, self.name);
        let config =
            kubeconfig::kubeconfig(cluster, &server(cluster, host), self.identity);
        let service =
            Service::new(self.description, &layout::program(self.name), &self.flags)
                .unit("Documentation", "https://kubernetes.io/docs/")
                .unit("After", "kube-apiserver.service")
                .unit("StartLimitIntervalSec", "0")
                .with(HARDENED)
                .shut_in()
                .set("UMask", "0077");
        let reads = vec![
            unit.clone(),
            config.path.clone(),
            certificate(self.identity),
        ];
        vec![
            Program::new(self.name).into(),
            Certificate {
                name: self.identity.into(),
                owner: Owner::Kubernetes,
                authority: Authority::Kubernetes,
                profile: Profile::client(self.user, &[]),
            }
            .into(),
            config.into(),
            File::public(unit, service.text()).into(),
            Unit {
                name: format!("{}.service", self.name),
                after: Stage::Control,
                reads,
                on_change: OnChange::Restart,
            }
            .into(),
        ]
    }
}

const HARDENED: &[(&str, &str)] = &[
    ("User", "kubernetes"),
    ("Restart", "always"),
    ("RestartSec", "1s"),
    ("LimitNOFILE", "65536"),
    ("OOMScoreAdjust", "-900"),
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
];

fn manager(cluster: &Cluster) -> Flags {
    let networks = &cluster.networks;
    let list = |nets: &[ipnet::IpNet]| {
        let texts: Vec<_> = nets.iter().map(ToString::to_string).collect();
        texts.join(",")
    };
    let flags = common("controller-manager");
    let flags = match networks.leases {
        Leases::Kubernetes => flags
            .set("allocate-node-cidrs", "true")
            .set("cluster-cidr", list(&networks.pods)),
        // flannel takes them by itself; two who give would give twice.
        Leases::Etcd { .. } => flags.set("allocate-node-cidrs", "false"),
    };
    let flags = flags
        .set("service-cluster-ip-range", list(&networks.services))
        .set("cluster-name", &cluster.name)
        .set("root-ca-file", certificate("ca"))
        .set("service-account-private-key-file", key("sa"));
    let flags = match cluster.is_external(Authority::Kubernetes) {
        // Nobody here signs.
        true => flags,
        false => flags
            .set("cluster-signing-cert-file", certificate("ca"))
            .set("cluster-signing-key-file", key("ca")),
    };
    let flags = flags
        .set("use-service-account-credentials", "true")
        // bootstrap-signer alone approves: two approvers are one too many.
        .set(
            "controllers",
            "*,bootstrapsigner,tokencleaner,-csrapproving",
        )
        .set("kube-api-qps", QPS.0)
        .set("kube-api-burst", QPS.1);
    let flags = match networks.leases {
        Leases::Kubernetes => sizes(&networks.pods, flags),
        Leases::Etcd { .. } => flags,
    };
    flags.and_extra(cluster, Component::ControllerManager)
}

/// One family takes one flag, two take one each: kube-controller-manager refuses the other.
fn sizes(pods: &[ipnet::IpNet], flags: Flags) -> Flags {
    match pods {
        [ipnet::IpNet::V4(_)] => flags.set("node-cidr-mask-size", NODE_BITS.0),
        [ipnet::IpNet::V6(_)] => flags.set("node-cidr-mask-size", NODE_BITS.1),
        _ => flags
            .set("node-cidr-mask-size-ipv4", NODE_BITS.0)
            .set("node-cidr-mask-size-ipv6", NODE_BITS.1),
    }
}

fn scheduler(cluster: &Cluster) -> Flags {
    common("scheduler").and_extra(cluster, Component::Scheduler)
}

fn common(identity: &str) -> Flags {
    let path = layout::kubeconfig(identity);
    Flags::default()
        .set("kubeconfig", &path)
        .set("authentication-kubeconfig", &path)
        .set("authorization-kubeconfig", path)
        .set("bind-address", "127.0.0.1")
        .set("leader-elect", "true")
}
