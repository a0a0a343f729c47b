//! kube-proxy.

use pki::Profile;
use serde_json::json;

use super::flags::Flags;
use super::unit::{Service, quoted};
use super::{kubeconfig, server, yaml};
use crate::layout::{self, certificate};
use crate::resource::{
    Authority, Certificate, File, OnChange, Owner, Program, Resource, Shared, Stage, Unit,
};
use crate::spec::{Cluster, Component, Host, ProxyMode, Role};

const CONFIG: &str = "/etc/kubernetes/kube-proxy.yaml";
const IDENTITY: &str = "kube-proxy";
/// How often it looks for its node's certificate before it starts without, each 0.1 s.
const LOOKS: u16 = 600;

pub(super) fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let unit = format!("{}/kube-proxy.service", layout::UNITS);
    let kubeconfig = kubeconfig::kubeconfig(cluster, &server(cluster, host), IDENTITY);
    let pods: Vec<_> = cluster
        .networks
        .pods
        .iter()
        .map(ToString::to_string)
        .collect();
    let config = yaml::yaml(&json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        // What its node is known by, and so the family that comes first: it gives up to ask for
        // that, and then takes the host for 127.0.0.1 until it is started again.
        "bindAddress": host.address().to_string(),
        "clientConnection": {"kubeconfig": kubeconfig.path},
        // Which packets come from Pods; never the network of Services.
        "clusterCIDR": pods.join(","),
        "hostnameOverride": host.name,
        "mode": mode(cluster.networks.proxy),
    }));
    let flags = Flags::default()
        .set("config", CONFIG)
        .and_extra(cluster, Component::Proxy);
    let service = Service::new(
        "Kubernetes service proxy",
        &layout::program("kube-proxy"),
        &flags,
    )
    .unit("Documentation", "https://kubernetes.io/docs/")
    .unit("Wants", "network-online.target")
    .unit("After", "network-online.target")
    .unit("StartLimitIntervalSec", "0")
    .set(
        "ExecStartPre",
        format!("/bin/sh -c {}", quoted(&joined(host))),
    )
    .with(&[
        ("TimeoutStartSec", "3min"),
        ("Restart", "always"),
        ("RestartSec", "1s"),
        ("LimitNOFILE", "65536"),
        ("OOMScoreAdjust", "-999"),
        ("NoNewPrivileges", "yes"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
    ]);
    let reads = vec![
        unit.clone(),
        CONFIG.into(),
        kubeconfig.path.clone(),
        certificate(IDENTITY),
    ];
    vec![
        Program::new("kube-proxy").into(),
        Resource::Shared(Shared::Trust(Authority::Kubernetes)),
        Certificate {
            name: IDENTITY.into(),
            owner: Owner::Root,
            authority: Authority::Kubernetes,
            profile: Profile::client("system:kube-proxy", &[]),
        }
        .into(),
        kubeconfig.into(),
        File::public(CONFIG, config).into(),
        File::public(unit, service.text()).into(),
        Unit {
            name: "kube-proxy.service".into(),
            after: Stage::Nodes,
            reads,
            on_change: OnChange::Restart,
        }
        .into(),
    ]
}

/// Before its node is there it only looks again after ever longer pauses, up to 16 s until 1.33
/// (`getNodeIPs`, cmd/kube-proxy/app), and for 30 s at most. Without its node it still does its
/// work: where certificates are signed by somebody who takes his time, it comes up without.
fn joined(host: &Host) -> String {
    let certificate = layout::node_certificate(host.is(Role::ControlPlane));
    format!(
        "n=0; until test -e {certificate} || test $n -ge {LOOKS}; \
         do n=$((n+1)); sleep 0.1; done"
    )
}

fn mode(mode: ProxyMode) -> &'static str {
    match mode {
        ProxyMode::Nftables => "nftables",
        ProxyMode::Iptables | ProxyMode::None => "iptables",
        ProxyMode::Ipvs => "ipvs",
    }
}
