//! What a test needs from the machine, and what becomes of it where that is missing.
//!
//! A test that cannot run is *skipped* with its reason on one line of stderr, which
//! the test runner (`bin/rungs`) counts and lists:
//!
//! ```text
//! SKIPPED keepalived_takes_over (needs: peers): no keepalived in .deps/peers; run `make deps`
//! ```
//!
//! `STERNPOST_REQUIRE=root,kubernetes,…` names what this machine must offer; a test
//! that misses one of those fails instead. What only shows while a test runs is whether the
//! machine is calm enough to measure on ([`too_disturbed`]).

mod calm;
mod places;

use std::env;
use std::fmt;
use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::machine::possible;
use crate::memory;
use calm::verdict;
pub use calm::{too_disturbed, undisturbed};
pub use places::{
    browser, containerd, firewall, kubernetes, machine, monitoring, network, peer, peers,
    runtime,
};

/// The programs `make deps` unpacks into [`peers`].
const PEERS: [&str; 7] = [
    "haproxy",
    "keepalived",
    "nginx",
    "etcd",
    "etcdctl",
    "tcpdump",
    "wrk",
];

/// The programs `make deps` unpacks into [`runtime`].
const RUNTIME: [&str; 5] = [
    "busybox",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
];

/// The programs `make deps` unpacks into [`monitoring`].
const MONITORING: [&str; 2] = ["promtool", "prometheus-haproxy-exporter"];

/// The programs `make kubernetes` builds into [`kubernetes`].
const KUBERNETES: [&str; 9] = [
    "etcd",
    "etcdctl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
];

/// What `make kubernetes` builds into [`network`].
pub(crate) const NETWORK: [&str; 8] = [
    "bridge",
    "coredns",
    "coredns.tar",
    "flanneld",
    "host-local",
    "loopback",
    "pause.tar",
    "portmap",
];

/// What `make kubernetes` builds into [`containerd`].
pub(crate) const CONTAINERD: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];

/// The capabilities a lab of namespaces takes, as bits of `CapEff`: CAP_NET_ADMIN,
/// CAP_NET_RAW and CAP_SYS_ADMIN (capability.h).
const CAPABILITIES: u64 = 1 << 12 | 1 << 13 | 1 << 21;

/// One thing a test needs from the machine it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Root's capabilities over network namespaces.
    Root,
    /// The real Kubernetes commands and etcd 3.6.
    Kubernetes,
    /// CNI's programs, flannel, CoreDNS and containerd 2.
    Network,
    /// The programs of other people that tests run against.
    Peers,
    /// What runs a kubelet's containers.
    Runtime,
    /// What boots a machine, systemd-nspawn and a root file system, where one does boot; and
    /// the ssh by which an operator reaches it.
    Machine,
    /// What filters on a machine as its owner's tool.
    Firewall,
    /// A browser without a screen.
    Browser,
    /// What reads metrics, rules and tables elsewhere.
    Monitoring,
    /// What brings files from servers.
    Curl,
    /// What others make and check certificates with.
    Openssl,
    /// Control groups with a limit of memory.
    Memory,
    /// systemd's own word on units.
    Systemd,
}

/// A requirement this machine does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub requirement: Requirement,
    /// Why, and the way out, in one line.
    pub reason: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(needs: {}): {}", self.requirement.name(), self.reason)
    }
}

impl std::error::Error for Missing {}

impl Requirement {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Root,
        Self::Kubernetes,
        Self::Network,
        Self::Peers,
        Self::Runtime,
        Self::Machine,
        Self::Firewall,
        Self::Browser,
        Self::Monitoring,
        Self::Curl,
        Self::Openssl,
        Self::Memory,
        Self::Systemd,
    ];

    /// Its name in `STERNPOST_REQUIRE` and in the line of a skipped test.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Kubernetes => "kubernetes",
            Self::Network => "network",
            Self::Peers => "peers",
            Self::Runtime => "runtime",
            Self::Machine => "machine",
            Self::Firewall => "firewall",
            Self::Browser => "browser",
            Self::Monitoring => "monitoring",
            Self::Curl => "curl",
            Self::Openssl => "openssl",
            Self::Memory => "memory",
            Self::Systemd => "systemd",
        }
    }

    /// Whether this machine meets it.
    ///
    /// # Errors
    /// What is missing, with the way out.
    pub fn met(self) -> Result<(), Missing> {
        let met = match self {
            Self::Root => root(),
            Self::Kubernetes => all_in(&kubernetes(), &KUBERNETES, "make kubernetes"),
            Self::Network => all_in(&network(), &NETWORK, "make kubernetes")
                .and_then(|()| all_in(&containerd(), &CONTAINERD, "make kubernetes")),
            Self::Peers => all_in(&peers().join("bin"), &PEERS, "make deps"),
            Self::Runtime => all_in(&runtime(), &RUNTIME, "make deps"),
            Self::Machine => root().and_then(|()| booting()),
            Self::Firewall => all_in(&firewall().join("bin"), &["ufw"], "make deps"),
            Self::Browser => all_in(&browser(), &["chromium"], "make deps"),
            Self::Monitoring => all_in(&monitoring(), &MONITORING, "make deps"),
            Self::Curl => in_path("curl"),
            Self::Openssl => in_path("openssl"),
            Self::Memory => root().and_then(|()| memory::possible()),
            Self::Systemd => in_path("systemd-analyze"),
        };
        met.map_err(|reason| Missing {
            requirement: self,
            reason,
        })
    }

    fn is_demanded(self) -> bool {
        is_demanded(self.name())
    }
}

fn is_demanded(name: &str) -> bool {
    env::var("STERNPOST_REQUIRE").is_ok_and(|names| names_contain(&names, name))
}

/// A test that runs where all of `requirements` are met, fails where one is missing
/// that `STERNPOST_REQUIRE` names, and is skipped elsewhere.
pub fn trial(
    name: impl Into<String>,
    requirements: &[Requirement],
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let name = name.into();
    match requirements
        .iter()
        .find_map(|requirement| requirement.met().err())
    {
        None => {
            let of = name.clone();
            Trial::ignorable_test(name, move || verdict(&of, test()))
        }
        Some(missing) if missing.requirement.is_demanded() => {
            Trial::test(name, move || Err(missing.to_string().into()))
        }
        Some(missing) => {
            announce(&name, &missing);
            Trial::test(name, move || Err(missing.to_string().into()))
                .with_ignored_flag(true)
        }
    }
}

fn names_contain(names: &str, wanted: &str) -> bool {
    names.split(',').any(|name| name.trim() == wanted)
}

#[expect(
    clippy::print_stderr,
    reason = "the test runner reads this line from stderr"
)]
fn announce(name: &str, missing: &impl fmt::Display) {
    eprintln!("SKIPPED {name} {missing}");
}

fn root() -> Result<(), String> {
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("/proc/self/status is not readable: {error}"))?;
    match effective_capabilities(&status) {
        Some(held) if held & CAPABILITIES == CAPABILITIES => Ok(()),
        _ => Err(
            "namespaces take root with CAP_SYS_ADMIN and CAP_NET_ADMIN; run it as root"
                .to_owned(),
        ),
    }
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(held.trim(), 16).ok()
}

fn booting() -> Result<(), String> {
    all_in(&peers().join("bin"), &["systemd-nspawn"], "make deps")?;
    all_in(
        &machine().join("usr/lib/systemd"),
        &["systemd"],
        "make deps",
    )?;
    in_path("ssh")?;
    in_path("ssh-keygen")?;
    possible::possible()
}

fn in_path(name: &str) -> Result<(), String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).any(|folder| folder.join(name).is_file());
    match there {
        true => Ok(()),
        false => Err(format!("no {name} in PATH; run `make deps`")),
    }
}

fn all_in(folder: &Path, names: &[&str], way_out: &str) -> Result<(), String> {
    match names.iter().find(|name| !folder.join(name).is_file()) {
        None => Ok(()),
        Some(name) => Err(format!(
            "no {name} in {}; run `{way_out}`",
            folder.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_capabilities_are_read_from_their_line_only() {
        let status = "Name:\tcat\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective_capabilities(status), Some(0x1ff_ffff_ffff));
        assert_eq!(effective_capabilities("Name:\tcat\n"), None);
    }

    #[test]
    fn a_list_of_requirements_is_matched_by_whole_names() {
        for (names, demanded) in [
            ("root", true),
            ("kubernetes, root", true),
            ("rooted", false),
            ("", false),
        ] {
            assert_eq!(names_contain(names, "root"), demanded, "{names:?}");
        }
    }

    #[test]
    fn the_first_missing_program_is_named_with_the_way_out() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert_eq!(all_in(&folder, &["lib.rs"], "make deps"), Ok(()));
        let missing = all_in(&folder, &["lib.rs", "haproxy"], "make deps").unwrap_err();
        assert!(missing.starts_with("no haproxy in "), "{missing}");
        assert!(missing.ends_with("; run `make deps`"), "{missing}");
    }

    #[test]
    fn a_skipped_test_reads_as_the_runner_expects() {
        let reason = "no wrk in .deps/peers/bin; run `make deps`".to_owned();
        let missing = Missing {
            requirement: Requirement::Peers,
            reason,
        };
        assert_eq!(
            missing.to_string(),
            "(needs: peers): no wrk in .deps/peers/bin; run `make deps`"
        );
    }

    /// The runner of the rungs is built by rustc alone and has names of its own, "go" beside
    /// these.
    #[test]
    fn every_requirement_may_be_demanded_of_the_runner() {
        let runner = include_str!("bin/rungs/main.rs");
        let (_, list) = runner.split_once("const REQUIREMENTS").unwrap();
        let (list, _) = list.split_once("];").unwrap();
        for requirement in Requirement::ALL {
            let name = format!("{:?}", requirement.name());
            assert!(list.contains(&name), "{name} is not in {list}");
        }
        assert_eq!(list.matches(",\n").count(), Requirement::ALL.len() + 2);
    }
}
