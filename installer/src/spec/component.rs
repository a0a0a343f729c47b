//! The components whose flags an operator may add to, and the flags that are no more.

mod ours;

use std::fmt;
use std::str::FromStr;

use crate::layout;
use ours::OURS;

/// A component with a command line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// etcd
    Etcd,
    /// kube-apiserver
    Apiserver,
    /// kube-controller-manager
    ControllerManager,
    /// kube-scheduler
    Scheduler,
    /// kubelet
    Kubelet,
    /// kube-proxy
    Proxy,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Etcd,
        Self::Apiserver,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::Proxy,
    ];

    /// Its program, and its key in `flags`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Proxy => "kube-proxy",
        }
    }

    /// Why a flag cannot be given to this component, and what to write instead.
    #[must_use]
    pub fn refuses(self, flag: &str) -> Option<&'static str> {
        let gone = GONE.iter().filter(|gone| gone.flag == flag);
        let mut here = gone.filter(|gone| gone.of.contains(&self));
        let mut ours = OURS.iter().filter(|(of, _)| of.contains(&self));
        let kept = || ours.any(|(_, flags)| flags.contains(&flag)).then_some(KEPT);
        here.next().map(|gone| gone.instead).or_else(kept)
    }

    /// Why a flag of this component cannot have that value.
    #[must_use]
    pub fn refuses_value(self, flag: &str, value: &str) -> Option<String> {
        let below = |folder: &str| {
            let inside = value.starts_with(&format!("{folder}/"));
            let text = format!("may be written to below {folder} alone, by its unit");
            (!inside || value.contains("/../")).then_some(text)
        };
        match (self, flag) {
            (Etcd, "wal-dir") => below(layout::ETCD_DATA),
            (Apiserver, "audit-log-path") if value != "-" => below(layout::AUDIT_LOG),
            (ControllerManager, "controllers") => {
                let kept = value.split(',').any(|one| one == NO_SECOND_APPROVER);
                let text = format!(
                    "would approve certificates beside bootstrap-signer; add {NO_SECOND_APPROVER}"
                );
                (!kept).then_some(text)
            }
            (Etcd | Apiserver | ControllerManager | Scheduler | Kubelet | Proxy, _) => {
                None
            }
        }
    }
}

impl FromStr for Component {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|component| component.name() == text).ok_or(())
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A flag that old documents give and no supported version knows.
struct Gone {
    of: &'static [Component],
    flag: &'static str,
    instead: &'static str,
}

const fn gone(
    of: &'static [Component],
    flag: &'static str,
    instead: &'static str,
) -> Gone {
    Gone { of, flag, instead }
}

use Component::{Apiserver, ControllerManager, Etcd, Kubelet, Proxy, Scheduler};

const KUBERNETES: &[Component] =
    &[Apiserver, ControllerManager, Scheduler, Kubelet, Proxy];
const CONTROL: &[Component] = &[ControllerManager, Scheduler];
const KEPT: &str = "is ours to set: others rest on its value; remove it";
/// What keeps kube-controller-manager's own approver from working.
const NO_SECOND_APPROVER: &str = "-csrapproving";

const GONE: &[Gone] = &[
    gone(
        KUBERNETES,
        "logtostderr",
        "is gone; they log to stderr, remove it",
    ),
    gone(
        &[Apiserver],
        "insecure-port",
        "is gone; the API is served over TLS only",
    ),
    gone(
        &[Apiserver],
        "insecure-bind-address",
        "is gone; the API is served over TLS only",
    ),
    gone(
        &[Apiserver],
        "kubelet-https",
        "is gone; kubelets are reached over TLS only",
    ),
    gone(
        &[Apiserver],
        "basic-auth-file",
        "is gone; use certificates or OIDC",
    ),
    gone(&[Apiserver], "enable-swagger-ui", "is gone; remove it"),
    gone(
        &[Apiserver],
        "experimental-bootstrap-token-auth",
        "is gone; bootstrap tokens are on already",
    ),
    gone(
        &[Apiserver],
        "apiserver-count",
        "is deprecated; leases count the API servers",
    ),
    gone(
        &[Apiserver],
        "admission-control",
        "is deprecated; write enable-admission-plugins",
    ),
    gone(
        &[Apiserver],
        "token-auth-file",
        "makes tokens that never expire and need a restart; use bootstrap tokens \
         (\"bootstrap-signer token create\")",
    ),
    gone(
        &[Apiserver],
        "bind-address",
        "is ours to set: on 0.0.0.0 it would take the balancer's port; remove it",
    ),
    gone(
        &[Apiserver],
        "cloud-provider",
        "is gone since Kubernetes 1.33; a cloud's own controller manager does that",
    ),
    gone(
        &[Apiserver],
        "cloud-config",
        "is gone since Kubernetes 1.33; a cloud's own controller manager has it",
    ),
    gone(
        &[Apiserver],
        "service-cluster-ip-range",
        "is set by networks.services; remove it",
    ),
    gone(
        &[Apiserver],
        "service-node-port-range",
        "is set by networks.nodePorts; remove it",
    ),
    gone(CONTROL, "address", "is gone; write bind-address"),
    gone(CONTROL, "port", "is gone; write secure-port"),
    gone(
        CONTROL,
        "leader-election",
        "does not exist; leader-elect is on already",
    ),
    gone(
        CONTROL,
        "master",
        "dials the API without identity; their kubeconfig names it",
    ),
    gone(
        &[ControllerManager],
        "experimental-cluster-signing-duration",
        "is gone; write cluster-signing-duration",
    ),
    gone(
        &[ControllerManager],
        "cluster-cidr",
        "is set by networks.pods; remove it",
    ),
    gone(
        &[Kubelet],
        "experimental-bootstrap-kubeconfig",
        "is gone; bootstrap-kubeconfig is set already",
    ),
    gone(&[Kubelet], "require-kubeconfig", "is gone; remove it"),
    gone(&[Kubelet], "allow-privileged", "is gone; remove it"),
    gone(
        &[Kubelet],
        "network-plugin",
        "is gone; CNI belongs to containerd",
    ),
    gone(
        &[Kubelet],
        "container-runtime",
        "is gone; the runtime is always a remote one",
    ),
    gone(
        &[Kubelet],
        "cni-bin-dir",
        "is gone; CNI belongs to containerd",
    ),
    gone(
        &[Kubelet],
        "pod-infra-container-image",
        "is gone; the sandbox image belongs to containerd",
    ),
    gone(&[Proxy], "master", "is gone; its kubeconfig names the API"),
    gone(
        &[Proxy],
        "cluster-cidr",
        "is set by networks.pods (never the services' network); remove it",
    ),
    gone(&[Etcd], "enable-v2", "is gone since etcd 3.6; remove it"),
    gone(
        &[Etcd],
        "config-file",
        "makes etcd ignore every other flag; write the flags themselves",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for component in Component::ALL {
            assert_eq!(component.name().parse(), Ok(component));
        }
    }

    #[test]
    fn a_flag_is_refused_where_it_is_gone() {
        assert!(Apiserver.refuses("insecure-port").is_some());
        assert!(Scheduler.refuses("port").is_some());
        assert!(Apiserver.refuses("port").is_none());
        assert!(Etcd.refuses("logtostderr").is_none());
        assert!(Kubelet.refuses("max-pods").is_none());
        for (component, flag) in [
            (Etcd, "data-dir"),
            (Etcd, "name"),
            (Apiserver, "tls-cert-file"),
            (Apiserver, "cloud-provider"),
            (ControllerManager, "leader-elect"),
            (Kubelet, "config"),
            (Kubelet, "hostname-override"),
            (Kubelet, "node-ip"),
        ] {
            assert!(component.refuses(flag).is_some(), "{component} {flag}");
        }
    }

    #[test]
    fn a_value_is_refused_that_a_unit_or_the_approver_could_not_live_with() {
        for (component, flag, value, good) in [
            (Etcd, "wal-dir", "/var/lib/etcd/wal", true),
            (Etcd, "wal-dir", "/fast/wal", false),
            (Etcd, "wal-dir", "/var/lib/etcd/../wal", false),
            (Apiserver, "audit-log-path", "-", true),
            (
                Apiserver,
                "audit-log-path",
                "/var/log/kubernetes/a.log",
                true,
            ),
            (Apiserver, "audit-log-path", "/srv/audit.log", false),
            (ControllerManager, "controllers", "*", false),
            (
                ControllerManager,
                "controllers",
                "*,-csrapproving,-ttl",
                true,
            ),
            (Scheduler, "controllers", "*", true),
        ] {
            let said = component.refuses_value(flag, value);
            assert_eq!(said.is_none(), good, "{component} {flag} {value}: {said:?}");
        }
    }
}
