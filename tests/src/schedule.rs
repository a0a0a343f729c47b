//! Precedence for the threads that measure, so that what they see is the subject and not
//! their own wait for a core.

use std::process::{Command, Stdio};

use nix::unistd::gettid;

/// Puts the calling thread on SCHED_RR. Where that is not allowed it stays as it is, and the
/// prober's own gaps say so.
pub fn prefer() {
    let thread = gettid().to_string();
    drop(
        Command::new("chrt")
            .args(["--rr", "--pid", "30", &thread])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status(),
    );
}
