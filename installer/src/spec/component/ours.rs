//! Flags that are ours to set.

use super::CONTROL;
use super::Component::{self, Apiserver, ControllerManager, Etcd, Kubelet, Proxy};

/// Flags that are rendered, or that say where something of theirs lies, and that other units,
/// `status`, `verify` or `reset` rest on. What is rendered and not here may be changed:
/// `render.rs` in the tests has that list.
pub(super) const OURS: &[(&[Component], &[&str])] = &[
    (
        &[Etcd],
        &[
            "name",
            "data-dir",
            "listen-client-urls",
            "advertise-client-urls",
            "listen-peer-urls",
            "initial-advertise-peer-urls",
            "initial-cluster",
            "initial-cluster-token",
            "client-cert-auth",
            "trusted-ca-file",
            "cert-file",
            "key-file",
            "peer-client-cert-auth",
            "peer-trusted-ca-file",
            "peer-cert-file",
            "peer-key-file",
            "auto-tls",
            "peer-auto-tls",
        ],
    ),
    (
        &[Apiserver],
        &[
            "advertise-address",
            "secure-port",
            "enable-bootstrap-token-auth",
            "client-ca-file",
            "tls-cert-file",
            "tls-private-key-file",
            "kubelet-certificate-authority",
            "kubelet-client-certificate",
            "kubelet-client-key",
            "proxy-client-cert-file",
            "proxy-client-key-file",
            "requestheader-client-ca-file",
            "requestheader-allowed-names",
            "requestheader-extra-headers-prefix",
            "requestheader-group-headers",
            "requestheader-username-headers",
            "service-account-key-file",
            "service-account-signing-key-file",
            "encryption-provider-config",
            "etcd-servers",
            "etcd-cafile",
            "etcd-certfile",
            "etcd-keyfile",
        ],
    ),
    (
        CONTROL,
        &[
            "kubeconfig",
            "authentication-kubeconfig",
            "authorization-kubeconfig",
            "leader-elect",
        ],
    ),
    (
        &[ControllerManager],
        &[
            "service-cluster-ip-range",
            "root-ca-file",
            "service-account-private-key-file",
            "cluster-signing-cert-file",
            "cluster-signing-key-file",
        ],
    ),
    (
        &[Kubelet],
        &[
            "config",
            "bootstrap-kubeconfig",
            "kubeconfig",
            "hostname-override",
            "node-ip",
            "root-dir",
            "cert-dir",
        ],
    ),
    (&[Proxy], &["config"]),
];
