//! Where everything lies on a host, in one place.

/// What kubelets, API servers and their friends read.
pub const KUBERNETES: &str = "/etc/kubernetes";
/// Certificates and keys.
pub const PKI: &str = "/etc/kubernetes/pki";
/// Those of etcd.
pub const ETCD_PKI: &str = "/etc/kubernetes/pki/etcd";
/// etcd's data.
pub const ETCD_DATA: &str = "/var/lib/etcd";
/// What a kubelet is known to the API by, with its key; it renews both itself.
pub(crate) const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// What a kubelet serves under, renewed in the same way.
pub(crate) const KUBELET_SERVER: &str = "/var/lib/kubelet/pki/kubelet-server-current.pem";

/// What is there as soon as the node is, or a moment before: the first certificate that its
/// kubelet was given. That of a master is a client's from the beginning, and is given the one
/// that it serves with when its node is there.
pub(crate) const fn node_certificate(is_master: bool) -> &'static str {
    if is_master {
        KUBELET_SERVER
    } else {
        KUBELET_CLIENT
    }
}
/// What a kubelet is told.
pub(crate) const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";
/// kubelet's state.
pub const KUBELET: &str = "/var/lib/kubelet";
/// Where kubelet has logind wait for Pods to end before the host goes down.
pub const LOGIND: &str = "/etc/systemd/logind.conf.d";
/// Where kubelet looks for plugins of volumes.
pub const PLUGINS: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
/// The audit log.
pub const AUDIT_LOG: &str = "/var/log/kubernetes";
/// What our own daemons read.
pub const STERNPOST: &str = "/etc/sternpost";
/// Unit files of the operator.
pub const UNITS: &str = "/etc/systemd/system";
/// Links to the programs of the version in use.
pub const BIN: &str = "/usr/local/bin";
/// Where programs lie that links lead to, each version for itself.
pub const STORE: &str = "/opt/sternpost";
/// CNI's configuration and its programs.
pub const CNI_CONFIG: &str = "/etc/cni/net.d";
/// CNI's programs.
pub const CNI_BIN: &str = "/opt/cni/bin";
/// containerd's socket, as kubelet dials it.
pub const CONTAINERD: &str = "unix:///run/containerd/containerd.sock";
/// Images that are given to containerd before a Pod asks for them.
pub const IMAGES: &str = "/var/lib/sternpost/images";
/// Manifests that are applied once the API is there.
pub const ADDONS: &str = "/etc/kubernetes/addons";

/// Where every master keeps the cluster's authorities and keys, in one file.
pub const AUTHORITIES: &str = "/var/lib/sternpost/authorities.json";
/// What flannel reads in etcd, where it is written from.
pub(crate) const POD_NETWORK: &str = "/etc/sternpost/pod-network.json";
/// What vip-daemon is told to hold.
pub(crate) const VIP_DAEMON: &str = "/etc/sternpost/vip-daemon.yaml";
/// What vip-daemons prove to each other that they are of one cluster with.
pub const CHANNEL_KEY: &str = "/etc/sternpost/vip-channel-key";
/// Where they listen for each other beside the adverts.
pub const CHANNEL_PORT: u16 = 8112;

/// Programs beside containerd of its own version: none of them goes with another version of it.
pub const BESIDE_CONTAINERD: [&str; 3] = ["containerd-shim-runc-v2", "ctr", "runc"];

/// The bridge of a host's Pods, and what flannel's packets of each family come over between hosts.
pub const BRIDGE: &str = "cni0";
/// See [`BRIDGE`].
pub const TUNNEL: &str = "flannel.1";
/// See [`BRIDGE`].
pub const TUNNEL_OF_V6: &str = "flannel-v6.1";

/// Clients of etcd.
pub const ETCD_PORT: u16 = 2379;
/// Its members among themselves.
pub const ETCD_PEER_PORT: u16 = 2380;
/// Its metrics, on the loopback address.
pub const ETCD_METRICS_PORT: u16 = 2381;

/// The path of a program.
#[must_use]
pub fn program(name: &str) -> String {
    format!("{BIN}/{name}")
}

/// The kubeconfig of an identity.
#[must_use]
pub fn kubeconfig(identity: &str) -> String {
    format!("{KUBERNETES}/{identity}.conf")
}

/// The certificate `name` below [`PKI`].
#[must_use]
pub fn certificate(name: &str) -> String {
    format!("{PKI}/{name}.crt")
}

/// The key `name` below [`PKI`].
#[must_use]
pub fn key(name: &str) -> String {
    format!("{PKI}/{name}.key")
}
