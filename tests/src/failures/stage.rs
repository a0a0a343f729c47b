//! The hosts of a scene: one for the proxy and its clients, three for servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::backend::{Mode, Strangers};
use super::proxy::Programs;
use crate::error::{Doing, LabError};
use crate::host::{Host, NamespaceHost};
use crate::process::{Process, Program};
use crate::segment::Segment;
use crate::wait;

const LB: (&str, Ipv4Addr) = ("lb", Ipv4Addr::new(10, 9, 0, 1));
const SERVERS: [(&str, Ipv4Addr); 3] = [
    ("s1", Ipv4Addr::new(10, 9, 0, 11)),
    ("s2", Ipv4Addr::new(10, 9, 0, 12)),
    ("s3", Ipv4Addr::new(10, 9, 0, 13)),
];
const STARTED: Duration = Duration::from_secs(60);
/// Room for everybody who comes.
pub const WIDE: u32 = 8192;

/// The stage of one scene; everything on it ends with it.
pub struct Stage {
    segment: Segment,
    programs: Programs,
    backlog: u32,
    servers: Vec<Option<Process>>,
}

impl Stage {
    /// Makes the hosts and starts the servers, each with room for so many in its accept queue.
    ///
    /// # Errors
    /// Without the right to make namespaces, or when a server does not start.
    pub fn new(programs: &Programs, backlog: u32, logs: &Path) -> Result<Self, LabError> {
        let hosts = [&[LB][..], &SERVERS].concat();
        let segment = Segment::new(logs, &hosts)?;
        for host in segment.hosts() {
            let netns = host.netns();
            netns.sysctl("core/somaxconn", "16384")?;
            netns.sysctl("ipv4/ip_local_port_range", "1024 65000")?;
            // As many may knock at once as a storm has.
            netns.sysctl("ipv4/tcp_max_syn_backlog", "16384")?;
            netns.sysctl("ipv4/tcp_syncookies", "0")?;
        }
        let mut stage = Self {
            segment,
            programs: programs.clone(),
            backlog,
            servers: vec![None, None, None],
        };
        for n in 0..SERVERS.len() {
            stage.start(n)?;
        }
        Ok(stage)
    }

    /// The host of the proxy and the clients.
    ///
    /// # Errors
    /// When it is gone.
    pub fn lb(&self) -> Result<&Arc<NamespaceHost>, LabError> {
        self.segment.host(LB.0)
    }

    /// Where the servers listen.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |(_, ip): &(&str, Ipv4Addr)| SocketAddr::from((*ip, 6443));
        SERVERS.iter().map(address).collect()
    }

    /// Starts server `n` and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(&mut self, n: usize) -> Result<(), LabError> {
        let (host, file) = (Arc::clone(self.host(n)?), self.file(n)?);
        Mode::Well.tell(&file).doing("tell a server")?;
        let address = SocketAddr::from((host.address(), 6443));
        let program =
            Program::new("backend", &self.programs.backend, self.segment.logs());
        let process = host.start(&program.args([
            "--serve".to_owned(),
            (n + 1).to_string(),
            "--address".to_owned(),
            address.to_string(),
            "--backlog".to_owned(),
            self.backlog.to_string(),
            "--mode".to_owned(),
            file.display().to_string(),
        ]))?;
        if let Some(place) = self.servers.get_mut(n) {
            *place = Some(process);
        }
        wait::until("a server to listen", STARTED, || {
            let connects =
                host.run(move || std::net::TcpStream::connect(address).is_ok());
            connects.is_ok_and(|is| is).then_some(())
        })
    }

    /// kill -9 of server `n`.
    pub fn kill(&mut self, n: usize) {
        if let Some(place) = self.servers.get_mut(n) {
            drop(place.take());
        }
    }

    /// SIGSTOP of server `n`: the kernel goes on accepting while there is room.
    pub fn pause(&self, n: usize) {
        self.server(n).into_iter().for_each(Process::pause);
    }

    /// SIGCONT of server `n`.
    pub fn resume(&self, n: usize) {
        self.server(n).into_iter().for_each(Process::resume);
    }

    /// Nothing reaches server `n`'s host any more, and nobody is told.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn isolate(&self, n: usize) -> Result<(), LabError> {
        self.segment.isolate(self.host(n)?.name())
    }

    /// Server `n`'s host is back.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn heal(&self, n: usize) -> Result<(), LabError> {
        self.segment.heal(self.host(n)?.name())
    }

    /// Tells server `n` how to behave.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn tell(&self, n: usize, mode: Mode) -> Result<(), LabError> {
        mode.tell(&self.file(n)?).doing("tell a server")
    }

    /// The processes of the servers that run.
    #[must_use]
    pub fn running(&self) -> Vec<Pid> {
        let running = self.servers.iter().flatten();
        running.map(Process::pid).collect()
    }

    /// Who came to the servers and was neither a check nor said a whole ClientHello.
    #[must_use]
    pub fn strangers(&self) -> Strangers {
        let each = (0..SERVERS.len()).filter_map(|n| self.file(n).ok());
        let each = each.map(|file| Strangers::of(&file));
        each.fold(Strangers::default(), Strangers::and)
    }

    fn server(&self, n: usize) -> Option<&Process> {
        self.servers.get(n)?.as_ref()
    }

    fn host(&self, n: usize) -> Result<&Arc<NamespaceHost>, LabError> {
        let name = SERVERS.get(n).map_or("", |(name, _)| name);
        self.segment.host(name)
    }

    fn file(&self, n: usize) -> Result<PathBuf, LabError> {
        Ok(self.host(n)?.file("mode"))
    }
}
