//! flannel: routes, or VXLAN, between the Pods of different hosts. It runs as a unit: no
//! image has to be there for the network that images come over. When it knows its host's
//! network, the configuration of CNI is written from a template: a node is ready when its
//! network is, and CNI's own programs do without one of flannel's.

use std::net::IpAddr;

use pki::Profile;
use serde_json::{Value, json};

use super::flags::Flags;
use super::unit::Service;
use super::{Known, kubeconfig, leases, server};
use crate::layout::{self, certificate};
use crate::resource::{
    Authority, Certificate, File, Folder, OnChange, Owner, Program, Resource, Stage, Unit,
};
use crate::spec::{BetweenPods, Cluster, Host, ProxyMode, Role};

const IDENTITY: &str = "flannel";
/// Its user, which `addons` gives its rights.
pub(super) const USER: &str = "sternpost:flannel";
/// The name of the configuration of CNI that the script writes.
pub(crate) const CONFLIST_NAME: &str = "10-flannel.conflist";
/// What CNI calls the network of Pods, in what it notes and in comments of its rules.
pub(crate) const NETWORK_NAME: &str = "cbr0";
const NET_CONF: &str = "/etc/kube-flannel/net-conf.json";
const TEMPLATE: &str = "/etc/kube-flannel/cni-template.json";
/// What fills the template in, and where it lies.
const SCRIPT: &str = include_str!("flannel-cni.sh");
const SCRIPT_FILE: &str = "/etc/kube-flannel/cni.sh";
/// Places of the template; the script knows them.
const MTU: &str = "@MTU@";
const V4: &str = "@IPV4@";
const V6: &str = "@IPV6@";
/// CNI's programs that the configuration names.
const PLUGINS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];

pub(super) fn resources(cluster: &Cluster, host: &Host, known: &Known) -> Vec<Resource> {
    let unit = format!("{}/flanneld.service", layout::UNITS);
    let access = match cluster.networks.leases_in_etcd() {
        None => by_the_api(cluster, host),
        Some(prefix) => leases::access(cluster, prefix),
    };
    let flags = flags(access.flags, host, known);
    let service = Service::new(
        "flannel, the network between Pods",
        &layout::program("flanneld"),
        &flags,
    )
    .unit("Documentation", "https://github.com/flannel-io/flannel")
    .unit("Wants", "network-online.target")
    .unit("After", "network-online.target")
    .unit("StartLimitIntervalSec", "0");
    let before = access.before.into_iter();
    let service = before.fold(service, |service, (key, value)| service.set(key, value));
    let service = service
        .set("ExecStartPost", format!("/bin/sh {SCRIPT_FILE}"))
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
            // What is said there outlives a restart, for the Pods that start meanwhile.
            ("RuntimeDirectoryPreserve", "restart"),
        ]);
    let mut all = vec![Program::new("flanneld").into()];
    all.extend(PLUGINS.map(|name| Program::of_cni(name).into()));
    all.push(Resource::Folder(Folder {
        path: layout::CNI_CONFIG.into(),
        mode: 0o755,
        owner: Owner::Root,
    }));
    let mut reads = vec![
        unit.clone(),
        NET_CONF.into(),
        TEMPLATE.into(),
        SCRIPT_FILE.into(),
    ];
    reads.extend(access.reads);
    all.extend(access.resources);
    all.extend([
        File::public(NET_CONF, pretty(&net_conf(cluster))).into(),
        File::public(TEMPLATE, pretty(&conflist(cluster))).into(),
        File::public(SCRIPT_FILE, SCRIPT).into(),
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

/// Before its node is there flannel only looks again every few seconds, or ends.
fn joined(host: &Host) -> String {
    format!(
        "until test -e {}; do sleep 0.1; done",
        layout::node_certificate(host.is(Role::ControlPlane))
    )
}

/// How flannel comes to the network of its host.
pub(super) struct Access {
    /// Whom it asks, and as whom.
    pub(super) flags: Flags,
    /// What it does so with.
    pub(super) resources: Vec<Resource>,
    /// Those of the files that it reads once.
    pub(super) reads: Vec<String>,
    /// What its unit has before it is started.
    pub(super) before: Vec<(&'static str, String)>,
}

/// The API has given the node its network.
fn by_the_api(cluster: &Cluster, host: &Host) -> Access {
    let kubeconfig = kubeconfig::kubeconfig(cluster, &server(cluster, host), IDENTITY);
    let flags = Flags::default()
        .set("kube-subnet-mgr", "true")
        .set("kubeconfig-file", &kubeconfig.path)
        .set("net-config-path", NET_CONF);
    let client = Certificate {
        name: IDENTITY.into(),
        owner: Owner::Root,
        authority: Authority::Kubernetes,
        profile: Profile::client(USER, &[]),
    };
    Access {
        flags,
        reads: vec![kubeconfig.path.clone(), certificate(IDENTITY)],
        resources: vec![client.into(), kubeconfig.into()],
        before: vec![
            ("Environment", format!("NODE_NAME={}", host.name)),
            ("ExecStartPre", format!("/bin/sh -c \"{}\"", joined(host))),
        ],
    }
}

fn flags(access: Flags, host: &Host, known: &Known) -> Flags {
    let mut flags = access.set("ip-masq", "true").set("iface", &known.interface);
    for address in &host.addresses {
        flags = match address {
            IpAddr::V4(address) => flags.set("public-ip", address.to_string()),
            IpAddr::V6(address) => flags.set("public-ipv6", address.to_string()),
        };
    }
    flags
}

pub(super) fn net_conf(cluster: &Cluster) -> Value {
    let backend = match cluster.networks.between_pods {
        BetweenPods::FlannelHostGw => json!({"Type": "host-gw"}),
        BetweenPods::Flannel | BetweenPods::None => json!({"Type": "vxlan"}),
    };
    let mut conf = serde_json::Map::new();
    // By itself it would give out smaller ones of a small network, and the template knows these.
    let leases = cluster.networks.leases_in_etcd().is_some();
    for network in &cluster.networks.pods {
        match network {
            ipnet::IpNet::V4(network) => {
                if leases {
                    conf.insert("SubnetLen".into(), json!(24));
                }
                conf.insert("Network".into(), json!(network.to_string()));
            }
            ipnet::IpNet::V6(network) => {
                if leases {
                    conf.insert("IPv6SubnetLen".into(), json!(64));
                }
                conf.insert("EnableIPv6".into(), json!(true));
                conf.insert("IPv6Network".into(), json!(network.to_string()));
            }
        }
    }
    if !conf.contains_key("Network") {
        conf.insert("EnableIPv4".into(), json!(false));
    }
    // Its rules for what leaves the cluster are of the kind that kube-proxy's are.
    if cluster.networks.proxy == ProxyMode::Nftables {
        conf.insert("EnableNFTables".into(), json!(true));
    }
    conf.insert("Backend".into(), backend);
    Value::Object(conf)
}

/// What CNI is to do on a host, but for what flannel has yet to say.
fn conflist(cluster: &Cluster) -> Value {
    let pods = &cluster.networks.pods;
    let ranges: Vec<_> = pods
        .iter()
        .map(|network| match network {
            ipnet::IpNet::V4(_) => json!([{"subnet": V4}]),
            ipnet::IpNet::V6(_) => json!([{"subnet": V6}]),
        })
        .collect();
    let routes: Vec<_> = pods
        .iter()
        .map(|network| json!({"dst": network.to_string()}))
        .collect();
    json!({
        "cniVersion": "1.0.0",
        "name": NETWORK_NAME,
        "plugins": [
            {
                "type": "bridge",
                "bridge": layout::BRIDGE,
                "mtu": MTU,
                "isDefaultGateway": true,
                "hairpinMode": true,
                "ipMasq": false,
                "ipam": {"type": "host-local", "ranges": ranges, "routes": routes},
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// The script, given what flannel writes for a host of two families.
    #[test]
    fn the_template_is_filled_in_with_what_flannel_says() {
        let spec = include_str!("../../tests/spec/dual.yaml");
        let cluster = crate::spec::parse("cluster.yaml", spec).unwrap().cluster;
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(TEMPLATE, &pretty(&conflist(&cluster)));
        put(SCRIPT_FILE, SCRIPT);
        put("/etc/cni/net.d/.keep", "");
        put(
            "/run/flannel/subnet.env",
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.11.1/24\n\
             FLANNEL_IPV6_NETWORK=fd00:10:244::/48\nFLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n\
             FLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n",
        );
        let script = root.path().join(SCRIPT_FILE.trim_start_matches('/'));
        let done = Command::new("/bin/sh")
            .arg(script)
            .arg(root.path())
            .status();
        assert!(done.unwrap().success());
        let text =
            fs::read_to_string(root.path().join("etc/cni/net.d/10-flannel.conflist"));
        let written: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let bridge = written.pointer("/plugins/0").unwrap();
        assert_eq!(bridge.get("mtu"), Some(&json!(1430)));
        assert_eq!(
            bridge.pointer("/ipam/ranges"),
            Some(&json!([
                [{"subnet": "10.244.11.0/24"}],
                [{"subnet": "fd00:10:244:1::/64"}],
            ]))
        );
    }
}
