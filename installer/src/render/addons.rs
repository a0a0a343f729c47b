//! What is written to the API once it answers: rights, the token of joining nodes, the
//! cluster's DNS. A unit on every master makes what is missing; `apply` alone changes what is
//! there, by having it read again what has changed.

use pki::Profile;
use serde_json::{Value, json};

use super::flags::Flags;
use super::unit::{ONCE, Service, quoted};
use super::yaml::documents;
use super::{Newcomers, coredns, flannel, kubeconfig, server};
use crate::layout;
use crate::resource::{
    Authority, Certificate, File, Folder, OnChange, Owner, Program, Resource, Shared,
    Stage, Unit,
};
use crate::spec::{BetweenPods, Cluster, Host, Leases};

const SIGNER: &str = include_str!("../../../bootstrap-signer/src/rbac.yaml");

const DISCOVERY: &str = include_str!("../../../bootstrap-signer/src/rbac/discovery.yaml");
const UNIT: &str = "sternpost-addons.service";
const SCRIPT: &str = include_str!("addons.sh");
/// The shell that every host has.
const SHELL: &str = "/bin/sh";
/// It needs no binding of a role to do what it does, for it writes the first ones.
const SUPER_ADMIN: &str = "super-admin";
/// What an administrator uses on a master; his rights are a binding that can be taken away.
const ADMIN: &str = "admin";
pub(super) fn resources(
    cluster: &Cluster,
    host: &Host,
    newcomers: Newcomers,
) -> Vec<Resource> {
    let mut all = vec![
        Program::new("kubectl").into(),
        Resource::Folder(Folder {
            path: layout::ADDONS.into(),
            mode: 0o755,
            owner: Owner::Root,
        }),
    ];
    all.extend(identity(cluster, host, ADMIN, "kubeadm:cluster-admins"));
    all.extend(identity(cluster, host, SUPER_ADMIN, "system:masters"));
    let mut files = vec![
        manifest("00-rights", documents(&rights(cluster))),
        manifest("00-bootstrap-signer", SIGNER.to_owned()),
        manifest("00-discovery", DISCOVERY.to_owned()),
        manifest("10-coredns", documents(&coredns::objects(cluster))),
    ];
    let further = cluster.enclosed.manifests.iter().map(|file| File {
        path: format!("{}/further/{}", layout::ADDONS, file.name),
        mode: 0o600,
        owner: Owner::Root,
        content: file.text.clone(),
    });
    let further: Vec<_> = further.collect();
    if !further.is_empty() {
        all.push(Resource::Folder(Folder {
            path: format!("{}/further", layout::ADDONS),
            mode: 0o700,
            owner: Owner::Root,
        }));
    }
    let mut manifests = vec![layout::ADDONS.to_owned()];
    manifests.extend(further.iter().map(|file| file.path.clone()));
    files.extend(further);
    let mut reads: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
    files.push(File::public(script(), SCRIPT));
    let unit = format!("{}/{UNIT}", layout::UNITS);
    files.push(File::public(unit, service(&manifests).text()));
    all.extend(files.into_iter().map(Resource::from));
    if newcomers == Newcomers::Expected {
        let paths = Shared::Token.paths().into_iter();
        reads.extend(paths.map(|(path, _)| path));
        all.push(Resource::Shared(Shared::Token));
    }
    all.push(
        Unit {
            name: UNIT.into(),
            after: Stage::Control,
            reads,
            on_change: OnChange::Apply,
        }
        .into(),
    );
    all
}

fn script() -> String {
    format!("{}/addons.sh", layout::KUBERNETES)
}

fn manifest(name: &str, content: String) -> File {
    File::public(format!("{}/{name}.yaml", layout::ADDONS), content)
}

/// An administrator's certificate, and the kubeconfig that names it.
fn identity(cluster: &Cluster, host: &Host, name: &str, group: &str) -> [Resource; 2] {
    let certificate = Certificate {
        name: name.to_owned(),
        owner: Owner::Root,
        authority: Authority::Kubernetes,
        profile: Profile::client(&format!("kubernetes-{name}"), &[group]),
    };
    let kubeconfig = kubeconfig::kubeconfig(cluster, &server(cluster, host), name);
    [certificate.into(), kubeconfig.into()]
}

/// Further files come each by itself, so that what one defines the next may use.
fn service(manifests: &[String]) -> Service {
    let words = |verb: &str| {
        let words = [script(), verb.to_owned()].into_iter();
        words.chain(manifests.iter().cloned()).collect::<Vec<_>>()
    };
    let reload: Vec<_> = words("apply").iter().map(|word| quoted(word)).collect();
    let service = Service::new(
        "What sternpost writes to the Kubernetes API",
        SHELL,
        &Flags::default(),
    );
    let made = words("make");
    let told = made
        .iter()
        .fold(service, |service, word| service.told(word));
    told.unit("Documentation", "https://kubernetes.io/docs/")
        .unit("After", "kube-apiserver.service")
        .with(&[
            ("Type", ONCE),
            ("RemainAfterExit", "yes"),
            ("Restart", "on-failure"),
            ("RestartSec", "500ms"),
        ])
        .set("ExecReload", format!("{SHELL} {}", reload.join(" ")))
        .set(
            "Environment",
            format!("\"KUBECTL={}\"", kubectl("/run/sternpost-addons")),
        )
        .with(&[
            // Longer than an API server takes to come up on a slow disk; then it has failed,
            // and says so.
            ("TimeoutStartSec", "5min"),
            ("RuntimeDirectory", "sternpost-addons"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
        ])
        .shut_in()
}

/// With what a unit of a master writes to the API: its program and its first words. `cache` is
/// the folder that the unit may write to.
pub(super) fn kubectl(cache: &str) -> String {
    format!(
        "{} --kubeconfig={} --cache-dir={cache}",
        layout::program("kubectl"),
        layout::kubeconfig(SUPER_ADMIN)
    )
}

fn rights(cluster: &Cluster) -> Vec<Value> {
    let mut all = vec![
        binding(
            "kubeadm:cluster-admins",
            "cluster-admin",
            "kubeadm:cluster-admins",
        ),
        binding(
            "sternpost:node-bootstrapper",
            "system:node-bootstrapper",
            "system:bootstrappers",
        ),
        binding(
            "sternpost:new-nodes",
            "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
            "system:bootstrappers",
        ),
        binding(
            "sternpost:own-nodes",
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            "system:nodes",
        ),
    ];
    let networks = &cluster.networks;
    let asks = networks.between_pods != BetweenPods::None;
    if asks && networks.leases == Leases::Kubernetes {
        all.extend(network());
    }
    all
}

/// `role` for the members of `group`.
fn binding(name: &str, role: &str, group: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": role,
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Group",
            "name": group,
        }],
    })
}

/// What flannel does as a user: it reads nodes and writes its own annotations on them.
fn network() -> [Value; 2] {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": flannel::USER},
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": flannel::USER},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": flannel::USER,
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "User",
            "name": flannel::USER,
        }],
    });
    [role, binding]
}

#[cfg(test)]
mod tests;
