//! Masters on booted machines as `sternpost apply` leaves them: their programs are units of
//! systemd, and faults are what befalls those and the machines' cables.
//!
//! A unit that is killed would be started again by systemd within its `RestartSec`. To have a
//! fault last until its healing, as it does among namespaces, the unit is told not to before
//! it is killed, and told otherwise before it is started.

use std::sync::Arc;
use std::time::Instant;

use crate::error::LabError;
use crate::holders::What;
use crate::host::{Host, NamespaceHost};
use crate::machine::Machine;
use crate::segment::Segment;
use crate::strike::{Fault, Role, Struck, Target};
use crate::timeline::Timeline;

/// What a master runs that faults are done to, and that must be up between them.
const ROLES: [Role; 4] = [Role::Etcd, Role::Apiserver, Role::ApiLb, Role::VipDaemon];
/// A unit stays down: a drop-in that goes with the next boot, if nothing takes it away before.
const HOLD: &str = "mkdir -p /run/systemd/system/$1.d && \
     printf '[Service]\\nRestart=no\\n' >/run/systemd/system/$1.d/90-lab.conf && \
     systemctl daemon-reload";
/// It may come up again, however often it failed.
const RELEASE: &str = "rm -rf /run/systemd/system/$1.d && systemctl daemon-reload && \
     systemctl reset-failed $1";

/// The masters around one virtual address.
#[derive(Debug, Clone, Copy)]
pub struct Installed<'a> {
    /// The masters.
    pub machines: &'a [Machine],
    /// What they are plugged into.
    pub segment: &'a Segment,
    /// Who holds the address.
    pub timeline: &'a Timeline,
}

/// The networks of machines, for instruments.
///
/// # Errors
/// When one has died.
pub fn networks(machines: &[Machine]) -> Result<Vec<Arc<NamespaceHost>>, LabError> {
    let networks = machines.iter().map(|m| m.network().map(Arc::new));
    networks.collect()
}

impl Installed<'_> {
    /// Fails when a unit that should be up is not.
    ///
    /// # Errors
    /// The first such unit.
    pub fn running(&self) -> Result<(), LabError> {
        for machine in self.machines {
            for role in ROLES {
                machine.output("systemctl", &["--quiet", "is-active", unit(role)])?;
            }
        }
        Ok(())
    }

    /// Does it, and returns when it took effect.
    ///
    /// # Errors
    /// When it cannot be done, or is none that is done to machines.
    pub fn strike(&self, fault: &Fault) -> Result<Struck, LabError> {
        if let Fault::Kill(at) = fault {
            self.shell(at, HOLD)?;
        } else if let Fault::Start(at) = fault {
            self.shell(at, RELEASE)?;
        }
        let begun = Instant::now();
        self.perform(fault)?;
        Ok(fault.struck(begun, Instant::now()))
    }

    fn perform(&self, fault: &Fault) -> Result<(), LabError> {
        let segment = self.segment;
        match fault {
            Fault::Kill(at) => self.signal(at, "--signal=KILL"),
            Fault::Pause(at) => self.signal(at, "--signal=STOP"),
            Fault::Resume(at) => self.signal(at, "--signal=CONT"),
            Fault::Stop(at) => self.systemctl(at, &["stop"]),
            Fault::Restart(at) => self.systemctl(at, &["restart"]),
            Fault::Start(at) => self.systemctl(at, &["start"]),
            Fault::Reload(at) => self.systemctl(at, &["reload"]),
            Fault::Upgrade(at) => {
                let program = format!("/usr/local/bin/{}", at.role.name());
                self.machine(&at.host)?
                    .output(&program, &["upgrade"])
                    .map(drop)
            }
            Fault::Cut(host) => {
                segment.cut(&self.machine(host)?.port())?;
                self.timeline.reach(host, What::Cut);
                Ok(())
            }
            Fault::Isolate(host) => {
                segment.isolate(&self.machine(host)?.port())?;
                self.timeline.reach(host, What::Cut);
                Ok(())
            }
            Fault::Heal(host) => {
                segment.heal(&self.machine(host)?.port())?;
                self.timeline.reach(host, What::Healed);
                Ok(())
            }
            Fault::KillHost(_)
            | Fault::StartHost(_)
            | Fault::Flap { .. }
            | Fault::Recreate { .. }
            | Fault::Meddle { .. }
            | Fault::DeleteAddress(_)
            | Fault::Deafen { .. }
            | Fault::Undeafen(_) => Err(LabError::Missing(format!(
                "{fault:?} is done to hosts that are namespaces, not to booted machines"
            ))),
        }
    }

    /// To the main process: in a machine whose control groups are the host's, systemd cannot
    /// look for others.
    fn signal(&self, at: &Target, signal: &str) -> Result<(), LabError> {
        self.systemctl(at, &["kill", "--kill-whom=main", signal])
    }

    fn systemctl(&self, at: &Target, words: &[&str]) -> Result<(), LabError> {
        let words = [words, &[unit(at.role)]].concat();
        self.machine(&at.host)?
            .output("systemctl", &words)
            .map(drop)
    }

    fn shell(&self, at: &Target, script: &str) -> Result<(), LabError> {
        let arguments = ["-ec", script, "lab", unit(at.role)];
        self.machine(&at.host)?
            .output("/bin/sh", &arguments)
            .map(drop)
    }

    fn machine(&self, name: &str) -> Result<&Machine, LabError> {
        let mut all = self.machines.iter();
        let found = all.find(|machine| machine.name() == name);
        found.ok_or_else(|| LabError::Missing(format!("no master is called {name:?}")))
    }
}

/// The unit that a role is on a master that was laid down.
fn unit(role: Role) -> &'static str {
    match role {
        Role::Etcd => "etcd.service",
        Role::Apiserver => "kube-apiserver.service",
        Role::ApiLb => "api-lb.service",
        Role::VipDaemon => "vip-daemon.service",
    }
}
