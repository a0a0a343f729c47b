//! What is written to the API once it answers: rights, the token of joining nodes, the
//! cluster's DNS. A unit on every master applies it, and nothing changes when another has.

use pki::Profile;
use serde_json::{Value, json};

use super::flags::Flags;
use super::unit::Service;
use super::yaml::documents;
use super::{Newcomers, coredns, flannel, kubeconfig, server};
use crate::layout;
use crate::resource::{
    Authority, Certificate, File, Folder, OnChange, Owner, Program, Resource, Shared,
    Stage, Unit,
};
use crate::spec::{BetweenPods, Cluster, Host};

const SIGNER: &str = include_str!("../../../bootstrap-signer/src/rbac.yaml");

const DISCOVERY: &str = include_str!("../../../bootstrap-signer/src/rbac/discovery.yaml");
const UNIT: &str = "sternpost-addons.service";
/// It needs no binding of a role to do what it does, for it writes the first ones.
const SUPER_ADMIN: &str = "super-admin";
/// What an administrator uses on a master; his rights are a binding that can be taken away.
const ADMIN: &str = "admin";
/// Those that the API server makes by itself, a moment after it answers.
const NAMESPACES: [&str; 4] =
    ["default", "kube-node-lease", "kube-public", "kube-system"];

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
    let service = further.iter().fold(service(), |service, file| {
        service.set("ExecStart", apply(&file.path))
    });
    files.extend(further);
    files.push(File::public(
        format!("{}/{UNIT}", layout::UNITS),
        service.text(),
    ));
    let mut reads: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
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
            on_change: OnChange::Restart,
        }
        .into(),
    );
    all
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

/// Each further file is applied by itself, so that what one defines the next may use.
fn apply(path: &str) -> String {
    let flags: Vec<_> = flags(path).arguments().collect();
    format!("{} apply {}", layout::program("kubectl"), flags.join(" "))
}

fn flags(path: &str) -> Flags {
    Flags::default()
        .set("kubeconfig", layout::kubeconfig(SUPER_ADMIN))
        .set("cache-dir", "/run/sternpost-addons")
        .set("server-side", "true")
        // What these files say is so, whoever wrote something else.
        .set("force-conflicts", "true")
        .set("field-manager", "sternpost")
        .set("filename", path)
}

/// Applies the folder in the order of its names: once a boot, and again when a file has
/// changed.
fn service() -> Service {
    let kubectl = layout::program("kubectl");
    let kubeconfig = layout::kubeconfig(SUPER_ADMIN);
    let namespaces = NAMESPACES.join(" ");
    let wait = format!(
        "until {kubectl} --kubeconfig={kubeconfig} --cache-dir=/run/sternpost-addons \
         get namespace {namespaces} >/dev/null 2>&1; do sleep 0.2; done"
    );
    Service::new(
        "What sternpost writes to the Kubernetes API",
        &kubectl,
        &flags(layout::ADDONS),
    )
    .told("apply")
    .unit("Documentation", "https://kubernetes.io/docs/")
    .unit("After", "kube-apiserver.service")
    .with(&[
        ("Type", "oneshot"),
        ("RemainAfterExit", "yes"),
        // All masters apply at once, and of two that make a Service with a fixed address one
        // is refused: it finds the other's when it comes again.
        ("Restart", "on-failure"),
        ("RestartSec", "500ms"),
    ])
    .set("ExecStartPre", format!("/bin/sh -c \"{wait}\""))
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
    if cluster.networks.between_pods != BetweenPods::None {
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
