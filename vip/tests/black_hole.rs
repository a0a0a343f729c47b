//! M13 on the wire: two Backups that time out together, with the kernel's sockets between
//! them. However the race goes, one settles, its announcement is the last one on the wire,
//! and the client finds it at once. keepalived 2.2.7 leaves its clients with the loser for
//! 5 s in 8 to 20 % of such failovers.
//!
//! The owner has priority 255, so that it is back at once and each cycle is one down
//! interval long. A thousand cycles of each cell on a virtual clock are in `vrrp`'s tests.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use lab::daemons::{VipConfig, vip_daemon};
use lab::held_up::{Machine, Mark};
use lab::holders::{Event, What, current, overlap};
use lab::host::Host;
use lab::prober::{Prober, lateness, outage};
use lab::process::{Process, Program};
use lab::requirement::{Requirement, trial, undisturbed};
use lab::segment::Segment;
use lab::sniffer::{Frame, Sniffer};
use lab::timeline::Timeline;
use lab::{binaries, netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const OWNER: (&str, Ipv4Addr) = ("a", Ipv4Addr::new(10, 77, 0, 11));
const BACKUPS: [(&str, Ipv4Addr); 2] = [
    ("b", Ipv4Addr::new(10, 77, 0, 12)),
    ("c", Ipv4Addr::new(10, 77, 0, 13)),
];
const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 77, 0, 50));

/// Above a down interval of 1 s and the start of a daemon.
const PATIENCE: Duration = Duration::from_secs(30);
/// From the election on, the client's gap.
const CONVERGED: Duration = Duration::from_millis(50);
/// Announcements are repeated until 200 ms after the last sign of a rival.
const SETTLED: Duration = Duration::from_millis(400);
/// So long an announcement is repeated, at least.
const REPEATED: Duration = Duration::from_millis(200);
/// Cycles of each cell; `STERNPOST_CYCLES` asks for more.
const CYCLES: u32 = 20;
/// Cells at a time, where there are as many cores: those of 1 s wait most of the time.
const CELLS: usize = 4;
/// Of a cycle that the machine disturbs.
const TRIES: u32 = 5;

/// The Backups' priorities.
const PRIORITIES: [(&str, [u8; 2]); 3] = [
    ("equal", [100, 100]),
    ("adjacent", [100, 99]),
    ("spread", [150, 100]),
];

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(CELLS.min(cores));
    // The slowest first.
    let cells = [
        ("m13_on_the_wire_every_1000_ms", 1000),
        ("m13_on_the_wire_every_100_ms", 100),
        ("m13_on_the_wire_every_10_ms", 10),
    ];
    let trials = cells.into_iter().flat_map(|(name, millis)| {
        PRIORITIES.map(|(kind, priorities)| {
            let name = format!("black_hole::{name}::{kind}");
            let label = name.replace("::", "-");
            trial(name, &[Requirement::Root], move || {
                cell(Duration::from_millis(millis), priorities, &label)
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn cell(interval: Duration, priorities: [u8; 2], label: &str) -> Result<(), Failed> {
    let count = match std::env::var("STERNPOST_CYCLES") {
        Ok(count) => count.parse()?,
        Err(_not_set) => CYCLES,
    };
    let mut lab = Lab::new(interval, priorities, label)?;
    let (mut races, mut worst) = (0, Duration::ZERO);
    for cycle in 0..count {
        let phase = interval * (cycle % 7) / 7;
        let seen = undisturbed(TRIES, || lab.cycle(phase))?;
        races += u32::from(seen.both > Duration::ZERO);
        worst = worst.max(seen.gap);
    }
    #[expect(clippy::print_stdout, reason = "figures of a run, for people")]
    {
        println!(
            "{label}: {count} cycles, {races} races, the client's gap at most {worst:?}"
        );
    }
    Ok(())
}

/// What one failover gave.
struct Seen {
    /// The client's gap from the election on.
    gap: Duration,
    /// How long both Backups had the address.
    both: Duration,
}

struct Lab {
    // Whoever asks goes first, then the processes, then their hosts.
    prober: Prober,
    sniffer: Sniffer,
    owner: Option<Process>,
    /// They run until they are dropped.
    backups: Vec<Process>,
    program: Program,
    timeline: Timeline,
    machine: Machine,
    segment: Segment,
}

impl Lab {
    fn new(interval: Duration, priorities: [u8; 2], label: &str) -> Result<Self, Failed> {
        let logs = binaries::logs(label);
        // The logs of an earlier run would only mislead; there may be none.
        drop(fs::remove_dir_all(&logs));
        let hosts = [OWNER, BACKUPS[0], BACKUPS[1], CLIENT];
        let segment = Segment::new(&logs, &hosts)?;
        let echoes = [OWNER.0, BACKUPS[0].0, BACKUPS[1].0];
        let echoes: Result<Vec<_>, _> = echoes
            .iter()
            .map(|name| segment.host(name).cloned())
            .collect();
        let prober = Prober::start(VIP, segment.host(CLIENT.0)?, &echoes?)?;
        let sniffer = Sniffer::start(&segment)?;
        let timeline = Timeline::watch(VIP, segment.hosts())?;
        let program = prepared(&segment, OWNER, 255, interval)?;
        let mut lab = Self {
            prober,
            sniffer,
            owner: None,
            backups: Vec::new(),
            program,
            timeline,
            machine: Machine::watch(segment.hosts())?,
            segment,
        };
        lab.start_owner()?;
        for (backup, priority) in BACKUPS.into_iter().zip(priorities) {
            let program = prepared(&lab.segment, backup, priority, interval)?;
            let mut process = lab.segment.host(backup.0)?.start(&program)?;
            process.ready(PATIENCE)?;
            lab.backups.push(process);
        }
        Ok(lab)
    }

    fn start_owner(&mut self) -> Result<(), Failed> {
        let mut owner = self.segment.host(OWNER.0)?.start(&self.program)?;
        owner.ready(PATIENCE)?;
        self.owner = Some(owner);
        self.held_by_one(&[OWNER.0]).map(drop)
    }

    /// The owner dies, one Backup settles, the owner returns.
    fn cycle(&mut self, phase: Duration) -> Result<Seen, Failed> {
        // Both have heard the same advert last, whichever it is.
        wait::pass(SETTLED + phase, || false);
        let struck = self.machine.mark();
        self.segment.cut(OWNER.0)?;
        self.timeline.reach(OWNER.0, What::Cut);
        self.owner = None;
        let host = self.segment.host(OWNER.0)?;
        host.kill_all();
        // Its kernel is dead too, and a namespace is not.
        let vip = format!("{VIP}/32");
        host.output("ip", &["addr", "flush", "dev", "eth0", "to", &vip])?;
        let elected = wait::until("an election", PATIENCE, || {
            let events = self.timeline.events();
            // The owner renews until its cable is gone.
            let new = |event: &&Event| {
                let backup = event.host != OWNER.0 && event.at >= struck.at;
                backup && event.what == What::Holds
            };
            events.iter().find(new).map(|event| event.at)
        })?;
        wait::pass(SETTLED, || false);
        let winner = self.held_by_one(&[BACKUPS[0].0, BACKUPS[1].0])?;
        let end = Instant::now();
        let gap = self.converged(&struck, elected, end, &winner);
        let spoke = self.last_word(&struck, &winner, elected, end);
        let both = overlap(&self.timeline.events(), elected, end);
        self.segment.heal(OWNER.0)?;
        self.timeline.reach(OWNER.0, What::Healed);
        self.start_owner()?;
        spoke.and(gap).map(|gap| Seen { gap, both })
    }

    /// The client's gap from the election on, within its bound.
    fn converged(
        &self,
        struck: &Mark,
        elected: Instant,
        end: Instant,
        winner: &str,
    ) -> Result<Duration, Failed> {
        let probes = self.prober.probes(elected, end);
        let (gap, late) = (outage(&probes), lateness(&probes));
        if gap <= CONVERGED + late {
            return Ok(gap);
        }
        let (answers, announced) = self.told(elected, end);
        let said = format!(
            "{gap:?} after the election (prober {late:?}); {winner} holds it\n\
             answered: {answers}\nannounced: {announced}"
        );
        Err(self.machine.missed(struck, &said, gap - CONVERGED - late))
    }

    /// Who answered, and who announced, with milliseconds from the election: for a failure.
    fn told(&self, elected: Instant, end: Instant) -> (String, String) {
        let at = |then: Instant| then.saturating_duration_since(elected).as_millis();
        let mut answers: Vec<(Option<usize>, u128)> = Vec::new();
        for probe in self.prober.probes(elected, end) {
            let place = probe.answered.map(|(_, place)| place);
            if answers.last().is_none_or(|(last, _)| *last != place) {
                answers.push((place, at(probe.sent)));
            }
        }
        let seen = self.sniffer.seen(elected, end);
        let mut said: Vec<(&str, u128)> = Vec::new();
        for seen in seen.iter().filter(|seen| announces(&seen.what)) {
            if said.last().is_none_or(|(last, _)| *last != seen.from) {
                said.push((&seen.from, at(seen.at)));
            }
        }
        (format!("{answers:?}"), format!("{said:?}"))
    }

    /// Whoever announced last must be the one that holds it.
    fn last_word(
        &self,
        struck: &Mark,
        winner: &str,
        from: Instant,
        to: Instant,
    ) -> Result<(), Failed> {
        let seen = self.sniffer.seen(from, to);
        let mut words = seen.iter().filter(|seen| announces(&seen.what));
        let last = words.next_back().ok_or("nobody announced it")?;
        if last.from == winner {
            return Ok(());
        }
        let said = format!("{winner} won, {} had the last word", last.from);
        Err(self.machine.missed(struck, &said, REPEATED))
    }

    /// Waits until exactly one holds the address, and it is one of these.
    fn held_by_one(&self, hosts: &[&str]) -> Result<String, Failed> {
        let found = wait::until(&format!("one of {hosts:?} holds it"), PATIENCE, || {
            let holders: BTreeSet<String> = current(&self.timeline.events());
            let one = holders.first().filter(|_| holders.len() == 1)?;
            hosts.contains(&one.as_str()).then(|| one.clone())
        })?;
        Ok(found)
    }
}

fn announces(frame: &Frame) -> bool {
    match frame {
        Frame::GratuitousArp(address) => *address == VIP,
        Frame::Advert(_)
        | Frame::Garbled(_)
        | Frame::ArpReply(_)
        | Frame::UnsolicitedNa(_) => false,
    }
}

fn prepared(
    segment: &Segment,
    (name, source): (&str, Ipv4Addr),
    priority: u8,
    interval: Duration,
) -> Result<Program, Failed> {
    let host = segment.host(name)?;
    let all = [OWNER, BACKUPS[0], BACKUPS[1]];
    let config = VipConfig {
        vip: VIP,
        source,
        peers: all
            .into_iter()
            .map(|(_, address)| address)
            .filter(|address| *address != source)
            .collect(),
        priority,
        version: 3,
        interval: format!("{}ms", interval.as_millis()),
        preempt: true,
        tracked: None,
        socket: host.file("vip.sock"),
    };
    Ok(vip_daemon(&config, &host.file("vip.yaml"), segment.logs())?)
}
