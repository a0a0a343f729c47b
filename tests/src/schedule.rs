//! Precedence for the threads that measure, so that what they see is the subject and not
//! their own wait for a core.

use std::fs;
use std::process::{self, Command, Stdio};

use nix::unistd::gettid;

/// Nearly the most a process may ask for; what the kernel needs goes first.
const NICE: &str = "-15";
/// Priorities of SCHED_RR: of what measures, and before every program of the lab.
const PREFERRED: &str = "30";
const FIRST: &str = "90";

/// Puts this run and every program it starts before whatever else the machine does, such as
/// a build beside it: a stand-in that waits for a core looks like a slow load balancer. Call
/// it first in `main`: threads and programs inherit it. Without the right to it, nothing.
pub fn prefer_run() {
    place_run(NICE);
}

/// Takes that back, for threads and programs that are started from here on.
pub fn ordinary_run() {
    place_run("0");
}

fn place_run(nice: &str) {
    let own = process::id().to_string();
    let renice = Command::new("renice")
        .args(["-n", nice, "-p", &own])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    drop(renice);
    // Where sessions are scheduled as groups, it is the group that counts.
    drop(fs::write("/proc/self/autogroup", nice));
}

/// Puts the calling thread on SCHED_RR. Where that is not allowed it stays as it is, and the
/// prober's own gaps say so.
pub fn prefer() {
    round_robin(PREFERRED);
}

/// The same before every program of the lab: what it waits for a core, no program keeps.
pub fn precede() {
    round_robin(FIRST);
}

fn round_robin(priority: &str) {
    let thread = gettid().to_string();
    drop(
        Command::new("chrt")
            .args(["--rr", "--pid", priority, &thread])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status(),
    );
}
