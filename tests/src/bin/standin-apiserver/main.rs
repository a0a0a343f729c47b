//! A stand-in for kube-apiserver, for tests and the demo where the real one cannot be
//! built: the same port, the same certificates, the few paths that a proxy and its checks
//! ask for. Every answer says that it is a stand-in.
//!
//! ```text
//!   options ──▶ listener ──▶ one task per connection: (hang) (slow) TLS ──▶ answer
//!   SIGTERM ──▶ phase: serving ──▶ draining (readyz 500) ──▶ ending ──────────┘
//! ```

mod answer;
mod options;
mod serve;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::options::Options;
use crate::serve::{Server, StartError};

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Answering.
    Serving,
    /// Answering, and saying that it is not ready.
    Draining,
    /// Ending each connection once its answer is out; watches end.
    Ending,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "standin-apiserver: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let drain = options.drain.0;
    let server = Server::bind(options, phases)?;
    let _ = writeln!(
        std::io::stdout(),
        "STAND-IN listening on {}",
        server.address()
    );
    daemon::notify::ready();
    let life = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        phase.send_replace(Phase::Draining);
        tokio::time::sleep(drain).await;
        phase.send_replace(Phase::Ending);
    };
    tokio::join!(server.run(), life);
    Ok(())
}
