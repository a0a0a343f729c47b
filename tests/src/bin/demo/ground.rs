//! What the masters stand on, and what of it is real, by the programs' own word.

use std::path::Path;

use lab::command::run;
use lab::control_plane::Kind;
use lab::{LabError, requirement, rig};

/// What the masters stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Booted machines; the masters are laid down by `sternpost apply`.
    Machines,
    /// Network namespaces, with these API servers.
    Namespaces(Kind),
}

impl Ground {
    /// How the first and last line of the demo begin.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Machines => Kind::Real.name(),
            Self::Namespaces(kind) => kind.name(),
        }
    }

    /// What is real and what stands in, in one sentence.
    ///
    /// # Errors
    /// When a program does not say which it is.
    pub(crate) fn describe(self) -> Result<String, LabError> {
        let real = || etcd(&requirement::kubernetes().join("etcd"));
        Ok(match self {
            Self::Machines => format!(
                "3 booted machines that `sternpost apply` made masters of: real etcd {}, \
                 Kubernetes {}, api-lb, vip-daemon and bootstrap-signer as systemd's units; \
                 kubectl and the client come through the virtual address",
                real()?,
                kubernetes()?
            ),
            Self::Namespaces(Kind::Real) => format!(
                "3 masters in network namespaces with real etcd {}, kube-apiserver {}, api-lb \
                 and vip-daemon; kubectl and the client come through the virtual address",
                real()?,
                kubernetes()?
            ),
            Self::Namespaces(Kind::StandIn) => format!(
                "3 masters in network namespaces with real etcd {}, api-lb and vip-daemon, but \
                 a small TLS server in place of kube-apiserver (`make kubernetes` builds the \
                 real one)",
                etcd(&requirement::peer("etcd"))?
            ),
        })
    }
}

fn kubernetes() -> Result<String, LabError> {
    let said =
        |error: libtest_mimic::Failed| error.message().unwrap_or_default().to_owned();
    rig::version().map_err(|error| LabError::Missing(said(error)))
}

fn etcd(program: &Path) -> Result<String, LabError> {
    let said = run(&program.display().to_string(), &["--version"])?;
    let version = said
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version: "));
    let unknown = || LabError::Missing(format!("a version of {}", program.display()));
    version.map(str::to_owned).ok_or_else(unknown)
}
