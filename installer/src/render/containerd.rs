//! containerd, as the kubelet's runtime.

use serde_json::{Value, json};

use super::flags::Flags;
use super::registries::{self, CERTS};
use super::unit::Service;
use crate::layout::{self, BESIDE_CONTAINERD};
use crate::resource::{File, Folder, OnChange, Owner, Program, Resource, Stage, Unit};
use crate::spec::{Cluster, Generation};

const CONFIG: &str = "/etc/containerd/config.toml";

pub(super) fn resources(cluster: &Cluster) -> Vec<Resource> {
    let unit = format!("{}/containerd.service", layout::UNITS);
    let pause = cluster.version.features().pause;
    let config = toml::to_string(&config(cluster.containerd, pause)).unwrap_or_default();
    let programs = ["containerd"].into_iter().chain(BESIDE_CONTAINERD);
    let programs = programs.map(|name| Resource::from(Program::new(name)));
    let mut all: Vec<_> = programs.collect();
    all.extend(registries::resources(cluster));
    // It makes these by itself: what we have made is known to `reset`.
    all.extend(["/opt/containerd/bin", "/opt/containerd/lib"].map(|path| {
        Resource::Folder(Folder {
            path: path.into(),
            mode: 0o711,
            owner: Owner::Root,
        })
    }));
    all.extend([
        File::public(CONFIG, config).into(),
        File::public(unit.clone(), service().text()).into(),
        Unit {
            name: "containerd.service".into(),
            after: Stage::Machine,
            reads: vec![unit, CONFIG.into()],
            on_change: OnChange::Restart,
        }
        .into(),
    ]);
    all
}

fn config(generation: Generation, pause: &str) -> Value {
    let runc = json!({
        "runtime_type": "io.containerd.runc.v2",
        // kubelet's cgroupDriver is systemd: both must use the same.
        "options": {"SystemdCgroup": true},
    });
    let cni =
        |folder: &str| json!({folder: layout::CNI_BIN, "conf_dir": layout::CNI_CONFIG});
    match generation {
        Generation::One => json!({
            "version": 2,
            "plugins": {"io.containerd.grpc.v1.cri": {
                "sandbox_image": pause,
                "max_concurrent_downloads": 5,
                "cni": cni("bin_dir"),
                "containerd": {"runtimes": {"runc": runc}},
                "registry": {"config_path": CERTS},
            }},
        }),
        Generation::Two => json!({
            "version": 3,
            "plugins": {
                "io.containerd.cri.v1.runtime": {
                    "cni": {"bin_dirs": [layout::CNI_BIN], "conf_dir": layout::CNI_CONFIG},
                    "containerd": {"runtimes": {"runc": runc}},
                },
                "io.containerd.cri.v1.images": {
                    "max_concurrent_downloads": 5,
                    "pinned_images": {"sandbox": pause},
                    "registry": {"config_path": CERTS},
                },
            },
        }),
    }
}

fn service() -> Service {
    let flags = Flags::default();
    Service::new(
        "containerd, the container runtime",
        &layout::program("containerd"),
        &flags,
    )
    .unit("Documentation", "https://containerd.io")
    .unit("After", "network.target")
    .unit("StartLimitIntervalSec", "0")
    .with(&[
        ("Type", "notify"),
        ("ExecStartPre", "-/sbin/modprobe overlay"),
        ("Delegate", "yes"),
        // Containers go on while it is restarted.
        ("KillMode", "process"),
        ("Restart", "always"),
        ("RestartSec", "1s"),
        ("LimitNPROC", "infinity"),
        ("LimitCORE", "infinity"),
        ("TasksMax", "infinity"),
        ("OOMScoreAdjust", "-999"),
    ])
}
