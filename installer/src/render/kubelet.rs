//! kubelet: its configuration, its way to an identity, its unit.

use pki::{Name, Profile};
use serde_json::{Value, json};

use super::flags::Flags;
use super::unit::Service;
use super::{Known, elsewhere, kubeconfig, server, yaml};
use crate::layout::{self, certificate};
use crate::resource::{
    Authority, Certificate, File, Folder, OnChange, Owner, Program, Resource, Shared,
    Stage, Unit,
};
use crate::spec::{Cluster, Component, Host, Role};

const IDENTITY: &str = "kubelet";
const CONFIG: &str = layout::KUBELET_CONFIG;

pub(super) fn resources(cluster: &Cluster, host: &Host, known: &Known) -> Vec<Resource> {
    let unit = format!("{}/kubelet.service", layout::UNITS);
    let mut all = vec![
        Program::new("kubelet").into(),
        Resource::Shared(Shared::Trust(Authority::Kubernetes)),
    ];
    all.extend(identity(cluster, host, known));
    all.extend([
        Resource::Folder(Folder {
            path: layout::KUBELET.into(),
            mode: 0o750,
            owner: Owner::Root,
        }),
        // It makes these two by itself: what we have made is known to `reset`.
        folder(layout::LOGIND),
        folder(layout::PLUGINS),
        File::public(CONFIG, yaml::yaml(&config(cluster, host, known))).into(),
        File::public(unit.clone(), service(&flags(cluster, host)).text()).into(),
        Unit {
            name: "kubelet.service".into(),
            after: Stage::Nodes,
            reads: vec![
                unit,
                CONFIG.into(),
                layout::kubeconfig(IDENTITY),
                layout::KUBELET_CLIENT.into(),
                layout::KUBELET_SERVER.into(),
            ],
            on_change: OnChange::Restart,
        }
        .into(),
    ]);
    all
}

/// How it comes to its first certificate. No token makes a master: the name of one is none
/// that bootstrap-signer gives to whoever has a token, so it has its certificate from the
/// beginning, and renews it as every kubelet does. One that has joined and is to look for the API
/// elsewhere is told so: a token would not tell it any more.
fn identity(cluster: &Cluster, host: &Host, known: &Known) -> Vec<Resource> {
    if !host.is(Role::ControlPlane) {
        let over = elsewhere(cluster, host, known).map(|_| {
            let (server, pem) = (server(cluster, host), layout::KUBELET_CLIENT);
            kubeconfig::renewed(cluster, &server, IDENTITY, pem).into()
        });
        let join = Resource::Shared(Shared::Join);
        return [join].into_iter().chain(over).collect();
    }
    let user = format!("system:node:{}", host.name);
    vec![
        Certificate {
            name: IDENTITY.into(),
            owner: Owner::Root,
            authority: Authority::Kubernetes,
            profile: Profile::client(&user, &["system:nodes"]),
        }
        .into(),
        kubeconfig::kubeconfig(cluster, &server(cluster, host), IDENTITY).into(),
    ]
}

fn folder(path: &str) -> Resource {
    Resource::Folder(Folder {
        path: path.into(),
        mode: 0o755,
        owner: Owner::Root,
    })
}

fn config(cluster: &Cluster, host: &Host, known: &Known) -> Value {
    let networks = &cluster.networks;
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": certificate("ca")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        "clusterDNS": networks.dns,
        "clusterDomain": networks.domain,
        "containerRuntimeEndpoint": layout::CONTAINERD,
        "readOnlyPort": 0,
        "rotateCertificates": true,
        "serverTLSBootstrap": true,
        "tlsMinVersion": "VersionTLS12",
        "serializeImagePulls": false,
        "maxParallelImagePulls": 5,
        // Pods are told before the host goes down.
        "shutdownGracePeriod": "30s",
        "shutdownGracePeriodCriticalPods": "10s",
        "registerWithTaints": host.taints.iter().filter_map(|text| taint(text)).collect::<Vec<_>>(),
    });
    if let (Some(path), Some(map)) = (&known.resolv_conf, config.as_object_mut()) {
        map.insert("resolvConf".into(), json!(path));
    }
    config
}

/// `key=value:Effect`, as an object.
fn taint(text: &str) -> Option<Value> {
    let (what, effect) = text.rsplit_once(':')?;
    let (key, value) = what.split_once('=').unwrap_or((what, ""));
    Some(match value {
        "" => json!({"key": key, "effect": effect}),
        value => json!({"key": key, "value": value, "effect": effect}),
    })
}

fn flags(cluster: &Cluster, host: &Host) -> Flags {
    let addresses: Vec<_> = host.addresses.iter().map(ToString::to_string).collect();
    let labels: Vec<_> = host
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let flags = Flags::default().set("config", CONFIG);
    let flags = match host.is(Role::ControlPlane) {
        true => flags,
        false => flags.set(
            "bootstrap-kubeconfig",
            layout::kubeconfig("bootstrap-kubelet"),
        ),
    };
    let flags = flags
        .set("kubeconfig", layout::kubeconfig(IDENTITY))
        .set("hostname-override", &host.name)
        .set("node-ip", addresses.join(","));
    let flags = match labels.as_slice() {
        [] => flags,
        labels => flags.set("node-labels", labels.join(",")),
    };
    flags.and_extra(cluster, Component::Kubelet)
}

fn service(flags: &Flags) -> Service {
    Service::new("Kubernetes node agent", &layout::program("kubelet"), flags)
        .unit("Documentation", "https://kubernetes.io/docs/")
        // Not Requires: a containerd that fails to start would take a kubelet with it for good,
        // which waits for its socket by itself (systemd.unit(5)).
        .unit("Wants", "network-online.target containerd.service")
        .unit("After", "network-online.target containerd.service")
        .unit("StartLimitIntervalSec", "0")
        .with(&[
            ("Restart", "always"),
            ("RestartSec", "1s"),
            ("LimitNOFILE", "1048576"),
            ("OOMScoreAdjust", "-999"),
            // Its Pods go on while it is restarted.
            ("KillMode", "process"),
            ("Delegate", "yes"),
        ])
}

/// The names a node's kubelet may serve under.
#[must_use]
pub fn serving_names(host: &Host) -> Vec<Name> {
    let addresses = host.addresses.iter().copied().map(Name::Address);
    std::iter::once(Name::Dns(host.name.clone()))
        .chain(addresses)
        .collect()
}
