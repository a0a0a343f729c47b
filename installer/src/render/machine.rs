//! What the machine itself needs before a component can run: kernel settings, users, names.

use crate::layout;
use crate::resource::{Block, File, Folder, Owner, Resource, Shared};
use crate::spec::{Balancer, BetweenPods, Cluster, Host, ProxyMode, Role};

/// Names that are known without a name server, which may be down when it matters.
pub(crate) const HOSTS: &str = "/etc/hosts";
/// What kernels are set by, at every start: of two files that set the same the last by name counts
/// (sysctl.d(5)), and hardening guides write `99-…`.
pub(crate) const SYSCTLS: &str = "/etc/sysctl.d/zz-sternpost.conf";
const LB_USERS: &str = include_str!("../../../packaging/sysusers.d/api-lb.conf");
const VIP_USERS: &str = include_str!("../../../packaging/sysusers.d/vip-daemon.conf");
const SIGNER_USERS: &str =
    include_str!("../../../packaging/sysusers.d/bootstrap-signer.conf");
const RUN: &str = include_str!("../../../packaging/tmpfiles.d/sternpost.conf");

pub(super) fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let mut all = vec![
        names(cluster).into(),
        folder(layout::KUBERNETES, 0o755, Owner::Root),
        folder(layout::PKI, 0o755, Owner::Root),
        folder(layout::STERNPOST, 0o755, Owner::Root),
        File::public("/etc/sysusers.d/sternpost.conf", users(cluster, host)).into(),
    ];
    if ours(cluster, host) {
        all.push(File::public("/etc/tmpfiles.d/sternpost.conf", RUN).into());
    }
    all.extend(kernel(cluster, host).into_iter().map(Resource::from));
    if host.is(Role::Etcd) || host.is(Role::ControlPlane) {
        all.push(folder(layout::ETCD_PKI, 0o755, Owner::Root));
    }
    if host.is(Role::ControlPlane) {
        // Before anything that is signed with them.
        all.push(Resource::Shared(Shared::Authorities));
    }
    all
}

/// The files that set a host's kernel, for every start.
pub(crate) fn kernel(cluster: &Cluster, host: &Host) -> Vec<File> {
    let settings = settings(cluster, host).into_iter();
    let settings: String = settings
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect();
    let mut all = vec![File::public(SYSCTLS, settings)];
    let modules = modules(cluster, host);
    if !modules.is_empty() {
        let text = format!("{}\n", modules.join("\n"));
        all.push(File::public("/etc/modules-load.d/sternpost.conf", text));
    }
    all
}

/// Whether daemons of ours run there, whose group the folder of their sockets is given to.
fn ours(cluster: &Cluster, host: &Host) -> bool {
    host.is(Role::ControlPlane) || cluster.balancer == Balancer::Local
}

/// The lines with the hosts and the endpoint.
pub(crate) fn names(cluster: &Cluster) -> Block {
    let mut lines = Vec::new();
    for host in &cluster.hosts {
        let addresses = host.addresses.iter();
        lines.extend(addresses.map(|address| format!("{address} {}", host.name)));
    }
    if let Some(name) = &cluster.endpoint.name {
        let addresses = cluster.endpoint.addresses.iter();
        lines.extend(addresses.map(|address| format!("{address} {name}")));
    }
    Block {
        path: HOSTS.into(),
        lines,
    }
}

fn folder(path: &str, mode: u32, owner: Owner) -> Resource {
    Resource::Folder(Folder {
        path: path.to_owned(),
        mode,
        owner,
    })
}

fn users(cluster: &Cluster, host: &Host) -> String {
    let mut text = String::new();
    if host.is(Role::Etcd) {
        text.push_str("u etcd - \"etcd\" /var/lib/etcd /usr/sbin/nologin\n");
    }
    if host.is(Role::ControlPlane) {
        text.push_str(
            "u kubernetes - \"Kubernetes control plane\" / /usr/sbin/nologin\n",
        );
        text.push_str(SIGNER_USERS);
    }
    match cluster.balancer {
        Balancer::Own(_) if host.is(Role::ControlPlane) => {
            text.push_str(LB_USERS);
            text.push_str(VIP_USERS);
        }
        Balancer::Local => text.push_str(LB_USERS),
        Balancer::Own(_) | Balancer::External | Balancer::None => {}
    }
    text
}

/// What a host's kernel is set to.
pub(crate) fn settings(
    cluster: &Cluster,
    host: &Host,
) -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    if host.is(Role::Node) {
        all.push(("net.ipv4.ip_forward", "1"));
        if cluster.networks.pods.iter().any(|net| net.addr().is_ipv6()) {
            all.push(("net.ipv6.conf.all.forwarding", "1"));
        }
        if bridged(cluster) {
            all.push(("net.bridge.bridge-nf-call-iptables", "1"));
            all.push(("net.bridge.bridge-nf-call-ip6tables", "1"));
        }
        // kubelet wants these three and sets them itself otherwise, as a surprise.
        all.extend([
            ("vm.overcommit_memory", "1"),
            ("kernel.panic", "10"),
            ("kernel.panic_on_oops", "1"),
        ]);
        all.extend([
            ("fs.inotify.max_user_instances", "8192"),
            ("fs.inotify.max_user_watches", "524288"),
        ]);
    }
    if host.is(Role::ControlPlane) {
        // A burst of reconnecting clients waits in the queue instead of being dropped.
        all.push(("net.core.somaxconn", "16384"));
    }
    all
}

/// Packets between Pods of one host cross a bridge, which iptables does not see by itself.
fn bridged(cluster: &Cluster) -> bool {
    match cluster.networks.proxy {
        ProxyMode::Iptables | ProxyMode::Ipvs => true,
        ProxyMode::Nftables | ProxyMode::None => {
            cluster.networks.between_pods != BetweenPods::None
        }
    }
}

/// The modules that a host's kernel is to have loaded.
pub(crate) fn modules(cluster: &Cluster, host: &Host) -> Vec<&'static str> {
    if !host.is(Role::Node) {
        return Vec::new();
    }
    let mut modules = vec!["overlay"];
    if bridged(cluster) {
        modules.push("br_netfilter");
    }
    match cluster.networks.proxy {
        ProxyMode::Ipvs => {
            modules.extend(["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack"])
        }
        ProxyMode::Nftables => modules.push("nf_tables"),
        ProxyMode::Iptables | ProxyMode::None => {}
    }
    if cluster.networks.between_pods == BetweenPods::Flannel {
        modules.push("vxlan");
    }
    modules
}
