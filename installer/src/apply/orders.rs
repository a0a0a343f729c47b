//! A step as orders to an agent.

use pki::IssueError;
use thiserror::Error;

use super::supply::Supply;
use super::{Material, Target};
use crate::agent::{Install, Order, Put};
use crate::layout;
use crate::plan::{Step, Trust};
use crate::resource::{Owner, Resource, Shared};

/// Where files lie by which users, folders of the run, modules and kernel settings are made.
const SETS: [&str; 4] = [
    "/etc/sysusers.d/",
    "/etc/tmpfiles.d/",
    "/etc/modules-load.d/",
    "/etc/sysctl.d/",
];

/// Turns steps into orders. Before the first step about a unit the host is settled: users,
/// folders of the run, modules, kernel settings, units.
pub struct Orders<'a> {
    target: Target<'a>,
    material: &'a Material,
    users: bool,
    settled: bool,
    /// A file was written that no step about a unit has had settled.
    owed: bool,
}

/// Why a step is no order.
#[derive(Debug, Error)]
pub enum OrdersError {
    /// A certificate could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A program is nowhere.
    #[error(
        "there is no {program} for this host's architecture; write it into binaries.sources, or \
         put it into binaries.folder, with a line in its SHA256SUMS"
    )]
    NoProgram {
        /// Which.
        program: String,
    },
    /// A step is about something that the host is not to hold.
    #[error("nothing is known of {0}")]
    Unknown(String),
}

impl<'a> Orders<'a> {
    /// For the steps of one plan.
    #[must_use]
    pub fn new(target: Target<'a>, material: &'a Material) -> Self {
        Self {
            target,
            material,
            users: false,
            settled: false,
            owed: false,
        }
    }

    /// The orders of a step.
    ///
    /// # Errors
    /// When a certificate cannot be issued, or a program is nowhere.
    pub fn of(&mut self, step: &Step) -> Result<Vec<Order>, OrdersError> {
        let mut orders: Vec<_> = self.before(step).into_iter().collect();
        if let Step::Write { path, .. } = step {
            self.owed |= SETS.iter().any(|folder| path.starts_with(folder));
        }
        match step {
            Step::Folder {
                path, mode, owner, ..
            } => orders.push(Order::Folder {
                path: path.clone(),
                mode: *mode,
                owner: (*owner).to_owned(),
            }),
            Step::Keep { path } => orders.push(Order::Keep(path.clone())),
            Step::Write {
                path,
                mode,
                owner,
                content,
                ..
            } => orders.push(Order::Put(Put {
                path: path.clone(),
                mode: *mode,
                owner: (*owner).to_owned(),
                content: content.text().to_owned(),
            })),
            Step::Issue { name, .. } => orders.extend(self.issue(name)?),
            Step::Share { paths } => orders.extend(self.share(paths)?),
            Step::Install { program, path, .. } => {
                orders.push(self.install(program, path)?);
            }
            Step::Enable { unit } => orders.push(Order::Enable(unit.clone())),
            Step::Start { unit, .. } => orders.push(Order::Start(self.target.run(unit))),
            Step::Restart { unit, .. } => {
                orders.push(Order::Restart(self.target.run(unit)));
            }
            Step::Reload { unit, .. } => orders.push(Order::Reload(unit.clone())),
            Step::Remove { what } => orders.push(Order::Remove(what.clone())),
        }
        Ok(orders)
    }

    /// A file can only be given to a user who is there, and a unit only be started from a
    /// file that systemd has read.
    fn before(&mut self, step: &Step) -> Option<Order> {
        let settled = match step {
            Step::Folder { owner, .. } | Step::Write { owner, .. }
                if *owner == Owner::Root.name() =>
            {
                return None;
            }
            Step::Keep { .. } | Step::Install { .. } | Step::Remove { .. } => {
                return None;
            }
            Step::Folder { .. }
            | Step::Write { .. }
            | Step::Issue { .. }
            | Step::Share { .. } => &mut self.users,
            Step::Enable { .. }
            | Step::Start { .. }
            | Step::Restart { .. }
            | Step::Reload { .. } => &mut self.settled,
        };
        let first = !std::mem::replace(settled, true);
        if first {
            self.owed = false;
        }
        first.then_some(Order::Settle)
    }

    /// Whether files that set the machine were written since it was settled last.
    #[must_use]
    pub fn owe_settling(&self) -> bool {
        self.owed
    }

    fn issue(&self, name: &str) -> Result<Vec<Order>, OrdersError> {
        let unknown = || OrdersError::Unknown(name.to_owned());
        let wanted = self.target.wanted.iter();
        let mut certificates = wanted.filter_map(Resource::certificate);
        let certificate = certificates
            .find(|one| one.name == name)
            .ok_or_else(unknown)?;
        let supply = Supply::new(self.target, self.material);
        let (key, text) = if let Some(signed) = supply.signed(name) {
            (signed.key.text.clone(), signed.certificate.text.clone())
        } else {
            let authority = self.material.authority(certificate.authority);
            let authority = authority.ok_or_else(unknown)?;
            let (kind, now) = (self.target.cluster.key_kind, self.target.now);
            let issued = authority.issue_of_kind(&certificate.profile, kind, now)?;
            (issued.key_pem.expose().to_owned(), issued.certificate_pem)
        };
        // The key first: a certificate without its own key would be seen as whole by nobody,
        // and is issued anew when this is broken off between the two.
        Ok(vec![
            Order::Put(Put {
                path: layout::key(name),
                mode: 0o600,
                owner: certificate.owner.name().to_owned(),
                content: key,
            }),
            Order::Put(Put {
                path: layout::certificate(name),
                mode: 0o644,
                owner: Owner::Root.name().to_owned(),
                content: text,
            }),
        ])
    }

    fn share(&self, paths: &[String]) -> Result<Vec<Order>, OrdersError> {
        let mut shared = self.target.wanted.iter().filter_map(|one| match one {
            Resource::Shared(shared) => Some(*shared),
            Resource::Folder(_)
            | Resource::File(_)
            | Resource::Block(_)
            | Resource::Certificate(_)
            | Resource::Program(_)
            | Resource::Unit(_) => None,
        });
        let of = |shared: &Shared| {
            shared
                .paths()
                .iter()
                .map(|(path, _)| path.clone())
                .eq(paths.iter().cloned())
        };
        let shared = shared.find(of);
        let shared = shared.ok_or_else(|| OrdersError::Unknown(paths.join(", ")))?;
        let supply = Supply::new(self.target, self.material);
        shared
            .paths()
            .into_iter()
            .map(|(path, mode)| {
                let content = supply.content(shared, &path);
                let content =
                    content.ok_or_else(|| OrdersError::Unknown(path.clone()))?;
                let owner = if mode == 0o644 {
                    Owner::Root
                } else {
                    shared.owner()
                };
                Ok(Order::Put(Put {
                    content,
                    owner: owner.name().to_owned(),
                    path,
                    mode,
                }))
            })
            .collect()
    }

    fn install(&self, program: &str, link: &str) -> Result<Order, OrdersError> {
        let ready = self.target.programs.get(program);
        let ready = ready.ok_or_else(|| OrdersError::NoProgram {
            program: program.to_owned(),
        })?;
        Ok(Order::Install(Install {
            name: program.to_owned(),
            link: link.to_owned(),
            from: ready.file.clone(),
            sha256: ready.sha256.clone(),
        }))
    }
}
