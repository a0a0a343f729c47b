//! kube-apiserver, and what it reads.

use pki::{Name, Profile};
use serde_json::json;

use super::etcd::{beside, clients, local};
use super::flags::Flags;
use super::unit::Service;
use super::{audit, yaml};
use crate::layout::{self, certificate, key};
use crate::resource::{
    Authority, Certificate, File, Folder, OnChange, Owner, Program, Resource, Shared,
    Stage, Unit,
};
use crate::spec::{APISERVER_PORT, Cluster, Component, Etcd, Host, Role};

/// The group whose rights kubeadm binds to `cluster-admin`.
const ADMINS: &str = "kubeadm:cluster-admins";
const AUDIT_POLICY: &str = "/etc/kubernetes/audit-policy.yaml";
const TRACING: &str = "APIServerTracing";
const ENCRYPTION: &str = "/etc/kubernetes/encryption.yaml";

pub(super) fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let unit = format!("{}/kube-apiserver.service", layout::UNITS);
    let mut all = vec![
        Program::new("kube-apiserver").into(),
        Resource::Shared(Shared::ServiceAccounts),
        Resource::Shared(Shared::Encryption),
    ];
    for authority in Authority::ALL {
        all.push(Resource::Shared(Shared::Trust(authority)));
    }
    // The one that the controller manager signs with. The others sign for this program alone,
    // and lie among what the masters keep for it.
    if !cluster.is_external(Authority::Kubernetes) {
        all.push(Resource::Shared(Shared::Signing(Authority::Kubernetes)));
    }
    if cluster.etcd != Etcd::Hosts {
        all.push(Resource::Shared(Shared::ExternalEtcd));
    }
    all.extend(certificates(cluster));
    all.extend([
        Resource::Folder(Folder {
            path: layout::AUDIT_LOG.into(),
            mode: 0o700,
            owner: Owner::Kubernetes,
        }),
        File::public(AUDIT_POLICY, yaml::yaml(&audit::policy())).into(),
        File::public(unit.clone(), service(host, &flags(cluster, host)).text()).into(),
        Unit {
            name: "kube-apiserver.service".into(),
            after: Stage::Api,
            reads: reads(cluster, unit),
            on_change: OnChange::Restart,
        }
        .into(),
    ]);
    all
}

/// Certificates are read again without a restart, and whom to trust of an etcd of others is not.
fn reads(cluster: &Cluster, unit: String) -> Vec<String> {
    let mut reads = vec![unit, AUDIT_POLICY.into()];
    if cluster.etcd != Etcd::Hosts {
        reads.push(certificate("etcd/external-ca"));
    }
    reads
}

/// Every name and address by which a client may know an API server.
pub(super) fn names(cluster: &Cluster) -> Vec<Name> {
    let domain = &cluster.networks.domain;
    let mut names = vec![
        Name::Dns("kubernetes".into()),
        Name::Dns("kubernetes.default".into()),
        Name::Dns("kubernetes.default.svc".into()),
        Name::Dns(format!("kubernetes.default.svc.{domain}")),
    ];
    names.extend(cluster.endpoint.name.iter().cloned().map(Name::Dns));
    names.extend(
        cluster
            .endpoint
            .addresses
            .iter()
            .copied()
            .map(Name::Address),
    );
    let services = cluster.networks.services.iter();
    names.extend(
        services
            .filter_map(crate::spec::api_address)
            .map(Name::Address),
    );
    for host in cluster.with(Role::ControlPlane) {
        names.push(Name::Dns(host.name.clone()));
        names.extend(host.addresses.iter().copied().map(Name::Address));
    }
    names.extend(cluster.extra_names.iter().cloned());
    names.extend(local());
    let mut once: Vec<Name> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

fn certificates(cluster: &Cluster) -> Vec<Resource> {
    let leaf = |name: &str, authority, profile| {
        Resource::from(Certificate {
            name: name.to_owned(),
            owner: Owner::Kubernetes,
            authority,
            profile,
        })
    };
    let mut all = vec![
        leaf(
            "apiserver",
            Authority::Kubernetes,
            Profile::server("kube-apiserver", names(cluster)),
        ),
        leaf(
            "apiserver-kubelet-client",
            Authority::Kubernetes,
            Profile::client("kube-apiserver-kubelet-client", &[ADMINS]),
        ),
        leaf(
            "front-proxy-client",
            Authority::FrontProxy,
            Profile::client("front-proxy-client", &[]),
        ),
    ];
    if cluster.etcd == Etcd::Hosts {
        all.push(leaf(
            "apiserver-etcd-client",
            Authority::Etcd,
            Profile::client("kube-apiserver-etcd-client", &[]),
        ));
    }
    all
}

fn flags(cluster: &Cluster, host: &Host) -> Flags {
    let networks = &cluster.networks;
    let services: Vec<_> = networks.services.iter().map(ToString::to_string).collect();
    let (first, last) = networks.node_ports;
    let address = host.address().to_string();
    let issuer = format!("https://kubernetes.default.svc.{}", networks.domain);
    let flags = Flags::default()
        .set("advertise-address", &address)
        // The host's own address, so that the balancer may have the same port on its.
        .set("bind-address", address)
        .set("secure-port", APISERVER_PORT.to_string())
        .set("allow-privileged", "true")
        .set("authorization-mode", "Node,RBAC")
        .set("enable-admission-plugins", "NodeRestriction")
        .set("enable-bootstrap-token-auth", "true")
        .set("client-ca-file", certificate("ca"))
        .set("tls-cert-file", certificate("apiserver"))
        .set("tls-private-key-file", key("apiserver"))
        .set("kubelet-certificate-authority", certificate("ca"))
        .set(
            "kubelet-client-certificate",
            certificate("apiserver-kubelet-client"),
        )
        .set("kubelet-client-key", key("apiserver-kubelet-client"))
        .set(
            "kubelet-preferred-address-types",
            "InternalIP,ExternalIP,Hostname",
        )
        .set("proxy-client-cert-file", certificate("front-proxy-client"))
        .set("proxy-client-key-file", key("front-proxy-client"))
        .set(
            "requestheader-client-ca-file",
            certificate("front-proxy-ca"),
        )
        .set("requestheader-allowed-names", "front-proxy-client")
        .set("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .set("requestheader-group-headers", "X-Remote-Group")
        .set("requestheader-username-headers", "X-Remote-User")
        .set("service-account-issuer", issuer)
        .set(
            "service-account-key-file",
            format!("{}/sa.pub", layout::PKI),
        )
        .set("service-account-signing-key-file", key("sa"))
        .set("service-cluster-ip-range", services.join(","))
        .set("service-node-port-range", format!("{first}-{last}"))
        .set("audit-policy-file", AUDIT_POLICY)
        .set("audit-log-path", format!("{}/audit.log", layout::AUDIT_LOG))
        .set("audit-log-maxage", "30")
        .set("audit-log-maxbackup", "10")
        .set("audit-log-maxsize", "100")
        .set("encryption-provider-config", ENCRYPTION)
        .set("encryption-provider-config-automatic-reload", "true")
        // A restart loses no request: readyz fails first, api-lb takes the server out, and
        // who still comes is told to come again.
        .set("shutdown-delay-duration", "5s")
        .set("shutdown-send-retry-after", "true")
        // Long-lived connections spread again after a restart, a few at a time.
        .set("goaway-chance", "0.001");
    let flags = called(host, store(cluster, host, flags));
    asking_again(cluster, flags.and_extra(cluster, Component::Apiserver))
}

/// What keeps a version from asking etcd again ([`Features::asks_etcd_again`]) is off, unless the
/// operator wants it: a gate that is named, or calls that are traced.
///
/// [`Features::asks_etcd_again`]: crate::versions::Features::asks_etcd_again
fn asking_again(cluster: &Cluster, flags: Flags) -> Flags {
    let theirs = flags.get("feature-gates").unwrap_or_default();
    let wanted = theirs.contains(TRACING) || flags.get("tracing-config-file").is_some();
    if cluster.version.features().asks_etcd_again || wanted {
        return flags;
    }
    let off = format!("{TRACING}=false");
    let gates = match theirs {
        "" => off,
        theirs => format!("{theirs},{off}"),
    };
    flags.set("feature-gates", gates)
}

/// By which address webhooks and aggregated APIs are called. A Service's own leads somewhere
/// where kube-proxy runs, which is on nodes; from elsewhere the addresses behind it are called:
/// those of Pods in their hosts' network and of servers outside the cluster are in reach there,
/// and those of Pods where whoever joins them routes them to all hosts.
///
/// One flag is for both: `buildServiceResolver` (cmd/kube-apiserver/app/server.go, the same from
/// 1.29 to 1.36) makes one resolver by it, for `CreateAggregatorConfig` as for the admission
/// plugins and the conversion of custom resources; `HookClient` dials what it says
/// (apiserver/pkg/util/webhook/client.go). A Service without addresses behind it
/// (`ExternalName`) is refused by that one (`ResolveEndpoint`,
/// apiserver/pkg/util/proxy/proxy.go).
fn called(host: &Host, flags: Flags) -> Flags {
    match host.is(Role::Node) {
        true => flags,
        false => flags.set("enable-aggregator-routing", "true"),
    }
}

fn store(cluster: &Cluster, host: &Host, flags: Flags) -> Flags {
    // Of several members it would use all in turn, also one whose host is cut off, until half a
    // minute later it is known to be (docs/decisions/its-own-member.md).
    let servers = match host.is(Role::Etcd) {
        true => beside(host),
        false => clients(cluster).join(","),
    };
    match &cluster.etcd {
        Etcd::Hosts => flags
            .set("etcd-servers", servers)
            .set("etcd-cafile", certificate("etcd/ca"))
            .set("etcd-certfile", certificate("apiserver-etcd-client"))
            .set("etcd-keyfile", key("apiserver-etcd-client")),
        Etcd::External { endpoints, .. } => flags
            .set("etcd-servers", endpoints.join(","))
            .set("etcd-cafile", certificate("etcd/external-ca"))
            .set("etcd-certfile", certificate("etcd/external-client"))
            .set("etcd-keyfile", key("etcd/external-client")),
    }
}

/// What `/etc/kubernetes/encryption.yaml` says, with the key in base64: Secrets are sealed
/// with it; what was written before is still read.
#[must_use]
pub fn encryption(key_base64: &str) -> String {
    yaml::yaml(&json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{
            "resources": ["secrets"],
            "providers": [
                {"secretbox": {"keys": [{"name": "key1", "secret": key_base64}]}},
                {"identity": {}},
            ],
        }],
    }))
}

fn service(host: &Host, flags: &Flags) -> Service {
    let service = Service::new(
        "Kubernetes API server",
        &layout::program("kube-apiserver"),
        flags,
    )
    .unit("Documentation", "https://kubernetes.io/docs/")
    .unit("Wants", "network-online.target")
    .unit("After", "network-online.target etcd.service");
    // Where the member beside it is its only one it leaves before that stops, in order: clients
    // go elsewhere first (systemd.unit(5)).
    let service = match host.is(Role::Etcd) {
        true => service.unit("PartOf", "etcd.service"),
        false => service,
    };
    service
        .unit("StartLimitIntervalSec", "0")
        .with(&[
            ("Type", "notify"),
            // A slow host that is killed on its way begins from nothing, again and again; kubeadm
            // waits as long.
            ("TimeoutStartSec", "4min"),
            ("User", Owner::Kubernetes.name()),
            ("Restart", "always"),
            ("RestartSec", "1s"),
            // shutdown-delay-duration, and a minute for requests that are under way.
            ("TimeoutStopSec", "75s"),
            ("LimitNOFILE", "1048576"),
            ("OOMScoreAdjust", "-999"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("ReadWritePaths", layout::AUDIT_LOG),
        ])
        .shut_in()
        .set("UMask", "0077")
}
