//! W12: a sync group of ours beside keepalived 2.2.7's `vrrp_sync_group`, each the other's
//! router, on two networks. A fault on one of them moves both addresses, and both come back
//! when it is over, whoever leads and whichever network it is.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::held_up::Machine;
use lab::holders::{What, current, overlap, sole_since};
use lab::host::Host;
use lab::process::{Process, Program};
use lab::requirement::{Requirement, peer, trial, undisturbed};
use lab::segment::Segment;
use lab::timeline::Timeline;
use lab::{binaries, command, netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed};

const BINARY: &str = env!("CARGO_BIN_EXE_vip-daemon");
const HOSTS: [(&str, Ipv4Addr); 2] = [
    ("ours", Ipv4Addr::new(10, 55, 0, 11)),
    ("theirs", Ipv4Addr::new(10, 55, 0, 12)),
];

/// Above the start of a daemon and some down intervals of 361 ms.
const PATIENCE: Duration = Duration::from_secs(30);
/// keepalived notices, waits for a down interval, and again for the other of its group.
const MOVED: Duration = Duration::from_millis(1500);
/// Several down intervals: whoever moves back by itself does it in this time.
const SETTLED: Duration = Duration::from_millis(1500);
/// The bound of the conventions for a hand-over.
const OVERLAP: Duration = Duration::from_millis(10);
/// Of a trial whose bounds the machine disturbs.
const TRIES: u32 = 3;

/// A network, and the router that is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Inside,
    Outside,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Inside, Self::Outside];

    fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
        }
    }

    fn interface(self) -> &'static str {
        match self {
            Self::Inside => "eth0",
            Self::Outside => "eth1",
        }
    }

    /// The address that moves.
    fn address(self) -> Ipv4Addr {
        match self {
            Self::Inside => Ipv4Addr::new(10, 55, 0, 100),
            Self::Outside => Ipv4Addr::new(10, 56, 0, 100),
        }
    }

    fn vrid(self) -> u8 {
        match self {
            Self::Inside => 51,
            Self::Outside => 52,
        }
    }

    /// A host's port at the bridge of this network.
    fn port(self, host: &str) -> String {
        match self {
            Self::Inside => host.to_owned(),
            Self::Outside => format!("{host}1"),
        }
    }
}

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two groups at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let needs = [Requirement::Root, Requirement::Peers];
    let roles: [(&str, &str, Side); 4] = [
        ("w12_we_lead_the_inside_fails", "ours", Side::Inside),
        ("w12_we_lead_the_outside_fails", "ours", Side::Outside),
        ("w12_they_lead_the_inside_fails", "theirs", Side::Inside),
        ("w12_they_lead_the_outside_fails", "theirs", Side::Outside),
    ];
    let trials = roles.map(|(name, leader, side)| {
        let name = format!("sync_keepalived::{name}");
        let label = name.replace("::", "-");
        trial(name, &needs, move || {
            undisturbed(TRIES, || moves_as_one(leader, side, &label))
        })
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn moves_as_one(leader: &'static str, side: Side, label: &str) -> Result<(), Failed> {
    let follower = if leader == "ours" { "theirs" } else { "ours" };
    let mut lab = Lab::new(label)?;
    lab.start(leader, 200)?;
    lab.held_by(leader)?;
    lab.start(follower, 100)?;
    lab.stays(leader)?;

    let struck = lab.machine.mark();
    lab.cable(leader, side, "down")?;
    lab.timeline(side).reach(leader, What::Cut);
    lab.held_by(follower)?;
    for side in Side::BOTH {
        let held = sole_since(&lab.timeline(side).events(), follower);
        let held = held.ok_or_else(|| format!("{follower} did not keep it"))?;
        let took = held.saturating_duration_since(struck.at);
        let what = format!("{}: {follower} held it after", side.name());
        lab.machine.within(&struck, &what, took, MOVED)?;
    }
    lab.stays(follower)?;

    let healed = lab.machine.mark();
    lab.cable(leader, side, "up")?;
    lab.timeline(side).reach(leader, What::Healed);
    lab.held_by(leader)?;
    lab.stays(leader)?;
    for side in Side::BOTH {
        let events = lab.timeline(side).events();
        let both = overlap(&events, healed.at, Instant::now());
        let what = format!("{}: both held it at the return for", side.name());
        lab.machine.within(&healed, &what, both, OVERLAP)?;
    }
    Ok(())
}

struct Lab {
    // The processes go before their hosts.
    running: Vec<Process>,
    inside: Timeline,
    outside: Timeline,
    machine: Machine,
    segment: Segment,
}

impl Lab {
    fn new(label: &str) -> Result<Self, Failed> {
        let logs = binaries::logs(label);
        // The logs of an earlier run would only mislead; there may be none.
        drop(fs::remove_dir_all(&logs));
        let segment = Segment::new(&logs, &HOSTS)?;
        second_network(&segment)?;
        let [inside, outside] =
            Side::BOTH.map(|side| Timeline::watch(side.address(), segment.hosts()));
        Ok(Self {
            running: Vec::new(),
            inside: inside?,
            outside: outside?,
            machine: Machine::watch(segment.hosts())?,
            segment,
        })
    }

    fn timeline(&self, side: Side) -> &Timeline {
        match side {
            Side::Inside => &self.inside,
            Side::Outside => &self.outside,
        }
    }

    fn start(&mut self, host: &str, priority: u8) -> Result<(), Failed> {
        let mut process = match host {
            "ours" => self.ours(priority)?,
            _theirs => self.theirs(priority)?,
        };
        if host == "ours" {
            process.ready(PATIENCE)?;
        }
        self.running.push(process);
        Ok(())
    }

    fn ours(&self, priority: u8) -> Result<Process, Failed> {
        let host = self.segment.host("ours")?;
        let (config, socket) = (host.file("vip.yaml"), host.file("vip.sock"));
        let routers = Side::BOTH.map(|side| {
            format!(
                "- {{name: {}, interface: {}, vrid: {}, priority: {priority}, \
                 advertInterval: 100ms, addresses: [\"{}/24\"]}}\n",
                side.name(),
                side.interface(),
                side.vrid(),
                side.address()
            )
        });
        let text = format!(
            "apiVersion: sternpost/v1\nkind: VipDaemon\nsocket: {}\nrouters:\n{}\
             syncGroups:\n- {{name: gateway, routers: [inside, outside]}}\n",
            socket.display(),
            routers.concat()
        );
        fs::write(&config, text)?;
        let program = Program::new("vip-daemon", BINARY.as_ref(), self.segment.logs());
        let config = config.display().to_string();
        Ok(host.start(&program.args(["run", "--config", &config]))?)
    }

    fn theirs(&self, priority: u8) -> Result<Process, Failed> {
        let host = self.segment.host("theirs")?;
        let instances = Side::BOTH.map(|side| {
            format!(
                "vrrp_instance {} {{\n state BACKUP\n interface {}\n \
                 virtual_router_id {}\n priority {priority}\n advert_int 0.1\n \
                 virtual_ipaddress {{\n {}/24\n }}\n}}\n",
                side.name(),
                side.interface(),
                side.vrid(),
                side.address()
            )
        });
        let text = format!(
            "global_defs {{\n router_id theirs\n vrrp_version 3\n}}\n\
             vrrp_sync_group gateway {{\n group {{\n inside\n outside\n }}\n}}\n{}",
            instances.concat()
        );
        let config = host.file("keepalived.conf");
        fs::write(&config, text)?;
        let path = |path: &std::path::Path| path.display().to_string();
        let (config, pid) = (path(&config), path(&host.file("pid")));
        let vrrp = path(&host.file("vrrp-pid"));
        let args = [
            "-n", "-l", "-D", "-P", "-f", &config, "-p", &pid, "-r", &vrrp,
        ];
        let program =
            Program::new("keepalived", &peer("keepalived"), self.segment.logs());
        Ok(host.start(&program.args(args))?)
    }

    /// Takes the carrier of one of a host's interfaces, or gives it back.
    fn cable(&self, host: &str, side: Side, state: &str) -> Result<(), Failed> {
        let (bridge, port) = (self.segment.bridge().name(), side.port(host));
        let words = ["-n", bridge, "link", "set", "dev", &port, state];
        command::run("ip", &words)?;
        Ok(())
    }

    /// Waits until that host alone holds both addresses.
    fn held_by(&self, host: &str) -> Result<(), Failed> {
        let what = format!("{host} alone holds both addresses");
        let held = || self.is_held_by(host).then_some(());
        wait::until(&what, PATIENCE, held)?;
        Ok(())
    }

    /// It goes on holding both.
    fn stays(&self, host: &str) -> Result<(), Failed> {
        let moved = || !self.is_held_by(host);
        wait::pass(SETTLED, moved);
        match self.is_held_by(host) {
            true => Ok(()),
            false => {
                Err(format!("{host} did not keep both: {:?}", self.holders()).into())
            }
        }
    }

    fn is_held_by(&self, host: &str) -> bool {
        let alone = BTreeSet::from([host.to_owned()]);
        self.holders().iter().all(|holders| *holders == alone)
    }

    fn holders(&self) -> [BTreeSet<String>; 2] {
        Side::BOTH.map(|side| current(&self.timeline(side).events()))
    }
}

/// A second bridge, and a second interface of each host on it.
fn second_network(segment: &Segment) -> Result<(), Failed> {
    let bridge = segment.bridge().name();
    let ip = |line: String| -> Result<(), Failed> {
        command::run("ip", &line.split(' ').collect::<Vec<_>>())?;
        Ok(())
    };
    ip(format!(
        "-n {bridge} link add br1 type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
    ))?;
    ip(format!("-n {bridge} link set br1 up"))?;
    for host in segment.hosts() {
        let port = Side::Outside.port(host.name());
        let netns = host.netns().name();
        let [.., last] = host.address().octets();
        ip(format!(
            "-n {bridge} link add name {port} type veth peer name eth1 netns {netns}"
        ))?;
        ip(format!("-n {bridge} link set dev {port} master br1 up"))?;
        ip(format!(
            "-n {netns} addr add 10.56.0.{last}/24 broadcast + dev eth1"
        ))?;
        ip(format!("-n {netns} link set eth1 up"))?;
    }
    Ok(())
}
