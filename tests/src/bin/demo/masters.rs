//! The masters of the demo, of either kind: the programme does the same to both.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use lab::LabError;
use lab::client::Question;
use lab::control_plane::PORT;
use lab::group::{Fault, Group, Struck};
use lab::host::NamespaceHost;
use lab::installed::{self, Installed};
use lab::rig::{self, Rig};
use lab::timeline::Timeline;

/// Their names, by their VRRP priority.
pub(crate) const MASTERS: [&str; 3] = ["m1", "m2", "m3"];

/// Three masters around one address.
pub(crate) enum Masters {
    /// Network namespaces, with processes of the lab's.
    Namespaces(Group),
    /// Booted machines, with what `sternpost apply` laid down.
    Machines(Machines),
}

/// Booted machines and what looks at them.
pub(crate) struct Machines {
    timeline: Arc<Timeline>,
    networks: Vec<Arc<NamespaceHost>>,
    pub(crate) rig: Rig,
}

impl Machines {
    /// All machines of a rig; who holds the address is watched from here on.
    ///
    /// # Errors
    /// When a machine has died.
    pub(crate) fn of(rig: Rig) -> Result<Self, LabError> {
        let networks = installed::networks(&rig.machines)?;
        let timeline = Arc::new(Timeline::watch(rig::VIP, &networks)?);
        Ok(Self {
            timeline,
            networks,
            rig,
        })
    }

    fn installed(&self) -> Installed<'_> {
        Installed {
            machines: &self.rig.machines,
            segment: self.rig.segment(),
            timeline: &self.timeline,
        }
    }
}

impl Masters {
    /// Does it, and returns when it took effect.
    ///
    /// # Errors
    /// When it cannot be done.
    pub(crate) fn strike(&mut self, fault: &Fault) -> Result<Struck, LabError> {
        match self {
            Self::Namespaces(group) => group.strike(fault),
            Self::Machines(machines) => machines.installed().strike(fault),
        }
    }

    /// Fails when a program that should run does not.
    ///
    /// # Errors
    /// The first such program.
    pub(crate) fn running(&mut self) -> Result<(), LabError> {
        match self {
            Self::Namespaces(group) => group.running(),
            Self::Machines(machines) => machines.installed().running(),
        }
    }

    /// Who holds the address.
    pub(crate) fn timeline(&self) -> &Arc<Timeline> {
        match self {
            Self::Namespaces(group) => group.timeline(),
            Self::Machines(machines) => &machines.timeline,
        }
    }

    /// Their hosts, where instruments sit.
    pub(crate) fn hosts(&self) -> Vec<Arc<NamespaceHost>> {
        match self {
            Self::Namespaces(group) => group.hosts(),
            Self::Machines(machines) => machines.networks.clone(),
        }
    }
}

/// How a client comes in.
pub(crate) struct Door {
    /// The address everything is about.
    pub(crate) vip: Ipv4Addr,
    /// Whom to trust, and as whom to come.
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// The same for kubectl; none where there is nothing for it to ask.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The path of a watch that stays open.
    pub(crate) watch: &'static str,
}

impl Door {
    /// A question to the API server at an address.
    pub(crate) fn question(&self, at: Ipv4Addr, path: &str) -> Question {
        Question {
            target: (at, PORT).into(),
            tls: self.tls.clone(),
            path: path.into(),
        }
    }
}

/// Masters that run, and where their client is.
pub(crate) struct Raised {
    pub(crate) masters: Masters,
    pub(crate) client: Arc<NamespaceHost>,
    pub(crate) door: Door,
    /// For files that go with the masters.
    pub(crate) folder: PathBuf,
}
