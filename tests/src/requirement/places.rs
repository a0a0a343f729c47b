//! Where that is which tests need from elsewhere: folders that the environment may name.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the real Kubernetes commands and etcd: `STERNPOST_K8S_BIN`, or what
/// `make kubernetes` builds.
pub fn kubernetes() -> PathBuf {
    folder("STERNPOST_K8S_BIN", ".kubernetes/bin")
}

/// The folder of CNI's programs, flannel, CoreDNS and images: `STERNPOST_NETWORK`, or what
/// `make kubernetes` builds.
pub fn network() -> PathBuf {
    folder("STERNPOST_NETWORK", ".kubernetes/network")
}

/// The folder of containerd 2: `STERNPOST_CONTAINERD`, or what `make kubernetes` builds.
pub fn containerd() -> PathBuf {
    folder("STERNPOST_CONTAINERD", ".kubernetes/containerd")
}

/// The folder other people's packages are unpacked in: `STERNPOST_PEERS`, or what
/// `make deps` fills. Programs are started from its `bin`; see [`peer`].
pub fn peers() -> PathBuf {
    folder("STERNPOST_PEERS", ".deps/peers")
}

/// The folder of containerd 1 and what goes with it: `STERNPOST_RUNTIME`, or what `make deps`
/// fills.
pub fn runtime() -> PathBuf {
    folder("STERNPOST_RUNTIME", ".deps/runtime/bin")
}

/// The program `name` among the [`peers`].
pub fn peer(name: &str) -> PathBuf {
    peers().join("bin").join(name)
}

/// The root file system of booted machines: `STERNPOST_MACHINE`, or what `make deps`
/// makes. Only ever the lower layer of an overlay.
pub fn machine() -> PathBuf {
    folder("STERNPOST_MACHINE", ".deps/machine")
}

/// The folder of ufw with what a booted machine lacks for it: `STERNPOST_FIREWALL`, or what
/// `make deps` fills.
pub fn firewall() -> PathBuf {
    folder("STERNPOST_FIREWALL", ".deps/firewall")
}

/// The folder of the browser: `STERNPOST_BROWSER`, or what `make deps` fills.
pub fn browser() -> PathBuf {
    folder("STERNPOST_BROWSER", ".deps/browser/bin")
}

/// The folder of what reads our metrics elsewhere: `STERNPOST_MONITORING`, or what `make deps`
/// fills.
pub fn monitoring() -> PathBuf {
    folder("STERNPOST_MONITORING", ".deps/monitoring/bin")
}

fn folder(variable: &str, default: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = tests.parent().unwrap_or(tests);
    env::var_os(variable).map_or_else(|| workspace.join(default), PathBuf::from)
}
