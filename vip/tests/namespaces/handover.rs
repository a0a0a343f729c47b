//! Addresses that move on purpose: the successor is told first, and a client that asks
//! every millisecond hardly sees it, whatever the advert interval.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab::endpoint::Endpoint;
use lab::wait;
use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, assert_is};
use crate::scene::{INTERVALS, KEY, Scene, WORST, judge, say};

pub(crate) const TESTS: [(&str, Test); 6] = [
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

/// Moves per interval; a tenth may be void.
const CYCLES: usize = 10;
/// From the death of the endpoint to the first answer elsewhere.
const ELSEWHERE: Duration = Duration::from_millis(400);

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
