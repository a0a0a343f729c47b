//! One cycle: a lab of its own, an event, and what was seen of it.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::endpoint::Endpoint;
use lab::error::LabError;
use lab::holders::{What, current, moves, overlap};
use lab::host::Host;
use lab::load::usage;
use lab::prober::{self, GAP, Probe, Prober};
use lab::process::{Process, Program};
use lab::segment::Segment;
use lab::timeline::Timeline;
use lab::{binaries, schedule, wait};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::bare;
use crate::group::{Daemons, MASTERS, Peer, VIP};
use crate::row::{Event, Row};
use crate::timeline::{self, Stretch};

const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 77, 0, 50));
/// The preferred one, to which things happen.
pub(crate) const OWNER: &str = "a";
/// Busy loops for each core.
const LOOPS: usize = 4;
/// Above every down interval, and keepalived's start before it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an interface that is made anew is not there.
const AWAY: Duration = Duration::from_secs(1);

/// What a cycle gave. Times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// The longest gap between answered probes.
    pub(crate) outage: f64,
    /// The longest time with two holders.
    pub(crate) overlap: f64,
    /// How often the address left a host.
    pub(crate) moves: usize,
    /// From the event to the first answer of another host than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) elsewhere: Option<f64>,
    /// Whether the daemon said that its interval is not safe as it is scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warned: Option<bool>,
    /// Who answered when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) answers: Vec<Stretch>,
    /// How late the prober itself was: more than 5 ms, and the cycle is void.
    pub(crate) late: f64,
    /// Resident memory of the owner's processes, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<u64>,
    /// Their share of one core, per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<f64>,
}

impl Figures {
    /// Where the machine's lack of time is what is looked at, it disturbs nothing.
    pub(crate) fn void(&self, row: Row) -> bool {
        row.event() != Event::Overload && self.late > GAP.as_secs_f64() * 1e3
    }
}

struct Stage {
    prober: Prober,
    busy: Vec<Process>,
    daemons: Daemons,
    /// Of every master, in their order, where the daemons ask for one.
    endpoints: Vec<Endpoint>,
    timeline: Timeline,
    segment: Segment,
}

/// Runs it once. Where time is short on purpose, nothing but the prober goes before anything
/// else: with loops that do, the kernel's own threads would starve.
pub(crate) fn run(
    row: Row,
    peer: Peer,
    round: u32,
    logs: &Path,
) -> Result<Figures, LabError> {
    if row.event() != Event::Overload {
        return staged(row, peer, round, logs);
    }
    schedule::ordinary_run();
    let figures = staged(row, peer, round, logs);
    schedule::prefer_run();
    figures
}

fn staged(row: Row, peer: Peer, round: u32, logs: &Path) -> Result<Figures, LabError> {
    let logs = logs.join(format!("{}-{}-{round}", row.name(), peer.name()));
    let masters = MASTERS.map(|(name, address, _)| (name, address));
    let hosts: Vec<_> = masters.into_iter().chain([CLIENT]).collect();
    let segment = Segment::new(&logs, &hosts)?;
    if peer == Peer::Bare {
        return bare::run(row, &segment);
    }
    let timeline = Timeline::watch(VIP, segment.hosts())?;
    let client = segment.host(CLIENT.0)?.clone();
    let names = MASTERS.map(|(name, ..)| name);
    let echoes: Result<Vec<_>, _> = names
        .iter()
        .map(|name| segment.host(name).cloned())
        .collect();
    let prober = Prober::start(VIP, &client, &echoes?)?;
    let mut stage = Stage {
        prober,
        busy: Vec::new(),
        daemons: Daemons::new(peer, row),
        endpoints: Vec::new(),
        timeline,
        segment,
    };
    let first = match row.event() {
        Event::Return => "b",
        Event::HostDeath
        | Event::Stop
        | Event::Yield
        | Event::Kill
        | Event::Delete
        | Event::Flap
        | Event::SourceAway
        | Event::Flush
        | Event::Recreate
        | Event::EndpointDies
        | Event::Overload
        | Event::Nothing => OWNER,
    };
    if row.event() == Event::EndpointDies {
        for name in names {
            stage
                .endpoints
                .push(Endpoint::start(stage.segment.host(name)?)?);
        }
    }
    // The others first find the owner, or are the whole group without it.
    let starting = names
        .into_iter()
        .filter(|name| *name != OWNER || first == OWNER);
    for name in starting {
        stage.daemons.start(&stage.segment, name)?;
    }
    stage.held_by(first)?;
    // Past the first announcements, and at another place of the interval each round.
    let phase = row.speech().interval * (round % 7) / 7;
    wait::pass(Duration::from_millis(400) + phase, || false);
    stage.figures(row)
}

impl Stage {
    fn held_by(&self, name: &str) -> Result<(), LabError> {
        let wanted = BTreeSet::from([name.to_owned()]);
        wait::until(&format!("{name} alone holds the address"), PATIENCE, || {
            (current(&self.timeline.events()) == wanted).then_some(())
        })
    }

    fn figures(&mut self, row: Row) -> Result<Figures, LabError> {
        let struck = Instant::now();
        let before = self.cpu()?;
        self.strike(row.event())?;
        let left = row.watched().saturating_sub(struck.elapsed());
        wait::pass(left, || false);
        let end = Instant::now();
        let probes = self.prober.probes(struck, end);
        let events = self.timeline.events();
        let steady = row.event() == Event::Nothing;
        let overloaded = row.event() == Event::Overload;
        let used = self.cpu()?.saturating_sub(before);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(Figures {
            outage: millis(prober::outage(&probes)),
            overlap: millis(overlap(&events, struck, end)),
            moves: moves(&events, struck, end).len(),
            elsewhere: elsewhere(&probes)
                .map(|at| millis(at.saturating_duration_since(struck))),
            warned: overloaded.then(|| self.warned()),
            // Of 20 s of overload a line shows nothing.
            answers: match overloaded || steady {
                true => Vec::new(),
                false => timeline::stretches(&probes),
            },
            late: millis(prober::lateness(&probes)),
            memory: steady.then(|| self.memory()).transpose()?,
            cpu: steady
                .then(|| 100.0 * used.as_secs_f64() / (end - struck).as_secs_f64()),
        })
    }

    fn strike(&mut self, event: Event) -> Result<(), LabError> {
        match event {
            Event::HostDeath => {
                self.segment.cut(OWNER)?;
                self.timeline.reach(OWNER, What::Cut);
                self.daemons.forget(OWNER);
                self.segment.host(OWNER)?.kill_all();
            }
            Event::Stop => self.daemons.process(OWNER)?.signal(Signal::SIGTERM),
            Event::Yield => self.give_away()?,
            Event::Return => self.daemons.start(&self.segment, OWNER)?,
            Event::Kill => self.daemons.process(OWNER)?.kill(),
            Event::Delete => self.ip(&format!("addr del {VIP}/24 dev eth0"))?,
            Event::Flap => {
                self.segment.cut(OWNER)?;
                wait::pass(Duration::from_millis(100), || false);
                self.segment.heal(OWNER)?;
            }
            Event::SourceAway => {
                self.ip("addr del 10.77.0.11/24 dev eth0")?;
                wait::pass(Duration::from_millis(500), || false);
                self.ip("addr add 10.77.0.11/24 broadcast + dev eth0")?;
            }
            Event::Flush => {
                self.ip("addr flush dev eth0")?;
                self.ip("addr add 10.77.0.11/24 broadcast + dev eth0")?;
            }
            Event::Recreate => self.segment.recreate(OWNER, AWAY)?,
            Event::EndpointDies => {
                // The owner's is the first.
                self.endpoints.drain(..1);
            }
            Event::Overload => self.overload()?,
            Event::Nothing => {}
        }
        Ok(())
    }

    /// As an operator does, on the owner.
    fn give_away(&self) -> Result<(), LabError> {
        let program = binaries::own("vip-daemon")?;
        let host = self.segment.host(OWNER)?;
        let (program, socket) = (program.display(), host.file("vip.sock"));
        let words = ["yield", "--socket", &socket.display().to_string()];
        host.output(&program.to_string(), &words).map(drop)
    }

    /// On the client's host: what they take, they take from the whole machine.
    fn overload(&mut self) -> Result<(), LabError> {
        let host = self.segment.host(CLIENT.0)?;
        for number in 0..LOOPS * usage::cores() {
            let name = format!("busy-{number}");
            let program = Program::new(&name, "/bin/sh".as_ref(), self.segment.logs());
            let program = program.args(["-c", "while :; do :; done"]);
            self.busy.push(host.start(&program)?);
        }
        Ok(())
    }

    fn warned(&self) -> bool {
        let log = format!("{OWNER}-vip-daemon.log");
        // keepalived has no such log, and says no such thing.
        fs::read_to_string(self.segment.logs().join(log))
            .is_ok_and(|log| log.contains("not safe without real-time scheduling"))
    }

    /// On the owner, by somebody's hand.
    fn ip(&self, command: &str) -> Result<(), LabError> {
        let words: Vec<_> = command.split(' ').collect();
        self.segment.host(OWNER)?.output("ip", &words).map(drop)
    }

    /// Of every process on the owner, each once: a child is listed beside its parent.
    fn cpu(&self) -> Result<Duration, LabError> {
        let pids = self.segment.host(OWNER)?.netns().processes();
        let used = pids.iter().filter_map(|pid| {
            usage::cpu_of_one(u32::try_from(pid.as_raw()).unwrap_or_default()).ok()
        });
        Ok(used.sum())
    }

    /// What stands there for each process, also what they share.
    fn memory(&self) -> Result<u64, LabError> {
        let pids = self.segment.host(OWNER)?.netns().processes();
        let used = pids.iter().filter_map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            let kib = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
            Some(kib * 1024)
        });
        Ok(used.sum())
    }
}

/// The first answer of another host than the one that answered first.
fn elsewhere(probes: &[Probe]) -> Option<Instant> {
    let mut answers = probes.iter().filter_map(|probe| probe.answered);
    let (_, before) = answers.next()?;
    answers
        .find(|(_, place)| *place != before)
        .map(|(at, _)| at)
}
