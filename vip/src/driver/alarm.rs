//! What wakes a driver when nothing happens, as a trait: the kernel's timer on a real machine
//! ([`crate::linux::Alarm`]), the runtime's on the paused clock of the tests.

use std::io;

use tokio::time::Instant;

/// Rings once at a time that may be changed.
pub trait Alarm {
    /// From here on it rings at `at`, and at no time that was set before.
    ///
    /// # Errors
    /// What the kernel says; it would not ring then.
    fn set(&mut self, at: Instant) -> io::Result<()>;

    /// When it rings; it may once ring too early, never too late. What is dropped before is
    /// not lost: asked again, it rings at once.
    ///
    /// # Errors
    /// What the kernel says; it would not ring again.
    fn rings(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}
