//! W10: groups of three, in which some are a keepalived 2.2.7 and some are ours, lose their
//! owner again and again. After each loss exactly one holds the address, and the client is
//! answered; after each return the preferred one holds it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::daemons::{VipConfig, vip_daemon};
use lab::held_up::Machine;
use lab::holders::{What, current};
use lab::host::{Host, NamespaceHost};
use lab::prober::{Prober, lateness, outage};
use lab::process::{Process, Program};
use lab::requirement::{Requirement, peer, trial, undisturbed};
use lab::segment::Segment;
use lab::timeline::Timeline;
use lab::{binaries, netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// Spread, as both manuals advise: equal ones time out together.
const MASTERS: [(&str, Ipv4Addr, u8); 3] = [
    ("a", Ipv4Addr::new(10, 77, 0, 11), 200),
    ("b", Ipv4Addr::new(10, 77, 0, 12), 150),
    ("c", Ipv4Addr::new(10, 77, 0, 13), 100),
];
const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 77, 0, 50));

/// Above keepalived's start and a down interval.
const PATIENCE: Duration = Duration::from_secs(30);
/// Three intervals of 100 ms and the skew of the lowest, twice: a second owner may die
/// right after the first.
const OUTAGE: Duration = Duration::from_millis(900);

/// Of a cycle that the machine disturbs.
const TRIES: u32 = 3;

/// Kill cycles of each group; `STERNPOST_CYCLES` asks for more.
const CYCLES: u32 = 20;

/// Whose daemon runs on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Theirs,
}
use Whose::{Ours, Theirs};

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two groups at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let needs = [Requirement::Root, Requirement::Peers];
    let groups: [(&str, [Whose; 3]); 3] = [
        ("w10_ours_leads_two_keepalived", [Ours, Theirs, Theirs]),
        ("w10_ours_between_two_keepalived", [Theirs, Ours, Theirs]),
        ("w10_two_of_ours_below_a_keepalived", [Theirs, Ours, Ours]),
    ];
    let trials = groups.map(|(name, group)| {
        let name = format!("groups_keepalived::{name}");
        let label = name.replace("::", "-");
        trial(name, &needs, move || cycles(group, &label))
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn cycles(whose: [Whose; 3], label: &str) -> Result<(), Failed> {
    let count = match std::env::var("STERNPOST_CYCLES") {
        Ok(count) => count.parse()?,
        Err(_not_set) => CYCLES,
    };
    let mut lab = Lab::new(whose, label)?;
    lab.held_by("a")?;
    for cycle in 0..count {
        // Once the first dies, then the first two, so that each takes over from each.
        let dying: &[&'static str] = if cycle % 2 == 0 { &["a"] } else { &["a", "b"] };
        undisturbed(TRIES, || lab.cycle(dying))?;
    }
    Ok(())
}

struct Lab {
    // Whoever asks goes first, then the processes, then their hosts.
    prober: Prober,
    running: BTreeMap<&'static str, Process>,
    programs: BTreeMap<&'static str, Program>,
    timeline: Timeline,
    machine: Machine,
    segment: Segment,
}

impl Lab {
    fn new(whose: [Whose; 3], label: &str) -> Result<Self, Failed> {
        let logs = binaries::logs(label);
        // The logs of an earlier run would only mislead; there may be none.
        drop(fs::remove_dir_all(&logs));
        let masters = MASTERS.map(|(name, address, _)| (name, address));
        let hosts: Vec<_> = masters.into_iter().chain([CLIENT]).collect();
        let segment = Segment::new(&logs, &hosts)?;
        let client = segment.host(CLIENT.0)?.clone();
        let echoes: Result<Vec<_>, _> = masters
            .iter()
            .map(|(name, _)| segment.host(name).cloned())
            .collect();
        let mut lab = Self {
            prober: Prober::start(VIP, &client, &echoes?)?,
            running: BTreeMap::new(),
            programs: BTreeMap::new(),
            timeline: Timeline::watch(VIP, segment.hosts())?,
            machine: Machine::watch(segment.hosts())?,
            segment,
        };
        for ((name, _, priority), whose) in MASTERS.into_iter().zip(whose) {
            let host = lab.segment.host(name)?;
            let program = match whose {
                Ours => ours(host, priority, &logs)?,
                Theirs => theirs(host, priority, &logs)?,
            };
            lab.programs.insert(name, program);
            lab.start(name)?;
        }
        Ok(lab)
    }

    fn start(&mut self, name: &'static str) -> Result<(), Failed> {
        let program = self.programs.get(name).ok_or("no such master")?;
        let host = self.segment.host(name)?;
        for left in ["pid", "vrrp-pid"] {
            // A keepalived that was killed leaves them, and the next one takes them for a
            // running daemon; there may be none.
            drop(fs::remove_file(host.file(left)));
        }
        let process = host.start(program)?;
        self.running.insert(name, process);
        Ok(())
    }

    /// The cable first: what a dying process would still say is not heard. The kernel of
    /// the host is dead too, and a namespace is not: its address is flushed.
    fn kill(&mut self, name: &str) -> Result<(), Failed> {
        self.segment.cut(name)?;
        self.timeline.reach(name, What::Cut);
        self.running.remove(name);
        let host = self.segment.host(name)?;
        host.kill_all();
        let vip = format!("{VIP}/32");
        host.output("ip", &["addr", "flush", "dev", "eth0", "to", &vip])?;
        Ok(())
    }

    fn revive(&mut self, name: &'static str) -> Result<(), Failed> {
        self.segment.heal(name)?;
        self.timeline.reach(name, What::Healed);
        self.start(name)
    }

    fn cycle(&mut self, dying: &[&'static str]) -> Result<(), Failed> {
        let mut struck = self.machine.mark();
        for host in dying {
            self.kill(host)?;
        }
        struck.hand = struck.at.elapsed();
        let next = if dying.len() == 1 { "b" } else { "c" };
        self.held_by(next)?;
        wait::until("the client is answered", PATIENCE, || {
            let answered = self.prober.last()?.answered?;
            (MASTERS.get(answered.1)?.0 == next).then_some(())
        })?;
        // keepalived's black hole lasts until its second burst, after 5 s; ours until 200 ms.
        wait::pass(Duration::from_millis(300), || false);
        let probes = self.prober.probes(struck.at, Instant::now());
        let (gap, late) = (outage(&probes), lateness(&probes));
        let what = format!("killing {dying:?}: nobody answered (prober {late:?}) for");
        let ended = self.machine.within(&struck, &what, gap, OUTAGE + late);
        for host in dying {
            self.revive(host)?;
        }
        self.held_by("a")?;
        ended
    }

    fn held_by(&self, host: &str) -> Result<(), Failed> {
        let wanted = BTreeSet::from([host.to_owned()]);
        let timeline = &self.timeline;
        wait::until(&format!("{host} alone holds it"), PATIENCE, || {
            (current(&timeline.events()) == wanted).then_some(())
        })?;
        Ok(())
    }
}

fn ours(
    host: &NamespaceHost,
    priority: u8,
    logs: &std::path::Path,
) -> Result<Program, Failed> {
    let config = VipConfig {
        vip: VIP,
        source: host.address(),
        peers: others(host),
        priority,
        version: 3,
        interval: "100ms".to_owned(),
        preempt: true,
        tracked: None,
        socket: host.file("vip.sock"),
    };
    Ok(vip_daemon(&config, &host.file("vip.yaml"), logs)?)
}

fn theirs(
    host: &NamespaceHost,
    priority: u8,
    logs: &std::path::Path,
) -> Result<Program, Failed> {
    let (config, pid) = (host.file("keepalived.conf"), host.file("pid"));
    let peers: Vec<_> = others(host).iter().map(ToString::to_string).collect();
    let text = format!(
        "global_defs {{\n router_id {name}\n vrrp_version 3\n}}\n\
         vrrp_instance k8s_api {{\n state BACKUP\n interface eth0\n \
         virtual_router_id 51\n priority {priority}\n advert_int 0.1\n \
         unicast_src_ip {source}\n unicast_peer {{\n {peers}\n }}\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n",
        name = host.name(),
        source = host.address(),
        peers = peers.join("\n "),
    );
    fs::write(&config, text)?;
    let path = |path: &std::path::Path| path.display().to_string();
    let (config, pid, vrrp) = (path(&config), path(&pid), path(&host.file("vrrp-pid")));
    let args = [
        "-n", "-l", "-D", "-P", "-f", &config, "-p", &pid, "-r", &vrrp,
    ];
    Ok(Program::new("keepalived", &peer("keepalived"), logs).args(args))
}

fn others(host: &NamespaceHost) -> Vec<Ipv4Addr> {
    let all = MASTERS.iter().map(|(_, address, _)| *address);
    all.filter(|address| *address != host.address()).collect()
}
