//! What API servers call: an aggregated API and a webhook, behind a Service each time, by every
//! master as it reaches them. A master that is a node calls the Service's own address, by way
//! of kube-proxy; one that is none calls what is behind it.
//!
//! Leaves to `lab::extension`: that the server takes nobody else for an API server.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab::extension::{Extension, FrontProxy, REFUSED, REFUSES};
use lab::rig::{Box, Rig};
use lab::tls::Identity;
use lab::wait;
use libtest_mimic::Failed;
use pki::{Authority, Issued, Name, Profile};
use serde_json::{Value, json};

use super::checks::{PATIENCE, holds};
use super::node::kubectl;

/// The account of Pods is there already.
const SPACE: &str = "default";
/// Where the servers listen, which is none of their Services' ports.
const PORT: u16 = 8443;
const SERVED: u16 = 443;
/// A server in a Pod's network; what the Pod itself runs only keeps that up.
const POD: &str = "inside";
/// A server in the hosts' network.
const HOST: &str = "beside";
/// More than a dial takes that arrives.
const DIALLING: Duration = Duration::from_millis(200);

/// Who signs for the servers, and what they show.
struct Shown {
    authority: Authority,
    issued: Issued,
}

/// Both kinds of server, on and beside the node `on`, called by each of `masters`. Pods'
/// networks are routed to those that are no nodes, as a network of an operator's own may be.
pub(crate) fn answered(rig: &Rig, on: &Box, masters: &[Box]) -> Result<(), Failed> {
    let front = front_proxy(rig)?;
    let shown = Shown::new()?;
    placed(rig, on)?;
    let address = format!("-n {SPACE} get pod {POD} -o jsonpath={{.status.podIP}}");
    let pod: Ipv4Addr = kubectl(rig, &address)?.trim().parse()?;
    let network = rig.machine(on.name)?.pod(pod)?;
    let inside = network.run(|| TcpListener::bind(("0.0.0.0", PORT)))??;
    let host = on.address();
    let beside = rig.machine(on.name)?.network()?;
    let beside = beside.run(move || TcpListener::bind((host, PORT)))??;
    let servers = [
        Extension::start(inside, shown.identity(), front.clone())?,
        Extension::start(beside, shown.identity(), front)?,
    ];
    let routes = Routes::to(rig, on, masters)?;
    for (name, address) in [(HOST, host), (POD, pod)] {
        reached(rig, name, address, masters)?;
        apply(rig, &[api(name, &shown), webhook(name, &shown)])?;
        for master in masters {
            let at = dialled(rig, name, address, master)?;
            aggregated(rig, name, master, &at)?;
            judged(rig, name, master)?;
        }
        let ready = format!("wait apiservice/{} --for=condition=Available", group(name));
        kubectl(rig, &format!("{ready} --timeout=30s"))?;
    }
    let names = [HOST, POD].map(group).join(" ");
    kubectl(
        rig,
        &format!("delete validatingwebhookconfiguration {names}"),
    )?;
    kubectl(rig, &format!("delete apiservice {names}"))?;
    drop(servers);
    left(rig, pod, masters)?;
    kubectl(rig, &format!("-n {SPACE} delete service {HOST} {POD}"))?;
    kubectl(rig, &format!("-n {SPACE} delete pod {POD}"))?;
    routes.removed()
}

impl Shown {
    fn new() -> Result<Self, Failed> {
        let now = SystemTime::now();
        let authority = Authority::new("extensions", now)?;
        let names = [HOST, POD].map(|name| Name::Dns(format!("{name}.{SPACE}.svc")));
        let profile = Profile::server("extension", names.to_vec());
        let issued = authority.issue(&profile, now)?;
        Ok(Self { authority, issued })
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            cert_pem: &self.issued.certificate_pem,
            key_pem: self.issued.key_pem.expose(),
        }
    }

    fn bundle(&self) -> String {
        STANDARD.encode(self.authority.certificate_pem())
    }
}

/// How API servers show themselves, by their own word.
fn front_proxy(rig: &Rig) -> Result<FrontProxy, Failed> {
    let map = "-n kube-system get configmap extension-apiserver-authentication -o json";
    Ok(FrontProxy::of(&serde_json::from_str(&kubectl(rig, map)?)?)?)
}

/// A Pod on the node, a Service that selects it, and one that leads to the node itself.
fn placed(rig: &Rig, on: &Box) -> Result<(), Failed> {
    let dns = "-n kube-system get deployment coredns \
               -o jsonpath={.spec.template.spec.containers[0].image}";
    let image = kubectl(rig, dns)?;
    let service = |name: &str, selector: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": SPACE},
            "spec": {"selector": selector, "ports": [{"port": SERVED, "targetPort": PORT}]},
        })
    };
    let objects = [
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": POD, "namespace": SPACE, "labels": {"app": POD}},
            "spec": {
                "nodeName": on.name,
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "dns", "image": image.trim(), "args": ["-dns.port=1053"],
                }],
            },
        }),
        service(POD, json!({"app": POD})),
        service(HOST, Value::Null),
        // API servers of old look at these, others at the slice that they are mirrored into.
        json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": HOST, "namespace": SPACE},
            "subsets": [{
                "addresses": [{"ip": on.address()}], "ports": [{"port": PORT}],
            }],
        }),
    ];
    apply(rig, &objects)?;
    let ready = format!("-n {SPACE} wait pod/{POD} --for=condition=Ready --timeout=60s");
    kubectl(rig, &ready).map(drop)
}

fn apply(rig: &Rig, objects: &[Value]) -> Result<(), Failed> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    kubectl(rig, &format!("apply -f - <<'END'\n{list}\nEND")).map(drop)
}

/// By what a master dials a Service, with its port.
fn dialled(
    rig: &Rig,
    name: &str,
    endpoint: Ipv4Addr,
    master: &Box,
) -> Result<SocketAddr, Failed> {
    if !master.is_node() {
        return Ok((endpoint, PORT).into());
    }
    let service =
        format!("-n {SPACE} get service {name} -o jsonpath={{.spec.clusterIP}}");
    let address: Ipv4Addr = kubectl(rig, &service)?.trim().parse()?;
    Ok((address, SERVED).into())
}

/// Each master can dial the server: what kube-proxy has not set yet, an API server would find
/// missing, and look again after a while.
fn reached(
    rig: &Rig,
    name: &str,
    endpoint: Ipv4Addr,
    masters: &[Box],
) -> Result<(), Failed> {
    for master in masters {
        let at = dialled(rig, name, endpoint, master)?;
        let network = rig.machine(master.name)?.network()?;
        wait::until(
            &format!("{name} at {at} from {}", master.name),
            PATIENCE,
            || {
                let dial = move || TcpStream::connect_timeout(&at, DIALLING).is_ok();
                network.run(dial).ok()?.then_some(())
            },
        )?;
    }
    Ok(())
}

fn group(name: &str) -> String {
    format!("v1.{name}.example.org")
}

fn api(name: &str, shown: &Shown) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": group(name)},
        "spec": {
            "group": format!("{name}.example.org"), "version": "v1",
            "groupPriorityMinimum": 1000, "versionPriority": 15,
            "service": {"namespace": SPACE, "name": name, "port": SERVED},
            "caBundle": shown.bundle(),
        },
    })
}

/// It judges ConfigMaps with its label alone: controllers make others.
fn webhook(name: &str, shown: &Shown) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": group(name)},
        "webhooks": [{
            "name": group(name),
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": 5,
            "failurePolicy": "Fail",
            "objectSelector": {"matchLabels": {"by": name}},
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["configmaps"],
            }],
            "clientConfig": {
                "service": {
                    "namespace": SPACE, "name": name, "path": "/judge", "port": SERVED,
                },
                "caBundle": shown.bundle(),
            },
        }],
    })
}

/// A client of this master's API server is told what the server says, and that one was told who
/// it is by who may say so, at the address that this master dials.
fn aggregated(
    rig: &Rig,
    name: &str,
    master: &Box,
    at: &SocketAddr,
) -> Result<(), Failed> {
    let words = format!(
        "--server=https://{}:6443 --as=jane --as-group=system:masters \
         get --raw /apis/{name}.example.org/v1",
        master.address()
    );
    let mut last = String::new();
    let what = format!("{name} by the API server of {}", master.name);
    let said = wait::until(&what, PATIENCE, || match kubectl(rig, &words) {
        Ok(said) => Some(said),
        Err(error) => {
            last = format!("{error:?}");
            None
        }
    });
    let said = said.map_err(|error| format!("{error}: {last}"))?;
    let answer: Value = serde_json::from_str(&said)?;
    for (path, wanted) in [
        ("/groupVersion", json!(format!("{name}.example.org/v1"))),
        ("/asked/certificate", json!("front-proxy-client")),
        ("/asked/user", json!(["jane"])),
        ("/asked/at", json!([at.to_string()])),
    ] {
        if answer.pointer(path) != Some(&wanted) {
            return Err(format!("{what}: {path} is not {wanted}: {said}").into());
        }
    }
    holds(&said, "\"system:masters\"")
}

/// One object is refused in the server's words, and another is taken.
fn judged(rig: &Rig, name: &str, master: &Box) -> Result<(), Failed> {
    let create = |object: &str| {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": object, "namespace": SPACE, "labels": {"by": name}},
        });
        let server = format!("--server=https://{}:6443", master.address());
        let words = format!(
            "{server} create --dry-run=server -f - 2>&1 <<'END' || true\n{object}\nEND"
        );
        kubectl(rig, &words)
    };
    let refuses = format!(
        "admission webhook \"{}\" denied the request: {REFUSES}",
        group(name)
    );
    let mut last = String::new();
    let what = format!("a refusal of {name} by the API server of {}", master.name);
    let refused = wait::until(&what, PATIENCE, || {
        last = create(REFUSED).unwrap_or_else(|error| format!("{error:?}"));
        last.contains(&refuses).then_some(())
    });
    refused.map_err(|error| format!("{error}: {last}"))?;
    holds(&create("welcome")?, "configmap/welcome created")
}

/// No API server has a connection to the Pod any more. One that could not end, since the Pod is
/// gone, would keep the network of a master that dies, and with it its port, for minutes.
fn left(rig: &Rig, pod: Ipv4Addr, masters: &[Box]) -> Result<(), Failed> {
    let look = format!("ss -Htan dst {pod} | grep -v TIME-WAIT; true");
    for master in masters {
        let mut last = String::new();
        let what = format!("the end of connections of {} to the Pod", master.name);
        let ended = wait::until(&what, PATIENCE, || {
            last = rig.on(master.name, &look).ok()?;
            last.trim().is_empty().then_some(())
        });
        ended.map_err(|error| format!("{error}: {last}"))?;
    }
    Ok(())
}

/// Ways to the Pods of a node, on masters that are no nodes.
struct Routes<'a> {
    rig: &'a Rig,
    masters: Vec<&'a Box>,
    network: String,
}

impl<'a> Routes<'a> {
    fn to(rig: &'a Rig, on: &Box, masters: &'a [Box]) -> Result<Self, Failed> {
        let network = format!("get node {} -o jsonpath={{.spec.podCIDR}}", on.name);
        let network = kubectl(rig, &network)?.trim().to_owned();
        let masters = masters.iter().filter(|one| !one.is_node());
        let masters: Vec<_> = masters.collect();
        for master in &masters {
            let add = format!("ip route add {network} via {}", on.address());
            rig.on(master.name, &add)?;
        }
        Ok(Self {
            rig,
            masters,
            network,
        })
    }

    fn removed(self) -> Result<(), Failed> {
        for master in self.masters {
            let delete = format!("ip route del {}", self.network);
            self.rig.on(master.name, &delete)?;
        }
        Ok(())
    }
}
