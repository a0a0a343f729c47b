//! What the system allows this process: computed at start, logged and exported.

use std::os::fd::AsFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that are not connections: standard streams, log, epolls and eventfds of the
/// workers, listeners, admin, checks under way.
const RESERVE: u64 = 128;
/// Where few descriptors are allowed, no more than this part of them is kept back.
const RESERVE_PART: u64 = 3;
/// Pipes for splicing, of all workers: enough for a few slow readers beside those that are
/// lent for one chunk. They only help, so they take little.
const FEW_PIPES: u64 = 32;
/// Where few descriptors are allowed, one pipe for so many.
const PER_FEW_PIPES: u64 = 32;
/// Where many are allowed, one pipe for so many.
const PER_PIPE: u64 = 1024;
/// Pipes at most: what the kernel gives one unprivileged user.
const PIPES: u64 = 1024;
/// Descriptors for which the kernel's table is made large enough at start: half a mebibyte of
/// it. Where more are allowed, who opens the 65,537th waits once.
const TABLE: u64 = 65_536;

/// What the system allows this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors the process may open.
    pub open_files: u64,
    /// Connections that are accepted: each takes two descriptors. Further clients wait in
    /// the listen queue.
    pub connections: u64,
    /// Pipes for splicing, of all workers: each takes two descriptors.
    pub pipes: u64,
}

impl Limits {
    /// Raises the soft limit of descriptors to the hard one and says what follows.
    #[must_use]
    pub fn raise() -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        let open_files = if raised { hard } else { soft };
        Self::of(open_files)
    }

    /// What follows from so many descriptors.
    #[must_use]
    pub fn of(open_files: u64) -> Self {
        let reserve = RESERVE.min(open_files / RESERVE_PART);
        let few = FEW_PIPES.min(open_files / PER_FEW_PIPES);
        let pipes = few.max(open_files / PER_PIPE).min(PIPES);
        let left = open_files - reserve - 2 * pipes;
        Self {
            open_files,
            // One at least: a limit that lets nobody in would be no limit but a fault.
            connections: (left / 2).max(1),
            pipes,
        }
    }
}

/// Lets the kernel make its table of our descriptors as large as it will have to be.
///
/// It doubles a table that is full, and in a process of several threads waits each time until
/// every core has passed through the scheduler (`synchronize_rcu` in `expand_fdtable`): 10 to
/// 35 ms in which a worker accepts nobody, nine times on the way to 10,000 connections.
pub fn widen_table(limits: &Limits) {
    let last = limits.open_files.min(TABLE).saturating_sub(1);
    let last = i32::try_from(last).unwrap_or(0);
    // Refused, the table grows as it is needed.
    let _ = rustix::io::fcntl_dupfd_cloexec(std::io::stderr().as_fd(), last);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_everything_else() {
        for (open_files, connections, pipes) in [
            (0, 1, 0),
            (128, 39, 4),
            (1024, 416, 32),
            (20_000, 9_904, 32),
            (1 << 20, 523_200, 1024),
        ] {
            let limits = Limits::of(open_files);
            assert_eq!((limits.connections, limits.pipes), (connections, pipes));
        }
    }

    #[test]
    fn the_table_has_room_for_all_that_may_be_opened() {
        let limits = Limits::raise();
        widen_table(&limits);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
        let size: u64 = size.unwrap().trim().parse().unwrap();
        assert!(size >= limits.open_files.min(TABLE), "{size}");
    }
}
