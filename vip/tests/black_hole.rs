//! M13 on the wire: two Backups that time out together, with the kernel's sockets between
//! them. However the race goes, one settles, its announcement is the last one on the wire,
//! and the client finds it at once. keepalived 2.2.7 leaves its clients with the loser for
//! 5 s in 8 to 20 % of such failovers.
//!
//! The owner has priority 255, so that it is back at once and each cycle is one down
//! interval long. A thousand cycles of each cell on a virtual clock are in `vrrp`'s tests.

use std::fs;
use std::net::Ipv4Addr;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use lab::daemons::{VipConfig, vip_daemon};
use lab::held_up::{Machine, Mark};
use lab::holders::{Event, What, current, overlap, sole_since, taken_over};
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

/// What a race has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    winner: String,
    /// Since when it has the address alone.
    alone: Instant,
    /// Since when nobody else has announced it.
    word: Instant,
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
        self.held_by_owner()
    }

    /// The owner dies, one Backup settles, the owner returns.
    fn cycle(&mut self, phase: Duration) -> Result<Seen, Failed> {
        // Both have heard the same advert last, whichever it is.
        wait::pass(SETTLED + phase, || false);
        self.held_by_owner()?;
        let struck = self.machine.mark();
        self.segment.cut(OWNER.0)?;
        self.timeline.reach(OWNER.0, What::Cut);
        let cut = Instant::now();
        self.owner = None;
        let host = self.segment.host(OWNER.0)?;
        host.kill_all();
        // Its kernel is dead too, and a namespace is not.
        let vip = format!("{VIP}/32");
        host.output("ip", &["addr", "flush", "dev", "eth0", "to", &vip])?;
        let rest = self.at_rest(&struck)?;
        let (end, events) = (Instant::now(), self.timeline.events());
        let elected = taken_over(&events, OWNER.0, (struck.at, cut));
        let elected = elected.ok_or("nobody was elected")?;
        let spoke = self.machine.within(
            &struck,
            &format!("{} has it alone, its word comes last after", rest.winner),
            rest.word.saturating_duration_since(rest.alone),
            SETTLED,
        );
        let gap = self.converged(&struck, elected, end, &rest.winner);
        let both = overlap(&events, elected, end);
        self.segment.heal(OWNER.0)?;
        self.timeline.reach(OWNER.0, What::Healed);
        self.start_owner()?;
        spoke.and(gap).map(|gap| Seen { gap, both })
    }

    /// Waits until one Backup alone has the address, whoever announced it last is that one, and
    /// nobody has said another thing for as long as a race takes to settle. Until when that is
    /// so depends on the machine; that it comes to be so does not.
    fn at_rest(&self, struck: &Mark) -> Result<Rest, Failed> {
        let look = || came_to(&self.timeline.events(), &self.words(struck));
        let found = wait::until("a Backup at rest", PATIENCE, || {
            let rest = look().ok()?;
            let quiet = rest.alone.max(rest.word) + SETTLED;
            let is_read = self.timeline.is_read(quiet) && self.sniffer.is_read(quiet);
            // What was read only just now may say otherwise.
            (is_read && look().as_ref() == Ok(&rest)).then_some(rest)
        });
        found.map_err(|late| {
            let why = look().err().unwrap_or_default();
            format!("{late}: {why}").into()
        })
    }

    /// Who of the Backups has announced the address since, and when.
    fn words(&self, struck: &Mark) -> Vec<(String, Instant)> {
        let seen = self.sniffer.seen(struck.at, Instant::now());
        let words = seen.into_iter().filter(|seen| announces(&seen.what));
        words
            .filter(|seen| seen.from != OWNER.0)
            .map(|seen| (seen.from, seen.at))
            .collect()
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

    /// Waits until the owner has the address, and no other.
    fn held_by_owner(&self) -> Result<(), Failed> {
        let asked = Instant::now();
        wait::until("the owner alone holds it", PATIENCE, || {
            let is_read = self.timeline.is_read(asked);
            let holders = current(&self.timeline.events());
            (is_read && holders.iter().eq([OWNER.0])).then_some(())
        })?;
        Ok(())
    }
}

/// Who has the address by these events, and by these words: who announced it, and when.
fn came_to(events: &[Event], words: &[(String, Instant)]) -> Result<Rest, String> {
    let sole = |(name, _): &(&'static str, Ipv4Addr)| {
        sole_since(events, name).map(|since| (*name, since))
    };
    let (winner, alone) = BACKUPS
        .iter()
        .find_map(sole)
        .ok_or_else(|| format!("{:?} hold it", current(events)))?;
    let own = words.iter().rev().take_while(|(from, _)| from == winner);
    let (_, word) = own.last().ok_or_else(|| {
        let last = words.last().map_or("nobody", |(from, _)| from);
        format!("{winner} holds it, {last} announced it last")
    })?;
    Ok(Rest {
        winner: winner.to_owned(),
        alone,
        word: *word,
    })
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
