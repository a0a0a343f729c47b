//! The configurations of `api-lb` and `vip-daemon` as the lab writes them, and the programs
//! that run on them.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::binaries;
use crate::control_plane::PORT;
use crate::error::{Doing, LabError};
use crate::host::{Host, NamespaceHost};
use crate::process::Program;

/// What an `api-lb` of the lab is told.
#[derive(Debug, Clone)]
pub struct LbConfig {
    /// The virtual address, where it listens.
    pub vip: Ipv4Addr,
    /// Its servers, each `(name, address)`; they listen on the API servers' port.
    pub servers: Vec<(String, Ipv4Addr)>,
    /// Whom its checks trust.
    pub ca_file: PathBuf,
    /// Between two checks of a server.
    pub check_interval: &'static str,
    /// Its command socket.
    pub socket: PathBuf,
}

impl LbConfig {
    /// As a file.
    #[must_use]
    pub fn yaml(&self) -> String {
        let Self {
            vip,
            ca_file,
            check_interval,
            socket,
            ..
        } = self;
        let (ca_file, socket) = (ca_file.display(), socket.display());
        let mut text = format!(
            "apiVersion: sternpost/v1\n\
             kind: ApiLb\n\
             socket: {socket}\n\
             flightRecorder: {{directory: off}}\n\
             frontends:\n\
             - name: k8s-api\n  \
               bind: [\"{vip}:{PORT}\"]\n  \
               backend: k8s-api\n\
             backends:\n\
             - name: k8s-api\n  \
               balance: roundrobin\n  \
               check: {{https: {{path: /readyz, caFile: {ca_file}}}, \
                 interval: {check_interval}, timeout: 500ms, rise: 2, fall: 2}}\n  \
               servers:\n"
        );
        for (name, at) in &self.servers {
            let _ = writeln!(text, "  - {{name: {name}, address: \"{at}:{PORT}\"}}");
        }
        text
    }
}

/// What a `vip-daemon` of the lab is told.
#[derive(Debug, Clone)]
pub struct VipConfig {
    /// The virtual address.
    pub vip: Ipv4Addr,
    /// The host's own address.
    pub source: Ipv4Addr,
    /// The other hosts of the group.
    pub peers: Vec<Ipv4Addr>,
    /// VRRP priority.
    pub priority: u8,
    /// 2 or 3.
    pub version: u8,
    /// Between two adverts.
    pub interval: String,
    /// `true`: a higher priority takes the address back.
    pub preempt: bool,
    /// Whether the priority depends on the host's `api-lb`.
    pub tracked: Option<Track>,
    /// Its command socket.
    pub socket: PathBuf,
}

/// How `vip-daemon` watches the `api-lb` beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    /// What a failing check does to the priority; 0 is fault.
    pub weight: i32,
}

impl VipConfig {
    /// As a file.
    #[must_use]
    pub fn yaml(&self) -> String {
        let Self {
            vip,
            source,
            priority,
            version,
            interval,
            preempt,
            ..
        } = self;
        let peers: Vec<_> = self.peers.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "apiVersion: sternpost/v1\n\
             kind: VipDaemon\n\
             socket: {socket}\n\
             routers:\n\
             - name: k8s-api\n  \
               interface: eth0\n  \
               vrid: 51\n  \
               version: {version}\n  \
               priority: {priority}\n  \
               advertInterval: {interval}\n  \
               preempt: {preempt}\n  \
               addresses: [\"{vip}/24\"]\n",
            socket = self.socket.display(),
        );
        // A node without peers sends to the group, where nobody listens.
        if !peers.is_empty() {
            let peers = peers.join(", ");
            let _ = writeln!(text, "  unicast: {{source: {source}, peers: [{peers}]}}");
        }
        if let Some(Track { weight }) = self.tracked {
            let _ = write!(
                text,
                "  track:\n  - {{http: {{url: \"http://127.0.0.1:9000/readyz\"}}, \
                 weight: {weight}, interval: 100ms, fall: 2, rise: 2}}\n"
            );
        }
        text
    }
}

/// `api-lb run` on a written configuration.
///
/// # Errors
/// When it has not been built or the file cannot be written.
pub fn api_lb(config: &LbConfig, file: &Path, logs: &Path) -> Result<Program, LabError> {
    daemon("api-lb", &config.yaml(), file, logs)
}

/// `vip-daemon run` on a written configuration.
///
/// # Errors
/// When it has not been built or the file cannot be written.
pub fn vip_daemon(
    config: &VipConfig,
    file: &Path,
    logs: &Path,
) -> Result<Program, LabError> {
    daemon("vip-daemon", &config.yaml(), file, logs)
}

/// What the `api-lb` of a host counts.
///
/// # Errors
/// When it does not answer.
pub fn lb_metrics(host: &NamespaceHost) -> Result<String, LabError> {
    host.output("curl", &["-sf", "http://127.0.0.1:9000/metrics"])
}

/// How many servers the `api-lb` of a host counts as up, by its own metrics; nothing where it
/// does not answer.
#[must_use]
pub fn servers_up(host: &NamespaceHost) -> Option<usize> {
    let metrics = lb_metrics(host).ok()?;
    let up = metrics.lines().filter(|line| {
        line.starts_with("api_lb_server_state{")
            && line.contains("state=\"up\"")
            && line.ends_with(" 1")
    });
    Some(up.count())
}

fn daemon(name: &str, yaml: &str, file: &Path, logs: &Path) -> Result<Program, LabError> {
    fs::write(file, yaml).doing(file.display())?;
    let program = Program::new(name, &binaries::own(name)?, logs);
    Ok(program.args(["run".into(), "--config".into(), file.display().to_string()]))
}
