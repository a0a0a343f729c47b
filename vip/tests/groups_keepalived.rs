//! W10: groups of three, in which some are a keepalived 2.2.7 and some are ours, lose their
//! owner again and again. After each loss exactly one holds the address, and the client is
//! answered within the down interval of the one that is left; after each return the preferred
//! one holds it alone. Three keepalived go through the same, and show that this is their
//! bound, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
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

const PASSWORD: &str = "sternpst";

/// Above keepalived's start and a down interval.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beside the timer: an advert, the address, and what the client's neighbour entry takes.
const TAKING: Duration = Duration::from_millis(50);

/// Of a cycle that the machine disturbs.
const TRIES: u32 = 3;

/// Kill cycles of each group; `STERNPOST_CYCLES` asks for more.
const CYCLES: u32 = 20;
/// With VRRPv2, of which each takes some eight seconds.
const SLOW_CYCLES: u32 = 4;

/// What a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tongue {
    /// VRRPv3 to each peer, every 100 ms.
    V3Unicast,
    /// The same, every 10 ms.
    V3Fastest,
    /// VRRPv2 with a password to the group, every second: what most come from.
    V2Multicast,
}

impl Tongue {
    /// The outage that a Backup of that priority may leave: three intervals and its skew
    /// (RFC 9568 section 6.1; that of VRRPv2 is a fraction of a second), and the taking.
    fn bound(self, priority: u8) -> Duration {
        let interval = self.interval();
        interval * 3 + interval * (256 - u32::from(priority)) / 256 + TAKING
    }

    fn interval(self) -> Duration {
        Duration::from_millis(match self {
            Self::V3Unicast => 100,
            Self::V3Fastest => 10,
            Self::V2Multicast => 1000,
        })
    }

    fn cycles(self) -> u32 {
        match self {
            Self::V3Unicast | Self::V3Fastest => CYCLES,
            Self::V2Multicast => SLOW_CYCLES,
        }
    }
}

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
    let (fast, slow) = (Tongue::V3Unicast, Tongue::V2Multicast);
    let groups: [(&str, [Whose; 3], Tongue); 6] = [
        (
            "w10_ours_leads_two_keepalived",
            [Ours, Theirs, Theirs],
            fast,
        ),
        (
            "w10_ours_between_two_keepalived",
            [Theirs, Ours, Theirs],
            fast,
        ),
        (
            "w10_two_of_ours_below_a_keepalived",
            [Theirs, Ours, Ours],
            fast,
        ),
        (
            "w10_every_10_ms_ours_between_two_keepalived",
            [Theirs, Ours, Theirs],
            Tongue::V3Fastest,
        ),
        (
            "w10_v2_a_keepalived_between_two_of_ours",
            [Ours, Theirs, Ours],
            slow,
        ),
        ("w10_three_keepalived_are_the_measure", [Theirs; 3], fast),
    ];
    let trials = groups.map(|(name, group, tongue)| {
        let name = format!("groups_keepalived::{name}");
        let label = name.replace("::", "-");
        trial(name, &needs, move || cycles(group, tongue, &label))
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn cycles(whose: [Whose; 3], tongue: Tongue, label: &str) -> Result<(), Failed> {
    let count = match std::env::var("STERNPOST_CYCLES") {
        Ok(count) => count.parse()?,
        Err(_not_set) => tongue.cycles(),
    };
    let mut lab = Lab::new(whose, tongue, label)?;
    lab.held_by("a")?;
    let is_measure = whose == [Theirs; 3];
    let (mut gaps, mut above) = ([Vec::new(), Vec::new()], 0);
    for cycle in 0..count {
        // Once the first dies, then the first two, so that each takes over from each.
        let dying: &[&'static str] = if cycle % 2 == 0 { &["a"] } else { &["a", "b"] };
        let gap = undisturbed(TRIES, || {
            let (gap, within) = lab.cycle(dying, tongue)?;
            // Theirs may end in a black hole that is no fault of ours.
            above += u32::from(is_measure && within.is_err());
            match is_measure {
                true => Ok(gap),
                false => within.map(|()| gap),
            }
        })?;
        if let Some(gaps) = gaps.get_mut(dying.len() - 1) {
            gaps.push(gap);
        }
    }
    say(label, &gaps);
    match above * 2 > count {
        true => Err(
            format!("{above} of {count} are above the bound: it is not theirs").into(),
        ),
        false => Ok(()),
    }
}

#[expect(clippy::print_stdout, reason = "figures that the test has measured")]
fn say(label: &str, gaps: &[Vec<Duration>; 2]) {
    for (deaths, gaps) in ["one", "two"].iter().zip(gaps) {
        let mut gaps = gaps.clone();
        gaps.sort();
        let all = [gaps.first(), gaps.get(gaps.len() / 2), gaps.last()];
        let all = all.map(|gap| gap.copied().unwrap_or_default());
        println!("{label}: {deaths} died: min/median/max {all:.1?}");
    }
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
    fn new(whose: [Whose; 3], tongue: Tongue, label: &str) -> Result<Self, Failed> {
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
                Ours => ours(host, priority, tongue, &logs)?,
                Theirs => theirs(host, priority, tongue, &logs)?,
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

    /// How long nobody answered, and whether that is within the bound.
    fn cycle(
        &mut self,
        dying: &[&'static str],
        tongue: Tongue,
    ) -> Result<(Duration, Result<(), Failed>), Failed> {
        let mut struck = self.machine.mark();
        for host in dying {
            self.kill(host)?;
        }
        struck.hand = struck.at.elapsed();
        let (next, _, priority) = MASTERS.get(dying.len()).ok_or("nobody is left")?;
        self.held_by(next)?;
        wait::until("the client is answered", PATIENCE, || {
            let answered = self.prober.last()?.answered?;
            (MASTERS.get(answered.1)?.0 == *next).then_some(())
        })?;
        // keepalived's black hole lasts until its second burst, after 5 s; ours until 200 ms.
        wait::pass(Duration::from_millis(300), || false);
        let probes = self.prober.probes(struck.at, Instant::now());
        let (gap, late) = (outage(&probes), lateness(&probes));
        let what = format!("killing {dying:?}: nobody answered (prober {late:?}) for");
        let bound = tongue.bound(*priority) + late;
        let within = self.machine.within(&struck, &what, gap, bound);
        for host in dying {
            self.revive(host)?;
        }
        self.held_by("a")?;
        Ok((gap, within))
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
    tongue: Tongue,
    logs: &Path,
) -> Result<Program, Failed> {
    let (version, peers) = match tongue {
        Tongue::V3Unicast | Tongue::V3Fastest => (3, others(host)),
        Tongue::V2Multicast => (2, Vec::new()),
    };
    let config = VipConfig {
        vip: VIP,
        source: host.address(),
        peers,
        priority,
        version,
        interval: format!("{}ms", tongue.interval().as_millis()),
        preempt: true,
        tracked: None,
        socket: host.file("vip.sock"),
    };
    let file = host.file("vip.yaml");
    let program = vip_daemon(&config, &file, logs)?;
    if tongue == Tongue::V2Multicast {
        let password = host.file("password");
        fs::write(&password, PASSWORD)?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        let auth = format!("  auth: {{passFile: {}}}\n", password.display());
        fs::write(&file, fs::read_to_string(&file)? + &auth)?;
    }
    Ok(program)
}

fn theirs(
    host: &NamespaceHost,
    priority: u8,
    tongue: Tongue,
    logs: &Path,
) -> Result<Program, Failed> {
    let (config, pid) = (host.file("keepalived.conf"), host.file("pid"));
    let peers: Vec<_> = others(host).iter().map(ToString::to_string).collect();
    let (version, spoken) = match tongue {
        Tongue::V3Unicast | Tongue::V3Fastest => {
            let (source, peers) = (host.address(), peers.join("\n "));
            let to = format!("unicast_src_ip {source}\n unicast_peer {{\n {peers}\n }}");
            (3, to)
        }
        Tongue::V2Multicast => {
            let auth = format!("auth_type PASS\n auth_pass {PASSWORD}");
            (2, format!("authentication {{\n {auth}\n }}"))
        }
    };
    let interval = tongue.interval().as_secs_f64();
    let text = format!(
        "global_defs {{\n router_id {name}\n vrrp_version {version}\n}}\n\
         vrrp_instance k8s_api {{\n state BACKUP\n interface eth0\n \
         virtual_router_id 51\n priority {priority}\n advert_int {interval}\n {spoken}\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n",
        name = host.name(),
    );
    fs::write(&config, text)?;
    let path = |path: &Path| path.display().to_string();
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
