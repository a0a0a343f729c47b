//! The adverts' thread: a runtime of its own for everything that must not be late.
//!
//! Owns the thread; its tasks are the routers ([`crate::live`]). Ends when [`Thread`] is
//! dropped or told to. Nothing on it may block or compute for long: checks, TLS, metrics
//! and commands live on the control runtime.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::linux::{round_robin, short_turns};

/// In the middle of the real-time range: above everything that is not real time, below
/// the kernel's own threads. keepalived's users set the same.
const PRIORITY: u8 = 50;

/// Small, since all of it is locked into memory; the deepest call needs a tenth.
const STACK: usize = 512 * 1024;

/// How often the thread says that it still turns.
const PULSE: Duration = Duration::from_millis(250);

/// A thread that has said nothing for so long is stuck in a call that does not return: the
/// addresses have run out by then.
const STUCK: Duration = Duration::from_secs(2);

/// The running thread.
pub struct Thread {
    handle: Handle,
    pulse: Pulse,
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
        let pulse = Pulse::begin();
        let beating = pulse.clone();
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
            runtime.spawn(async move {
                loop {
                    beating.beat();
                    sleep(PULSE).await;
                }
            });
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
            pulse,
            realtime,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where its tasks are spawned.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Does it still turn? One that is stuck advertises nothing and renews nothing, and all
    /// that its tasks have done is not to end.
    pub fn turns(&self) -> bool {
        self.pulse.age() < STUCK
    }

    /// Whether the thread is scheduled before everything else, or why not.
    pub fn realtime(&self) -> &io::Result<()> {
        &self.realtime
    }
}

/// When the thread turned last, in milliseconds since it began.
#[derive(Debug, Clone)]
struct Pulse {
    begun: Instant,
    last: Arc<AtomicU64>,
}

impl Pulse {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            last: Arc::default(),
        }
    }

    fn beat(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread::park_timeout;

    fn becomes(thread: &Thread, turns: bool) {
        let begun = Instant::now();
        while thread.turns() != turns {
            assert!(begun.elapsed() < STUCK * 10, "still turns: {}", !turns);
            park_timeout(PULSE / 10);
        }
    }

    /// A call that blocks it ends none of its tasks.
    #[test]
    fn a_thread_that_is_stuck_is_seen() {
        let thread = Thread::start().unwrap();
        becomes(&thread, true);
        let (release, held) = mpsc::sync_channel::<()>(1);
        let task = thread.handle().spawn(async move {
            // Dropped there, not sent.
            let _ = held.recv();
        });
        becomes(&thread, false);
        assert!(!task.is_finished());
        drop(release);
        becomes(&thread, true);
    }
}
