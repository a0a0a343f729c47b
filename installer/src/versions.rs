//! What differs between the versions of Kubernetes, in one place.

use std::fmt;
use std::str::FromStr;

/// The oldest minor version that is laid down.
pub const OLDEST: u16 = 29;
/// The newest.
pub const NEWEST: u16 = 36;

/// A version of Kubernetes, `1.MINOR.PATCH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The second number.
    pub minor: u16,
    /// The third.
    pub patch: u16,
}

/// Why a text is no [`Version`]; printed after the text in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not three numbers.
    #[error(
        "is not a version of Kubernetes; write all three numbers, such as \"1.36.3\""
    )]
    Shape,
    /// Before the first or after the last that is known.
    #[error("is not laid down by this version; allowed: 1.{OLDEST} to 1.{NEWEST}")]
    Unknown,
}

/// What a version can do, or no longer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// kube-proxy's mode `nftables` needs no feature gate: beta, and on, since 1.31 (KEP-3866).
    pub nftables: bool,
    /// kube-proxy's mode `ipvs` is announced to go (KEP-5495): deprecated since 1.35.
    pub ipvs_deprecated: bool,
    /// kubelet refuses a host with control groups of version 1 (`failCgroupV1`) since 1.35.
    pub refuses_cgroup_v1: bool,
    /// containerd 1.x is too old for its kubelet, since 1.36.
    pub needs_containerd_2: bool,
    /// kube-apiserver asks etcd again where a leader's change cost it an answer to a read, as
    /// etcd's client does by itself: since 1.34. Before, what measures its calls (the gate
    /// `APIServerTracing`, on since 1.27) takes the place of what repeats them
    /// (`newETCD3Client`, apiserver/pkg/storage/storagebackend/factory/etcd3.go), and clients
    /// are told 500, "etcdserver: leader changed".
    pub asks_etcd_again: bool,
    /// The sandbox image that this version was released with: `PauseVersion` of its kubeadm
    /// (cmd/kubeadm/app/constants).
    pub pause: &'static str,
    /// kubeadm's configuration API: `v1beta4` since 1.31.
    pub kubeadm_api: &'static str,
}

impl Version {
    /// What this version can do.
    #[must_use]
    pub fn features(self) -> Features {
        Features {
            nftables: self.minor >= 31,
            ipvs_deprecated: self.minor >= 35,
            refuses_cgroup_v1: self.minor >= 35,
            needs_containerd_2: self.minor >= 36,
            asks_etcd_again: self.minor >= 34,
            pause: match self.minor {
                ..=30 => "registry.k8s.io/pause:3.9",
                31..=33 => "registry.k8s.io/pause:3.10",
                34..=35 => "registry.k8s.io/pause:3.10.1",
                36.. => "registry.k8s.io/pause:3.10.2",
            },
            kubeadm_api: if self.minor >= 31 {
                "kubeadm.k8s.io/v1beta4"
            } else {
                "kubeadm.k8s.io/v1beta3"
            },
        }
    }
}

impl Version {
    /// The one that a program says of itself (`Kubernetes v1.36.3`), also one that is not laid
    /// down; nothing of one that was built without.
    #[must_use]
    pub fn said(text: &str) -> Option<Self> {
        let numbers = text.trim().strip_prefix("Kubernetes v1.")?;
        let (minor, rest) = numbers.split_once('.')?;
        let patch = rest.split(|one: char| !one.is_ascii_digit()).next()?;
        Some(Self {
            minor: minor.parse().ok()?,
            patch: patch.parse().ok()?,
        })
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts = text.split('.');
        let mut next = || {
            let part = parts.next()?;
            let plain = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| plain)
        };
        let (major, minor, patch) = (next(), next(), next());
        let (Some(major), Some(minor), Some(patch), None) =
            (major, minor, patch, parts.next())
        else {
            return Err(VersionError::Shape);
        };
        if major != 1 || !(OLDEST..=NEWEST).contains(&minor) {
            return Err(VersionError::Unknown);
        }
        Ok(Self { minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}", self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_and_says_why_not() {
        for (text, wanted) in [
            (
                "1.36.3",
                Ok(Version {
                    minor: 36,
                    patch: 3,
                }),
            ),
            (
                "v1.29.0",
                Ok(Version {
                    minor: 29,
                    patch: 0,
                }),
            ),
            ("1.28.9", Err(VersionError::Unknown)),
            ("1.37.0", Err(VersionError::Unknown)),
            ("2.30.0", Err(VersionError::Unknown)),
            ("1.36", Err(VersionError::Shape)),
            ("1.36.x", Err(VersionError::Shape)),
            ("1.36.+3", Err(VersionError::Shape)),
            ("1.36.3.1", Err(VersionError::Shape)),
            ("", Err(VersionError::Shape)),
        ] {
            assert_eq!(text.parse::<Version>(), wanted, "{text}");
        }
    }

    #[test]
    fn programs_say_their_version() {
        for (text, wanted) in [
            ("Kubernetes v1.36.3\n", Some((36, 3))),
            ("Kubernetes v1.37.0-rc.1+abc", Some((37, 0))),
            ("Kubernetes v0.0.0-master+$Format:%H$", None),
            ("v1.36.3", None),
            ("", None),
        ] {
            let said = Version::said(text).map(|one| (one.minor, one.patch));
            assert_eq!(said, wanted, "{text}");
        }
    }

    #[test]
    fn features_change_at_their_version() {
        let at = |minor| Version { minor, patch: 0 }.features();
        for (minor, nftables, ipvs_deprecated, containerd_2) in [
            (30, false, false, false),
            (31, true, false, false),
            (34, true, false, false),
            (35, true, true, false),
            (36, true, true, true),
        ] {
            let features = at(minor);
            assert_eq!(features.nftables, nftables, "1.{minor}");
            assert_eq!(features.ipvs_deprecated, ipvs_deprecated, "1.{minor}");
            assert_eq!(features.refuses_cgroup_v1, minor >= 35, "1.{minor}");
            assert_eq!(features.asks_etcd_again, minor >= 34, "1.{minor}");
            assert_eq!(features.needs_containerd_2, containerd_2, "1.{minor}");
        }
        let pauses = (OLDEST..=NEWEST).map(|minor| (minor, at(minor).pause));
        assert_eq!(
            pauses.collect::<Vec<_>>(),
            [
                (29, "registry.k8s.io/pause:3.9"),
                (30, "registry.k8s.io/pause:3.9"),
                (31, "registry.k8s.io/pause:3.10"),
                (32, "registry.k8s.io/pause:3.10"),
                (33, "registry.k8s.io/pause:3.10"),
                (34, "registry.k8s.io/pause:3.10.1"),
                (35, "registry.k8s.io/pause:3.10.1"),
                (36, "registry.k8s.io/pause:3.10.2"),
            ]
        );
        assert_eq!(at(30).kubeadm_api, "kubeadm.k8s.io/v1beta3");
        assert_eq!(at(31).kubeadm_api, "kubeadm.k8s.io/v1beta4");
    }
}
