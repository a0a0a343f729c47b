//! What a process, and the whole machine, spend: CPU time and memory.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// CPU time of a process and its children: all of their threads, those that ended not
/// counted.
///
/// # Errors
/// When the process is gone.
pub fn cpu_of(pid: u32) -> io::Result<Duration> {
    let mut total = cpu_of_one(pid)?;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = fs::read_to_string(task?.path().join("children"));
        for child in children.unwrap_or_default().split_whitespace() {
            // One that has ended meanwhile is counted no longer.
            let spent = child.parse().ok().and_then(|child| cpu_of(child).ok());
            total += spent.unwrap_or_default();
        }
    }
    Ok(total)
}

/// CPU time of a process without its children: all of its threads that run.
///
/// # Errors
/// When the process is gone.
pub fn cpu_of_one(pid: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        let spent = stat.split(' ').next().and_then(|first| first.parse().ok());
        nanos += spent.unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

/// CPU time that all cores together spent on anything but waiting.
///
/// # Errors
/// Without `/proc`.
pub fn cpu_of_machine() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal: all but idle and iowait.
    let busy = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|&n| fields.get(n))
        .sum::<u64>();
    Ok(Duration::from_millis(busy * 10))
}

/// Proportional set size of a process, in bytes.
///
/// # Errors
/// When the process is gone.
pub fn memory_of(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Cores this machine has.
#[must_use]
pub fn cores() -> usize {
    let online = fs::read_dir("/sys/devices/system/cpu")
        .into_iter()
        .flatten()
        .flatten();
    let is_core = |name: &str| {
        name.strip_prefix("cpu")
            .is_some_and(|n| n.parse::<u32>().is_ok())
    };
    online
        .filter(|entry| is_core(&entry.file_name().to_string_lossy()))
        .count()
}

/// Binds the calling thread to these cores.
///
/// # Errors
/// When there is no such core.
pub fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Puts the calling thread before all that the machine runs by turns: it must sleep most of
/// the time.
///
/// # Errors
/// Without the right to.
pub fn go_first() -> io::Result<()> {
    let own = nix::unistd::gettid().to_string();
    let done = Command::new("chrt")
        .args(["--fifo", "--pid", "1", &own])
        .status()?;
    if done.success() {
        return Ok(());
    }
    Err(io::Error::other("chrt gives no place before others"))
}

/// Lets the kernel make its table of this process's descriptors large at once: in a process
/// of several threads it would stop the load for tens of milliseconds to let the table grow.
///
/// # Errors
/// When fewer descriptors are allowed.
pub fn widen_table() -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let last = i32::try_from(most.min(65_536)).unwrap_or(1) - 1;
    rustix::io::fcntl_dupfd_cloexec(io::stderr(), last)?;
    Ok(())
}

/// The kernel's release.
#[must_use]
pub fn kernel() -> String {
    fs::read_to_string(Path::new("/proc/sys/kernel/osrelease"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Threads that ran or waited to run, on average over the last minute.
///
/// # Errors
/// Without `/proc`.
pub fn load() -> io::Result<f64> {
    let averages = fs::read_to_string("/proc/loadavg")?;
    let first = averages
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok());
    first.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
