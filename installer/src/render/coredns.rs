//! The cluster's DNS.

use serde_json::{Value, json};

use crate::spec::Cluster;

pub(super) const IMAGE: &str = "registry.k8s.io/coredns/coredns:v1.14.2";
/// Seconds between two looks at whether it is ready. At kubelet's 10 a cluster is without names
/// for up to so long after they could be had: it has no answer yet at the first look.
const READY_EVERY: u32 = 2;
/// Seconds without an answer until it is asked no more: what kubelet waits unless told otherwise.
const READY_FOR: u32 = 30;

/// CoreDNS: its rights, its file, two Pods of it, and the Service that Pods ask.
pub(super) fn objects(cluster: &Cluster) -> Vec<Value> {
    let labels = json!({"k8s-app": "kube-dns"});
    let meta =
        |name: &str| json!({"name": name, "namespace": "kube-system", "labels": labels});
    let domain = &cluster.networks.domain;
    let corefile = format!(
        ".:53 {{\n    errors\n    health {{\n        lameduck 5s\n    }}\n    ready\n    \
         kubernetes {domain} in-addr.arpa ip6.arpa {{\n        pods insecure\n        \
         fallthrough in-addr.arpa ip6.arpa\n        ttl 30\n    }}\n    prometheus :9153\n    \
         forward . /etc/resolv.conf {{\n        max_concurrent 1000\n    }}\n    cache 30\n    loop\n    reload\n    loadbalance\n}}\n"
    );
    let mut all = rights_of_dns();
    all.extend([
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("coredns")}),
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta("coredns"),
            "data": {"Corefile": corefile},
        }),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta("coredns"),
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
                "template": {"metadata": {"labels": labels}, "spec": pod()},
            },
        }),
        service(cluster, &meta("kube-dns"), &labels),
    ]);
    all
}

fn rights_of_dns() -> Vec<Value> {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["endpoints", "services", "pods", "namespaces"],
                "verbs": ["list", "watch"],
            },
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": ["list", "watch"],
            },
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:coredns",
        },
        "subjects": [{
            "kind": "ServiceAccount",
            "name": "coredns",
            "namespace": "kube-system",
        }],
    });
    vec![role, binding]
}

fn pod() -> Value {
    json!({
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
        ],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "podAffinityTerm": {
                "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                "topologyKey": "kubernetes.io/hostname",
            },
        }]}},
        "containers": [{
            "name": "coredns",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": ["-conf", "/etc/coredns/Corefile"],
            "resources": {
                "requests": {"cpu": "100m", "memory": "70Mi"},
                "limits": {"memory": "170Mi"},
            },
            "ports": [
                {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
                {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
            ],
            "livenessProbe": {
                "httpGet": {"path": "/health", "port": 8080},
                "initialDelaySeconds": 60,
                "timeoutSeconds": 5,
                "failureThreshold": 5,
            },
            "readinessProbe": {
                "httpGet": {"path": "/ready", "port": 8181},
                "periodSeconds": READY_EVERY,
                "failureThreshold": READY_FOR / READY_EVERY,
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}],
        }],
        "volumes": [{"name": "config", "configMap": {
            "name": "coredns",
            "items": [{"key": "Corefile", "path": "Corefile"}],
        }}],
    })
}

fn service(cluster: &Cluster, meta: &Value, labels: &Value) -> Value {
    let dns: Vec<_> = cluster
        .networks
        .dns
        .iter()
        .map(ToString::to_string)
        .collect();
    let policy = if dns.len() > 1 {
        "RequireDualStack"
    } else {
        "SingleStack"
    };
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "clusterIP": dns.first(),
            "clusterIPs": dns,
            "ipFamilyPolicy": policy,
            "selector": labels,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                {"name": "metrics", "port": 9153, "protocol": "TCP"},
            ],
        },
    })
}
