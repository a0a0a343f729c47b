//! Ctrl-C: the first asks for a stop after the step that is under way on each host, the second
//! ends the program at once, which the hosts take as any broken connection.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What a shell sees of a program that Ctrl-C has ended: 128 and SIGINT.
const INTERRUPTED: i32 = 130;

/// Whether a stop was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from here on, on a thread that ends with the program.
    ///
    /// # Errors
    /// When the kernel refuses a handler.
    pub(super) fn listen() -> io::Result<Self> {
        let asked = Self::default();
        let flag = asked.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let mut signals = {
            let _inside = runtime.enter();
            daemon::signals::Signals::new()?
        };
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    // SIGHUP too: the operator's terminal is gone.
                    let _ = signals.next().await;
                    if flag.0.swap(true, Ordering::SeqCst) {
                        process::exit(INTERRUPTED);
                    }
                    super::complain(
                        "stopping after the steps under way; once more stops at once",
                    );
                }
            });
        });
        Ok(asked)
    }

    /// One that was asked for already.
    #[cfg(test)]
    pub(super) fn at_once() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(super) fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
