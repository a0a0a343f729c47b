//! The proxies that are compared: how each is configured and started.

mod written;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::load::backend::Manner;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::cluster;

/// Servers behind every proxy.
pub(crate) const SERVERS: u8 = 3;

/// What a port of the servers does; the frontends of the proxies are in the same order.
pub(crate) const MANNERS: [Manner; 4] = [
    Manner::Answers {
        request: 46,
        reply: 1024,
    },
    Manner::Answers {
        request: 200,
        reply: 1024,
    },
    Manner::Pours,
    Manner::Swallows,
];

/// What the frontend after those of [`MANNERS`] leads to: servers that speak TLS.
pub(crate) const SECURE: usize = MANNERS.len();
/// Bytes of a request to them, and of the answer.
pub(crate) const SECURE_SIZES: (usize, usize) = (46, 1024);
/// And the one after that: the API server.
pub(crate) const APISERVER: usize = SECURE + 1;
/// Addresses by which `direct` knows each server, so that it has ports enough.
const ALIASES: u8 = 16;

/// Who carries the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    /// Nobody: the generator talks to the servers.
    Direct,
    /// haproxy on one thread: what the ratios refer to.
    Haproxy,
    /// haproxy that is made to splice, with pipes of 1 MiB.
    HaproxySplice,
    /// nginx's stream module, one worker.
    Nginx,
    /// This project's, one worker.
    Ours,
    /// The same, with each connection in the flight recorder.
    OursRecorded,
}

/// Which cores a proxy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cores {
    /// The first one for itself; servers and load have the others.
    One,
    /// All of them, shared with servers and load.
    All,
}

/// Whether a proxy writes a line per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// None.
    Off,
    /// To a file.
    On,
}

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The folder of unpacked peers.
    pub(crate) peers: PathBuf,
    /// This project's program.
    pub(crate) ours: PathBuf,
    /// For configurations and sockets.
    pub(crate) scratch: PathBuf,
}

/// A proxy that runs; dropping it ends it.
pub(crate) struct Proxy {
    child: Option<Child>,
    peer: Peer,
}

impl Peer {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 6] = [
        Self::Direct,
        Self::Haproxy,
        Self::HaproxySplice,
        Self::Nginx,
        Self::Ours,
        Self::OursRecorded,
    ];

    /// As written in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Haproxy => "haproxy",
            Self::HaproxySplice => "haproxy-splice",
            Self::Nginx => "nginx",
            Self::Ours => "ours",
            Self::OursRecorded => "ours-recorded",
        }
    }
}

/// Where the servers' port of this manner is.
pub(crate) fn server(number: u8, manner: usize) -> SocketAddr {
    if manner == APISERVER {
        return cluster::address();
    }
    let manner = u16::try_from(manner).unwrap_or(0);
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9100 + manner * 10 + u16::from(number)))
}

/// The servers of this manner.
fn servers(manner: usize) -> impl Iterator<Item = (u8, SocketAddr)> {
    let all = if manner == APISERVER { 1 } else { SERVERS };
    (0..all).map(move |number| (number, server(number, manner)))
}

/// Where the proxies listen for this manner.
fn frontend(manner: usize) -> SocketAddr {
    let manner = u16::try_from(manner).unwrap_or(0);
    SocketAddr::from((Ipv4Addr::LOCALHOST, 8000 + manner))
}

impl Proxy {
    /// Starts a proxy and waits until it serves.
    pub(crate) fn start(
        programs: &Programs,
        peer: Peer,
        cores: Cores,
        lines: Lines,
        manners: &[usize],
    ) -> io::Result<Self> {
        let all = lab::load::usage::cores();
        let threads = match cores {
            Cores::One => 1,
            Cores::All => all,
        };
        let Some(command) = programs.command(peer, threads, lines, manners)? else {
            return Ok(Self { child: None, peer });
        };
        let set = match cores {
            Cores::One => "0".to_owned(),
            Cores::All => format!("0-{}", all - 1),
        };
        let log = fs::File::create(programs.scratch.join(log_name(peer)))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "-c", &set])
            .args(command)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let mut proxy = Self {
            child: Some(child),
            peer,
        };
        let said = || fs::read_to_string(programs.scratch.join(log_name(peer)));
        let explain = |error: io::Error| match said() {
            Ok(log) => io::Error::other(format!("{error}; it said: {log}")),
            Err(_) => error,
        };
        proxy.wait_until_it_serves(manners).map_err(explain)?;
        Ok(proxy)
    }

    /// Its process, if it is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where load for this manner goes: the `n`th connection, or thread.
    pub(crate) fn address(&self, manner: usize, n: usize) -> SocketAddr {
        let addresses = self.addresses(manner);
        let address = addresses.iter().copied().cycle().nth(n);
        address.unwrap_or_else(|| frontend(manner))
    }

    /// All addresses for this manner: without a proxy the servers by turns.
    pub(crate) fn addresses(&self, manner: usize) -> Vec<SocketAddr> {
        match self.peer {
            Peer::Direct if manner < SECURE => (1..=ALIASES)
                .flat_map(|alias| {
                    let alias = Ipv4Addr::new(127, 0, 0, alias);
                    servers(manner).map(move |(_, s)| (alias, s.port()).into())
                })
                .collect(),
            Peer::Direct => servers(manner).map(|(_, address)| address).collect(),
            Peer::Haproxy
            | Peer::HaproxySplice
            | Peer::Nginx
            | Peer::Ours
            | Peer::OursRecorded => vec![frontend(manner)],
        }
    }

    fn wait_until_it_serves(&mut self, manners: &[usize]) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        for &manner in manners {
            while !serves(manner, self.address(manner, 0)) {
                if Instant::now() > deadline {
                    let said = format!("{} does not serve", self.peer.name());
                    return Err(io::Error::other(said));
                }
                lab_pause();
            }
        }
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            let said = format!("{} has ended: {status}", self.peer.name());
            return Err(io::Error::other(said));
        }
        Ok(())
    }
}

fn log_name(peer: Peer) -> String {
    format!("{}.log", peer.name())
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It leads a group, since a master that is killed leaves its workers behind, and
            // they would serve in the name of the next. It has ended by itself, or it does now.
            let group = i32::try_from(child.id()).unwrap_or(i32::MAX);
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

/// Waits until somebody listens there.
pub(crate) fn wait_for(address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => lab_pause(),
        }
    }
}

/// Whether a proxy has a server for this manner.
fn serves(manner: usize, address: SocketAddr) -> bool {
    match MANNERS.get(manner) {
        Some(Manner::Answers { request, reply }) => asks(address, *request, *reply),
        Some(Manner::Pours | Manner::Swallows) | None => lasts(address),
    }
}

/// A connection that is not ended at once, as those are that find no server.
fn lasts(address: SocketAddr) -> bool {
    use std::io::Read as _;
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let limit = Some(Duration::from_millis(100));
    match stream
        .set_read_timeout(limit)
        .and_then(|()| stream.read(&mut [0]))
    {
        Ok(len) => len > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// One request and its answer.
fn asks(address: SocketAddr, request: usize, reply: usize) -> bool {
    use std::io::{Read as _, Write as _};
    let limit = Some(Duration::from_secs(1));
    let ask = || -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(limit)?;
        stream.write_all(&vec![b'q'; request])?;
        stream.read_exact(&mut vec![0; reply])
    };
    ask().is_ok()
}

/// Between two looks at a program that starts: it says nothing when it is ready.
fn lab_pause() {
    std::thread::park_timeout(Duration::from_millis(20));
}

impl Programs {
    fn command(
        &self,
        peer: Peer,
        threads: usize,
        lines: Lines,
        manners: &[usize],
    ) -> io::Result<Option<Vec<String>>> {
        let bin = |name: &str| self.peers.join("bin").join(name).display().to_string();
        let file = |name: &str, text: String| -> io::Result<String> {
            let path = self.scratch.join(name);
            fs::write(&path, text)?;
            Ok(path.display().to_string())
        };
        let command = match peer {
            Peer::Direct => return Ok(None),
            Peer::Haproxy | Peer::HaproxySplice => {
                let splice = peer == Peer::HaproxySplice;
                let name = format!("{}.cfg", peer.name());
                let config =
                    file(&name, written::haproxy(threads, splice, lines, manners))?;
                vec![bin("haproxy"), "-db".into(), "-f".into(), config]
            }
            Peer::Nginx => {
                let config = file(
                    "nginx.conf",
                    written::nginx(&self.peers, &self.scratch, threads, manners),
                )?;
                vec![bin("nginx"), "-c".into(), config]
            }
            Peer::Ours | Peer::OursRecorded => {
                let recorded = match peer {
                    Peer::OursRecorded => Lines::On,
                    Peer::Direct
                    | Peer::Haproxy
                    | Peer::HaproxySplice
                    | Peer::Nginx
                    | Peer::Ours => lines,
                };
                let config = file(
                    "api-lb.yaml",
                    written::ours(&self.scratch, threads, (lines, recorded), manners),
                )?;
                let ours = self.ours.display().to_string();
                let user = [
                    "setpriv",
                    // A change of the user takes away what was said before.
                    "--pdeathsig=TERM",
                    "--reuid=65534",
                    "--regid=65534",
                    "--clear-groups",
                ];
                let user = user.into_iter().map(String::from);
                let run = [ours, "run".into(), "--config".into(), config];
                user.chain(run).collect()
            }
        };
        Ok(Some(command))
    }
}
