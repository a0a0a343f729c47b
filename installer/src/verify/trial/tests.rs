//! A whole check against a cluster of values: what it asks, what it finds, and that nothing
//! is left, however it ends.

mod ways;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use daemon::rfc3339;
use serde_json::{Value, json};

use super::*;
use crate::agent::Answer;
use crate::apply::TransportError;
use crate::pod::{Asked, GREETING, Heard, Told};

const SERVICE: &str = "10.254.0.7";
const NODE_PORT: u16 = 30123;
/// Of a run that was killed a second after 1970.
const OLD_IMAGE: &str = "sternpost.invalid/check:sternpost-verify-3e8";

/// What does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// containerd of n2 takes no image.
    Image,
    /// The API takes no DaemonSet.
    Objects,
    /// The Pod of n2 has an address of docker's.
    Address,
    /// The API server does not reach kubelets.
    Exec,
    /// Nobody answers at the address of IPv6.
    Six,
    /// DNS knows no new names.
    Names,
    /// Packets do not get to Pods of other nodes.
    Between,
    /// kube-proxy does nothing on any node.
    Proxy,
    /// m1 dies once there are Pods.
    Master,
    /// The API server of m3 is down, all the time.
    Server,
    /// The operator has enough once there are Pods.
    Stopped,
}

struct World {
    broken: Broken,
    /// The namespace that is there.
    namespace: Option<String>,
    images: BTreeSet<String>,
    /// Hosts from which one was taken that an earlier run had left.
    old_images: BTreeSet<String>,
    swept: bool,
    dead: bool,
}

struct Fake {
    host: String,
    world: Arc<Mutex<World>>,
    stop: Arc<AtomicBool>,
}

fn cluster() -> Cluster {
    let text = include_str!("../../../tests/spec/whole.yaml");
    let two = "- {name: n2, addresses: [\"192.168.220.201\"], roles: [node]}\n";
    let text = format!("{text}{two}");
    crate::spec::parse("cluster.yaml", &text).unwrap().cluster
}

fn pods(broken: Broken) -> Value {
    let other = if broken == Broken::Address {
        "172.17.0.2"
    } else {
        "172.30.2.9"
    };
    let pod = |node: &str, address: &str| {
        let ready = match (broken, node) {
            (Broken::Image, "n2") => "False",
            _ => "True",
        };
        json!({"metadata": {"name": format!("check-{node}")}, "spec": {"nodeName": node},
            "status": {"podIPs": [{"ip": address}],
                "conditions": [{"type": "Ready", "status": ready}]}})
    };
    json!({"items": [pod("n1", "172.30.1.9"), pod("n2", other)]})
}

impl World {
    fn api(&mut self, path: &str, stop: &AtomicBool) -> Result<Value, String> {
        let node = |name: &str, cidr: &str| json!({"metadata": {"name": name}, "spec": {"podCIDRs": [cidr]}});
        let here = |end: &str| path.ends_with(end);
        Ok(if path.contains("labelSelector") {
            let old = json!({"name": "sternpost-verify-old", "creationTimestamp": rfc3339(UNIX_EPOCH)});
            json!({"items": [{"metadata": old}]})
        } else if here("/nodes") {
            json!({"items": [node("n1", "172.30.1.0/24"), node("n2", "172.30.2.0/24")]})
        } else if here("/pods") {
            stop.store(self.broken == Broken::Stopped, Ordering::SeqCst);
            self.dead = self.broken == Broken::Master;
            pods(self.broken)
        } else if here("/check") {
            json!({"spec": {"clusterIPs": [SERVICE], "ports": [{"nodePort": NODE_PORT}]}})
        } else if self.namespace.as_ref().is_some_and(|name| here(name)) {
            json!({})
        } else {
            return Err("Error from server (NotFound): it is not there".to_owned());
        })
    }

    fn asked(&mut self, question: &Question, stop: &AtomicBool) -> Result<Value, String> {
        match question {
            Question::Api { path, .. } => self.api(path, stop),
            Question::Inside(..) | Question::Said(_) if self.broken == Broken::Exec => {
                Err("dial tcp 192.168.220.200:10250: connection refused".to_owned())
            }
            Question::Inside(inside, _) | Question::Said(inside)
                if self.broken == Broken::Six && inside.server.contains('[') =>
            {
                Err("no route to host".to_owned())
            }
            Question::Inside(_, asked) | Question::Here(asked) => {
                Ok(serde_json::to_value(self.told(asked)).unwrap())
            }
            Question::Said(inside) => Ok(json!(format!("{GREETING}{}", inside.pod))),
            Question::Images => Ok(json!(OLD_IMAGE)),
            Question::Balancer
            | Question::Address
            | Question::Members(_)
            | Question::MemberList(_)
            | Question::MemberListAlone(_)
            | Question::Health(_)
            | Question::Version(_)
            | Question::Watch { .. } => Err("nobody asks that here".to_owned()),
        }
    }

    fn created(&mut self, path: &str, object: &Value) {
        if path == workload::NAMESPACES {
            let name = object.pointer("/metadata/name").unwrap();
            self.namespace = name.as_str().map(str::to_owned);
        }
    }

    fn unloaded(&mut self, host: &str, name: &str) {
        if name == OLD_IMAGE {
            self.old_images.insert(host.to_owned());
        } else {
            self.images.remove(host);
        }
    }

    /// What somebody finds out who is a Pod, or nobody's.
    fn told(&self, asked: &Asked) -> Told {
        let heard = |what| Heard { what, took: 3 };
        let name = |name: &String| match (name.starts_with("kubernetes."), self.broken) {
            (true, _) => Ok(vec!["10.254.0.1".parse().unwrap()]),
            (false, Broken::Names) => Err("NXDOMAIN".to_owned()),
            (false, _) => Ok(vec![SERVICE.parse().unwrap()]),
        };
        let server = |server: &SocketAddr| {
            let service =
                server.ip().to_string() == SERVICE || server.port() == NODE_PORT;
            match (self.broken, service) {
                (Broken::Proxy, true) | (Broken::Between, false) => {
                    Err("silence".to_owned())
                }
                (_, true) => Ok("check-n2".to_owned()),
                (_, false) if server.ip().to_string() == "172.30.1.9" => {
                    Ok("check-n1".to_owned())
                }
                (_, false) => Ok("check-n2".to_owned()),
            }
        };
        Told {
            name_servers: vec!["10.254.0.10".parse().unwrap()],
            names: asked.names.iter().map(name).map(heard).collect(),
            servers: asked
                .servers
                .iter()
                .map(server)
                .map(|what| Heard { what, took: 3 })
                .collect(),
        }
    }
}

impl Transport for Fake {
    fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
        Ok(file.to_owned())
    }

    fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
        let mut world = self.world.lock().unwrap();
        if world.dead && self.host == "m1" {
            return Err(TransportError("it is gone".to_owned()));
        }
        let broken = world.broken;
        use Order::{Ask, Create, Delete};
        let api = matches!(order, Create { .. } | Delete(_) | Ask(Question::Api { .. }));
        if api && broken == Broken::Server && self.host == "m3" {
            return Ok(failed("The connection to the server was refused"));
        }
        let done: Result<Answer, &str> = match order {
            Order::LoadImage(_) if broken == Broken::Image && self.host == "n2" => {
                Err("ctr: no space left")
            }
            Order::LoadImage(_) => {
                world.images.insert(self.host.clone());
                Ok(Answer::Done)
            }
            Order::UnloadImage(name) => {
                world.unloaded(&self.host, &name);
                Ok(Answer::Done)
            }
            Order::Create { path, .. }
                if broken == Broken::Objects && path.ends_with("daemonsets") =>
            {
                Err("a webhook says no")
            }
            Order::Create { path, object } => {
                world.created(&path, &object);
                Ok(Answer::Done)
            }
            Order::Delete(path) if path.ends_with("-old") => {
                world.swept = true;
                Ok(Answer::Done)
            }
            Order::Delete(path) => {
                world.namespace.take_if(|name| path.ends_with(&**name));
                Ok(Answer::Done)
            }
            Order::Ask(question) => {
                let told = world.asked(&question, &self.stop);
                return Ok(told.map_or_else(|error| failed(&error), Answer::Told));
            }
            other @ (Order::Lock(_)
            | Order::Look(_)
            | Order::Survey
            | Order::Fetch(_)
            | Order::Inventory
            | Order::Remove(_)
            | Order::Collect(_)
            | Order::Drain(_)
            | Order::Probe(_)
            | Order::Mend(_)
            | Order::Folder { .. }
            | Order::Keep(_)
            | Order::Put(_)
            | Order::Install(_)
            | Order::Settle
            | Order::Retain { .. }
            | Order::Undo(_)
            | Order::Well(_)
            | Order::Enable(_)
            | Order::Start(_)
            | Order::Restart(_)
            | Order::Reload(_)
            | Order::Stays { .. }
            | Order::Kill(_)) => return Ok(failed(&format!("{other:?}"))),
        };
        Ok(done.unwrap_or_else(failed))
    }
}

fn failed(error: &str) -> Answer {
    Answer::Failed {
        error: error.to_owned(),
        said: Vec::new(),
    }
}

/// What a check finds, and what is left of it.
fn tried(broken: Broken) -> (Vec<Finding>, Arc<Mutex<World>>) {
    tried_on(&cluster(), broken)
}

fn tried_on(cluster: &Cluster, broken: Broken) -> (Vec<Finding>, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(World {
        broken,
        namespace: None,
        images: BTreeSet::new(),
        old_images: BTreeSet::new(),
        swept: false,
        dead: false,
    }));
    let stop = Arc::new(AtomicBool::new(false));
    let hosts = cluster.hosts.iter().map(|host| {
        let fake = Fake {
            host: host.name.clone(),
            world: Arc::clone(&world),
            stop: Arc::clone(&stop),
        };
        (host.name.clone(), fake)
    });
    let mut ways: BTreeMap<_, _> = hosts.collect();
    let pace = Pace {
        patience: Duration::ZERO,
        answers: Duration::ZERO,
        every: Duration::ZERO,
    };
    let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let asked = || stop.load(Ordering::SeqCst);
    let mut found = Vec::new();
    Trial::new(cluster, pace, now, &asked).run(&mut ways, &mut |one| found.push(one));
    (found, world)
}

fn bad(found: &[Finding]) -> Vec<String> {
    let bad = found.iter().filter(|one| one.is_bad());
    bad.map(|one| format!("{} {}", one.host, one.check))
        .collect()
}

#[test]
fn every_node_is_asked_and_nothing_is_left() {
    let (found, world) = tried(Broken::Nothing);
    assert_eq!(bad(&found), Vec::<String>::new(), "{found:#?}");
    let on = |host: &str| -> Vec<_> {
        let all = found.iter().filter(|one| one.host == host);
        all.map(|one| one.check.as_str()).collect()
    };
    let wanted = [
        "left by an earlier run",
        "image",
        "Pod address",
        "exec through k8s-api.example.org:6443",
        "DNS in its Pod",
        "Pod to Pod",
        "Service from its Pod",
        "logs through k8s-api.example.org:6443",
        "DNS from the host",
        "Service from the host",
        "port of every node",
    ];
    assert_eq!(on("n1"), wanted);
    assert_eq!(on("n2"), wanted);
    let of_master = [
        "left by an earlier run",
        "objects",
        "Pods",
        "Service",
        "port of every node",
        "removal",
    ];
    assert_eq!(on("m1"), of_master);
    assert_eq!(on("m2"), ["port of every node"]);
    let world = world.lock().unwrap();
    let both = ["n1", "n2"].map(str::to_owned);
    assert_eq!(world.old_images, BTreeSet::from(both));
    assert!(world.swept);
}

/// Each way in which a cluster does not work is found where it is, and all is taken away.
#[test]
fn what_is_broken_is_named_and_nothing_is_left() {
    let both = |check: &str| vec![format!("n1 {check}"), format!("n2 {check}")];
    let through = "exec through k8s-api.example.org:6443";
    for (broken, wanted) in [
        (Broken::Image, vec!["n2 image".to_owned()]),
        (Broken::Objects, vec!["m1 objects".to_owned()]),
        (Broken::Address, vec!["n2 Pod address".to_owned()]),
        (Broken::Exec, both(through)),
        (Broken::Names, both("DNS in its Pod")),
        (Broken::Between, both("Pod to Pod")),
        (Broken::Proxy, both("Service from its Pod")),
        (Broken::Master, vec!["m1 port of every node".to_owned()]),
        // Two others answer: what m1 says is not there is not asked of m3.
        (Broken::Server, Vec::new()),
        (Broken::Stopped, vec!["- Pods".to_owned()]),
    ] {
        let (found, world) = tried(broken);
        let bad = bad(&found);
        for one in &wanted {
            assert!(bad.contains(one), "{broken:?}: {bad:?}");
        }
        assert_eq!(wanted.is_empty(), bad.is_empty(), "{broken:?}: {bad:?}");
        let world = world.lock().unwrap();
        assert_eq!(world.namespace, None, "{broken:?}");
        assert_eq!(world.images, BTreeSet::new(), "{broken:?}");
        let last = found.last().map(|one| one.check.as_str());
        assert_eq!(last, Some("removal"), "{broken:?}");
    }
}

#[test]
fn a_stop_asks_nothing_more() {
    let (found, _) = tried(Broken::Stopped);
    assert!(
        found.iter().all(|one| !one.check.contains("through")),
        "{found:#?}"
    );
}
