//! Ctrl-C in the middle of a lab: everything of this process is removed before it leaves.

use std::process::exit;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::client::runtime;
use crate::netns;

/// What a shell reports for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// From here on SIGINT, SIGTERM and SIGHUP remove every namespace of this process, with what runs in
/// it, and end the process.
pub fn clean_up_on_interrupt() {
    // Without the thread Ctrl-C ends the process at once; the next run sweeps.
    drop(thread::Builder::new().name("signals".into()).spawn(|| {
        let Ok(runtime) = runtime() else { return };
        let came = runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).ok()?;
            let mut terminate = signal(SignalKind::terminate()).ok()?;
            let mut hangup = signal(SignalKind::hangup()).ok()?;
            tokio::select! {
                came = interrupt.recv() => came,
                came = terminate.recv() => came,
                came = hangup.recv() => came,
            }
        });
        if came.is_some() {
            netns::sweep_own();
            exit(INTERRUPTED);
        }
    }));
}
