//! Two of our masters with a channel, and a client that asks every millisecond.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use lab::binaries;
use lab::holders::{current, overlap};
use lab::prober::{GAP, Prober, calm, lateness, outage};
use lab::process::Process;
use lab::requirement::too_disturbed;
use lab::segment::Segment;
use lab::stalls::Stalls;
use lab::timeline::Timeline;
use lab::wait;
use libtest_mimic::Failed;

use crate::hosts::{A, B, Lab, PATIENCE, VIRTUAL};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 50);
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
/// The client's gap: the median, and the worst.
const MEDIAN: Duration = Duration::from_millis(5);
pub(crate) const WORST: Duration = Duration::from_millis(10);

/// VRRPv3 at 100 ms and at the least there is, where an election is as near as a handover; and
/// VRRPv2 at a second, where priority 0 leaves 609 ms.
pub(crate) const INTERVALS: [(&str, &str); 3] = [
    ("v3-100ms", "advertInterval: 100ms"),
    ("v3-10ms", "advertInterval: 10ms"),
    ("v2-1s", "version: 2\n  advertInterval: 1s"),
];

/// Two masters and a client that asks every millisecond.
pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) prober: Prober,
    stalls: Stalls,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Result<Self, Failed> {
        let logs = binaries::logs(format!("vip-{name}"));
        // The logs of an earlier run would only mislead; there may be none.
        drop(fs::remove_dir_all(&logs));
        let segment = Segment::new(&logs, &[("a", A), ("b", B), ("client", CLIENT)])?;
        let timeline = Timeline::watch(VIRTUAL, segment.hosts())?;
        let lab = Lab { timeline, segment };
        let hosts = [
            lab.segment.host("a")?.clone(),
            lab.segment.host("b")?.clone(),
        ];
        let prober = Prober::start(VIRTUAL, lab.segment.host("client")?, &hosts)?;
        let stalls = Stalls::begin()?;
        Ok(Self {
            lab,
            prober,
            stalls,
        })
    }

    /// Starts `host` with a channel to the other one.
    pub(crate) fn start(
        &self,
        host: &str,
        priority: u8,
        interval: &str,
        key: &str,
        track: &str,
    ) -> Result<Process, Failed> {
        let (peer, address) = if host == "a" { ("b", B) } else { ("a", A) };
        let file = self.lab.segment.host(host)?.file("channel.key");
        fs::write(&file, key)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let channel = format!(
            "{track}channel:\n  name: {host}\n  keyFile: {}\n  \
             peers: [{{name: {peer}, address: {address}}}]\n",
            file.display()
        );
        let path = self.lab.config(host, priority, &channel)?;
        let text = fs::read_to_string(&path)?;
        fs::write(&path, text.replace("advertInterval: 100ms", interval))?;
        self.lab.start(host, &path)
    }

    /// Waits until `host` hears that its peer would take the address.
    pub(crate) fn acquainted(&self, host: &str) -> Result<(), Failed> {
        wait::until(&format!("{host} knows a successor"), PATIENCE, || {
            let status = self.lab.status(host).ok()?;
            let peer = status.pointer("/channel/peers/0")?;
            let there = peer.pointer("/there")? == true && peer.pointer("/ready")? == 1;
            there.then_some(())
        })?;
        Ok(())
    }

    /// Waits until `host` holds the address alone and the client has answers again.
    pub(crate) fn settled(&self, host: &str) -> Result<(), Failed> {
        self.lab.held_by(&[host])?;
        // The latest may still be under way; those before them were asked after the move.
        let held = Instant::now();
        wait::until("the client has answers", PATIENCE, || {
            let probes = self.prober.probes(held, Instant::now());
            let (early, _) = probes.split_last_chunk::<20>()?;
            let answered = early.iter().filter(|probe| probe.answered.is_some());
            (answered.count() >= 80).then_some(())
        })?;
        Ok(())
    }

    /// Waits until one holds the address alone: it, and the other one.
    pub(crate) fn owner(&self) -> Result<[&'static str; 2], Failed> {
        let owner = wait::until("one alone holds the address", PATIENCE, || {
            let holders = current(&self.lab.timeline.events());
            let alone = |host: &str| holders.len() == 1 && holders.contains(host);
            [["a", "b"], ["b", "a"]]
                .into_iter()
                .find(|[one, _]| alone(one))
        })?;
        Ok(owner)
    }

    /// The client's gap since `from`, and the time with two holders; `None` when void.
    pub(crate) fn seen(&self, from: Instant) -> Seen {
        let to = Instant::now();
        let probes = self.prober.probes(from, to);
        // What a core stands still, the client does not see if it is on another one.
        if lateness(&probes) > GAP || self.stalls.total(from, to) > GAP {
            return None;
        }
        let both = overlap(&self.lab.timeline.events(), from, to);
        Some((outage(&probes), both))
    }
}

#[expect(clippy::print_stdout, reason = "figures that the test has measured")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Cycles that may be void where a few sound ones are asked for.
const VOID: usize = 12;
/// How long it is waited, after one, for a machine that disturbs nothing.
const CALM: Duration = Duration::from_secs(10);

/// The client's gap and the time with two holders; none of a cycle that is void.
pub(crate) type Seen = Option<(Duration, Duration)>;

/// Runs cycles until as many as wanted were sound, and judges all of them.
pub(crate) fn sound(
    what: &str,
    wanted: usize,
    cycle: impl FnMut() -> Result<Seen, Failed>,
) -> Result<(), Failed> {
    judge(what, &gather(what, wanted, cycle)?)
}

/// Runs cycles until as many as wanted were sound.
pub(crate) fn gather(
    what: &str,
    wanted: usize,
    mut cycle: impl FnMut() -> Result<Seen, Failed>,
) -> Result<Vec<Seen>, Failed> {
    let mut seen = Vec::new();
    while seen.iter().flatten().count() < wanted {
        let one = cycle()?;
        seen.push(one);
        if one.is_none() {
            let void = seen.iter().filter(|one| one.is_none()).count();
            say(&format!("{what}: void cycle"));
            if void > VOID {
                let good = seen.len() - void;
                let why = format!("{what}: {void} void cycles beside {good} good ones");
                return Err(too_disturbed(&why));
            }
            calm(CALM)?;
        }
    }
    Ok(seen)
}

/// Median and worst of what was seen; what was void is said.
pub(crate) fn judge(what: &str, seen: &[Seen]) -> Result<(), Failed> {
    let counted: Vec<_> = seen.iter().flatten().collect();
    let void = seen.len() - counted.len();
    let mut gaps: Vec<_> = counted.iter().map(|(gap, _)| *gap).collect();
    gaps.sort();
    let overlap = counted
        .iter()
        .map(|(_, both)| *both)
        .max()
        .unwrap_or_default();
    let (Some(min), Some(max)) = (gaps.first(), gaps.last()) else {
        return Err(too_disturbed(&format!("{what}: every cycle was void")));
    };
    let median = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
    say(&format!(
        "{what}: client's gap min/median/max {min:?} / {median:?} / {max:?}, overlap at \
         most {overlap:?}, {void} of {} void",
        seen.len()
    ));
    if median > MEDIAN || *max > WORST || overlap > WORST {
        return Err(format!("{what}: {gaps:?}, overlap {overlap:?}").into());
    }
    Ok(())
}
