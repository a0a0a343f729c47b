//! flannel: routes, or VXLAN, between the Pods of different hosts. It runs as a unit: no
//! image has to be there for the network that images come over.

use std::net::IpAddr;

use pki::Profile;
use serde_json::{Value, json};

use super::flags::Flags;
use super::unit::Service;
use super::{Known, kubeconfig, server};
use crate::layout::{self, certificate};
use crate::resource::{
    Authority, Certificate, File, OnChange, Owner, Program, Resource, Stage, Unit,
};
use crate::spec::{BetweenPods, Cluster, Host};

const IDENTITY: &str = "flannel";
/// Its user, which `addons` gives its rights.
pub(super) const USER: &str = "sternpost:flannel";
const NET_CONF: &str = "/etc/kube-flannel/net-conf.json";

pub(super) fn resources(cluster: &Cluster, host: &Host, known: &Known) -> Vec<Resource> {
    let unit = format!("{}/flanneld.service", layout::UNITS);
    let cni = format!("{}/10-flannel.conflist", layout::CNI_CONFIG);
    let kubeconfig = kubeconfig::kubeconfig(cluster, &server(cluster, host), IDENTITY);
    let flags = flags(&kubeconfig.path, host, known);
    let service = Service::new(
        "flannel, the network between Pods",
        &layout::program("flanneld"),
        &flags,
    )
    .unit("Documentation", "https://github.com/flannel-io/flannel")
    .unit("Wants", "network-online.target")
    .unit("After", "network-online.target")
    .unit("StartLimitIntervalSec", "0")
    .set("Environment", format!("NODE_NAME={}", host.name))
    .with(&[
        ("Type", "notify"),
        // It is ready when its node has a network, which may take until the node is there.
        ("TimeoutStartSec", "infinity"),
        ("Restart", "always"),
        ("RestartSec", "1s"),
        ("CapabilityBoundingSet", "CAP_NET_ADMIN CAP_NET_RAW"),
        ("NoNewPrivileges", "yes"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("RuntimeDirectory", "flannel"),
    ]);
    let programs =
        ["flanneld"].map(|name| Resource::Program(Program { name: name.into() }));
    let mut all = programs.to_vec();
    let reads = vec![
        unit.clone(),
        NET_CONF.into(),
        kubeconfig.path.clone(),
        certificate(IDENTITY),
    ];
    all.extend([
        Certificate {
            name: IDENTITY.into(),
            owner: Owner::Root,
            authority: Authority::Kubernetes,
            profile: Profile::client(USER, &[]),
        }
        .into(),
        kubeconfig.into(),
        File::public(NET_CONF, pretty(&net_conf(cluster))).into(),
        File::public(cni, pretty(&conflist())).into(),
        File::public(unit, service.text()).into(),
        Unit {
            name: "flanneld.service".into(),
            after: Stage::Nodes,
            reads,
            on_change: OnChange::Restart,
        }
        .into(),
    ]);
    all
}

fn flags(kubeconfig: &str, host: &Host, known: &Known) -> Flags {
    let mut flags = Flags::default()
        .set("kube-subnet-mgr", "true")
        .set("kubeconfig-file", kubeconfig)
        .set("net-config-path", NET_CONF)
        .set("ip-masq", "true")
        .set("iface", &known.interface);
    for address in &host.addresses {
        flags = match address {
            IpAddr::V4(address) => flags.set("public-ip", address.to_string()),
            IpAddr::V6(address) => flags.set("public-ipv6", address.to_string()),
        };
    }
    flags
}

fn net_conf(cluster: &Cluster) -> Value {
    let backend = match cluster.networks.between_pods {
        BetweenPods::FlannelHostGw => json!({"Type": "host-gw"}),
        BetweenPods::Flannel | BetweenPods::None => json!({"Type": "vxlan"}),
    };
    let mut conf = serde_json::Map::new();
    for network in &cluster.networks.pods {
        match network {
            ipnet::IpNet::V4(network) => {
                conf.insert("Network".into(), json!(network.to_string()));
            }
            ipnet::IpNet::V6(network) => {
                conf.insert("EnableIPv6".into(), json!(true));
                conf.insert("IPv6Network".into(), json!(network.to_string()));
            }
        }
    }
    if !conf.contains_key("Network") {
        conf.insert("EnableIPv4".into(), json!(false));
    }
    conf.insert("Backend".into(), backend);
    Value::Object(conf)
}

fn conflist() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
