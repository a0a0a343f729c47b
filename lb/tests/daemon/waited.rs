//! How long the machine kept a thread waiting for a core: the kernel's own count of a thread that
//! could run and did not.

use std::time::Duration;

use nix::unistd::Pid;

use crate::rig::Fallible;

/// Since the thread began; what is not counted is nothing.
pub(crate) fn waited(thread: Pid) -> Fallible<Duration> {
    // proc(5): nanoseconds on a core, on the queue for one, and turns.
    let said = std::fs::read_to_string(format!("/proc/{thread}/schedstat"))?;
    let nanos = said.split_whitespace().nth(1).map_or(Ok(0), str::parse)?;
    Ok(Duration::from_nanos(nanos))
}
