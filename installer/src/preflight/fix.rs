//! What of the findings is safe to be done by a program: it is asked for in so many words, can
//! be done twice, and takes nothing away that somebody else has made.

use serde::Serialize;

use super::between::shut;
use super::{Finding, Round, What};
use crate::agent::{Mend, Order, Put};
use crate::flows::firewall::{Firewall, Hole, shell};
use crate::flows::{self, Carrying};
use crate::render;
use crate::resource::File;
use crate::spec::{Cluster, Host};

/// Something that is done to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fix {
    /// The host.
    pub host: String,
    /// What.
    #[serde(flatten)]
    pub repair: Repair,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "fix")]
pub enum Repair {
    /// Swap is switched off, now and for the next boot.
    #[serde(rename_all = "camelCase")]
    Swap {
        /// What it swaps to, or would.
        swaps: Vec<String>,
        /// Units that would make it do so again.
        units: Vec<String>,
    },
    /// Modules and settings, as `apply` would lay them down.
    #[serde(rename_all = "camelCase")]
    Kernel {
        /// Files, by path, with what is in them.
        files: Vec<(String, String)>,
        /// Modules that are loaded.
        modules: Vec<String>,
    },
    /// The names of the hosts, as `apply` would write them.
    #[serde(rename_all = "camelCase")]
    Names {
        /// The lines that are ours: what else is in the file stays.
        lines: Vec<String>,
    },
    /// What has to come in is let in.
    #[serde(rename_all = "camelCase")]
    Open {
        /// By what.
        firewall: Firewall,
        /// What.
        holes: Vec<Hole>,
    },
    /// Packets of Pods are let through.
    #[serde(rename_all = "camelCase")]
    Carry {
        /// Their networks, and what they come over.
        pods: Carrying,
        /// By these command lines.
        lines: Vec<String>,
    },
}

/// What can be done about the findings, host by host.
#[must_use]
pub fn fixes(cluster: &Cluster, round: &Round, findings: &[Finding]) -> Vec<Fix> {
    let mut all = Vec::new();
    for host in &cluster.hosts {
        let own = findings.iter().filter(|one| one.host == host.name);
        let own: Vec<_> = own.map(|one| &one.what).collect();
        let repairs = repairs(cluster, host, round, &own).into_iter();
        all.extend(repairs.map(|repair| Fix {
            host: host.name.clone(),
            repair,
        }));
    }
    all
}

fn repairs(
    cluster: &Cluster,
    host: &Host,
    round: &Round,
    findings: &[&What],
) -> Vec<Repair> {
    let Some(sight) = round.sights.get(&host.name) else {
        return Vec::new();
    };
    // Whatever it is, it is another machine that would be changed.
    if findings
        .iter()
        .any(|one| matches!(one, What::OtherMachine(_)))
    {
        return Vec::new();
    }
    let mut all = Vec::new();
    for one in findings {
        if let What::Swap(swaps) | What::SwapAtBoot(swaps) = one {
            let (swaps, units) = (swaps.clone(), &sight.machine.system.swap_units);
            let units = units.clone();
            all.push(Repair::Swap { swaps, units });
        }
    }
    let kernel = |one: &&What| matches!(one, What::Module(_) | What::Setting(_));
    if findings.iter().any(kernel) {
        let files = render::kernel(cluster, host).into_iter();
        all.push(Repair::Kernel {
            files: files.map(|file| (file.path, file.content)).collect(),
            modules: render::modules(cluster, host)
                .into_iter()
                .map(str::to_owned)
                .collect(),
        });
    }
    if findings.iter().any(|one| matches!(one, What::Names)) {
        let lines = render::names(cluster).lines;
        all.push(Repair::Names { lines });
    }
    let unsaid = &sight.carried.unsaid;
    if !unsaid.is_empty() {
        let interface = sight.machine.interface(host.address());
        all.push(Repair::Carry {
            pods: flows::carrying(cluster, interface),
            lines: unsaid.iter().map(|words| shell(words)).collect(),
        });
    }
    if sight.firewall.is_ours_to_open() {
        let shut = shut(cluster, host, round).into_iter();
        let ours = |hole: &Hole| sight.firewall.is_ours_to_make(hole);
        let holes: Vec<_> = shut.flat_map(|(_, holes)| holes).filter(ours).collect();
        if !holes.is_empty() {
            let firewall = sight.firewall.clone();
            all.push(Repair::Open { firewall, holes });
        }
    }
    all
}

impl Repair {
    /// What it does, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Swap { swaps, units } => {
                let mut all = vec![
                    "comment its lines in /etc/fstab, with a copy in /etc/fstab.sternpost"
                        .to_owned(),
                ];
                all.extend(units.iter().map(|unit| format!("mask {unit}")));
                all.push(format!("swap off: {}", swaps.join(", ")));
                all
            }
            Self::Kernel { files, modules } => {
                let mut all: Vec<_> = files
                    .iter()
                    .map(|(path, content)| {
                        let lines: Vec<_> = content.lines().collect();
                        format!("write {path}: {}", lines.join(", "))
                    })
                    .collect();
                if !modules.is_empty() {
                    all.push(format!("load {}", modules.join(", ")));
                }
                all.push("load these settings".to_owned());
                all
            }
            Self::Names { lines } => {
                vec![format!("add to /etc/hosts: {}", lines.join(", "))]
            }
            Self::Carry { lines, .. } => lines.clone(),
            Self::Open { firewall, holes } => {
                let commands = holes.iter().flat_map(|hole| firewall.open(hole));
                commands.map(|words| shell(&words)).collect()
            }
        }
    }

    /// What a host is told.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        let put = |path: &str, content: &str| {
            let file = File::public(path, content);
            Order::Put(Put {
                path: file.path,
                mode: file.mode,
                owner: file.owner.name().to_owned(),
                content: file.content,
            })
        };
        match self {
            Self::Swap { .. } => vec![Order::Mend(Mend::Swap)],
            Self::Kernel { files, modules } => {
                let files = files.iter();
                let puts = files.map(|(path, content)| put(path, content));
                let load = Order::Mend(Mend::Kernel(modules.clone()));
                puts.chain([load]).collect()
            }
            Self::Names { lines } => vec![Order::Mend(Mend::Names(lines.clone()))],
            Self::Carry { pods, .. } => vec![Order::Mend(Mend::Carry(pods.clone()))],
            Self::Open { holes, .. } => vec![Order::Mend(Mend::Open(holes.clone()))],
        }
    }
}
