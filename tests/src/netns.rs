//! One network namespace with a name, and a thread that sits in it.
//!
//! The name `sp-<pid>-<n>-<host>` says which run it belongs to, so a later run can remove what
//! a killed one left. Sockets made by the seated thread stay in the namespace for life, and
//! children it starts are born there: no wrapper, no `unsafe`.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::run;
use crate::error::{Doing, LabError};

/// What every namespace of every run starts with.
const PREFIX: &str = "sp-";
/// Where `ip netns` keeps its names, and CNI those of Pods.
pub(crate) const NAMES: &str = "/run/netns";
/// Sockets and other short-lived files of a run, beside the namespaces' names.
const FILES: &str = "/run/sternpost-lab";
/// One job at a time is ever waited for.
const JOBS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// Who made a namespace, and so who ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Lab,
    Machine,
}

/// A namespace; dropping one that the lab made kills what runs inside and removes it.
#[derive(Debug)]
pub struct Netns {
    name: String,
    path: PathBuf,
    maker: Maker,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Netns {
    /// Makes the namespace and seats a thread in it.
    ///
    /// # Errors
    /// Without the right to make namespaces.
    pub fn new(name: String) -> Result<Self, LabError> {
        run("ip", &["netns", "add", &name])?;
        let path = Path::new(NAMES).join(&name);
        Self::seated(name, path, Maker::Lab)
    }

    /// Seats a thread in the network of a booted machine, by its process 1. The namespace
    /// lasts as long as the machine, and as this is held: one of a machine that has died
    /// still answers.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_machine(name: String, process: Pid) -> Result<Self, LabError> {
        let path = PathBuf::from(format!("/proc/{process}/ns/net"));
        Self::seated(name, path, Maker::Machine)
    }

    /// Seats a thread in a network inside a booted machine, such as a Pod's, by the file that
    /// stands for it.
    ///
    /// # Errors
    /// When there is no such file.
    pub(crate) fn inside_machine(name: String, path: PathBuf) -> Result<Self, LabError> {
        Self::seated(name, path, Maker::Machine)
    }

    fn seated(name: String, path: PathBuf, maker: Maker) -> Result<Self, LabError> {
        let mut made = Self {
            name,
            path,
            maker,
            jobs: None,
            thread: None,
        };
        let (jobs, queue) = sync_channel::<Job>(JOBS);
        let file = File::open(&made.path).doing("open a namespace")?;
        let (seated, is_seated) = sync_channel(1);
        let thread = thread::Builder::new()
            .name(made.name.clone())
            .spawn(move || {
                let entered = setns(file, CloneFlags::CLONE_NEWNET);
                let ok = entered.is_ok();
                if seated.send(entered).is_ok() && ok {
                    queue.iter().for_each(|job| job());
                }
            })
            .doing("start a thread")?;
        made.thread = Some(thread);
        made.jobs = Some(jobs);
        match is_seated.recv() {
            Ok(entered) => entered.doing("enter a namespace")?,
            Err(_) => return Err(LabError::Missing("a thread in the namespace".into())),
        }
        Ok(made)
    }

    /// The name; `ip -n` takes those of namespaces that the lab made.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for the namespace.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job` on the seated thread and waits for its result.
    ///
    /// # Errors
    /// When the thread has died (an earlier job panicked).
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LabError> {
        let gone = || LabError::Missing(format!("the thread in {}", self.name));
        let (answer, answered) = sync_channel(1);
        let job = Box::new(move || drop(answer.send(job())));
        self.jobs
            .as_ref()
            .ok_or_else(gone)?
            .send(job)
            .map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())
    }

    /// Starts a thread of its own inside the namespace, for a driver that makes its sockets
    /// as it goes.
    ///
    /// # Errors
    /// When the thread cannot be started; `body` does not run when entering fails.
    pub fn thread(
        &self,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>, LabError> {
        let file = File::open(&self.path).doing("open a namespace")?;
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if setns(file, CloneFlags::CLONE_NEWNET).is_ok() {
                    body();
                }
            })
            .doing("start a thread")
    }

    /// Sets a sysctl below `/proc/sys/net` of this namespace only.
    ///
    /// # Errors
    /// When the kernel has no such key.
    pub fn sysctl(&self, key: &'static str, value: &'static str) -> Result<(), LabError> {
        let path = Path::new("/proc/sys/net").join(key);
        self.run(move || fs::write(path, value))?.doing(key)
    }

    /// The processes whose main thread lives here.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        processes_in(&self.path)
    }

    /// Kills every process in here, at once.
    pub fn kill_all(&self) {
        kill_in(&self.path);
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if self.maker == Maker::Lab {
            self.kill_all();
        }
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        if self.maker == Maker::Machine {
            return;
        }
        // Nothing can be done about a failure here; the sweep of the next run tries again.
        drop(run("ip", &["netns", "del", &self.name]));
    }
}

/// The stem of names for the `n`th segment of this process.
#[must_use]
pub fn stem(n: usize) -> String {
    format!("{PREFIX}{}-{n}", std::process::id())
}

/// A folder for sockets of the segment `stem`: short, since a socket's path may have 107 bytes.
///
/// # Errors
/// When `/run` cannot be written.
pub fn files(stem: &str) -> Result<PathBuf, LabError> {
    let folder = Path::new(FILES).join(stem);
    fs::create_dir_all(&folder).doing(folder.display())?;
    Ok(folder)
}

/// Removes what runs that are gone left behind.
pub fn sweep() {
    sweep_where(|pid| !Path::new("/proc").join(pid).exists());
}

/// Removes everything of this very process: the way out on a signal.
pub fn sweep_own() {
    let own = std::process::id().to_string();
    sweep_where(|pid| pid == own);
}

fn sweep_where(mut doomed: impl FnMut(&str) -> bool) {
    for folder in [NAMES, FILES] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(pid) = owner(&name) else { continue };
            if !doomed(pid) {
                continue;
            }
            if folder == NAMES {
                kill_in(&entry.path());
                drop(run("ip", &["netns", "del", &name]));
            } else {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }
}

/// The process id in `sp-<pid>-…`; names of other makers have none there.
pub(crate) fn owner(name: &str) -> Option<&str> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    (!pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit())).then_some(pid)
}

fn kill_in(namespace: &Path) {
    for pid in processes_in(namespace) {
        // It may have ended by itself since it was listed.
        let _ = kill(pid, Signal::SIGKILL);
    }
}

fn processes_in(namespace: &Path) -> Vec<Pid> {
    let Ok(wanted) = fs::metadata(namespace) else {
        return Vec::new();
    };
    let same = |pid: &Pid| {
        fs::metadata(format!("/proc/{pid}/ns/net"))
            .is_ok_and(|m| (m.dev(), m.ino()) == (wanted.dev(), wanted.ino()))
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .filter(|pid| *pid != Pid::this())
        .filter(same)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn a_name_tells_its_run() {
        assert_eq!(owner("sp-123-0-m1"), Some("123"));
        assert_eq!(owner("sp-f-t1"), None);
        assert_eq!(owner("other"), None);
        assert_eq!(owner("sp-123"), None);
    }
}
