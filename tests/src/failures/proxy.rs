//! The proxies that are compared: how each is configured for one backend of three servers with
//! plain HTTP checks, and started.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, LabError};
use crate::host::{Host, NamespaceHost};
use crate::load::usage;
use crate::process::{Process, Program};
use crate::{command, requirement, wait};

/// Where every proxy listens.
pub const PORT: u16 = 6443;
const STARTED: Duration = Duration::from_secs(60);

/// Who stands between the clients and the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// This project's, at its defaults.
    Ours,
    /// haproxy with the timers of kubeadm's guide.
    HaproxyKubeadm,
    /// haproxy with fast checks, passive ones, and `on-marked-down shutdown-sessions`.
    HaproxyFast,
    /// nginx's stream module as kubespray has it.
    Nginx,
}

impl Peer {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [
        Self::Ours,
        Self::HaproxyKubeadm,
        Self::HaproxyFast,
        Self::Nginx,
    ];

    /// As written in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::HaproxyKubeadm => "haproxy-kubeadm",
            Self::HaproxyFast => "haproxy-fast",
            Self::Nginx => "nginx",
        }
    }
}

/// Whom a proxy lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Everybody.
    Open,
    /// Who says a ClientHello within a second, where the proxy can tell.
    Tls,
    /// Everybody; connections that have been quiet for this long are moved to a server that has
    /// too few, where the proxy can do so.
    Gentle(Duration),
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// This project's.
    pub ours: PathBuf,
    /// What serves as a backend: `bench-failures`.
    pub backend: PathBuf,
}

/// A proxy that runs.
pub struct Proxy {
    process: Process,
    peer: Peer,
    folder: PathBuf,
    /// This project's program, which gives orders to one that runs.
    ours: PathBuf,
}

impl Proxy {
    /// Starts it on this host before these servers, and waits until it serves.
    ///
    /// # Errors
    /// When it is not there or does not serve.
    pub fn start(
        peer: Peer,
        door: Door,
        programs: &Programs,
        host: &NamespaceHost,
        servers: &[SocketAddr],
        logs: &Path,
    ) -> Result<Self, LabError> {
        let folder = host.file(peer.name());
        fs::create_dir_all(&folder).doing("make a folder")?;
        let (path, args) = command(peer, door, programs, &folder, servers)?;
        let mut process =
            host.start(&Program::new(peer.name(), &path, logs).args(args))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        wait::until(&format!("{} to serve", peer.name()), STARTED, || {
            let connects = host.run(move || TcpStream::connect(address).is_ok());
            (process.running().is_err() || connects.is_ok_and(|is| is)).then_some(())
        })?;
        process.running()?;
        Ok(Self {
            process,
            peer,
            folder,
            ours: programs.ours.clone(),
        })
    }

    /// Has it read its configuration again.
    pub fn reload(&self) {
        self.process.signal(match self.peer {
            Peer::Ours | Peer::Nginx => Signal::SIGHUP,
            Peer::HaproxyKubeadm | Peer::HaproxyFast => Signal::SIGUSR2,
        });
    }

    /// Has its program replaced by the one that lies there, and waits until that works. The
    /// peers do so with a reload: haproxy's master runs its program anew, nginx's starts other
    /// workers.
    ///
    /// # Errors
    /// When it does not work.
    pub fn upgrade(&self) -> Result<(), LabError> {
        let Some(socket) = self.socket() else {
            self.reload();
            return Ok(());
        };
        let ours = self.ours.display().to_string();
        let socket = socket.display().to_string();
        command::run(&ours, &["upgrade", "--socket", &socket]).map(drop)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Bytes of memory of it and the processes that it started.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let own = self.process.pid().as_raw().unsigned_abs();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        // One that has ended has none.
        let memory = |id| usage::memory_of(id).unwrap_or_default();
        memory(own) + children.map(memory).sum::<u64>()
    }

    /// Its status socket, if it is this project's.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        (self.peer == Peer::Ours).then(|| self.folder.join("s"))
    }
}

fn command(
    peer: Peer,
    door: Door,
    programs: &Programs,
    folder: &Path,
    servers: &[SocketAddr],
) -> Result<(PathBuf, Vec<String>), LabError> {
    let file = |name: &str, text: String| -> Result<String, LabError> {
        let path = folder.join(name);
        fs::write(&path, text).doing(path.display())?;
        Ok(path.display().to_string())
    };
    let text = |text: &str| text.to_owned();
    Ok(match peer {
        Peer::Ours => {
            let config = file("lb.yaml", ours(door, folder, servers))?;
            let args = vec![text("run"), text("--config"), config];
            (programs.ours.clone(), args)
        }
        Peer::HaproxyKubeadm | Peer::HaproxyFast => {
            let config = file("haproxy.cfg", haproxy(peer, door, servers))?;
            let args = vec![text("-W"), text("-db"), text("-f"), config];
            (requirement::peer("haproxy"), args)
        }
        Peer::Nginx => {
            let config = file("nginx.conf", nginx(folder, servers))?;
            (requirement::peer("nginx"), vec![text("-c"), config])
        }
    })
}

fn ours(door: Door, folder: &Path, servers: &[SocketAddr]) -> String {
    let (tls, rebalance) = match door {
        Door::Open => ("", String::new()),
        Door::Tls => (", tls: {only: on, helloTimeout: 1s}", String::new()),
        Door::Gentle(quiet) => {
            let quiet = quiet.as_secs();
            let text = format!("  rebalance: {{mode: gentle, quiet: {quiet}s}}\n");
            ("", text)
        }
    };
    let mut text = format!(
        "apiVersion: sternpost/v1\nkind: ApiLb\nsocket: {}/s\nlog: {{connections: off}}\n\
         flightRecorder: {{directory: off}}\n\
         frontends:\n- {{name: f, bind: [\"0.0.0.0:{PORT}\"], backend: b{tls}}}\nbackends:\n\
         - name: b\n{rebalance}  check: {{http: {{path: /readyz}}}}\n  servers:\n",
        folder.display()
    );
    for (n, server) in servers.iter().enumerate() {
        let _ = writeln!(text, "  - {{name: s{}, address: \"{server}\"}}", n + 1);
    }
    text
}

fn haproxy(peer: Peer, door: Door, servers: &[SocketAddr]) -> String {
    let (timeouts, server) = if peer == Peer::HaproxyFast {
        (
            "  timeout client 1h\n  timeout server 1h\n",
            "inter 1s fall 2 rise 2 observe layer4 error-limit 3 on-error mark-down on-marked-down shutdown-sessions",
        )
    } else {
        ("  timeout client 20s\n  timeout server 20s\n", "")
    };
    // The guide has no such rule.
    let tls = if door == Door::Tls && peer == Peer::HaproxyFast {
        "  tcp-request inspect-delay 1s\n  tcp-request content accept if { req.ssl_hello_type 1 }\n  tcp-request content reject\n"
    } else {
        ""
    };
    let mut text = format!(
        "global\n  maxconn 9000\ndefaults\n  mode tcp\n  option redispatch\n  retries 1\n  timeout connect 5s\n  timeout check 10s\n{timeouts}\
         listen l\n  bind 0.0.0.0:{PORT}\n  balance roundrobin\n  option httpchk GET /readyz\n{tls}"
    );
    for (n, address) in servers.iter().enumerate() {
        let _ = writeln!(text, "  server s{} {address} check {server}", n + 1);
    }
    text
}

fn nginx(folder: &Path, servers: &[SocketAddr]) -> String {
    let (peers, folder) = (requirement::peers(), folder.display());
    let mut text = format!(
        "load_module {}/root/usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nuser root;\n\
         worker_processes 2;\npid {folder}/pid;\nerror_log stderr error;\nworker_rlimit_nofile 20000;\n\
         worker_shutdown_timeout 10s;\nevents {{ worker_connections 16384; }}\nstream {{\n  upstream u {{\n",
        peers.display()
    );
    for server in servers {
        let _ = writeln!(text, "    server {server};");
    }
    text + &format!(
        "  }}\n  server {{ listen 0.0.0.0:{PORT}; proxy_pass u; proxy_timeout 10m; proxy_connect_timeout 1s; }}\n}}\n"
    )
}
