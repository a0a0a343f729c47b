//! Flags of what is rendered.

use std::collections::BTreeSet;

use sternpost::render;
use sternpost::resource::{self, Resource};
use sternpost::spec::{Component, Role};

use super::{SPECS, cluster, file, known};

/// What leads to Services is on nodes alone.
#[test]
fn an_api_server_beside_no_kubelet_calls_what_is_behind_a_service() {
    let flag = "--enable-aggregator-routing=true";
    for name in SPECS {
        let cluster = cluster(name);
        for host in cluster.with(Role::ControlPlane) {
            let resources = render::host(&cluster, host, &known());
            let text = file(&resources, "/etc/systemd/system/kube-apiserver.service");
            let node = resource::runs(&resources, "kubelet");
            assert_eq!(text.contains(flag), !node, "{name} {}", host.name);
        }
    }
}

/// Until 1.33 the gate is what takes the repeated question from etcd's client.
#[test]
fn an_api_server_asks_etcd_again_unless_it_is_to_trace() {
    let off = Some("--feature-gates=APIServerTracing=false");
    let on = "--feature-gates=APIServerTracing=true";
    let both = "--feature-gates=AllAlpha=false,APIServerTracing=false";
    let rows = [
        ("1.29.9", "", off),
        ("1.33.0", "", off),
        ("1.34.0", "", None),
        ("1.33.0", "feature-gates=AllAlpha=false", Some(both)),
        ("1.33.0", "feature-gates=APIServerTracing=true", Some(on)),
        ("1.33.0", "tracing-config-file=/etc/traces.yaml", None),
    ];
    for (version, theirs, wanted) in rows {
        let mut cluster = cluster("external");
        cluster.version = version.parse().unwrap();
        let theirs = theirs.split_once('=').into_iter();
        let theirs = theirs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        cluster.flags.insert(Component::Apiserver, theirs.collect());
        let host = cluster.with(Role::ControlPlane).next().unwrap();
        let resources = render::host(&cluster, host, &known());
        let text = file(&resources, "/etc/systemd/system/kube-apiserver.service");
        let mut words = text.split_whitespace().map(|word| word.trim_matches('"'));
        let gates = words.find(|word| word.starts_with("--feature-gates"));
        assert_eq!(gates, wanted, "{version}");
    }
}

/// Flags that are rendered and that nothing else rests on.
const CHANGEABLE: &[(&str, &[&str])] = &[
    (
        "etcd",
        &[
            "initial-cluster-state",
            "listen-metrics-urls",
            "quota-backend-bytes",
            "auto-compaction-mode",
            "auto-compaction-retention",
        ],
    ),
    (
        "kube-apiserver",
        &[
            "allow-privileged",
            "authorization-mode",
            "enable-admission-plugins",
            "kubelet-preferred-address-types",
            "service-account-issuer",
            "enable-aggregator-routing",
            "audit-policy-file",
            "audit-log-path",
            "audit-log-maxage",
            "audit-log-maxbackup",
            "audit-log-maxsize",
            "encryption-provider-config-automatic-reload",
            "shutdown-delay-duration",
            "shutdown-send-retry-after",
            "goaway-chance",
            "feature-gates",
        ],
    ),
    (
        "kube-controller-manager",
        &[
            "allocate-node-cidrs",
            "cluster-name",
            "use-service-account-credentials",
            "controllers",
            "kube-api-qps",
            "kube-api-burst",
            "node-cidr-mask-size",
            "node-cidr-mask-size-ipv4",
            "node-cidr-mask-size-ipv6",
            "bind-address",
        ],
    ),
    ("kube-scheduler", &["bind-address"]),
    ("kubelet", &["node-labels", "max-pods"]),
    ("kube-proxy", &[]),
];

/// A flag of ours is either refused in a description, or it is known that it may be changed.
#[test]
fn each_flag_is_ours_or_may_be_changed() {
    let mut seen = BTreeSet::new();
    for name in SPECS {
        let cluster = cluster(name);
        for host in &cluster.hosts {
            let resources = render::host(&cluster, host, &known());
            for component in Component::ALL {
                let unit = format!("/etc/systemd/system/{component}.service");
                let there = |one: &Resource| matches!(one, Resource::File(file) if file.path == unit);
                if !resources.iter().any(there) {
                    continue;
                }
                let text = file(&resources, &unit);
                let words = text.split_whitespace().map(|word| word.trim_matches('"'));
                let flags =
                    words.filter_map(|word| word.strip_prefix("--")?.split('=').next());
                for flag in flags {
                    let mut lists =
                        CHANGEABLE.iter().filter(|(of, _)| *of == component.name());
                    let may = lists.any(|(_, flags)| flags.contains(&flag));
                    let extra =
                        cluster.extra_flags(component).any(|(name, _)| name == flag);
                    let refused = component.refuses(flag).is_some();
                    assert!(refused != (may || extra), "{component} --{flag}");
                    seen.insert(format!("{component} {flag}"));
                }
            }
        }
    }
    assert!(seen.len() > 60, "{seen:?}");
}
