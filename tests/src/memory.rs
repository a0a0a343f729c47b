//! A control group with little memory: whoever asks for more in it meets the kernel's
//! out-of-memory killer, and nobody else on the machine does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Pid;

use crate::error::{Doing, LabError};
use crate::wait;

/// Where hierarchies are mounted.
const MOUNTED: &str = "/sys/fs/cgroup";
/// From the end of its last process until a group may be removed.
const LEFT: Duration = Duration::from_secs(10);

/// A control group; dropped, it goes.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    kind: Kind,
}

/// How the kernel calls things there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A hierarchy for memory alone (cgroups(7), version 1).
    Alone,
    /// One for everything.
    Unified,
}

impl Kind {
    fn limit(self) -> &'static str {
        match self {
            Self::Alone => "memory.limit_in_bytes",
            Self::Unified => "memory.max",
        }
    }

    /// The file in which a line counts who was killed.
    fn killed(self) -> &'static str {
        match self {
            Self::Alone => "memory.oom_control",
            Self::Unified => "memory.events",
        }
    }
}

impl Group {
    /// One called after this process and `name`, with so many octets.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(name: &str, octets: u64) -> Result<Self, LabError> {
        let (parent, kind) = parent().map_err(LabError::Missing)?;
        let folder = parent.join(format!("sp-{}-{name}", Pid::this()));
        fs::create_dir_all(&folder).doing(folder.display())?;
        let group = Self { folder, kind };
        group.write(kind.limit(), &octets.to_string())?;
        Ok(group)
    }

    /// Takes a process in. What it asks for from here on counts; what it has does not.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take(&self, process: Pid) -> Result<(), LabError> {
        self.write("cgroup.procs", &process.to_string())
    }

    /// The file that takes a process in, for one that takes itself in.
    #[must_use]
    pub fn door(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// How many processes the killer has ended here.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn killed(&self) -> Result<u64, LabError> {
        let file = self.folder.join(self.kind.killed());
        let text = fs::read_to_string(&file).doing(file.display())?;
        counted(&text).ok_or_else(|| LabError::Missing(format!("oom_kill in {text:?}")))
    }

    fn write(&self, file: &str, text: &str) -> Result<(), LabError> {
        let file = self.folder.join(file);
        fs::write(&file, text).doing(file.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Of an empty one that stays nobody takes harm.
        let _ = wait::until("the end of a control group", LEFT, || {
            fs::remove_dir(&self.folder).ok()
        });
    }
}

/// Whether there can be such groups here, and why not.
///
/// # Errors
/// What is missing.
pub(crate) fn possible() -> Result<(), String> {
    parent().map(drop)
}

/// Where groups are made: below this process's own one, or at the top of a hierarchy for
/// everything, where no group with processes may have others.
fn parent() -> Result<(PathBuf, Kind), String> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounted = Path::new(MOUNTED);
    let alone = own.lines().find_map(below_memory);
    if let Some(folder) = alone.map(|below| mounted.join("memory").join(below)) {
        return match folder.join(Kind::Alone.limit()).is_file() {
            true => Ok((folder, Kind::Alone)),
            false => Err(format!("{} has no limit of memory", folder.display())),
        };
    }
    let shared = fs::read_to_string(mounted.join("cgroup.subtree_control"));
    match shared.is_ok_and(|all| all.split_whitespace().any(|one| one == "memory")) {
        true => Ok((mounted.to_owned(), Kind::Unified)),
        false => Err(format!("{MOUNTED} hands no limit of memory to its groups")),
    }
}

/// The path of `4:memory:/a`.
fn below_memory(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(':')?;
    rest.strip_prefix("memory:/")
}

fn counted(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_for_memory_is_known_by_its_controller() {
        assert_eq!(below_memory("4:memory:/a/b"), Some("a/b"));
        assert_eq!(below_memory("4:memory:/"), Some(""));
        assert_eq!(below_memory("0::/a"), None);
        assert_eq!(below_memory("9:name=systemd:/memory:/a"), None);
    }

    #[test]
    fn kills_are_counted_in_their_own_line() {
        let alone = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        let unified = "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(counted(alone), Some(2));
        assert_eq!(counted(unified), Some(1));
        assert_eq!(counted("oom_kill_disable 0\n"), None);
    }
}
