//! What others have installed on a host beside ours, and what nobody has: programs that
//! components run, and files that add to units.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::own::release;
use super::packages;
use super::what::Weight;
use super::words::are;
use crate::facts::{DropIn, System};
use crate::flows::Carried;
use crate::flows::firewall::{Words, shell};
use crate::layout;
use crate::render;
use crate::resource::Resource;
use crate::spec::{Cluster, Host, ProxyMode, Role};

/// What a unit runs, by systemd's key; what runs before, after and beside it has others.
const RUNS: &str = "ExecStart";
/// The first kernel on which kube-proxy writes rules of nftables (pkg/proxy/nftables/supported.go,
/// which asks for nft 1.0.1 too; systems with the one have the other).
const BY_NFTABLES: (u32, u32) = (5, 13);

/// Something that is installed, or is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Installed {
    /// Programs of the system that components run are not there.
    NoTool(Lacking),
    /// A kernel that kube-proxy does not begin on by nftables.
    OldKernel(String),
    /// One that is not there, which a component can be without.
    NoTracker(Lacking),
    /// A file of others has one of our units run something else.
    RunsElse(DropIn),
    /// One that adds to a unit of ours, which runs what is ours all the same.
    Adds(DropIn),
    /// A firewall that hands on no packet of a Pod before these command lines.
    KeepsPods(Vec<String>),
    /// One that does until it starts again.
    ForgetsPods(Vec<String>),
    /// One of which it is not understood whether it does.
    MayKeepPods(Vec<String>),
}

/// Programs of the system that are not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// Their names.
    pub names: Vec<String>,
    /// What installs them.
    pub install: String,
    /// What the description may say instead, so that they are not needed.
    pub instead: Option<&'static str>,
}

/// What is found on a host that is to hold these resources.
pub(super) fn installed(
    cluster: &Cluster,
    host: &Host,
    system: &System,
    resources: impl FnOnce() -> Vec<Resource>,
) -> Vec<Installed> {
    let mut found = tools(cluster, host, system);
    if !system.drop_ins.is_empty() {
        found.extend(drop_ins(&resources(), system));
    }
    found
}

fn tools(cluster: &Cluster, host: &Host, system: &System) -> Vec<Installed> {
    let lacks = |name: &&str| !system.tools.contains(*name);
    let needed = render::tools(cluster, host).into_iter();
    let names: Vec<_> = needed.filter(lacks).map(str::to_owned).collect();
    let of_rules = names.iter().any(|name| name.ends_with("tables"));
    let old = release(&system.kernel).is_some_and(|release| release < BY_NFTABLES);
    let nftables = cluster.version.features().nftables && !old;
    let young = cluster.networks.proxy == ProxyMode::Iptables && of_rules && nftables;
    let mut found = Vec::new();
    if old && host.is(Role::Node) && cluster.networks.proxy == ProxyMode::Nftables {
        found.push(Installed::OldKernel(system.kernel.clone()));
    }
    if !names.is_empty() {
        let instead = young.then_some("networks.proxy: nftables");
        found.push(Installed::NoTool(Lacking::of(system, names, instead)));
    }
    let tracker = render::tracker(cluster, host).filter(lacks);
    found.extend(tracker.map(|name| {
        let names = vec![name.to_owned()];
        Installed::NoTracker(Lacking::of(system, names, None))
    }));
    found
}

/// The names of units.
pub(super) fn units(resources: &[Resource]) -> impl Iterator<Item = &str> {
    resources.iter().filter_map(|resource| match resource {
        Resource::Unit(unit) => Some(unit.name.as_str()),
        Resource::Folder(_)
        | Resource::File(_)
        | Resource::Block(_)
        | Resource::Certificate(_)
        | Resource::Shared(_)
        | Resource::Program(_) => None,
    })
}

/// What others add to units of ours.
fn drop_ins(resources: &[Resource], system: &System) -> Vec<Installed> {
    let units: BTreeSet<_> = units(resources).collect();
    let all = system.drop_ins.iter().cloned();
    let ours = all.filter(|one| units.contains(one.unit.as_str()));
    ours.map(|one| match one.runs.iter().any(|key| key == RUNS) {
        true => Installed::RunsElse(one),
        false => Installed::Adds(one),
    })
    .collect()
}

impl Installed {
    /// What a firewall does with packets of Pods. What its next start brings alone keeps nobody from
    /// beginning.
    pub(super) fn of_pods(carried: &Carried) -> Option<Self> {
        let lines = |all: &[Words]| all.iter().map(|words| shell(words)).collect();
        let (unsaid, doubtful) = (&carried.unsaid, &carried.doubtful);
        let lasts = |words: &Words| words.iter().any(|word| word == "--permanent");
        Some(match (unsaid.is_empty(), doubtful.is_empty()) {
            (true, true) => return None,
            (true, false) => Self::MayKeepPods(lines(doubtful)),
            (false, _) => match unsaid.iter().all(lasts) {
                true => Self::ForgetsPods(lines(unsaid)),
                false => Self::KeepsPods(lines(unsaid)),
            },
        })
    }

    /// Whether it can be gone on with.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Self::NoTool(_)
            | Self::OldKernel(_)
            | Self::RunsElse(_)
            | Self::KeepsPods(_) => Weight::Blocks,
            Self::NoTracker(_)
            | Self::Adds(_)
            | Self::ForgetsPods(_)
            | Self::MayKeepPods(_) => Weight::Warns,
        }
    }

    /// The way out.
    #[must_use]
    pub fn way_out(&self) -> String {
        match self {
            Self::NoTool(found) | Self::NoTracker(found) => found.way_out(),
            Self::OldKernel(_) => "write networks.proxy: iptables".to_owned(),
            Self::RunsElse(found) => masked(found),
            Self::KeepsPods(lines) | Self::ForgetsPods(lines) => {
                format!("let them through: {}; --fix does it", lines.join("; "))
            }
            Self::MayKeepPods(lines) => format!(
                "nothing, where its rules let Pods' networks through; otherwise: {}",
                lines.join("; ")
            ),
            Self::Adds(_) => "nothing, when it is meant; otherwise remove it".to_owned(),
        }
    }
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTool(found) => {
                let names = are(&found.names);
                write!(f, "{names} not there, which components of this host run")
            }
            Self::OldKernel(release) => {
                let (major, minor) = BY_NFTABLES;
                write!(
                    f,
                    "kube-proxy does not begin by nftables on Linux {release}, but from \
                     {major}.{minor} on"
                )
            }
            Self::NoTracker(found) => write!(
                f,
                "{} not there: kube-proxy leads old connections of UDP to Pods that are gone",
                are(&found.names)
            ),
            Self::RunsElse(found) => {
                let (path, unit) = (&found.path, &found.unit);
                let keys = found.runs.join(", ");
                write!(
                    f,
                    "{path} sets {keys} of {unit}: something else than ours is run"
                )
            }
            Self::KeepsPods(_) => f.write_str(
                "its firewall lets no packets of Pods through, from host to host or to itself",
            ),
            Self::ForgetsPods(_) => f.write_str(
                "its firewall lets packets of Pods through until it starts again",
            ),
            Self::MayKeepPods(_) => f.write_str(
                "its firewall has rules of its own about Pods, which may not let all of their \
                 packets through",
            ),
            Self::Adds(found) => write!(f, "{} adds to {}", found.path, found.unit),
        }
    }
}

impl Lacking {
    fn of(system: &System, names: Vec<String>, instead: Option<&'static str>) -> Self {
        let install = packages::install(system, &names);
        Self {
            names,
            install,
            instead,
        }
    }

    fn way_out(&self) -> String {
        match self.instead {
            Some(instead) => format!("{}, or write {instead}", self.install),
            None => self.install.clone(),
        }
    }
}

/// What the package brings again with its next version stays without effect.
fn masked(found: &DropIn) -> String {
    let (unit, name) = (
        &found.unit,
        found.path.rsplit('/').next().unwrap_or_default(),
    );
    let folder = format!("{}/{unit}.d", layout::UNITS);
    format!(
        "remove the package that brought it, or take it away: mkdir -p {folder}; \
         ln -sf /dev/null {folder}/{name}; systemctl daemon-reload"
    )
}
