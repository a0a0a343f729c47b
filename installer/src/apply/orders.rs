//! A step as orders to an agent.

use pki::IssueError;
use thiserror::Error;

use super::supply::Supply;
use super::{Material, Target};
use crate::agent::{Install, Order, Put};
use crate::layout;
use crate::plan::{Step, Trust};
use crate::resource::{Owner, Resource, Shared};

/// Turns steps into orders. Before the first step about a unit the host is settled: users,
/// folders of the run, modules, kernel settings, units.
pub struct Orders<'a> {
    target: Target<'a>,
    material: &'a Material,
    users: bool,
    settled: bool,
}

/// Why a step is no order.
#[derive(Debug, Error)]
pub enum OrdersError {
    /// A certificate could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// No checksum says what a program must be.
    #[error("{program} has no line in {sums}; write one with sha256sum")]
    NoChecksum {
        /// Which.
        program: String,
        /// Where it should stand.
        sums: String,
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
        }
    }

    /// The orders of a step.
    ///
    /// # Errors
    /// When a certificate cannot be issued, or a program has no checksum.
    pub fn of(&mut self, step: &Step) -> Result<Vec<Order>, OrdersError> {
        let mut orders: Vec<_> = self.before(step).into_iter().collect();
        match step {
            Step::Folder {
                path, mode, owner, ..
            } => orders.push(Order::Folder {
                path: path.clone(),
                mode: *mode,
                owner: (*owner).to_owned(),
            }),
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
            Step::Start { unit, .. } => orders.push(Order::Start(unit.clone())),
            Step::Restart { unit, .. } => orders.push(Order::Restart(unit.clone())),
            Step::Reload { unit, .. } => orders.push(Order::Reload(unit.clone())),
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
            Step::Install { .. } => return None,
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
        first.then_some(Order::Settle)
    }

    fn issue(&self, name: &str) -> Result<Vec<Order>, OrdersError> {
        let unknown = || OrdersError::Unknown(name.to_owned());
        let mut certificates = self.target.wanted.iter().filter_map(|one| match one {
            Resource::Certificate(certificate) => Some(certificate),
            Resource::Folder(_)
            | Resource::File(_)
            | Resource::Block(_)
            | Resource::Shared(_)
            | Resource::Program(_)
            | Resource::Unit(_) => None,
        });
        let certificate = certificates
            .find(|one| one.name == name)
            .ok_or_else(unknown)?;
        let authority = self.material.authority(certificate.authority);
        let authority = authority.ok_or_else(unknown)?;
        let issued = authority.issue(&certificate.profile, self.target.now)?;
        // The key first: a certificate without its own key would be seen as whole by nobody,
        // and is issued anew when this is broken off between the two.
        Ok(vec![
            Order::Put(Put {
                path: layout::key(name),
                mode: 0o600,
                owner: certificate.owner.name().to_owned(),
                content: issued.key_pem.expose().to_owned(),
            }),
            Order::Put(Put {
                path: layout::certificate(name),
                mode: 0o644,
                owner: Owner::Root.name().to_owned(),
                content: issued.certificate_pem,
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
        let binaries = &self.target.cluster.binaries;
        let sum = self.target.sums.get(program);
        let sum = sum.ok_or_else(|| OrdersError::NoChecksum {
            program: program.to_owned(),
            sums: binaries.checksums.display().to_string(),
        })?;
        Ok(Order::Install(Install {
            name: program.to_owned(),
            link: link.to_owned(),
            from: binaries.folder.join(program),
            sha256: sum.to_owned(),
        }))
    }
}
