//! The adverts' thread: a runtime of its own for everything that must not be late.
//!
//! Owns the thread; its tasks are the routers ([`crate::live`]). Ends when [`Thread`] is
//! dropped or told to. Nothing on it may block or compute for long: checks, TLS, metrics
//! and commands live on the control runtime.

use std::io;
use std::thread::{Builder, JoinHandle};

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use crate::linux::{round_robin, short_turns};

/// In the middle of the real-time range: above everything that is not real time, below
/// the kernel's own threads. keepalived's users set the same.
const PRIORITY: u8 = 50;

/// Small, since all of it is locked into memory; the deepest call needs a tenth.
const STACK: usize = 512 * 1024;

/// The running thread.
pub struct Thread {
    handle: Handle,
    realtime: io::Result<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// Starts the thread and asks for real-time scheduling.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be had; a refused real-time scheduling is no
    /// error, see [`Thread::realtime`].
    pub fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let body = move || {
            let realtime = round_robin(PRIORITY);
            if realtime.is_err() {
                // Refused as well, it waits its turn as everybody does.
                drop(short_turns());
            }
            // The receiver waits for exactly this.
            let _ = tell.send(realtime);
            // An error means that `Thread` is gone, which is a stop too.
            let _ = runtime.block_on(stopped);
        };
        let thread = Builder::new()
            .name("adverts".to_owned())
            .stack_size(STACK)
            .spawn(body)?;
        let realtime = told
            .recv()
            .unwrap_or_else(|gone| Err(io::Error::other(gone)));
        Ok(Self {
            handle,
            realtime,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where its tasks are spawned.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Whether the thread is scheduled before everything else, or why not.
    pub fn realtime(&self) -> &io::Result<()> {
        &self.realtime
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there.
            let _ = thread.join();
        }
    }
}
