//! Three masters with the daemons of one peer.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use lab::daemons::{Track, VipConfig, vip_daemon};
use lab::error::LabError;
use lab::host::{Host, NamespaceHost};
use lab::process::{Process, Program};
use lab::requirement::peer;
use lab::segment::Segment;
use serde::{Deserialize, Serialize};

use crate::row::{Event, Row, Scheduling, Speech};

/// The address that moves.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// The masters with their priorities, which are spread as both manuals advise.
pub(crate) const MASTERS: [(&str, Ipv4Addr, u8); 3] = [
    ("a", Ipv4Addr::new(10, 77, 0, 11), 200),
    ("b", Ipv4Addr::new(10, 77, 0, 12), 150),
    ("c", Ipv4Addr::new(10, 77, 0, 13), 100),
];
/// Of the channel; a test's secret.
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Below the next node's priority, from either of the first two.
const WEIGHT: i32 = -120;
/// As often as keepalived can look, and believed at once.
const SCRIPT: &str = "vrrp_script service {\n \
    script \"/bin/bash -c '</dev/tcp/127.0.0.1/9000'\"\n \
    interval 1\n weight -120\n fall 1\n rise 2\n}\n";
const READY: Duration = Duration::from_secs(10);

/// Whose daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Peer {
    Ours,
    Keepalived,
    /// No daemon: the datagrams of one, sent and received, and nothing else.
    Bare,
}

impl Peer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Keepalived => "keepalived",
            Self::Bare => "nothing but the sends",
        }
    }
}

/// The daemons that run; dropped, they end.
pub(crate) struct Daemons {
    peer: Peer,
    row: Row,
    running: BTreeMap<String, Process>,
}

impl Daemons {
    pub(crate) fn new(peer: Peer, row: Row) -> Self {
        Self {
            peer,
            row,
            running: BTreeMap::new(),
        }
    }

    /// Starts the daemon of one master.
    pub(crate) fn start(
        &mut self,
        segment: &Segment,
        name: &str,
    ) -> Result<(), LabError> {
        // The one before gives its place free.
        self.running.remove(name);
        let host = segment.host(name)?;
        let priority = MASTERS
            .iter()
            .find(|(master, ..)| *master == name)
            .map_or(100, |(.., priority)| *priority);
        let program = match self.peer {
            Peer::Ours => self.ours(host, priority, segment.logs())?,
            Peer::Keepalived => self.theirs(host, priority, segment.logs())?,
            Peer::Bare => return Ok(()),
        };
        let mut process = host.start(&program)?;
        if self.peer == Peer::Ours {
            process.ready(READY)?;
        }
        self.running.insert(name.to_owned(), process);
        Ok(())
    }

    pub(crate) fn process(&mut self, name: &str) -> Result<&mut Process, LabError> {
        let missing = || LabError::Missing(format!("no daemon runs on {name}"));
        self.running.get_mut(name).ok_or_else(missing)
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.running.remove(name);
    }

    fn ours(
        &self,
        host: &NamespaceHost,
        priority: u8,
        logs: &Path,
    ) -> Result<Program, LabError> {
        let Speech { version, interval } = self.row.speech();
        let config = VipConfig {
            vip: VIP,
            source: host.address(),
            peers: others(host),
            priority,
            version,
            interval: format!("{}ms", interval.as_millis()),
            preempt: true,
            tracked: self.tracks().then_some(Track { weight: WEIGHT }),
            socket: host.file("vip.sock"),
        };
        let file = host.file("vip.yaml");
        let program = vip_daemon(&config, &file, logs)?;
        let key = host.file("key");
        written(&key, KEY)?;
        let channel = channel(host, &key.display().to_string());
        written(&file, &format!("{}{channel}", config.yaml()))?;
        Ok(match self.row.scheduling() {
            Scheduling::AsItComes | Scheduling::Realtime => program,
            Scheduling::InTurn => in_turn(&program),
        })
    }

    /// Whether the daemons ask about the service on their host.
    fn tracks(&self) -> bool {
        self.row.event() == Event::EndpointDies
    }

    fn theirs(
        &self,
        host: &NamespaceHost,
        priority: u8,
        logs: &Path,
    ) -> Result<Program, LabError> {
        let (config, pid) = (host.file("keepalived.conf"), host.file("pid"));
        let Speech { version, interval } = self.row.speech();
        let peers = others(host);
        let peers: Vec<_> = peers.iter().map(ToString::to_string).collect();
        let realtime = match self.row.scheduling() {
            Scheduling::AsItComes | Scheduling::InTurn => "",
            Scheduling::Realtime => "vrrp_rt_priority 50\n",
        };
        let (script, track) = match self.tracks() {
            true => (SCRIPT, "track_script {\n service\n }\n"),
            false => ("", ""),
        };
        let text = format!(
            "global_defs {{\n router_id {name}\n vrrp_version {version}\n \
             script_user root\n enable_script_security\n {realtime}}}\n{script}\
             vrrp_instance k8s_api {{\n state BACKUP\n interface eth0\n \
             virtual_router_id 51\n priority {priority}\n advert_int {every}\n \
             unicast_src_ip {source}\n unicast_peer {{\n {peers}\n }}\n \
             virtual_ipaddress {{\n {VIP}/24\n }}\n {track}}}\n",
            name = host.name(),
            every = interval.as_secs_f64(),
            source = host.address(),
            peers = peers.join("\n "),
        );
        fs::write(&config, text).map_err(|error| {
            LabError::Missing(format!("{}: {error}", config.display()))
        })?;
        let path = |path: &Path| path.display().to_string();
        let (vrrp, config) = (path(&host.file("vrrp-pid")), path(&config));
        let pid = path(&pid);
        let args = [
            "-n", "-l", "-D", "-P", "-f", &config, "-p", &pid, "-r", &vrrp,
        ];
        let program = Program::new("keepalived", &peer("keepalived"), logs);
        Ok(program.args(args))
    }
}

/// The same program without the right to real time.
fn in_turn(program: &Program) -> Program {
    let own = [program.path.display().to_string()];
    let without = ["--bounding-set", "-sys_nice"].map(str::to_owned);
    let all = without.into_iter().chain(own).chain(program.args.clone());
    Program::new(&program.name, "/usr/bin/setpriv".as_ref(), &program.logs).args(all)
}

/// The side channel between our daemons, as the manual advises it.
fn channel(host: &NamespaceHost, key: &str) -> String {
    let peers = MASTERS.iter().filter(|(name, ..)| *name != host.name());
    let peers: Vec<_> = peers
        .map(|(name, address, _)| format!("{{name: {name}, address: {address}}}"))
        .collect();
    format!(
        "channel: {{name: {}, keyFile: {key}, peers: [{}]}}\n",
        host.name(),
        peers.join(", ")
    )
}

fn written(path: &Path, text: &str) -> Result<(), LabError> {
    let failed = |error| LabError::Missing(format!("{}: {error}", path.display()));
    fs::write(path, text).map_err(failed)
}

fn others(host: &NamespaceHost) -> Vec<Ipv4Addr> {
    let all = MASTERS.iter().map(|(_, address, _)| *address);
    all.filter(|address| *address != host.address()).collect()
}
