//! What a machine does to the daemon under its unit: its network manager restarts and takes
//! away what it does not know, and its memory runs short.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::prober::{GAP, Prober, calm, lateness, outage};
use lab::requirement::too_disturbed;
use lab::segment::Segment;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::{ADDRESS, Booted, CLIENT};

/// Of the router `api`, on the interface that the manager manages.
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 100);
/// The client's gap when every address is flushed and the host's own put back.
const GAP_AT_MOST: Duration = Duration::from_millis(100);
/// What a manager takes to have an interface configured, from when it says so itself on.
const CONFIGURED: Duration = Duration::from_secs(2);
/// Restarts that may be void for each that counts.
const VOID: u32 = 6;
/// How long it is waited, after one, for a machine that disturbs nothing.
const CALM: Duration = Duration::from_secs(10);

/// As it comes: what others have put on an interface goes when systemd-networkd starts.
const FORGETFUL: &str = "mkdir -p /etc/systemd/network/10-host0.network.d && \
    printf '[Network]\\nKeepConfiguration=no\\n' \
    > /etc/systemd/network/10-host0.network.d/forgetful.conf";
/// What has it read its files anew, from the mildest on.
const RESTARTS: [&str; 3] = [
    "networkctl reload",
    "networkctl reconfigure host0",
    "systemctl restart systemd-networkd",
];

/// What becomes of a process that asks for the unit's own `OOMScoreAdjust=`.
const GRANTED: &str = "{ echo -900 > /proc/self/oom_score_adj; } 2> /dev/null; cat /proc/self/oom_score_adj";

/// Every transition since the start.
const MOVES: &str = "vip-daemon events --past";

/// Each restart, and a client that asks every millisecond meanwhile.
pub(crate) fn managers_restart(
    machine: &Booted,
    segment: &Segment,
) -> Result<(), Failed> {
    machine.run(FORGETFUL)?;
    let network = Arc::new(machine.0.network()?);
    let prober = Prober::start(VIRTUAL, segment.host(CLIENT.0)?, &[network])?;
    wait::until("the client has answers", CONFIGURED * 10, || prober.last())?;
    for restart in RESTARTS {
        restarted(machine, &prober, restart)?;
    }
    let status: Value = serde_json::from_str(&machine.run("vip-daemon status --json")?)?;
    let lost = status.pointer("/routers/0/counts/addressesLost");
    say(&format!("taken away: {lost:?}"));
    match lost.and_then(Value::as_u64) {
        Some(1..) => Ok(()),
        Some(0) | None => Err("no restart has taken the address away".into()),
    }
}

fn restarted(machine: &Booted, prober: &Prober, restart: &str) -> Result<(), Failed> {
    for _ in 0..VOID {
        let before = machine.run(MOVES)?;
        let began = Instant::now();
        machine.run(restart)?;
        machine.until("networkctl status host0", "(configured)")?;
        wait::pass(CONFIGURED, || false);
        let probes = prober.probes(began, Instant::now());
        let after = machine.run(MOVES)?;
        if before != after {
            return Err(format!("{restart}: a router moved:\n{after}").into());
        }
        // The host's own is the one that programs speak from.
        let shown = machine.run("ip -o -4 address show dev host0 scope global")?;
        let mut lines = shown.lines();
        let first = lines.next().unwrap_or_default();
        let is_first = first.contains(&format!("inet {ADDRESS}/24"));
        if !is_first || !shown.contains(&format!("inet {VIRTUAL}/24")) {
            return Err(format!("{restart}: on host0 are now\n{shown}").into());
        }
        let (gap, late) = (outage(&probes), lateness(&probes));
        say(&format!("{restart}: gap {gap:?}, the prober {late:?} late"));
        if gap <= GAP_AT_MOST {
            return Ok(());
        }
        if late <= GAP {
            return Err(format!("{restart}: {gap:?} without an answer").into());
        }
        calm(CALM)?;
    }
    Err(too_disturbed(&format!("{restart}: {VOID} void restarts")))
}

/// The killer looks for somebody else, for the guard no less than for the daemon; and what
/// `status` says of locked memory is what the kernel says.
pub(crate) fn memory_is_kept(machine: &Booted) -> Result<(), Failed> {
    let status: Value = serde_json::from_str(&machine.run("vip-daemon status --json")?)?;
    let guard = status.pointer("/guard/pid").filter(|pid| pid.is_u64());
    let guard =
        guard.ok_or_else(|| format!("no guard: {:?}", status.pointer("/guard")))?;
    let main = machine.run("systemctl show -P MainPID vip-daemon")?;
    let asked = machine.run("systemctl show -P OOMScoreAdjust vip-daemon")?;
    // Where the machine's own root may not ask for it (CAP_SYS_RESOURCE), no unit gets it.
    let granted = machine.run(GRANTED)?;
    for pid in [main.trim(), &guard.to_string()] {
        let score = machine.run(&format!("cat /proc/{pid}/oom_score_adj"))?;
        if asked.trim() != "-900" || score != granted {
            return Err(format!("oom_score_adj of {pid} is {score}").into());
        }
    }
    let locked = machine.run(&format!("grep VmLck: /proc/{}/status", main.trim()))?;
    let nothing = locked.split_whitespace().nth(1) == Some("0");
    if status.pointer("/memoryLocked") != Some(&Value::from(!nothing)) {
        return Err(format!("the kernel says {locked}, status {status}").into());
    }
    // A guard that the killer takes is replaced; the unit is no reason to stop the daemon.
    let policy = machine.run("systemctl show -P OOMPolicy vip-daemon")?;
    if policy.trim() != "continue" {
        return Err(format!("OOMPolicy is {policy}").into());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures that the test has measured")]
fn say(text: &str) {
    println!("{text}");
}
