//! Brings files to a host ahead of the orders that need them, so that the host is never waited
//! for while it installs, nor the line while it is idle. Ends when it is dropped, after the
//! file that is on its way.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use super::place;
use super::ssh::{Ssh, SshError};

/// Files that wait on the host besides the one on its way: each is room there that is used
/// twice.
const AHEAD: usize = 1;

/// Somebody on the way to a host.
#[derive(Debug)]
pub(super) struct Courier {
    sent: Option<Receiver<(PathBuf, Result<(), SshError>)>>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// Sets out with `files`, in their order.
    pub(super) fn with(way: Ssh, files: Vec<PathBuf>) -> Self {
        let (sender, sent) = mpsc::sync_channel(AHEAD);
        let thread = thread::spawn(move || {
            for file in files {
                let result = way.send(&file, &place(&file));
                // Nobody waits any more: the run is broken off.
                if sender.send((file, result)).is_err() {
                    return;
                }
            }
        });
        Self {
            sent: Some(sent),
            thread: Some(thread),
        }
    }

    /// Waits for the next file; nothing when that is not `file`, which is then to be brought
    /// by itself.
    pub(super) fn brought(&self, file: &Path) -> Option<Result<(), SshError>> {
        let (next, result) = self.sent.as_ref()?.recv().ok()?;
        (next == file).then_some(result)
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.sent = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}
