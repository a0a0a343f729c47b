//! Addresses that move on purpose: the successor is told first, and a client that asks
//! every millisecond hardly sees it, whatever the advert interval.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use lab::endpoint::Endpoint;
use lab::holders::{Event, What, overlap};
use lab::host::Host;
use lab::prober::{GAP, Prober, lateness, outage};
use lab::process::{Process, Program};
use lab::segment::Segment;
use lab::timeline::Timeline;
use lab::{binaries, wait};
use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::{A, B, BINARY, Lab, PATIENCE, VIRTUAL, assert_is};

pub(crate) const TESTS: [(&str, Test); 10] = [
    ("upgrade_keeps_the_address_and_makes_no_election", upgraded),
    (
        "an_upgrade_to_what_does_not_run_changes_nothing",
        not_upgraded,
    ),
    ("n1_n3_notify_scripts_run_in_keepalived_s_order", notified),
    ("a_transition_is_explained_recorded_and_dumped", recorded),
    ("yield_is_hardly_seen_at_any_interval", yielded),
    ("a_graceful_stop_is_hardly_seen_at_any_interval", stopped),
    (
        "k3_a_dead_endpoint_moves_the_address_within_400_ms",
        endpoint,
    ),
    ("yield_to_a_node_that_cannot_take_keeps_the_address", kept),
    ("yield_without_a_channel_sends_priority_0", alone),
    ("another_key_is_refused_and_priority_0_remains", other_key),
];

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 50);
const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Moves per interval; a tenth may be void.
const CYCLES: usize = 10;
/// The client's gap: the median, and the worst.
const MEDIAN: Duration = Duration::from_millis(5);
const WORST: Duration = Duration::from_millis(10);
/// From the death of the endpoint to the first answer elsewhere.
const ELSEWHERE: Duration = Duration::from_millis(400);

/// VRRPv3 at 100 ms, and VRRPv2 at a second, where priority 0 leaves 609 ms.
const INTERVALS: [(&str, &str); 2] = [
    ("v3-100ms", "advertInterval: 100ms"),
    ("v2-1s", "version: 2\n  advertInterval: 1s"),
];

/// Two masters and a client that asks every millisecond.
struct Scene {
    lab: Lab,
    prober: Prober,
}

impl Scene {
    fn new(name: &str) -> Result<Self, Failed> {
        let logs = binaries::output("lab-logs").join(format!("vip-{name}"));
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
        Ok(Self { lab, prober })
    }

    /// Starts `host` with a channel to the other one.
    fn start(
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
    fn acquainted(&self, host: &str) -> Result<(), Failed> {
        wait::until(&format!("{host} knows a successor"), PATIENCE, || {
            let status = self.lab.status(host).ok()?;
            let peer = status.pointer("/channel/peers/0")?;
            let there = peer.pointer("/there")? == true && peer.pointer("/ready")? == 1;
            there.then_some(())
        })?;
        Ok(())
    }

    /// Waits until `host` holds the address alone and the client has answers again.
    fn settled(&self, host: &str) -> Result<(), Failed> {
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

    /// The client's gap since `from`, and the time with two holders; `None` when void.
    fn seen(&self, from: Instant) -> Option<(Duration, Duration)> {
        let to = Instant::now();
        let probes = self.prober.probes(from, to);
        if lateness(&probes) > GAP {
            return None;
        }
        let both = overlap(&self.lab.timeline.events(), from, to);
        Some((outage(&probes), both))
    }
}

#[expect(clippy::print_stdout, reason = "figures that the test has measured")]
fn say(text: &str) {
    println!("{text}");
}

/// Median and worst of what was seen; what was void is said.
fn judge(what: &str, seen: &[Option<(Duration, Duration)>]) -> Result<(), Failed> {
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
        return Err(format!("{what}: every cycle was void").into());
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

fn yielded() -> Result<(), Failed> {
    for (name, interval) in INTERVALS {
        let scene = Scene::new(&format!("yield-{name}"))?;
        let _a = scene.start("a", 200, interval, KEY, "")?;
        scene.settled("a")?;
        let _b = scene.start("b", 100, interval, KEY, "")?;
        let mut seen = Vec::new();
        for cycle in 0..CYCLES {
            let (from, to) = if cycle % 2 == 0 {
                ("a", "b")
            } else {
                ("b", "a")
            };
            scene.acquainted(from)?;
            let begun = Instant::now();
            scene.lab.command(from, &["yield", "--to", to])?;
            scene.settled(to)?;
            seen.push(scene.seen(begun));
        }
        judge(&format!("yield {name}"), &seen)?;
        let counts = scene.lab.router("a")?;
        let handed = counts.pointer("/counts/handovers/accepted");
        assert_is("handovers", handed, CYCLES / 2)?;
    }
    Ok(())
}

fn stopped() -> Result<(), Failed> {
    for (name, interval) in INTERVALS {
        let scene = Scene::new(&format!("stop-{name}"))?;
        let mut running = BTreeMap::new();
        running.insert("a", scene.start("a", 200, interval, KEY, "")?);
        scene.settled("a")?;
        running.insert("b", scene.start("b", 200, interval, KEY, "")?);
        let mut seen = Vec::new();
        for cycle in 0..CYCLES / 2 {
            let (from, to) = if cycle % 2 == 0 {
                ("a", "b")
            } else {
                ("b", "a")
            };
            scene.acquainted(from)?;
            let begun = Instant::now();
            let mut ending = running.remove(from).ok_or("not running")?;
            ending.stop(PATIENCE)?;
            drop(ending);
            scene.settled(to)?;
            seen.push(scene.seen(begun));
            // Lower than the one that holds it: it does not come back by itself.
            running.insert(from, scene.start(from, 100, interval, KEY, "")?);
        }
        judge(&format!("graceful stop {name}"), &seen)?;
    }
    Ok(())
}

fn endpoint() -> Result<(), Failed> {
    let mut seen = Vec::new();
    for weight in ["-150", "0"] {
        for (name, interval) in INTERVALS {
            let scene = Scene::new(&format!("endpoint-{name}{weight}"))?;
            let track = format!(
                "  track:\n  - {{http: {{url: \"http://127.0.0.1:9000/readyz\"}}, \
                 weight: {weight}, interval: 100ms, fall: 2, rise: 2}}\n"
            );
            let service = Endpoint::start(scene.lab.segment.host("a")?)?;
            let _a = scene.start("a", 200, interval, KEY, &track)?;
            scene.settled("a")?;
            let _b = scene.start("b", 100, interval, KEY, "")?;
            scene.acquainted("a")?;
            let died = Instant::now();
            drop(service);
            scene.settled("b")?;
            let elsewhere = scene
                .prober
                .probes(died, Instant::now())
                .iter()
                .find_map(|probe| probe.answered.filter(|(_, host)| *host == 1))
                .ok_or("b never answered")?;
            let took = elsewhere.0.saturating_duration_since(died);
            say(&format!(
                "endpoint {name} weight {weight}: answers elsewhere after {took:?}"
            ));
            if took > ELSEWHERE {
                return Err(format!("{name} weight {weight}: {took:?}").into());
            }
            seen.push(scene.seen(died));
        }
    }
    judge("endpoint", &seen)
}

fn kept() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("yield-kept")?;
    let _a = scene.start("a", 200, interval, KEY, "")?;
    scene.settled("a")?;
    let _b = scene.start("b", 100, interval, KEY, "")?;
    scene.acquainted("a")?;
    scene.lab.command("b", &["release"])?;
    wait::until("a knows that b is out", PATIENCE, || {
        let status = scene.lab.status("a").ok()?;
        (status.pointer("/channel/peers/0/ready")? == 0).then_some(())
    })?;
    let begun = Instant::now();
    for (to, said) in [("b", "the addresses stay"), ("c", "no peer c was heard")] {
        let refused = scene.lab.command("a", &["yield", "--to", to]);
        let said_so = format!("{:?}", refused.err()).contains(said);
        if !said_so {
            return Err(format!("yield --to {to} did not say: {said}").into());
        }
    }
    scene.settled("a")?;
    if let Some((gap, _)) = scene.seen(begun)
        && gap > WORST
    {
        return Err(format!("the address was away for {gap:?}").into());
    }
    Ok(())
}

fn recorded() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("flight")?;
    let _a = scene.start("a", 200, interval, KEY, "")?;
    scene.settled("a")?;
    let _b = scene.start("b", 100, interval, KEY, "")?;
    scene.acquainted("a")?;
    scene.lab.command("a", &["yield", "--to", "b"])?;
    scene.settled("b")?;
    for (host, words) in [
        ("a", "It does not hold the addresses"),
        ("a", "it was given the addresses on purpose"),
        ("b", "the router that held them handed them over"),
    ] {
        let told = scene.lab.command(host, &["explain"])?;
        if !told.contains(words) {
            return Err(format!("{host} does not say: {words}\n{told}").into());
        }
    }
    let host = scene.lab.segment.host("b")?;
    let socket = host.file("vip.sock");
    let watch = format!(
        "timeout 1.5 {BINARY} status --watch --socket {}; true",
        socket.display()
    );
    let shown = host.output("sh", &["-c", &watch])?;
    if shown.matches("ROUTER").count() < 2 {
        return Err(format!("status --watch showed:\n{shown}").into());
    }
    let flight = scene.lab.command("b", &["flight", "--router", "api"])?;
    let taken = flight
        .lines()
        .find(|line| line.contains("\"event\":\"take\""));
    if !taken.is_some_and(|line| line.contains("\"after\":\"active\"")) {
        return Err(format!("the take is not recorded:\n{flight}").into());
    }
    let folder = scene.lab.segment.host("b")?.file("vip.flight");
    wait::until("a dump of it", PATIENCE, || {
        let dumps = fs::read_dir(&folder).ok()?.filter_map(Result::ok);
        let mut names = dumps.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .any(|name| name.ends_with("-active.jsonl"))
            .then_some(())
    })?;
    Ok(())
}

fn notified() -> Result<(), Failed> {
    let lab = Lab::new("notify")?;
    let host = lab.segment.host("a")?;
    let (script, told) = (host.file("told.sh"), host.file("told.txt"));
    let file = told.display();
    fs::write(&script, format!("#!/bin/sh\necho \"$@\" >> {file}\n"))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let (script, socket) = (script.display(), host.file("scripts.sock"));
    let notify = format!(
        "  notify: {{any: [{script}], master: [{script}, m], backup: [{script}, b], \
         stop: [{script}, s]}}\n\
         scripts: {{socket: {}}}\n",
        socket.display()
    );
    let config = lab.config("a", 101, &notify)?;
    let path = config.display().to_string();
    let unit = Program::new("vip-scripts", BINARY.as_ref(), lab.segment.logs());
    let mut unit = host.start(&unit.args(["scripts", "--config", &path]))?;
    unit.ready(PATIENCE)?;
    let mut daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    daemon.stop(PATIENCE)?;
    let expected = "b\nINSTANCE api BACKUP 101\nm\nINSTANCE api MASTER 101\n\
                    s\nINSTANCE api STOP 101\n";
    wait::until("every script has run, in order", PATIENCE, || {
        (fs::read_to_string(&told).ok()? == expected).then_some(())
    })
    .map_err(|error| format!("{error}: {:?}", fs::read_to_string(&told)))?;
    unit.stop(PATIENCE)?;
    Ok(())
}

fn upgraded() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("upgrade")?;
    let track =
        "  track: [{tcp: {address: \"10.55.0.11:1\"}, weight: 50, interval: 1s}]\n";
    let _a = scene.start("a", 200, interval, KEY, track)?;
    scene.settled("a")?;
    let _b = scene.start("b", 100, interval, KEY, "")?;
    scene.acquainted("a")?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let events = scene.lab.timeline.events().len();
        let begun = Instant::now();
        scene.lab.command("a", &["upgrade"])?;
        // Longer than the grace of the old guard, and than a lifetime.
        wait::pass(Duration::from_millis(1200), || false);
        scene.settled("a")?;
        let after = scene.lab.timeline.events();
        let new = after.get(events..).unwrap_or_default();
        let moved = |event: &&Event| event.host == "b" || event.what == What::LetsGo;
        if let Some(event) = new.iter().find(moved) {
            return Err(format!("the address did not stay: {event:?}").into());
        }
        seen.push(scene.seen(begun));
        let router = scene.lab.router("a")?;
        assert_is("reason", router.pointer("/reason"), "handedOver")?;
        assert_is("priority", router.pointer("/priority"), 200)?;
    }
    judge("upgrade", &seen)
}

fn not_upgraded() -> Result<(), Failed> {
    let lab = Lab::new("not-upgraded")?;
    let host = lab.segment.host("a")?;
    let program = host.file("vip-daemon");
    fs::copy(BINARY, &program)?;
    let config = lab.config("a", 200, "")?.display().to_string();
    let run = Program::new("vip-daemon", &program, lab.segment.logs());
    let mut daemon = host.start(&run.args(["run", "--config", &config]))?;
    daemon.ready(PATIENCE)?;
    lab.held_by(&["a"])?;
    let since = lab.status("a")?.pointer("/since").cloned();
    fs::remove_file(&program)?;
    fs::write(&program, "#!/bin/sh\necho no >&2\nexit 2\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let refused = format!("{:?}", lab.command("a", &["upgrade"]).err());
    if !refused.contains("the old program goes on") {
        return Err(refused.into());
    }
    lab.held_by(&["a"])?;
    let after = lab.status("a")?.pointer("/since").cloned();
    if after != since {
        return Err(format!("it started anew: {since:?}, {after:?}").into());
    }
    Ok(())
}

fn alone() -> Result<(), Failed> {
    let lab = Lab::new("yield-alone")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    let said = lab.command("a", &["yield"])?;
    if !said.contains("noChannel") {
        return Err(said.into());
    }
    lab.held_by(&["b"])?;
    // Three down intervals: the higher one leaves it alone.
    wait::pass(Duration::from_millis(1200), || false);
    lab.held_by(&["b"])
}

fn other_key() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("yield-key")?;
    let _a = scene.start("a", 200, interval, KEY, "")?;
    scene.settled("a")?;
    let other = KEY.replace('0', "1");
    let _b = scene.start("b", 100, interval, &other, "")?;
    wait::until("a refuses b's messages", PATIENCE, || {
        let status = scene.lab.status("a").ok()?;
        let refused = status.pointer("/channel/refused/mac")?.as_u64()?;
        (refused > 0).then_some(())
    })?;
    let said = scene.lab.command("a", &["yield"])?;
    if !said.contains("nobody") {
        return Err(said.into());
    }
    scene.settled("b")
}
