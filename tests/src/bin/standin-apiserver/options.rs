//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use config::Period;

/// A stand-in for kube-apiserver: /readyz, /livez, /healthz, /version and a watch that
/// stays open (/watch, or any path with watch=1). For tests only.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long)]
    pub(crate) bind: SocketAddr,
    /// The server's certificate, PEM
    #[arg(long)]
    pub(crate) cert: PathBuf,
    /// Its private key, PEM
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// The authority of client certificates, PEM; one that is shown must be of it, none is
    /// demanded
    #[arg(long)]
    pub(crate) client_ca: Option<PathBuf>,
    /// The name in the X-Node header of each answer; the address unless given
    #[arg(long)]
    pub(crate) node: Option<String>,
    /// Between two lines of a watch
    #[arg(long, default_value = "1s")]
    pub(crate) watch_interval: Period,
    /// How long /readyz says 500 after SIGTERM before the server ends
    #[arg(long, default_value_t = Period(Duration::ZERO))]
    pub(crate) drain: Period,
    /// While this file exists, /readyz says 500
    #[arg(long)]
    pub(crate) ready_file: Option<PathBuf>,
    /// Accept connections and send nothing
    #[arg(long)]
    pub(crate) hang: bool,
    /// How long to wait before each TLS handshake
    #[arg(long, default_value_t = Period(Duration::ZERO))]
    pub(crate) slow_handshake: Period,
}

impl Options {
    pub(crate) fn node(&self) -> String {
        self.node
            .clone()
            .unwrap_or_else(|| self.bind.ip().to_string())
    }
}
