//! What the system allows this process: computed at start, logged and exported.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that are not connections: standard streams, log, epolls and eventfds of the
/// workers, listeners, admin, checks under way.
const RESERVE: u64 = 128;

/// What the system allows this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors the process may open.
    pub open_files: u64,
    /// Connections that fit: each takes two descriptors.
    pub connections: u64,
}

impl Limits {
    /// Raises the soft limit of descriptors to the hard one and says what follows.
    #[must_use]
    pub fn raise() -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        let open_files = if raised { hard } else { soft };
        Self {
            open_files,
            connections: open_files.saturating_sub(RESERVE) / 2,
        }
    }
}
