//! api-lb and vip-daemon: the address in front of the API servers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use config::Period;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Known, yaml};
use crate::facts::sha256;
use crate::layout::{self, certificate};
use crate::resource::{
    Authority, File, OnChange, Program, Resource, Shared, Stage, Unit,
};
use crate::spec::{APISERVER_PORT, Cluster, Host, Notify, Role, VirtualRouter};

const API_LB: &str = include_str!("../../../packaging/systemd/api-lb.service");
const SCRIPTS: &str =
    include_str!("../../../packaging/systemd/vip-daemon-scripts.service");
const VIP_DAEMON: &str = include_str!("../../../packaging/systemd/vip-daemon.service");
/// The first control-plane host's priority, and how much less each next one has at most.
const PRIORITY: usize = 200;
const STEP: usize = 20;
/// What the steps come to together at most.
const STEPS: usize = 99;
/// The longest name on the channel (docs/config/vip-daemon.md).
const ALIAS: usize = 32;
/// More than all steps together: whoever is healthy comes before whoever is not.
const UNHEALTHY: i32 = -100;

/// api-lb on `host`: on the virtual addresses, or on the loopback address.
pub(super) fn load_balancer(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let path = format!("{}/api-lb.yaml", layout::STERNPOST);
    let mut all = vec![
        Resource::Shared(Shared::Trust(Authority::Kubernetes)),
        File::public(path.clone(), yaml::yaml(&api_lb(cluster, host))).into(),
    ];
    all.extend(daemon("api-lb", API_LB, path));
    all
}

/// vip-daemon on `host`.
pub(super) fn address(
    cluster: &Cluster,
    host: &Host,
    router: &VirtualRouter,
    known: &Known,
) -> Vec<Resource> {
    let path = layout::VIP_DAEMON.to_owned();
    let mut config = vip_daemon(cluster, host, router, known);
    let mut all = Vec::new();
    if let (Some(channel), Some(map)) = (channel(cluster, host), config.as_object_mut()) {
        map.insert("channel".into(), channel);
        all.push(Resource::Shared(Shared::Channel));
    }
    all.push(File::public(path.clone(), yaml::yaml(&config)).into());
    if router.notify.is_some() {
        all.extend(scripts());
    }
    all.extend(daemon("vip-daemon", VIP_DAEMON, path));
    all
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    routers: Vec<Held>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Held {
    addresses: Vec<String>,
}

/// The addresses that a file of vip-daemon tells it to hold; none of a text that is no such file.
pub(crate) fn held(text: &str) -> BTreeSet<IpAddr> {
    let told: Told = serde_saphyr::from_str(text).unwrap_or_default();
    let all = told.routers.iter().flat_map(|router| &router.addresses);
    let addresses = all.filter_map(|net| net.parse::<IpNet>().ok());
    addresses.map(|net| net.addr()).collect()
}

/// What runs scripts beside vip-daemon, which has no right to. It is started before, reloaded
/// and started anew with it.
fn scripts() -> [Resource; 2] {
    let name = "vip-daemon-scripts.service";
    let text = SCRIPTS.replace("/usr/bin/", &format!("{}/", layout::BIN));
    let unit = Unit {
        name: name.to_owned(),
        after: Stage::Address,
        reads: Vec::new(),
        on_change: OnChange::Reload,
    };
    let file = File::public(format!("{}/{name}", layout::UNITS), text);
    [file.into(), unit.into()]
}

/// A daemon of ours: its program, its unit, and what makes it read again.
pub(super) fn daemon(name: &str, unit: &str, config: String) -> Vec<Resource> {
    let file = format!("{}/{name}.service", layout::UNITS);
    // Packages put programs below /usr/bin, which is theirs alone.
    let text = unit.replace("/usr/bin/", &format!("{}/", layout::BIN));
    vec![
        Program::new(name).into(),
        File::public(file, text).into(),
        Unit {
            name: format!("{name}.service"),
            after: Stage::Address,
            reads: vec![config],
            on_change: OnChange::Reload,
        }
        .into(),
    ]
}

fn api_lb(cluster: &Cluster, host: &Host) -> Value {
    let port = cluster.endpoint.port;
    let addresses = cluster.endpoint.addresses.iter();
    let bind: Vec<_> = addresses
        .map(|address| SocketAddr::new(*address, port).to_string())
        .collect();
    let servers: Vec<_> = nearest_first(cluster, host)
        .map(|master| {
            let address = SocketAddr::new(master.address(), APISERVER_PORT);
            json!({"name": master.name, "address": address.to_string()})
        })
        .collect();
    json!({
        "apiVersion": config::API_VERSION,
        "kind": "ApiLb",
        "frontends": [{"name": "k8s-api", "bind": bind, "backend": "k8s-api"}],
        "backends": [{
            "name": "k8s-api",
            "balance": "roundrobin",
            "check": {
                "https": {"path": "/readyz", "caFile": certificate("ca")},
                "interval": "1s",
                "timeout": "1s",
                "rise": 2,
                "fall": 2,
            },
            "servers": servers,
        }],
    })
}

/// All control-plane hosts in the order of the file: roundrobin starts at the first.
fn nearest_first<'a>(
    cluster: &'a Cluster,
    host: &Host,
) -> impl Iterator<Item = &'a Host> {
    let own = host.name.clone();
    let (mut near, far): (Vec<_>, Vec<_>) = cluster
        .with(Role::ControlPlane)
        .partition(|master| master.name == own);
    near.extend(far);
    near.into_iter()
}

/// How a successor is told, and by whom, before the address is given away; nothing where
/// there is nobody to tell.
fn channel(cluster: &Cluster, host: &Host) -> Option<Value> {
    let others = cluster.with(Role::ControlPlane);
    let others = others.filter(|master| master.name != host.name);
    let peers: Vec<_> = others
        .map(|master| json!({"name": alias(&master.name), "address": master.address()}))
        .collect();
    let listen = SocketAddr::new(host.address(), layout::CHANNEL_PORT);
    (!peers.is_empty()).then(|| {
        json!({
            "name": alias(&host.name),
            "keyFile": layout::CHANNEL_KEY,
            "listen": listen.to_string(),
            "peers": peers,
        })
    })
}

/// A host's name as the channel can carry it: shortened, and told apart by its checksum.
fn alias(name: &str) -> String {
    if name.len() <= ALIAS {
        return name.to_owned();
    }
    let sum: String = sha256(name.as_bytes()).chars().take(8).collect();
    let kept: String = name.chars().take(ALIAS - sum.len() - 1).collect();
    format!("{kept}-{sum}")
}

fn vip_daemon(
    cluster: &Cluster,
    host: &Host,
    router: &VirtualRouter,
    known: &Known,
) -> Value {
    let masters: Vec<_> = cluster.with(Role::ControlPlane).collect();
    let place = masters.iter().position(|master| master.name == host.name);
    let priority = priority(masters.len(), place.unwrap_or(0));
    let interface = router.interface.as_ref().unwrap_or(&known.interface);
    let families = [
        (true, router.vrid, "k8s-api"),
        (false, router.vrid, "k8s-api-v6"),
    ];
    let routers: Vec<_> = families
        .into_iter()
        .filter_map(|(v4, vrid, name)| {
            let family = |address: &IpAddr| address.is_ipv4() == v4;
            let addresses: Vec<_> = router
                .addresses
                .iter()
                .filter(|net| family(&net.addr()))
                .map(ToString::to_string)
                .collect();
            let source = host.addresses.iter().find(|address| family(address));
            let others = masters.iter().filter(|master| master.name != host.name);
            let peers: Vec<_> = others
                .filter_map(|master| {
                    master.addresses.iter().find(|address| family(address))
                })
                .collect();
            (!addresses.is_empty()).then(|| {
                json!({
                    "name": name,
                    "interface": interface,
                    "vrid": vrid,
                    "version": 3,
                    "priority": priority,
                    "advertInterval": Period(router.advert_interval),
                    "unicast": {"source": source, "peers": peers},
                    "addresses": addresses,
                    "track": [{
                        "http": {"url": "http://127.0.0.1:9000/readyz"},
                        "weight": UNHEALTHY,
                        "interval": "100ms",
                        // On a busy host an answer takes longer than an interval; an address
                        // that moves for that loses what is under way, and may find no host
                        // that is seen as better.
                        "timeout": "300ms",
                        "fall": 2,
                        "rise": 2,
                    }],
                })
            })
        })
        .collect();
    let mut config = json!({"apiVersion": config::API_VERSION, "kind": "VipDaemon", "routers": routers});
    if let (Some(notify), Some(map)) = (&router.notify, config.as_object_mut()) {
        map.insert("scripts".into(), json!({}));
        for router in map
            .get_mut("routers")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(router) = router.as_object_mut() {
                router.insert("notify".into(), told(notify));
            }
        }
    }
    config
}

/// Of the master at `place`, of so many.
fn priority(masters: usize, place: usize) -> usize {
    let step = STEPS / masters.saturating_sub(1).max(1);
    PRIORITY.saturating_sub(step.min(STEP) * place).max(1)
}

fn told(notify: &Notify) -> Value {
    let mut told = json!({"any": notify.command});
    if let (Some(user), Some(map)) = (&notify.user, told.as_object_mut()) {
        map.insert("user".into(), json!(user));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_healthy_comes_before_whoever_is_not() {
        for masters in [1, 2, 3, 5, 6, 7, 9, 50] {
            let last = priority(masters, masters - 1);
            let unhealthy = PRIORITY.saturating_add_signed(UNHEALTHY as isize);
            assert!(last > unhealthy, "{masters}: {last}");
            let places = (0..masters).map(|place| priority(masters, place));
            let places: Vec<_> = places.collect();
            assert!(places.is_sorted_by(|a, b| a > b), "{masters}: {places:?}");
        }
        assert_eq!(
            [priority(3, 0), priority(3, 1), priority(3, 2)],
            [200, 180, 160]
        );
    }

    #[test]
    fn a_long_name_is_shortened_and_stays_itself() {
        let long = |end: &str| format!("{}{end}", "a".repeat(40));
        assert_eq!(alias(&"b".repeat(32)), "b".repeat(32));
        let (one, other) = (alias(&long("1")), alias(&long("2")));
        assert_eq!(one.len(), ALIAS);
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_rendered_says_what_is_held() {
        let text = include_str!("../../tests/spec/six.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let crate::spec::Balancer::Own(router) = &cluster.balancer else {
            panic!("{:?}", cluster.balancer);
        };
        let known = Known {
            interface: "eth0".to_owned(),
            resolv_conf: None,
            newcomers: super::super::Newcomers::None,
            dials: None,
        };
        let config = vip_daemon(&cluster, &cluster.hosts[0], router, &known);
        let wanted = ["2001:db8::9", "192.0.2.9"];
        let wanted = wanted.map(|one| one.parse().unwrap());
        assert_eq!(held(&yaml::yaml(&config)), BTreeSet::from(wanted));
        assert!(held("[").is_empty() && held("").is_empty());
    }
}
