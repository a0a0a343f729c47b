//! Control groups of one machine, where the hierarchies are of the old kind: below a group of
//! its own it sees no other's, so that its kubelet tidies up nobody else's Pods.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Doing, LabError};
use crate::netns::owner;
use crate::wait;

const HIERARCHIES: &str = "/sys/fs/cgroup";
/// From the end of a machine's process 1 until its last process has left its group.
const LEFT: Duration = Duration::from_secs(10);
/// What a group of processors is without until it is told, and then takes no process.
const PROCESSORS: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// A group in each hierarchy; they go with this.
#[derive(Debug)]
pub(super) struct Groups {
    folders: Vec<PathBuf>,
}

impl Groups {
    /// Makes groups called `name`, which starts as all names of the lab do. There are none
    /// where all hierarchies are of the new kind: systemd-nspawn makes its own there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn new(name: &str) -> Result<Self, LabError> {
        sweep();
        let mut groups = Self {
            folders: Vec::new(),
        };
        for parent in parents() {
            let folder = parent.join(name);
            fs::create_dir_all(&folder).doing(folder.display())?;
            groups.folders.push(folder.clone());
            if !folder.join("cpuset.cpus").exists() {
                continue;
            }
            for file in PROCESSORS {
                let all = fs::read(parent.join(file)).doing(file)?;
                fs::write(folder.join(file), all).doing(file)?;
            }
            fs::write(folder.join("cgroup.clone_children"), "1")
                .doing(folder.display())?;
        }
        Ok(groups)
    }

    /// The file of each that takes a process in.
    pub(super) fn doors(&self) -> impl Iterator<Item = String> {
        let doors = self.folders.iter().map(|one| one.join("cgroup.procs"));
        doors.map(|door| door.display().to_string())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // What does not go is swept by the next run.
        let _ = wait::until("the end of control groups", LEFT, || {
            let mut all = self.folders.iter();
            all.all(|folder| removed(folder)).then_some(())
        });
    }
}

/// Takes away what runs that are gone left behind.
fn sweep() {
    for parent in parents() {
        for group in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = group.file_name().to_string_lossy().into_owned();
            let gone = |pid: &str| !Path::new("/proc").join(pid).exists();
            if owner(&name).is_some_and(gone) {
                removed(&group.path());
            }
        }
    }
}

/// This process's own group in each hierarchy, where there are any of the old kind.
fn parents() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let parents = text.lines().filter_map(parent);
    parents.filter(|folder| folder.is_dir()).collect()
}

/// `5:memory:/a`, as in cgroups(7). The one of the new kind has no name; beside those of the
/// old kind it lies in a folder of its own.
fn parent(line: &str) -> Option<PathBuf> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let hierarchy = match controllers {
        "" => "unified",
        name => name.strip_prefix("name=").unwrap_or(name),
    };
    let below = Path::new(HIERARCHIES).join(hierarchy);
    Some(below.join(path.trim_start_matches('/')))
}

/// Removes a group from the innermost on, as the kernel wants it; whether it is gone.
fn removed(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            removed(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_is_known_by_its_controllers() {
        for (line, wanted) in [
            ("4:memory:/a/b", Some("/sys/fs/cgroup/memory/a/b")),
            ("2:cpu,cpuacct:/", Some("/sys/fs/cgroup/cpu,cpuacct/")),
            ("9:name=systemd:/", Some("/sys/fs/cgroup/systemd/")),
            ("0::/a", Some("/sys/fs/cgroup/unified/a")),
            ("odd", None),
        ] {
            assert_eq!(parent(line), wanted.map(PathBuf::from), "{line}");
        }
    }
}
