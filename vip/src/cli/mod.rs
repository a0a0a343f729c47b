//! The command line.

mod ask;
mod file;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde_json::json;
use tokio::runtime;

pub use file::guard;

const CONFIG: &str = "/etc/sternpost/vip-daemon.yaml";
const SOCKET: &str = "/run/sternpost/vip-daemon.sock";

/// VRRP with an address that cannot be left behind.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground until a signal ends it; SIGHUP reads the file again.
    Run(ConfigFile),
    /// Say whether a configuration file is good, and touch nothing.
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Whether its routers could start on this machine, too. Needs the rights of the
        /// daemon.
        #[arg(long)]
        here: bool,
        /// With `--here`: this router may wait for its interface; may be repeated.
        #[arg(long, value_name = "ROUTER", requires = "here")]
        waits: Vec<String>,
        /// With `--here`: where the daemon that runs listens. Where else the file wants to
        /// is tried, too; may be repeated.
        #[arg(long, value_name = "ADDRESS", requires = "here")]
        listens: Vec<SocketAddr>,
    },
    /// Give the addresses that this node holds to another, without a hole.
    ///
    /// With a `channel`, the successor is told first; without one, or with a keepalived as
    /// successor, priority 0 is sent, and the backups take over after their skew.
    Yield {
        #[command(flatten)]
        socket: Socket,
        /// Only to this node, by its name in `channel.peers`; if it cannot take them, they
        /// stay here.
        #[arg(long, value_name = "NODE")]
        to: Option<String>,
        /// Only this router.
        #[arg(long)]
        router: Option<String>,
        /// How long this node, where it has the higher priority, leaves them alone.
        #[arg(long, value_name = "DURATION", default_value = "10m")]
        hold: String,
    },
    /// Turn keepalived's configuration into one of ours.
    ///
    /// Prints the YAML to standard output, and a verdict on every directive to standard
    /// error: `vip-daemon import /etc/keepalived/keepalived.conf > vip-daemon.yaml`.
    Import {
        /// keepalived.conf.
        file: PathBuf,
        /// The node to import for, where lines begin with `@node`.
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
        /// The keepalived.conf of another node of the group, to compare priorities,
        /// versions and intervals; may be repeated.
        #[arg(long, value_name = "FILE")]
        peer: Vec<PathBuf>,
        /// Fail (exit code 1) when something is unsupported.
        #[arg(long)]
        strict: bool,
    },
    /// Run the scripts that a configuration file names, for the daemon beside it.
    Scripts(ConfigFile),
    /// Show where the addresses are and why.
    Status {
        #[command(flatten)]
        socket: Socket,
        /// Everything, as JSON.
        #[arg(long)]
        json: bool,
        /// Again every second, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Replace the running program by the one that lies where it was started from, in
    /// place, without giving the addresses up.
    Upgrade {
        #[command(flatten)]
        socket: Socket,
    },
    /// Print the transitions as they happen, a JSON object a line, until interrupted.
    Events {
        #[command(flatten)]
        socket: Socket,
        /// Only those there have been.
        #[arg(long)]
        past: bool,
    },
    /// Say in words why this node holds its addresses, or does not.
    Explain(OfRouter),
    /// Print the flight recorder: the last minutes of adverts, decisions and checks, a
    /// JSON object a line.
    Flight(OfRouter),
    /// Give the addresses up and stay out, as long as another node takes them.
    Release {
        #[command(flatten)]
        socket: Socket,
        /// Only this router.
        #[arg(long)]
        router: Option<String>,
        /// Take part again.
        #[arg(long)]
        resume: bool,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, default_value = CONFIG)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct OfRouter {
    #[command(flatten)]
    socket: Socket,
    /// Only this router.
    #[arg(long)]
    router: Option<String>,
}

#[derive(Debug, Args)]
struct Socket {
    /// The daemon's socket.
    #[arg(long, default_value = SOCKET)]
    socket: PathBuf,
}

impl Cli {
    /// Does what was asked; the exit code.
    pub fn execute(self) -> u8 {
        match self.command {
            Command::Run(file) => file::daemon(&file.config),
            Command::Check {
                file, here: false, ..
            } => file::check(&file.config),
            Command::Check {
                file,
                waits,
                listens,
                ..
            } => file::check_here(&file.config, &waits, &listens),
            Command::Yield {
                socket,
                to,
                router,
                hold,
            } => {
                let body = json!({ "to": to, "router": router, "hold": hold });
                ask::hand_over(&socket.socket, &body)
            }
            Command::Import {
                file,
                node,
                peer,
                strict,
            } => file::take_over(&file, node.as_deref(), &peer, strict),
            Command::Scripts(file) => file::scripts(&file.config),
            Command::Status {
                socket,
                json,
                watch: false,
            } => ask::status(&socket.socket, json),
            Command::Status { socket, json, .. } => ask::watch(&socket.socket, json),
            Command::Upgrade { socket } => ask::replace(&socket.socket),
            Command::Events { socket, past } => ask::events(&socket.socket, past),
            Command::Explain(of) => ask::told(&of, "/explain", "sentences", "  "),
            Command::Flight(of) => ask::told(&of, "/flight", "entries", ""),
            Command::Release {
                socket,
                router,
                resume,
            } => ask::release(&socket.socket, router.as_deref(), resume),
        }
    }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work))
}
